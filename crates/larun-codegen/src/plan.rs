//! The memory plan of generated Rust, to look at.

use larun_micro::host::Owner;

use crate::compiled::{Compiled, Model};
use crate::stretch::{Nodes, Order, Use};
use crate::{CodegenError, RustOptions};

/// The memory plan of a model as generated Rust has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryPlan {
    /// Bytes of the activations.
    pub peak_bytes: usize,
    /// The most bytes that are alive at once: no plan of these buffers is smaller.
    pub lower_bound_bytes: usize,
    /// What lies where, and when.
    pub buffers: Vec<PlanBuffer>,
    /// The operators that run some rows at a time.
    pub by_rows: Vec<RowStretch>,
}

/// A buffer of the activations.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanBuffer {
    /// What it is for.
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

/// Operators that run one after the other some rows at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowStretch {
    /// The first of them.
    pub first: usize,
    /// The last of them, inclusive.
    pub last: usize,
    /// What they are called in the file format.
    pub operators: Vec<String>,
    /// Rows of the last one's output at a time.
    pub rows: usize,
    /// Whether the last rows come first.
    pub from_the_end: bool,
    /// The value whose memory the output takes.
    pub in_place_of: Option<String>,
}

/// The memory plan of the source that [`rust`](crate::rust()) writes with these options.
///
/// ```
/// use larun_codegen::{RustOptions, Rows, Stream, memory_plan};
///
/// let model = include_bytes!("../../larun-micro/fixtures/transit.tflite");
/// let mut options = RustOptions::default();
/// let whole = memory_plan(model, &options)?.peak_bytes;
/// options.rows = Rows { in_place: true, stream: Stream::Always };
/// assert!(memory_plan(model, &options)?.peak_bytes < whole);
/// # Ok::<(), larun_codegen::CodegenError>(())
/// ```
///
/// # Errors
/// As [`rust`](crate::rust()).
pub fn memory_plan(model: &[u8], options: &RustOptions) -> Result<MemoryPlan, CodegenError> {
    let model = Model::new(model)?;
    let compiled = model.compile(options.processor, options.rows)?;
    let buffers = compiled
        .pieces
        .iter()
        .filter(|(piece, _)| piece.buffer.size > 0);
    let buffers = buffers.map(|(piece, offset)| PlanBuffer {
        name: name(&compiled, piece.what),
        size: piece.buffer.size,
        first: piece.buffer.first,
        last: piece.buffer.last,
        offset: *offset,
    });
    let alive = crate::stretch::most_alive(&compiled.pieces);
    Ok(MemoryPlan {
        peak_bytes: compiled.activation_bytes(),
        lower_bound_bytes: usize::try_from(alive).unwrap_or(usize::MAX),
        buffers: buffers.collect(),
        by_rows: by_rows(&compiled),
    })
}

fn by_rows(compiled: &Compiled<'_>) -> Vec<RowStretch> {
    let nodes = compiled.main().map_or(&[][..], |main| &main.nodes);
    let stretches = compiled.stretches.iter().map(|placed| &placed.stretch);
    stretches
        .map(|stretch| RowStretch {
            first: stretch.nodes.start,
            last: stretch.nodes.end.saturating_sub(1),
            operators: nodes
                .get(stretch.nodes.clone())
                .unwrap_or_default()
                .iter()
                .map(|node| node.kind.info().name.to_owned())
                .collect(),
            rows: stretch.band,
            from_the_end: stretch.order == Order::LastFirst,
            in_place_of: stretch
                .alias
                .map(|(tensor, _)| tensor_name(compiled, tensor)),
        })
        .collect()
}

fn tensor_name(compiled: &Compiled<'_>, tensor: usize) -> String {
    let tensor = compiled.tensor(0, tensor);
    tensor.map_or_else(String::new, |tensor| tensor.name.clone())
}

fn name(compiled: &Compiled<'_>, what: Use) -> String {
    let stretch = |number: usize| compiled.stretches.get(number).map(|placed| &placed.stretch);
    let output = |node: usize| {
        let nodes = compiled.main().map(|main| Nodes::of(compiled, main));
        let tensor = nodes.and_then(|nodes| Some(nodes.get(node)?.output.tensor));
        tensor.map_or_else(String::new, |tensor| tensor_name(compiled, tensor))
    };
    match what {
        Use::Buffer(number) => match compiled.prepared.buffers.get(number).map(|it| it.owner) {
            Some(Owner::Tensor(tensor)) => tensor_name(compiled, tensor),
            Some(Owner::Scratch(node)) => format!("scratch of operator {node}"),
            None => String::new(),
        },
        Use::Line(number, position) => {
            let node = stretch(number).map_or(0, |stretch| stretch.nodes.start + position);
            format!("rows of {}", output(node))
        }
        Use::Scratch(number) => {
            let nodes = stretch(number).map_or(0..1, |stretch| stretch.nodes.clone());
            format!("scratch of operators {} to {}", nodes.start, nodes.end - 1)
        }
        Use::Both(number) => {
            let nodes = stretch(number).map_or(0..1, |stretch| stretch.nodes.clone());
            format!(
                "{} in the memory of what it is computed from",
                output(nodes.end - 1)
            )
        }
    }
}
