//! How long an inference takes, not measured.

use serde::Serialize;

use crate::Board;
use crate::cost::CostEstimate;

/// How long an inference takes, not measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatencyEstimate {
    /// Milliseconds of one inference.
    pub milliseconds: f64,
    /// How the estimate was made.
    pub model: String,
}

impl LatencyEstimate {
    /// The time that a model takes by the cost model.
    #[must_use]
    pub fn new(cost: &CostEstimate, board: &Board) -> Self {
        let megahertz = board.clock_hz as f64 / 1e6;
        let (core, set) = (board.core.name(), board.core.instruction_set().name());
        let counted = match board.core.is_counted() {
            true => "counted",
            false => "not of this processor, counted",
        };
        let model = format!(
            "estimate: {:.0} instructions ({set}, {counted} in an emulator), {:.0} cycles on a {core} at {megahertz} MHz",
            cost.instructions, cost.cycles
        );
        Self {
            milliseconds: cost.milliseconds,
            model,
        }
    }
}
