//! Whether a model fits a board, where its bytes and cycles go, and what would help most.

use larun_device::advice::{Change, Subject, changes};
use larun_device::cost::{CostEstimate, estimate};
use larun_device::{Board, Budget, FitReport, LatencyEstimate, Usage, fit};
use serde::Serialize;

use crate::{Error, Model};

/// A model on a board.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelFit {
    /// Whether every limit is kept.
    pub fits: bool,
    /// What is exceeded, in sentences.
    pub exceeded: Vec<String>,
    /// Limit by limit.
    pub report: FitReport,
    /// What the model takes.
    pub usage: Usage,
    /// Whether the RAM is that of the interpreter's arena; else the model does not load, and it is the least that its values need.
    pub ram_is_measured: bool,
    /// Where instructions, cycles and bytes go: estimates.
    pub cost: CostEstimate,
    /// What would help, most helpful first.
    pub changes: Vec<Change>,
}

/// Holds a model against a board and a budget.
///
/// # Errors
/// When the file is damaged, or the size of a tensor is unknown.
pub fn fit_model(model: &Model, board: &Board, budget: &Budget) -> Result<ModelFit, Error> {
    let graph = model.graph()?;
    let arena = arena_bytes(model);
    let cost = estimate(&graph, board, arena)?;
    let usage = Usage {
        flash_bytes: model.bytes().len() as u64,
        ram_bytes: arena.unwrap_or(cost.live_bytes),
        parameters: cost.parameters,
        operations: cost.macs,
    };
    let report = fit(&usage, LatencyEstimate::new(&cost, board), board, budget);
    let subject = Subject {
        graph: &graph,
        usage: &usage,
        cost: &cost,
        board,
        budget,
    };
    Ok(ModelFit {
        fits: report.fits(),
        exceeded: report.exceeded().map(ToString::to_string).collect(),
        changes: changes(&subject)?,
        report,
        usage,
        ram_is_measured: arena.is_some(),
        cost,
    })
}

/// The interpreter's arena, where the model loads.
fn arena_bytes(model: &Model) -> Option<u64> {
    let mut arena = model.arena().ok()?;
    let interpreter = model.interpreter(&mut arena).ok()?;
    Some(interpreter.arena_bytes() as u64)
}
