//! The planners that place buffers once, in an order of their own, and the best of them all.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::packing::{Packing, Slot, slots};
use crate::planner::{Plan, Planner};
use crate::{GreedyBySize, PlanError, Problem};

/// Operators by the bytes that live at them, the fullest first, and at each its buffers by size.
///
/// Source: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", arXiv 2001.03288 ("greedy by breadth").
#[derive(Clone, Copy, Debug, Default)]
pub struct GreedyByBreadth;

/// Buffers by the number of others that live with them, most first (TVM's unified static memory planner, "greedy by conflicts").
#[derive(Clone, Copy, Debug, Default)]
pub struct GreedyByConflicts;

/// Buffers by their first step, of equal ones the largest first: what a simple allocator at run time would do.
#[derive(Clone, Copy, Debug, Default)]
pub struct FirstFitByStart;

/// Buffers by size times lifetime, the largest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct GreedyByArea;

/// The best plan of [`GreedyBySize`], [`GreedyByBreadth`], [`GreedyByConflicts`], [`GreedyByArea`] and [`FirstFitByStart`].
///
/// It stops at the first plan that meets the lower bound. Never worse than TensorFlow Lite Micro's planner, which is the first of them.
///
/// ```
/// use larun_arena::{Buffer, GreedyBySize, Planner, Portfolio};
///
/// let problem = vec![
///     Buffer::new(4, 3, 3),
///     Buffer::new(4, 0, 2),
///     Buffer::new(4, 0, 0),
///     Buffer::new(3, 2, 3),
/// ];
/// assert_eq!(GreedyBySize.plan(&problem, 1)?.peak, 11);
/// let plan = Portfolio.plan(&problem, 1)?;
/// assert_eq!((plan.peak, plan.is_optimal()), (8, true));
/// # Ok::<(), larun_arena::PlanError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Portfolio;

/// An order in which to place slots.
type Order = fn(&[Slot]) -> Vec<u32>;

const ORDERS: [Order; 4] = [by_breadth, by_conflicts, by_area, by_start];

macro_rules! ordered_planners {
    ($($planner:ident $name:literal $order:ident;)*) => {$(
        impl Planner for $planner {
            fn name(&self) -> &'static str {
                $name
            }

            fn plan(&self, problem: &dyn Problem, alignment: u32) -> Result<Plan, PlanError> {
                in_order(problem, alignment, $order)
            }
        }
    )*};
}

ordered_planners! {
    GreedyByBreadth "breadth" by_breadth;
    GreedyByConflicts "conflicts" by_conflicts;
    GreedyByArea "area" by_area;
    FirstFitByStart "first-fit" by_start;
}

impl Planner for Portfolio {
    fn name(&self) -> &'static str {
        "portfolio"
    }

    fn plan(&self, problem: &dyn Problem, alignment: u32) -> Result<Plan, PlanError> {
        let mut best = GreedyBySize.plan(problem, alignment)?;
        let slots = slots(problem, alignment);
        for order in ORDERS {
            if best.is_optimal() {
                break;
            }
            if let Some(packed) = Packing::pack(&slots, &order(&slots), best.peak.into()) {
                best.improve(packed);
            }
        }
        Ok(best)
    }
}

/// One order's plan. What no plan can do, and what this one cannot address, is found as [`GreedyBySize`] finds it.
fn in_order(problem: &dyn Problem, alignment: u32, order: Order) -> Result<Plan, PlanError> {
    let mut plan = GreedyBySize.plan(problem, alignment)?;
    let slots = slots(problem, alignment);
    let packed = Packing::pack(&slots, &order(&slots), u64::from(u32::MAX) + 1);
    let Some(packed) = packed else {
        let buffer = u32::try_from(slots.len().saturating_sub(1)).unwrap_or(u32::MAX);
        return Err(PlanError::Overflow { buffer });
    };
    plan.peak = u32::MAX;
    plan.improve(packed);
    Ok(plan)
}

fn ids(slots: &[Slot]) -> Vec<u32> {
    (0..).zip(slots).map(|(id, _)| id).collect()
}

fn by_start(slots: &[Slot]) -> Vec<u32> {
    let mut order = ids(slots);
    order.sort_by_key(|&id| {
        let slot = &slots[id as usize];
        (slot.first, Reverse(slot.footprint))
    });
    order
}

fn by_area(slots: &[Slot]) -> Vec<u32> {
    let mut order = ids(slots);
    order.sort_by_key(|&id| {
        let slot = &slots[id as usize];
        Reverse((
            slot.footprint.saturating_mul(slot.duration()),
            slot.footprint,
        ))
    });
    order
}

fn by_conflicts(slots: &[Slot]) -> Vec<u32> {
    // Of all, those that end before the first step or start after the last one do not live with a buffer.
    let mut starts: Vec<u32> = slots.iter().map(|slot| slot.first).collect();
    let mut ends: Vec<u32> = slots.iter().map(|slot| slot.last).collect();
    starts.sort_unstable();
    ends.sort_unstable();
    let conflicts = |slot: &Slot| {
        starts.partition_point(|&start| start <= slot.last)
            - ends.partition_point(|&end| end < slot.first)
    };
    let mut order = ids(slots);
    order.sort_by_cached_key(|&id| {
        let slot = &slots[id as usize];
        Reverse((conflicts(slot), slot.footprint))
    });
    order
}

fn by_breadth(slots: &[Slot]) -> Vec<u32> {
    let mut by_size = ids(slots);
    by_size.sort_by_key(|&id| Reverse(slots[id as usize].footprint));
    let steps = Steps::new(slots);
    let mut fullest: Vec<usize> = (0..steps.live.len()).collect();
    fullest.sort_by_key(|&step| Reverse(steps.live[step]));

    // A buffer takes its turn at the fullest step it lives at.
    let mut turn_of_step = vec![0usize; fullest.len()];
    for (turn, &step) in fullest.iter().enumerate() {
        turn_of_step[step] = turn;
    }
    let turns = RangeMinimum::new(turn_of_step);
    by_size.sort_by_cached_key(|&id| turns.of(steps.range(&slots[id as usize])));
    by_size
}

/// The steps at which something starts, with the bytes that live there: between two of them nothing more lives.
struct Steps {
    starts: Vec<u32>,
    live: Vec<u64>,
}

impl Steps {
    fn new(slots: &[Slot]) -> Self {
        let mut starts: Vec<u32> = slots.iter().map(|slot| slot.first).collect();
        starts.sort_unstable();
        starts.dedup();
        let mut this = Self {
            live: vec![0; starts.len()],
            starts,
        };
        let mut ended = vec![0; this.starts.len() + 1];
        for slot in slots {
            let range = this.range(slot);
            this.live[range.start] += slot.footprint;
            ended[range.end] += slot.footprint;
        }
        let mut before = 0;
        for (live, ended) in this.live.iter_mut().zip(ended) {
            *live = before + *live - ended;
            before = *live;
        }
        this
    }

    fn range(&self, slot: &Slot) -> core::ops::Range<usize> {
        let at = |step: u32| self.starts.partition_point(|&start| start < step);
        at(slot.first)..self.starts.partition_point(|&start| start <= slot.last)
    }
}

/// The least number in any range, by a table of the ranges whose lengths are powers of two.
pub(crate) struct RangeMinimum {
    levels: Vec<Vec<usize>>,
}

impl RangeMinimum {
    pub(crate) fn new(numbers: Vec<usize>) -> Self {
        let mut levels = vec![numbers];
        let mut half = 1;
        while let Some(below) = levels.last().filter(|below| below.len() > half) {
            let level = below
                .iter()
                .zip(&below[half..])
                .map(|(a, b)| *a.min(b))
                .collect();
            levels.push(level);
            half *= 2;
        }
        Self { levels }
    }

    pub(crate) fn of(&self, range: core::ops::Range<usize>) -> usize {
        let Some(level) = range.len().checked_ilog2() else {
            return usize::MAX;
        };
        let numbers = &self.levels[level as usize];
        numbers[range.start].min(numbers[range.end - (1 << level)])
    }
}
