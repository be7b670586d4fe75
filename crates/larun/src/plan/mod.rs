//! Memory plans: of a model's activations, or of any list of buffers.

mod generated;
mod request;
mod svg;

use std::path::Path;
use std::time::Instant;

use larun_arena::{Buffer, Plan, Problem, csv};
use larun_graph::{Graph, TensorId, shared_memory};
use larun_micro::host::{Owner, PlannedBuffer, memory_plan};
use larun_micro::kernels;
use larun_passes::{Reordered, reorder_for_memory};
use serde::{Deserialize, Serialize};

pub use generated::{RowsReport, plan_generated};
pub use request::{PlanRequest, PlannerKind};
pub use svg::{small_svg, svg};

use crate::{Error, Model, files};

/// A memory plan and how good it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanReport {
    /// The planner that made it; `file` for a plan that the model brings.
    pub planner: String,
    /// The bytes that it takes.
    pub peak_bytes: u64,
    /// The bytes that no plan can go below: the most that is alive at once, or more where the planner has proved it.
    pub lower_bound_bytes: u64,
    /// Whether the plan is known to be the best.
    pub optimal: bool,
    /// Milliseconds that planning took.
    pub planning_ms: f64,
    /// Bytes of everything that the interpreter keeps beside, `None` for a plan of bare buffers.
    pub persistent_bytes: Option<u64>,
    /// Bytes of the whole arena; `None` for a plan of bare buffers, and for one that computes in place, which the interpreter does not.
    pub arena_bytes: Option<u64>,
    /// Results that are computed in place of an operand.
    pub in_place: usize,
    /// The operators that generated Rust runs some rows at a time.
    #[serde(default)]
    pub by_rows: Vec<RowsReport>,
    /// The most bytes alive at once in the file's order of operators, where they were put into another.
    pub live_bytes_before_reordering: Option<u64>,
    /// Whether all orders were looked at.
    pub order_is_optimal: Option<bool>,
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

    fn of(plan: &Plan, planner: &str, start: Instant) -> Self {
        Self {
            planner: planner.to_owned(),
            peak_bytes: plan.peak.into(),
            lower_bound_bytes: plan.lower_bound.into(),
            optimal: plan.is_optimal(),
            planning_ms: start.elapsed().as_secs_f64() * 1e3,
            ..Self::default()
        }
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

/// A model with its plan.
#[derive(Clone, Debug)]
pub struct PlannedModel {
    /// The plan.
    pub report: PlanReport,
    /// The model, in the order of operators that the plan is for, without another plan.
    graph: Graph,
    /// Where each tensor lies.
    offsets: Vec<Option<u32>>,
}

/// The alignment of tensors in an arena, in bytes.
const TENSOR_ALIGNMENT: u32 = 16;

/// Plans a model's activations.
///
/// Without a wish for another, the plan is what the interpreter does: the one in the file, or that of the greedy planner.
///
/// # Errors
/// When the model cannot be loaded.
pub fn plan_model(model: &Model, request: &PlanRequest) -> Result<PlannedModel, Error> {
    let mut graph = model.graph()?;
    let is_default =
        request.planner == PlannerKind::Greedy && !request.in_place && !request.reorder;
    let is_plan = |metadata: &larun_graph::Metadata| {
        metadata.name.as_deref() == Some(larun_tflite::view::OFFLINE_PLAN)
    };
    if is_default && graph.metadata.iter().any(is_plan) {
        return plan_of_file(model, graph);
    }
    larun_tflite::remove_offline_plan(&mut graph);
    let mut reordered = None;
    if request.reorder {
        let (graph_in_order, done) = reorder_for_memory(graph)?;
        (graph, reordered) = (graph_in_order, Some(done));
    }
    let unplanned = Model::new(model.path(), &larun_tflite::write(&graph)?);
    let owners = owners(&graph, request.in_place);
    let groups = groups(&unplanned, &owners)?;
    let problem: Vec<Buffer> = groups.iter().map(|group| group.buffer).collect();
    let start = Instant::now();
    let plan = request.plan(&problem, TENSOR_ALIGNMENT)?;
    let mut report = PlanReport::of(&plan, request.planner.name(), start);
    report.buffers = groups
        .iter()
        .zip(&plan.offsets)
        .map(|(group, &offset)| placed(name(&graph, group.owner), &group.buffer, offset))
        .collect();
    let views = self::owners(&graph, false);
    report.in_place = owners.iter().zip(&views).filter(|(a, b)| a != b).count();
    if let Some(Reordered { before, exact, .. }) = reordered {
        report.live_bytes_before_reordering = Some(before);
        report.order_is_optimal = Some(exact);
    }
    let offsets = tensor_offsets(&owners, &groups, &plan);
    let planned = PlannedModel {
        report,
        graph,
        offsets,
    };
    planned.with_arena(&unplanned)
}

impl PlannedModel {
    /// The model with the plan as its metadata `OfflineMemoryAllocation`, which TensorFlow Lite Micro and the interpreter follow.
    ///
    /// # Errors
    /// When the model has several subgraphs: runtimes do not agree on whose tensors the plan then names.
    pub fn to_tflite(&self) -> Result<Vec<u8>, Error> {
        let count = self.graph.subgraphs.len();
        if count != 1 {
            return Err(Error::Usage(format!(
                "a plan cannot travel in a model of {count} subgraphs: runtimes differ in how they number the tensors"
            )));
        }
        let mut graph = self.graph.clone();
        larun_tflite::set_offline_plan(&mut graph, &self.offsets);
        Ok(larun_tflite::write(&graph)?)
    }

    /// Adds what the interpreter needs beside, measured by loading the model with the plan.
    fn with_arena(mut self, unplanned: &Model) -> Result<Self, Error> {
        let follows = self.report.in_place == 0 && self.graph.subgraphs.len() == 1;
        let model = match follows {
            true => Model::new(unplanned.path(), &self.to_tflite()?),
            false => unplanned.clone(),
        };
        let mut arena = model.arena()?;
        let interpreter = model.interpreter(&mut arena)?;
        self.report.persistent_bytes = Some(interpreter.persistent_bytes() as u64);
        let same = interpreter.activation_bytes() as u64 == self.report.peak_bytes;
        self.report.arena_bytes = same.then(|| interpreter.arena_bytes() as u64);
        Ok(self)
    }
}

/// The plan that a model brings.
fn plan_of_file(model: &Model, graph: Graph) -> Result<PlannedModel, Error> {
    let start = Instant::now();
    let planned = memory_plan(model.bytes(), kernels::ALL).map_err(|e| model.load_error(&e))?;
    let buffers: Vec<Buffer> = planned.iter().map(|planned| planned.buffer).collect();
    let mut arena = model.arena()?;
    let interpreter = model.interpreter(&mut arena)?;
    let plan = Plan {
        offsets: planned.iter().map(|planned| planned.offset).collect(),
        peak: u32::try_from(interpreter.activation_bytes()).unwrap_or(u32::MAX),
        lower_bound: larun_arena::lower_bound(&buffers[..], TENSOR_ALIGNMENT)?,
    };
    let mut report = PlanReport::of(&plan, "file", start);
    report.persistent_bytes = Some(interpreter.persistent_bytes() as u64);
    report.arena_bytes = Some(interpreter.arena_bytes() as u64);
    let place = |p: &PlannedBuffer| placed(name(&graph, p.owner), &p.buffer, p.offset);
    report.buffers = planned.iter().map(place).collect();
    let owners = owners(&graph, false);
    let group = |p: &PlannedBuffer| Group {
        owner: p.owner,
        buffer: p.buffer,
    };
    let groups: Vec<Group> = planned.iter().map(group).collect();
    let offsets = tensor_offsets(&owners, &groups, &plan);
    Ok(PlannedModel {
        report,
        graph,
        offsets,
    })
}

/// Values that take the same memory, or an operator's scratch memory.
struct Group {
    owner: Owner,
    buffer: Buffer,
}

fn owners(graph: &Graph, in_place: bool) -> Vec<TensorId> {
    graph
        .main()
        .map_or_else(Vec::new, |main| shared_memory(graph, main, in_place))
}

/// What the interpreter would plan, values in the same memory taken together.
fn groups(model: &Model, owners: &[TensorId]) -> Result<Vec<Group>, Error> {
    let planned = memory_plan(model.bytes(), kernels::ALL).map_err(|e| model.load_error(&e))?;
    let mut groups: Vec<Group> = Vec::new();
    for PlannedBuffer { owner, buffer, .. } in planned {
        let owner = match owner {
            Owner::Tensor(tensor) => {
                Owner::Tensor(owners.get(tensor).map_or(tensor, |id| id.index()))
            }
            scratch @ Owner::Scratch(_) => scratch,
        };
        match groups.iter_mut().find(|group| group.owner == owner) {
            Some(group) => {
                let whole = &mut group.buffer;
                whole.size = whole.size.max(buffer.size);
                (whole.first, whole.last) =
                    (whole.first.min(buffer.first), whole.last.max(buffer.last));
            }
            None => groups.push(Group { owner, buffer }),
        }
    }
    Ok(groups)
}

fn tensor_offsets(owners: &[TensorId], groups: &[Group], plan: &Plan) -> Vec<Option<u32>> {
    let offset = |owner: &TensorId| {
        let at = groups
            .iter()
            .position(|group| group.owner == Owner::Tensor(owner.index()))?;
        plan.offsets.get(at).copied()
    };
    owners.iter().map(offset).collect()
}

fn name(graph: &Graph, owner: Owner) -> String {
    match owner {
        Owner::Tensor(index) => {
            let tensor = graph.main().and_then(|main| main.tensors.get(index));
            tensor.map_or_else(String::new, |tensor| tensor.name.clone())
        }
        Owner::Scratch(node) => format!("scratch of operator {node}"),
    }
}

/// Plans the buffers of a CSV file in MiniMalloc's format (`id,lower,upper,size`).
///
/// # Errors
/// When the file cannot be read or planned.
pub fn plan_csv(path: &Path, request: &PlanRequest) -> Result<PlanReport, Error> {
    let text = String::from_utf8_lossy(&files::read(path)?).into_owned();
    let table = csv::read(&text).map_err(|source| Error::Csv {
        path: path.to_owned(),
        source,
    })?;
    let start = Instant::now();
    let plan = request.plan(&table as &dyn Problem, 1)?;
    let mut report = PlanReport::of(&plan, request.planner.name(), start);
    let rows = table.buffers.iter().zip(&table.ids).zip(&plan.offsets);
    report.buffers = rows
        .map(|((buffer, id), &offset)| placed(id.clone(), buffer, offset))
        .collect();
    Ok(report)
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
