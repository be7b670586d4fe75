//! The interface of all planners, and the plan they return.

use alloc::vec;
use alloc::vec::Vec;

use crate::{PlanError, Problem, greedy_by_size, lower_bound_by_sweep};

/// Where every buffer lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The offset of each buffer in bytes, by index.
    pub offsets: Vec<u32>,
    /// The arena's size in bytes: the highest end of a buffer, sizes rounded up to the alignment.
    pub peak: u32,
    /// A size in bytes that the planner has proved no plan can undercut, at least [`lower_bound`](crate::lower_bound).
    pub lower_bound: u32,
}

impl Plan {
    /// Whether the plan is proved to be the smallest there is.
    #[must_use]
    pub const fn is_optimal(&self) -> bool {
        self.peak == self.lower_bound
    }

    /// Takes over a plan with a lower peak.
    pub(crate) fn improve(&mut self, (peak, offsets): (u64, Vec<u64>)) {
        let word = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        if peak < u64::from(self.peak) || self.peak == u32::MAX {
            self.peak = word(peak);
            self.offsets = offsets.into_iter().map(word).collect();
        }
    }
}

/// A way to find a plan.
///
/// A planner is deterministic: the same problem and alignment give the same plan. Its plan passes [`check`](crate::check).
pub trait Planner {
    /// What the planner is called on a command line, such as `greedy`.
    fn name(&self) -> &'static str;

    /// Plans the arena, with every offset a multiple of `alignment` bytes.
    ///
    /// # Errors
    /// [`PlanError`], when the problem is malformed, fixed buffers collide, or the plan would not fit in 4 GiB.
    fn plan(&self, problem: &dyn Problem, alignment: u32) -> Result<Plan, PlanError>;
}

/// The planner [`greedy_by_size`]: what TensorFlow Lite Micro does on the device.
///
/// ```
/// use larun_arena::{Buffer, GreedyBySize, Planner};
///
/// let plan = GreedyBySize.plan(&vec![Buffer::new(100, 0, 1), Buffer::new(50, 1, 2)], 16)?;
/// assert_eq!((plan.offsets, plan.peak), (vec![0, 112], 176));
/// # Ok::<(), larun_arena::PlanError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct GreedyBySize;

impl Planner for GreedyBySize {
    fn name(&self) -> &'static str {
        "greedy"
    }

    fn plan(&self, problem: &dyn Problem, alignment: u32) -> Result<Plan, PlanError> {
        let lower_bound = lower_bound_by_sweep(problem, alignment)?;
        let mut offsets = vec![0; problem.len()];
        let mut order = offsets.clone();
        let peak = greedy_by_size(problem, alignment, &mut offsets, &mut order)?;
        Ok(Plan {
            offsets,
            peak,
            lower_bound,
        })
    }
}
