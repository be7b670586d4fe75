//! The memory plan of a model that is compiled into a program.

use std::time::Instant;

use larun_codegen::{PlanBuffer, RowStretch, RustOptions, memory_plan};
use serde::{Deserialize, Serialize};

use super::{PlacedBuffer, PlanReport};
use crate::{Error, Model};

/// Operators that generated Rust runs one after the other some rows at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsReport {
    /// The first of them.
    pub first: usize,
    /// The last of them, inclusive.
    pub last: usize,
    /// What they are called in the file format.
    pub operators: Vec<String>,
    /// Rows of the last one's output at a time.
    pub rows: usize,
    /// The value whose memory the output takes.
    pub in_place_of: Option<String>,
}

/// The plan of the activations in the Rust source that [`export::rust`](crate::export::rust) writes with these options.
///
/// # Errors
/// When the model cannot be compiled.
pub fn plan_generated(model: &Model, options: &RustOptions) -> Result<PlanReport, Error> {
    let start = Instant::now();
    let plan = memory_plan(model.bytes(), options)?;
    let buffers = plan
        .buffers
        .into_iter()
        .map(|buffer: PlanBuffer| PlacedBuffer {
            name: buffer.name,
            size: buffer.size,
            first: buffer.first,
            last: buffer.last,
            offset: buffer.offset,
        });
    let by_rows = plan
        .by_rows
        .into_iter()
        .map(|stretch: RowStretch| RowsReport {
            first: stretch.first,
            last: stretch.last,
            operators: stretch.operators,
            rows: stretch.rows,
            in_place_of: stretch.in_place_of,
        });
    let by_rows: Vec<_> = by_rows.collect();
    Ok(PlanReport {
        planner: "generated".to_owned(),
        peak_bytes: plan.peak_bytes as u64,
        lower_bound_bytes: plan.lower_bound_bytes as u64,
        optimal: plan.peak_bytes == plan.lower_bound_bytes,
        planning_ms: start.elapsed().as_secs_f64() * 1e3,
        in_place: by_rows.iter().filter(|it| it.in_place_of.is_some()).count(),
        by_rows,
        buffers: buffers.collect(),
        ..PlanReport::default()
    })
}
