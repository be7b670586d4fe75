//! Memory plans: of a model's activations, or of any list of buffers.

use std::path::Path;

use larun_arena::{Buffer, GreedyBySize, Planner, csv};
use larun_micro::host::{Owner, PlannedBuffer, memory_plan};
use larun_micro::kernels;
use serde::{Deserialize, Serialize};

use crate::{Error, Model, files};

/// A memory plan and how good it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanReport {
    /// The planner that made it.
    pub planner: String,
    /// The bytes that it takes.
    pub peak_bytes: u64,
    /// The bytes that no plan can go below: the most that is alive at once.
    pub lower_bound_bytes: u64,
    /// Whether the plan is known to be the best.
    pub optimal: bool,
    /// Bytes of everything that the interpreter keeps beside, `None` for a plan of bare buffers.
    pub persistent_bytes: Option<u64>,
    /// Bytes of the whole arena, `None` for a plan of bare buffers.
    pub arena_bytes: Option<u64>,
    /// The buffers with their places.
    pub buffers: Vec<PlacedBuffer>,
}

impl PlanReport {
    /// The buffers with their offsets, in MiniMalloc's CSV format.
    pub fn to_csv(&self) -> String {
        let ids = self
            .buffers
            .iter()
            .map(|buffer| buffer.name.clone())
            .collect();
        let buffer = |b: &PlacedBuffer| Buffer::new(b.size, b.first, b.last);
        let buffers = self.buffers.iter().map(buffer).collect();
        let offsets: Vec<u32> = self.buffers.iter().map(|buffer| buffer.offset).collect();
        csv::write(&csv::Table { ids, buffers }, Some(&offsets))
    }
}

/// A buffer with its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlacedBuffer {
    /// What it is for: the name of a tensor, or whose scratch memory it is.
    pub name: String,
    /// Bytes.
    pub size: u32,
    /// The first operator at which it is alive.
    pub first: u32,
    /// The last such operator, inclusive.
    pub last: u32,
    /// Bytes from the start.
    pub offset: u32,
}

/// The alignment of tensors in an arena, in bytes.
const TENSOR_ALIGNMENT: u32 = 16;

/// The plan that the interpreter makes for a model.
///
/// # Errors
/// When the model cannot be loaded.
pub fn plan_model(model: &Model) -> Result<PlanReport, Error> {
    let planned = memory_plan(model.bytes(), kernels::ALL).map_err(|e| model.load_error(&e))?;
    let graph = model.graph()?;
    let name = |owner| match owner {
        Owner::Tensor(index) => {
            let tensor = graph
                .main()
                .and_then(|subgraph| subgraph.tensors.get(index));
            tensor.map_or_else(String::new, |tensor| tensor.name.clone())
        }
        Owner::Scratch(node) => format!("scratch of operator {node}"),
    };
    let place =
        |planned: &PlannedBuffer| placed(name(planned.owner), &planned.buffer, planned.offset);
    let buffers: Vec<Buffer> = planned.iter().map(|planned| planned.buffer).collect();
    let lower_bound = larun_arena::lower_bound(&buffers[..], TENSOR_ALIGNMENT)?;
    let mut arena = model.arena()?;
    let interpreter = model.interpreter(&mut arena)?;
    let peak = interpreter.activation_bytes() as u64;
    Ok(PlanReport {
        planner: GreedyBySize.name().to_owned(),
        peak_bytes: peak,
        lower_bound_bytes: lower_bound.into(),
        optimal: peak == u64::from(lower_bound),
        persistent_bytes: Some(interpreter.persistent_bytes() as u64),
        arena_bytes: Some(interpreter.arena_bytes() as u64),
        buffers: planned.iter().map(place).collect(),
    })
}

/// Plans the buffers of a CSV file in MiniMalloc's format (`id,lower,upper,size`).
///
/// # Errors
/// When the file cannot be read or planned.
pub fn plan_csv(path: &Path) -> Result<(PlanReport, String), Error> {
    let text = String::from_utf8_lossy(&files::read(path)?).into_owned();
    let table = csv::read(&text).map_err(|source| Error::Csv {
        path: path.to_owned(),
        source,
    })?;
    let plan = GreedyBySize.plan(&table, 1)?;
    let rows = table.buffers.iter().zip(&table.ids).zip(&plan.offsets);
    let report = PlanReport {
        planner: GreedyBySize.name().to_owned(),
        peak_bytes: plan.peak.into(),
        lower_bound_bytes: plan.lower_bound.into(),
        optimal: plan.is_optimal(),
        persistent_bytes: None,
        arena_bytes: None,
        buffers: rows
            .map(|((buffer, id), &offset)| placed(id.clone(), buffer, offset))
            .collect(),
    };
    let csv = csv::write(&table, Some(&plan.offsets));
    Ok((report, csv))
}

fn placed(name: String, buffer: &Buffer, offset: u32) -> PlacedBuffer {
    PlacedBuffer {
        name,
        size: buffer.size,
        first: buffer.first,
        last: buffer.last,
        offset,
    }
}
