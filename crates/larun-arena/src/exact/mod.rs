//! The exact planner: a plan that no other undercuts, or how far it may be from one.

mod instance;
mod probe;
mod search;
mod state;

use alloc::vec::Vec;

use crate::hill_climb::climb;
use crate::packing::{Slot, slots};
use crate::planner::{Plan, Planner};
use crate::{Budget, PlanError, Portfolio, Problem};
use instance::{Instance, Item};
use probe::Probe;
use search::Verdict;

/// Finds the smallest arena and proves that there is none smaller, by branch and bound.
///
/// The portfolio and a short climb give a first plan. Stretches of steps that no buffer spans are solved apart. In each, searches ask
/// whether the lower bound can be reached; what they prove impossible raises the bound, and bisection closes in on the optimum. A plan
/// that they do not finish says how far it may be from the best one: [`Plan::lower_bound`] is what was proved.
///
/// ```
/// use larun_arena::{Buffer, Exact, Planner};
///
/// // Seven bytes live at once, but below the fixed buffer there is room for neither of the others.
/// let problem = vec![Buffer::new(1, 0, 0).at(2), Buffer::new(3, 0, 0), Buffer::new(3, 0, 0)];
/// let plan = Exact::default().plan(&problem, 1)?;
/// assert_eq!((plan.peak, plan.is_optimal()), (9, true));
/// # Ok::<(), larun_arena::PlanError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Exact<'s> {
    /// How many placements to try, and when to stop.
    pub budget: Budget<'s>,
    /// A peak in bytes that is good enough, such as the memory there is: nothing smaller is looked for.
    pub goal: u32,
}

impl Default for Exact<'_> {
    fn default() -> Self {
        Self {
            budget: Budget::steps(10_000_000),
            goal: 0,
        }
    }
}

/// Orders that the climb before the search tries.
const CLIMB: u64 = 500;
/// Turns of a probe at the lower bound, and of one half-way to what was found, before the other has its turns again.
const TURNS: u64 = 16;

impl Planner for Exact<'_> {
    fn name(&self) -> &'static str {
        "optimal"
    }

    fn plan(&self, problem: &dyn Problem, alignment: u32) -> Result<Plan, PlanError> {
        let mut plan = Portfolio.plan(problem, alignment)?;
        if plan.is_optimal() || plan.peak <= self.goal {
            return Ok(plan);
        }
        let slots = slots(problem, alignment);
        let mut budget = self.budget;
        let mut climbing = budget.take(CLIMB);
        let climbed = climb(
            &slots,
            plan.lower_bound.max(self.goal).into(),
            1,
            &mut climbing,
        );
        budget.put_back(&climbing);
        if let Some(climbed) = climbed {
            plan.improve(climbed);
        }
        let unit = common_unit(&slots, alignment);
        let mut stretches = stretches(&slots, &plan, unit);
        // The hardest first: what no plan of it can undercut is good enough for the others.
        stretches.sort_by_key(|stretch| core::cmp::Reverse(stretch.bound));
        let mut bound = u64::from(plan.lower_bound) / unit;
        for stretch in &mut stretches {
            let goal = bound.max(u64::from(self.goal) / unit);
            stretch.improve(goal, &mut budget);
            bound = bound.max(stretch.bound);
        }
        Ok(assemble(plan, &stretches, bound, unit))
    }
}

/// The largest number of bytes that divides every size and fixed offset.
fn common_unit(slots: &[Slot], alignment: u32) -> u64 {
    let numbers = slots
        .iter()
        .flat_map(|slot| [slot.footprint, slot.fixed.unwrap_or(0)]);
    let unit = numbers.fold(0, greatest_common_divisor);
    match unit {
        0 => alignment.into(),
        unit => unit,
    }
}

const fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// A stretch of steps that no buffer enters or leaves, in units.
struct Stretch {
    /// The buffer behind each item.
    ids: Vec<u32>,
    items: Vec<Item>,
    offsets: Vec<u64>,
    peak: u64,
    /// What no placement of it can undercut.
    bound: u64,
}

/// Cuts a problem where nothing lives across, with the placements of a plan.
fn stretches(slots: &[Slot], plan: &Plan, unit: u64) -> Vec<Stretch> {
    let mut by_start: Vec<u32> = (0..).zip(slots).map(|(id, _)| id).collect();
    by_start.retain(|&id| slots[id as usize].footprint > 0);
    by_start.sort_by_key(|&id| slots[id as usize].first);
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut end = None;
    for id in by_start {
        let slot = &slots[id as usize];
        if end.is_none_or(|end| end < slot.first) {
            stretches.push(Stretch {
                ids: Vec::new(),
                items: Vec::new(),
                offsets: Vec::new(),
                peak: 0,
                bound: 0,
            });
        }
        end = end.max(Some(slot.last));
        if let Some(stretch) = stretches.last_mut() {
            let offset = u64::from(plan.offsets[id as usize]) / unit;
            stretch.push(id, slot, offset, unit);
        }
    }
    stretches.iter_mut().for_each(Stretch::find_bound);
    stretches
}

impl Stretch {
    fn push(&mut self, id: u32, slot: &Slot, offset: u64, unit: u64) {
        let item = Item {
            size: slot.footprint / unit,
            first: slot.first,
            last: slot.last,
            fixed: slot.fixed.map(|fixed| fixed / unit),
        };
        self.ids.push(id);
        self.items.push(item);
        self.offsets.push(offset);
        self.peak = self.peak.max(offset + item.size);
    }

    /// The most that lives at once, or the highest end of a fixed item.
    fn find_bound(&mut self) {
        let fixed = self
            .items
            .iter()
            .filter_map(|item| Some(item.fixed? + item.size));
        self.bound = fixed.max().unwrap_or(0);
        let mut ends: Vec<(u32, u64)> = self.items.iter().map(|i| (i.last, i.size)).collect();
        ends.sort_unstable();
        let mut ended = ends.into_iter().peekable();
        let mut live = 0;
        for item in &self.items {
            while let Some((_, freed)) = ended.next_if(|&(last, _)| last < item.first) {
                live -= freed;
            }
            live += item.size;
            self.bound = self.bound.max(live);
        }
    }

    /// Looks for a placement as high as `goal`, raising the bound by what is proved on the way.
    fn improve(&mut self, goal: u64, budget: &mut Budget<'_>) {
        if self.peak <= self.bound.max(goal) {
            return;
        }
        let Some(instance) = Instance::new(self.items.clone()) else {
            return;
        };
        let mut at_bound = Probe::new(&instance, self.bound.max(goal));
        let mut half_way: Option<Probe<'_>> = None;
        while self.peak > self.bound.max(goal) && !budget.is_spent() {
            let lowest = self.bound.max(goal);
            if at_bound.capacity != lowest {
                at_bound = Probe::new(&instance, lowest);
            }
            let verdict = at_bound.run(TURNS, budget);
            if self.learn(lowest, verdict) {
                continue;
            }
            let middle = lowest.midpoint(self.peak);
            if middle == lowest || middle >= self.peak {
                continue;
            }
            let mut probe = half_way
                .take()
                .filter(|probe| probe.capacity == middle)
                .unwrap_or_else(|| Probe::new(&instance, middle));
            let verdict = probe.run(TURNS, budget);
            if !self.learn(middle, verdict) {
                half_way = Some(probe);
            }
        }
    }

    /// Takes over what a probe found out; false when that is nothing.
    fn learn(&mut self, capacity: u64, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Found(offsets) => {
                let tops = self.items.iter().zip(&offsets);
                self.peak = tops
                    .map(|(item, offset)| item.size + offset)
                    .max()
                    .unwrap_or(0);
                self.offsets = offsets;
                true
            }
            Verdict::Infeasible => {
                self.bound = self.bound.max(capacity + 1);
                true
            }
            Verdict::Exhausted => false,
        }
    }
}

/// The plan with the placements of all stretches.
fn assemble(mut plan: Plan, stretches: &[Stretch], bound: u64, unit: u64) -> Plan {
    let bytes = |units: u64| u32::try_from(units.saturating_mul(unit)).unwrap_or(u32::MAX);
    for stretch in stretches {
        for (&id, &offset) in stretch.ids.iter().zip(&stretch.offsets) {
            plan.offsets[id as usize] = bytes(offset);
        }
    }
    plan.peak = bytes(
        stretches
            .iter()
            .map(|stretch| stretch.peak)
            .max()
            .unwrap_or(0),
    );
    plan.lower_bound = plan.lower_bound.max(bytes(bound)).min(plan.peak);
    plan
}
