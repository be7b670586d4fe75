//! Hill climbing over the order in which buffers are placed.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::conflicts::{Lists, conflicts};
use crate::packing::{Slot, slots};
use crate::planner::{Plan, Planner};
use crate::{Budget, PlanError, Portfolio, Problem};

/// Improves the portfolio's plan by swapping the turns of buffers that hold the peak up.
///
/// The method of Arm's Vela compiler (`hillclimb_allocation.py`): place the buffers in an order, each at the lowest gap; take the one
/// with the highest end, those that live with it, and those that it rests on; swap the turns of two of them, now and then of any other;
/// keep the new order when the peak has not grown. Orders tried are the budget's steps. A plan that meets the lower bound ends it.
///
/// ```
/// use larun_arena::{Buffer, Budget, HillClimb, Planner};
///
/// let climb = HillClimb { budget: Budget::steps(1000), seed: 1 };
/// let plan = climb.plan(&vec![Buffer::new(100, 0, 1), Buffer::new(50, 1, 2)], 16)?;
/// assert_eq!(plan.peak, 176);
/// # Ok::<(), larun_arena::PlanError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HillClimb<'s> {
    /// How many orders to try.
    pub budget: Budget<'s>,
    /// Where the random numbers begin: the same seed gives the same plan.
    pub seed: u64,
}

impl Default for HillClimb<'_> {
    fn default() -> Self {
        Self {
            budget: Budget::steps(5_000),
            seed: 1,
        }
    }
}

impl Planner for HillClimb<'_> {
    fn name(&self) -> &'static str {
        "hill-climb"
    }

    fn plan(&self, problem: &dyn Problem, alignment: u32) -> Result<Plan, PlanError> {
        let mut plan = Portfolio.plan(problem, alignment)?;
        if plan.is_optimal() {
            return Ok(plan);
        }
        let slots = slots(problem, alignment);
        let mut budget = self.budget;
        let found = climb(&slots, plan.lower_bound.into(), self.seed, &mut budget);
        if let Some(found) = found {
            plan.improve(found);
        }
        Ok(plan)
    }
}

/// The best placement that climbing finds, whether or not it is better than another one; `None` for too many conflicts to list.
pub(crate) fn climb(
    slots: &[Slot],
    lower_bound: u64,
    seed: u64,
    budget: &mut Budget<'_>,
) -> Option<(u64, Vec<u64>)> {
    let lifetimes: Vec<_> = slots.iter().map(|slot| (slot.first, slot.last)).collect();
    let mut climber = Climber {
        slots,
        conflicts: conflicts(&lifetimes)?,
        order: first_order(slots),
        offsets: vec![UNPLACED; slots.len()],
        rests_on: vec![None; slots.len()],
        random: SplitMix(seed),
    };
    climber.run(lower_bound, budget)
}

const UNPLACED: u64 = u64::MAX;
/// Without an improvement for so many orders, two swaps are made at once.
const STUCK: u64 = 50;

struct Climber<'s> {
    slots: &'s [Slot],
    conflicts: Lists,
    /// The slots without a fixed offset, by turn.
    order: Vec<u32>,
    offsets: Vec<u64>,
    /// The slot whose end is each slot's offset.
    rests_on: Vec<Option<u32>>,
    random: SplitMix,
}

impl Climber<'_> {
    fn run(&mut self, lower_bound: u64, budget: &mut Budget<'_>) -> Option<(u64, Vec<u64>)> {
        let mut peak = self.place(u64::MAX)?;
        let mut best = (peak, self.offsets.clone());
        let mut since_improved = 0;
        while best.0 > lower_bound && self.order.len() > 1 && budget.spend() {
            let bottleneck = self.bottleneck();
            let before = self.order.clone();
            self.swap(&bottleneck);
            if since_improved > STUCK {
                self.swap(&bottleneck);
            }
            let (offsets, rests_on) = (self.offsets.clone(), self.rests_on.clone());
            match self.place(peak + 1) {
                Some(found) => {
                    peak = found;
                    since_improved += 1;
                    if peak < best.0 {
                        best = (peak, self.offsets.clone());
                        since_improved = 0;
                    }
                }
                None => {
                    since_improved += 1;
                    self.order = before;
                    self.offsets = offsets;
                    self.rests_on = rests_on;
                }
            }
        }
        Some(best)
    }

    /// Places all slots by turn; `None` as soon as the peak reaches `limit`.
    fn place(&mut self, limit: u64) -> Option<u64> {
        let mut peak = 0;
        for (slot, offset) in self.slots.iter().zip(&mut self.offsets) {
            *offset = slot.fixed.unwrap_or(UNPLACED);
            peak = peak.max(slot.fixed.map_or(0, |fixed| fixed + slot.footprint));
        }
        let mut around: Vec<(u64, u64, u32)> = Vec::new();
        for turn in 0..self.order.len() {
            let id = self.order[turn];
            let slot = &self.slots[id as usize];
            around.clear();
            for &other in self.conflicts.get(id as usize) {
                let (offset, size) = (
                    self.offsets[other as usize],
                    self.slots[other as usize].footprint,
                );
                if offset != UNPLACED && size > 0 {
                    around.push((offset, offset + size, other));
                }
            }
            around.sort_unstable();
            let (mut candidate, mut below) = (0, None);
            for &(start, end, other) in &around {
                if start >= candidate + slot.footprint {
                    break;
                }
                if end > candidate {
                    (candidate, below) = (end, Some(other));
                }
            }
            peak = peak.max(candidate + slot.footprint);
            if peak >= limit {
                return None;
            }
            self.offsets[id as usize] = candidate;
            self.rests_on[id as usize] = below;
        }
        Some(peak)
    }

    /// The slot with the highest end, those it rests on, and all that live with one of these.
    fn bottleneck(&self) -> Vec<u32> {
        let end = |id: usize| self.offsets[id].saturating_add(self.slots[id].footprint);
        let highest = (0..self.slots.len()).max_by_key(|&id| (end(id), Reverse(id)));
        let mut involved = Vec::new();
        let mut next = highest.and_then(|id| u32::try_from(id).ok());
        while let Some(id) = next {
            involved.push(id);
            involved.extend(self.conflicts.get(id as usize));
            next = self.rests_on[id as usize];
        }
        involved.sort_unstable();
        involved.dedup();
        involved
    }

    /// Swaps two turns, the first of an involved slot, the second of another such one or, three times in ten, of any.
    fn swap(&mut self, involved: &[u32]) {
        let turn_of = |id: u32| self.order.iter().position(|&other| other == id);
        let pick = self.random.below(involved.len());
        let other = match self.random.below(10) < 3 {
            true => self.order.get(self.random.below(self.order.len())),
            false => involved.get(self.random.below(involved.len())),
        };
        let turns = (
            involved.get(pick).copied().and_then(turn_of),
            other.copied().and_then(turn_of),
        );
        if let (Some(a), Some(b)) = turns {
            self.order.swap(a, b);
        }
    }
}

/// By the most bytes that live at a step of the slot, then by duration, both the highest first, then by start and size.
fn first_order(slots: &[Slot]) -> Vec<u32> {
    let mut ends: Vec<u32> = slots.iter().map(|slot| slot.last).collect();
    ends.sort_unstable();
    ends.dedup();
    let mut live = vec![0; ends.len()];
    let range = |slot: &Slot| {
        ends.partition_point(|&end| end < slot.first)..ends.partition_point(|&end| end <= slot.last)
    };
    for slot in slots {
        live[range(slot)]
            .iter_mut()
            .for_each(|live| *live += slot.footprint);
    }
    let urgency = |slot: &Slot| live[range(slot)].iter().copied().max().unwrap_or(0);
    let movable = (0..).zip(slots).filter(|(_, slot)| slot.fixed.is_none());
    let mut order: Vec<u32> = movable.map(|(id, _)| id).collect();
    order.sort_by_cached_key(|&id| {
        let slot = &slots[id as usize];
        let descending = (Reverse(urgency(slot)), Reverse(slot.duration()));
        (descending, slot.first, Reverse(slot.footprint))
    });
    order
}

/// Steele, Lea and Flood's generator of random numbers: enough to choose swaps, and reproducible.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `count`, 0 for none.
    fn below(&mut self, count: usize) -> usize {
        let count = (count as u64).max(1);
        (self.next() % count) as usize
    }
}
