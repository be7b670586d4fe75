//! Buffers over several memories: the fast and small one takes what is used most.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::packing::{Packing, Slot, slots};
use crate::problem::validate;
use crate::{Buffer, PlanError};

/// A memory of the chip or the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its size in bytes.
    pub capacity: u32,
    /// What it costs to read or write a byte, in any unit: cycles, picojoules.
    pub cost_per_byte: u32,
}

/// A buffer that may lie in any region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Its size and lifetime. A fixed offset counts in the region that [`region`](Self::region) names.
    pub buffer: Buffer,
    /// Bytes that are read from it and written to it in all.
    pub traffic: u64,
    /// The region it must lie in, `None` for any. Without one a fixed offset counts in the last region.
    pub region: Option<usize>,
}

/// Where every buffer lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionPlan {
    /// The region of each buffer.
    pub regions: Vec<usize>,
    /// The offset of each buffer in its region, in bytes.
    pub offsets: Vec<u32>,
    /// The bytes used of each region.
    pub peaks: Vec<u32>,
    /// The sum of each buffer's traffic times its region's cost.
    pub cost: u64,
    /// A cost that no plan can undercut: each buffer alone in the cheapest region that can hold it.
    pub cost_bound: u64,
}

/// Why buffers cannot be spread over regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionError {
    /// The buffers themselves are malformed.
    Plan(PlanError),
    /// No region has room for a buffer beside those that matter more.
    DoesNotFit {
        /// The buffer.
        buffer: u32,
        /// Its size in bytes.
        size: u32,
    },
    /// A buffer must lie in a region that there is not.
    UnknownRegion {
        /// The buffer.
        buffer: u32,
        /// The region named.
        region: usize,
    },
}

impl core::fmt::Display for RegionError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Plan(error) => error.fmt(f),
            Self::DoesNotFit { buffer, size } => write!(
                f,
                "buffer {buffer} of {size} bytes fits in no region beside the others: give a region more bytes"
            ),
            Self::UnknownRegion { buffer, region } => {
                write!(
                    f,
                    "buffer {buffer} must lie in region {region}, which there is not"
                )
            }
        }
    }
}

impl core::error::Error for RegionError {}

impl From<PlanError> for RegionError {
    fn from(error: PlanError) -> Self {
        Self::Plan(error)
    }
}

/// Spreads buffers over regions so that what is used most lies where it costs least.
///
/// Buffers take turns by what they save for each byte and step that they occupy; each goes to the cheapest region that has a gap for it.
/// Then, as long as it helps, a buffer that lies dear is tried again before all others. Every region's plan passes
/// [`check`](crate::check); the result is deterministic and need not be the cheapest there is: compare [`RegionPlan::cost_bound`].
///
/// # Errors
/// [`RegionError`], when the buffers are malformed, or no region has room for one.
///
/// ```
/// use larun_arena::{Buffer, Demand, Region, plan_regions};
///
/// let tcm = Region { capacity: 128, cost_per_byte: 1 };
/// let sram = Region { capacity: 4096, cost_per_byte: 3 };
/// let demand = |buffer, traffic| Demand { buffer, traffic, region: None };
/// let demands = [demand(Buffer::new(100, 0, 1), 200), demand(Buffer::new(100, 1, 2), 5000)];
///
/// let plan = plan_regions(&demands, &[tcm, sram], 16)?;
/// assert_eq!(plan.regions, [1, 0]); // the busy one in the fast memory
/// assert_eq!(plan.cost, 200 * 3 + 5000);
/// # Ok::<(), larun_arena::RegionError>(())
/// ```
pub fn plan_regions(
    demands: &[Demand],
    regions: &[Region],
    alignment: u32,
) -> Result<RegionPlan, RegionError> {
    let problem: Vec<Buffer> = demands.iter().map(|demand| demand.buffer).collect();
    validate(&problem, alignment)?;
    for (buffer, demand) in (0..).zip(demands) {
        if let Some(region) = demand.region.filter(|&region| region >= regions.len()) {
            return Err(RegionError::UnknownRegion { buffer, region });
        }
    }
    let spreader = Spreader::new(demands, regions, slots(&problem, alignment));
    let mut order = spreader.by_saving();
    let mut best = spreader.spread(&order);
    // A buffer without room goes first next time; it helps once, or nothing does.
    for _ in 0..demands.len() {
        let Err(RegionError::DoesNotFit { buffer, .. }) = best else {
            break;
        };
        move_to_front(&mut order, buffer);
        best = spreader.spread(&order);
    }
    let mut best = best?;
    for _ in 0..ROUNDS {
        if !spreader.promote(&mut order, &mut best) {
            break;
        }
    }
    Ok(best)
}

/// How often all dear buffers are tried again.
const ROUNDS: usize = 8;

struct Spreader<'d> {
    demands: &'d [Demand],
    regions: &'d [Region],
    slots: Vec<Slot>,
    /// The regions, the cheapest first.
    by_cost: Vec<usize>,
    cost_bound: u64,
}

impl<'d> Spreader<'d> {
    fn new(demands: &'d [Demand], regions: &'d [Region], slots: Vec<Slot>) -> Self {
        let mut by_cost: Vec<usize> = (0..regions.len()).collect();
        by_cost.sort_by_key(|&region| regions[region].cost_per_byte);
        let mut this = Self {
            demands,
            regions,
            slots,
            by_cost,
            cost_bound: 0,
        };
        let alone = |id: usize| {
            this.allowed(id)
                .next()
                .map_or(0, |region| this.cost(id, region))
        };
        this.cost_bound = (0..demands.len()).fold(0, |sum: u64, id| sum.saturating_add(alone(id)));
        this
    }

    fn cost(&self, id: usize, region: usize) -> u64 {
        self.demands[id]
            .traffic
            .saturating_mul(self.regions[region].cost_per_byte.into())
    }

    /// The regions that can hold a buffer, the cheapest first.
    fn allowed(&self, id: usize) -> impl Iterator<Item = usize> + '_ {
        let (demand, slot) = (&self.demands[id], &self.slots[id]);
        let last = self.regions.len().checked_sub(1);
        let only = demand.region.or(last.filter(|_| slot.fixed.is_some()));
        let end = slot.fixed.unwrap_or(0) + slot.footprint;
        self.by_cost.iter().copied().filter(move |&region| {
            only.is_none_or(|only| only == region) && end <= self.regions[region].capacity.into()
        })
    }

    /// Fixed buffers first, then those that save the most for each byte and step.
    fn by_saving(&self) -> Vec<u32> {
        let saving = |id: usize| {
            let costs = self.allowed(id).map(|region| self.cost(id, region));
            let (least, most) =
                costs.fold((u64::MAX, 0), |(a, b), cost| (a.min(cost), b.max(cost)));
            let area = self.slots[id]
                .footprint
                .saturating_mul(self.slots[id].duration());
            u128::from(most.saturating_sub(least)) * (1 << 32) / u128::from(area.max(1))
        };
        let mut order: Vec<u32> = (0..).zip(self.demands).map(|(id, _)| id).collect();
        order.sort_by_cached_key(|&id| {
            Reverse((saving(id as usize), self.slots[id as usize].footprint))
        });
        order
    }

    fn spread(&self, order: &[u32]) -> Result<RegionPlan, RegionError> {
        let count = self.slots.len();
        let mut packings: Vec<Packing> = self.regions.iter().map(|_| Packing::default()).collect();
        let mut plan = RegionPlan {
            regions: vec![0; count],
            offsets: vec![0; count],
            peaks: vec![0; self.regions.len()],
            cost: 0,
            cost_bound: self.cost_bound,
        };
        let is_fixed = |id: &&u32| self.slots[**id as usize].fixed.is_some();
        let movable = order.iter().filter(|id| !is_fixed(id));
        for &buffer in order.iter().filter(is_fixed).chain(movable) {
            let id = buffer as usize;
            let slot = &self.slots[id];
            let place = self.allowed(id).find_map(|region| {
                let offset = packings[region].lowest_gap_from(slot, slot.fixed.unwrap_or(0));
                let end = offset + slot.footprint;
                let fits = slot.fixed.is_none_or(|fixed| fixed == offset);
                (fits && end <= self.regions[region].capacity.into())
                    .then_some((region, offset, end))
            });
            let size = self.demands[id].buffer.size;
            let (region, offset, end) = place.ok_or(RegionError::DoesNotFit { buffer, size })?;
            packings[region].put(slot, offset);
            let word = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
            (plan.regions[id], plan.offsets[id]) = (region, word(offset));
            plan.peaks[region] = plan.peaks[region].max(word(end));
            plan.cost = plan.cost.saturating_add(self.cost(id, region));
        }
        Ok(plan)
    }

    /// Tries each buffer that does not lie where it costs least before all others; whether one of these orders was better.
    fn promote(&self, order: &mut Vec<u32>, best: &mut RegionPlan) -> bool {
        let mut improved = false;
        for (buffer, id) in (0..).zip(0..self.slots.len()) {
            if self.allowed(id).next() == Some(best.regions[id]) {
                continue;
            }
            let mut tried = order.clone();
            move_to_front(&mut tried, buffer);
            if let Ok(plan) = self.spread(&tried)
                && plan.cost < best.cost
            {
                (*order, *best, improved) = (tried, plan, true);
            }
        }
        improved
    }
}

fn move_to_front(order: &mut [u32], buffer: u32) {
    if let Some(at) = order.iter().position(|&id| id == buffer) {
        order[..=at].rotate_right(1);
    }
}
