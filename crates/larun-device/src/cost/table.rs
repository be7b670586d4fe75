//! The fitted kernels, and what they say of a node.

use larun_graph::{Graph, Node, Subgraph};

use super::cycles::InstructionMix;
use super::generated::FITS;
use super::work::{Term, Work, work};
use super::{InstructionSet, Kernels};

/// The name of the family that has what the interpreter itself takes: by node, and by inference.
pub const INTERPRETER: &str = "interpreter";

/// How the instructions of a family of kernels follow from its terms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The instruction set.
    pub set: InstructionSet,
    /// The family, see [`Work`].
    pub family: &'static str,
    /// Instructions of each term.
    pub terms: &'static [(&'static str, f64)],
    /// What the instructions are.
    pub mix: InstructionMix,
}

impl Fit {
    /// All fits, by instruction set and family.
    #[must_use]
    pub const fn all() -> &'static [Self] {
        FITS
    }

    /// The fit of a family.
    #[must_use]
    pub fn find(set: InstructionSet, family: &str) -> Option<&'static Self> {
        let place = FITS.binary_search_by(|fit| (fit.set, fit.family).cmp(&(set, family)));
        FITS.get(place.ok()?)
    }

    /// The instructions of so much work.
    #[must_use]
    pub fn instructions(&self, terms: &[Term]) -> f64 {
        let of = |(name, count): &Term| {
            let term = self.terms.iter().find(|(other, _)| other == name);
            term.map_or(0.0, |(_, each)| each * count)
        };
        terms.iter().map(of).sum()
    }
}

/// The instructions of a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NodeInstructions {
    pub(super) instructions: f64,
    /// Whether the kernel was counted; else it is a guess from one that was.
    pub(super) counted: bool,
    pub(super) mix: InstructionMix,
}

/// The instructions of an inference of the main subgraph, the interpreter's own included.
#[must_use]
pub fn instructions(graph: &Graph, set: InstructionSet) -> f64 {
    let Some(subgraph) = graph.main() else {
        return 0.0;
    };
    let nodes = subgraph.nodes.iter();
    let kernels: f64 = nodes
        .map(|node| of_node(subgraph, node, set).instructions)
        .sum();
    kernels + of_interpreter(subgraph.nodes.len(), set)
}

/// What the interpreter takes around so many nodes.
pub(super) fn of_interpreter(nodes: usize, set: InstructionSet) -> f64 {
    let terms = [("nodes", nodes as f64), ("call", 1.0)];
    Fit::find(set, INTERPRETER).map_or(0.0, |fit| fit.instructions(&terms))
}

/// The instructions of one node.
pub(super) fn of_node(subgraph: &Subgraph, node: &Node, set: InstructionSet) -> NodeInstructions {
    let Some(work) = work(subgraph, node, set.kernels()) else {
        return NodeInstructions {
            instructions: 0.0,
            counted: false,
            mix: InstructionMix::TYPICAL,
        };
    };
    match Fit::find(set, &work.family) {
        Some(fit) => NodeInstructions {
            instructions: fit.instructions(&work.terms),
            counted: true,
            mix: fit.mix,
        },
        None => guess(&work, set),
    }
}

/// A family that was not counted: the same operator with other types or in another way, else so much for every term.
fn guess(work: &Work, set: InstructionSet) -> NodeInstructions {
    let operator = work.family.split(' ').next().unwrap_or_default();
    let of_operator = |fit: &&Fit| fit.set == set && fit.family.split(' ').next() == Some(operator);
    let estimates = FITS.iter().filter(of_operator).map(|fit| {
        let instructions = fit.instructions(&work.terms);
        (instructions, fit.mix)
    });
    let most = estimates.reduce(|a, b| if b.0 > a.0 { b } else { a });
    let (instructions, mix) = most.unwrap_or_else(|| {
        let each = match set.kernels() {
            Kernels::Dsp => 12.0,
            Kernels::Portable => 16.0,
        };
        let count: f64 = work.terms.iter().map(|(_, count)| count).sum();
        (each * count, InstructionMix::TYPICAL)
    });
    NodeInstructions {
        instructions,
        counted: false,
        mix,
    }
}
