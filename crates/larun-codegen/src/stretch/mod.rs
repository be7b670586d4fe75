//! Stretches of nodes that are run some rows at a time, so that less of the activations is alive at once.
//!
//! A stretch is a run of nodes whose rows come from rows (convolutions, pools, sums). Its last output is written while its first
//! inputs are still read: into the memory of an input that nothing reads afterwards, close behind the rows that are still needed.
//! What is computed between its nodes never exists whole, but passes through lines of a few rows.

mod memory;
mod nodes;
mod schedule;
mod search;
#[cfg(test)]
mod tests;

use core::ops::Range;

use larun_arena::{Budget, Exact, Planner};
use larun_micro::host::Prepared;

use crate::compiled::Compiled;
pub(crate) use memory::ALIGNMENT;
pub(crate) use memory::{Piece, Use};
use memory::{pieces, problem};
pub(crate) use nodes::Nodes;
pub(crate) use schedule::{Order, Part, Place, Schedule};

/// Placements that the search for a plan may try: some tenths of a second.
pub(crate) const PLAN_STEPS: u64 = 1_000_000;

/// What may be done so that a model needs less memory. The bytes that come out are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Whether results may take the memory of what they are computed from, row by row: a layer that of its input, and the layers
    /// up to an addition that of the residual it adds.
    pub in_place: bool,
    /// Whether layers may run one after the other some rows at a time, so that what lies between them never exists whole.
    pub stream: Stream,
}

/// When layers run row by row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stream {
    /// Never.
    #[default]
    Never,
    /// Where the activations do not fit into so many bytes otherwise, and no more than it takes.
    ToFit(usize),
    /// Wherever less memory is needed.
    Always,
}

/// Nodes that are run some rows at a time.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub(crate) nodes: Range<usize>,
    /// Rows of the last output that are computed at a time.
    pub(crate) band: usize,
    pub(crate) schedule: Schedule,
    pub(crate) order: Order,
    /// The value whose memory the output takes, and how many bytes behind its start the output begins.
    pub(crate) alias: Option<(usize, i64)>,
    /// Bytes of scratch memory that its steps take at most.
    pub(crate) scratch: usize,
}

impl Stretch {
    fn new(
        all: &Nodes,
        nodes: Range<usize>,
        band: usize,
        order: Order,
        alias: Option<usize>,
    ) -> Option<Self> {
        let rows: Option<Vec<_>> = nodes.clone().map(|node| all.get(node)).collect();
        let rows = rows?;
        let schedule = Schedule::new(&rows, band, order)?;
        let place = |tensor: usize| {
            let mut distances = schedule.distances.iter();
            let &(_, distance) = distances.find(|&&(other, _)| other == tensor)?;
            let mut reads = rows.iter().flat_map(|node| &node.reads);
            let input = reads.find(|read| read.tensor == tensor)?.bytes;
            let output = rows.last()?.output.bytes;
            let aligned = |bytes: usize| bytes.next_multiple_of(ALIGNMENT as usize) as i64;
            Some(match order {
                Order::FirstFirst => -aligned(distance),
                // Rounded up as well, where the output is shorter.
                Order::LastFirst => {
                    aligned((input + distance).saturating_sub(output))
                        - (output.saturating_sub(input + distance) / ALIGNMENT as usize
                            * ALIGNMENT as usize) as i64
                }
            })
        };
        let alias = match alias {
            Some(tensor) => Some((tensor, place(tensor)?)),
            None => None,
        };
        let mut scratch = 0;
        for step in &schedule.steps {
            if let (Some(node), Some(own)) = (rows.get(step.node), &step.rows) {
                let plan = node.form.plan(own)?;
                scratch = scratch.max(all.scratch_bytes(nodes.start + step.node, &plan));
            }
        }
        Some(Self {
            nodes,
            band,
            schedule,
            order,
            alias,
            scratch,
        })
    }

    /// First and last node.
    fn span(&self) -> (u32, u32) {
        let number = |node: usize| u32::try_from(node).unwrap_or(u32::MAX);
        (
            number(self.nodes.start),
            number(self.nodes.end.saturating_sub(1)),
        )
    }
}

/// A stretch with the places of its lines.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) stretch: Stretch,
    /// Where the line behind each node but the last begins.
    pub(crate) lines: Vec<usize>,
}

/// Chooses stretches, and plans the activations anew where less memory is needed with them.
pub(crate) fn apply(compiled: &mut Compiled<'_>, wish: Rows) {
    let Some(main) = compiled.main() else { return };
    let nodes = Nodes::of(compiled, main);
    let found = search::search(
        &compiled.prepared,
        &nodes,
        wish,
        compiled.activation_bytes(),
    );
    match found {
        Some((stretches, plan)) => {
            let pieces = pieces(&compiled.prepared, &nodes, &stretches);
            compiled.stretches = place(&mut compiled.prepared, stretches, &pieces, &plan);
            compiled.pieces = pieces.into_iter().zip(plan.offsets).collect();
        }
        None => {
            let offsets = compiled
                .prepared
                .buffers
                .iter()
                .map(|planned| planned.offset);
            let pieces = pieces(&compiled.prepared, &nodes, &[]);
            compiled.pieces = pieces.into_iter().zip(offsets).collect();
        }
    }
}

/// The most bytes that are alive at once.
pub(crate) fn most_alive(pieces: &[(Piece, u32)]) -> u64 {
    let pieces: Vec<Piece> = pieces.iter().map(|&(piece, _)| piece).collect();
    let steps = pieces.iter().map(|piece| piece.buffer.last as usize + 1);
    let alive = memory::profile(&pieces, steps.max().unwrap_or(0));
    alive.into_iter().max().unwrap_or(0)
}

/// Searches for the smallest plan with some stretches: the offset of each piece, and the bytes that all take.
fn plan(
    prepared: &Prepared<'_>,
    nodes: &Nodes,
    stretches: &[Stretch],
    steps: u64,
) -> Option<larun_arena::Plan> {
    let planner = Exact {
        budget: Budget::steps(steps),
        ..Exact::default()
    };
    let problem = problem(&pieces(prepared, nodes, stretches));
    planner.plan(&problem, ALIGNMENT).ok()
}

fn place(
    prepared: &mut Prepared<'_>,
    stretches: Vec<Stretch>,
    pieces: &[Piece],
    plan: &larun_arena::Plan,
) -> Vec<Placed> {
    let mut offsets = vec![0; prepared.buffers.len()];
    let placed = stretches.into_iter().map(|stretch| Placed {
        lines: vec![0; stretch.schedule.lines.len()],
        stretch,
    });
    let mut placed: Vec<Placed> = placed.collect();
    let mut scratch = vec![0; placed.len()];
    for (piece, &offset) in pieces.iter().zip(&plan.offsets) {
        match piece.what {
            Use::Buffer(buffer) => put(&mut offsets, buffer, offset),
            Use::Line(stretch, node) => {
                if let Some(stretch) = placed.get_mut(stretch) {
                    put(&mut stretch.lines, node, offset as usize);
                }
            }
            Use::Scratch(stretch) => put(&mut scratch, stretch, offset),
            Use::Both(_) => {}
        }
    }
    for (at, planned) in prepared.buffers.iter().enumerate() {
        if let larun_micro::host::Owner::Scratch(node) = planned.owner {
            let mine = placed.iter().zip(&scratch);
            let mine = mine.filter(|(placed, _)| placed.stretch.nodes.contains(&node));
            mine.for_each(|(_, &offset)| put(&mut offsets, at, offset));
        }
    }
    prepared.place(&offsets, plan.peak as usize);
    placed
}

fn put<T>(list: &mut [T], at: usize, value: T) {
    if let Some(slot) = list.get_mut(at) {
        *slot = value;
    }
}
