//! How to plan: which planner, what may share memory, and for how long to search.

use core::time::Duration;
use std::time::Instant;

use larun_arena::{
    Budget, Exact, GreedyBySize, HillClimb, Plan, PlanError, Planner, Portfolio, Problem,
};

/// A way to find a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlannerKind {
    /// The largest buffer first, as TensorFlow Lite Micro and the interpreter do on the device.
    #[default]
    Greedy,
    /// The best of several orders.
    Portfolio,
    /// Orders improved by swaps.
    HillClimb,
    /// A search that proves the optimum.
    Optimal,
}

impl PlannerKind {
    /// What it is called on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Greedy => "greedy",
            Self::Portfolio => "portfolio",
            Self::HillClimb => "hill-climb",
            Self::Optimal => "optimal",
        }
    }
}

/// How to plan.
#[derive(Clone, Copy, Debug)]
pub struct PlanRequest {
    /// The planner.
    pub planner: PlannerKind,
    /// Whether element-wise operators may write over an operand that nothing reads after them.
    pub in_place: bool,
    /// Whether operators may run in the order that needs the least memory.
    pub reorder: bool,
    /// Bytes that are good enough: an optimal planner stops there.
    pub goal: u32,
    /// How long a search may take.
    pub time_limit: Duration,
}

impl Default for PlanRequest {
    fn default() -> Self {
        Self {
            planner: PlannerKind::default(),
            in_place: false,
            reorder: false,
            goal: 0,
            time_limit: Duration::from_secs(10),
        }
    }
}

impl PlanRequest {
    pub(super) fn plan(&self, problem: &dyn Problem, alignment: u32) -> Result<Plan, PlanError> {
        let end = Instant::now() + self.time_limit;
        let late = || Instant::now() >= end;
        match self.planner {
            PlannerKind::Greedy => GreedyBySize.plan(problem, alignment),
            PlannerKind::Portfolio => Portfolio.plan(problem, alignment),
            PlannerKind::HillClimb => {
                let default = HillClimb::default();
                let budget = default.budget.or_when(&late);
                HillClimb { budget, ..default }.plan(problem, alignment)
            }
            PlannerKind::Optimal => {
                let (budget, goal) = (Budget::steps(u64::MAX).or_when(&late), self.goal);
                Exact { budget, goal }.plan(problem, alignment)
            }
        }
    }
}
