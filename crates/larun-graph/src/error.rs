//! What can be wrong with a graph, and where.

use core::fmt;

use larun_ops::{ElementType, Shape, ShapeError};

use crate::graph::{Node, Subgraph};
use crate::ids::{NodeId, TensorId};

/// Where in a graph something is wrong, by index and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A node.
    Node {
        /// Its index.
        index: u32,
        /// Its operator.
        op: String,
        /// The name of its first output.
        output: String,
    },
    /// A tensor.
    Tensor {
        /// Its index.
        index: u32,
        /// Its name.
        name: String,
    },
}

impl Place {
    /// The place of a node.
    pub fn node(subgraph: &Subgraph, id: NodeId) -> Self {
        let node = subgraph.node(id);
        let output = node.and_then(|n| subgraph.tensor(*n.outputs.first()?));
        Self::Node {
            index: id.0,
            op: node.map_or_else(|| "?".to_owned(), Node::op_name),
            output: output.map_or_else(|| "?".to_owned(), |t| t.name.clone()),
        }
    }

    /// The place of a tensor.
    pub fn tensor(subgraph: &Subgraph, id: TensorId) -> Self {
        let name = subgraph.tensor(id).map(|t| t.name.clone());
        Self::Tensor {
            index: id.0,
            name: name.unwrap_or_else(|| "?".to_owned()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { index, op, output } => {
                write!(f, "operator {index} ({op}, output `{output}`)")
            }
            Self::Tensor { index, name } => write!(f, "tensor {index} (`{name}`)"),
        }
    }
}

/// A graph that does not hold together.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// There is nothing to run.
    #[error("the model has no subgraph")]
    NoSubgraph,
    /// An id points outside the subgraph.
    #[error("{place} names tensor {tensor}, but the subgraph has {count} tensors")]
    DanglingTensor {
        /// Who names it.
        place: Place,
        /// The id.
        tensor: u32,
        /// How many tensors there are.
        count: usize,
    },
    /// An id of an input or output of the subgraph points outside it.
    #[error("the subgraph's {what} names tensor {tensor}, but there are {count} tensors")]
    DanglingPort {
        /// `input` or `output`.
        what: &'static str,
        /// The id.
        tensor: u32,
        /// How many tensors there are.
        count: usize,
    },
    /// A tensor was asked for that does not exist.
    #[error("there is no {place}")]
    NoSuchTensor {
        /// The tensor.
        place: Place,
    },
    /// A tensor points to a buffer that does not exist.
    #[error("{place} names buffer {buffer}, but there are {count} buffers")]
    DanglingBuffer {
        /// The tensor.
        place: Place,
        /// The id.
        buffer: u32,
        /// How many buffers there are.
        count: usize,
    },
    /// A constant's bytes do not match its shape.
    #[error("{place} holds {found} bytes or values, its shape asks for {}", .expected.map_or_else(|| "an unknown number".to_owned(), |n| n.to_string()))]
    ConstantSize {
        /// The tensor.
        place: Place,
        /// What its shape asks for.
        expected: Option<usize>,
        /// What there is.
        found: usize,
    },
    /// A constant has elements of another type than asked for.
    #[error("{place} has {found} elements, expected {expected}")]
    ElementType {
        /// The tensor.
        place: Place,
        /// The type asked for.
        expected: ElementType,
        /// The type there is.
        found: ElementType,
    },
    /// A node has too few or too many operands.
    #[error("{place} has {found} {what}, which its operator does not take")]
    OperandCount {
        /// The node.
        place: Place,
        /// `inputs` or `outputs`.
        what: &'static str,
        /// How many it has.
        found: usize,
    },
    /// The operands of a node do not fit its operator.
    #[error("{place}: {source}")]
    Shape {
        /// The node.
        place: Place,
        /// Why.
        source: ShapeError,
    },
    /// The shape that a file declares is not the one that follows from the operands.
    #[error("{place} computes the shape {inferred}, but its output declares {declared}")]
    DeclaredShape {
        /// The node.
        place: Place,
        /// What follows.
        inferred: Shape,
        /// What is declared.
        declared: Shape,
    },
    /// A value is computed twice, or is computed though it is a constant or an input.
    #[error("{place} writes {tensor}, which is a constant, an input, or written already")]
    WrittenTwice {
        /// The node.
        place: Place,
        /// The tensor.
        tensor: Place,
    },
    /// A value is read that nothing computes before.
    #[error("{place} reads {tensor} before anything computes it")]
    ReadBeforeWritten {
        /// The node.
        place: Place,
        /// The tensor.
        tensor: Place,
    },
    /// The nodes depend on each other in a circle.
    #[error("{place} depends on its own result")]
    Cycle {
        /// A node of the circle.
        place: Place,
    },
    /// Quantisation parameters that do not fit their tensor.
    #[error("{place}: quantisation parameters: {reason}")]
    Quantization {
        /// The tensor.
        place: Place,
        /// What is wrong.
        reason: &'static str,
    },
    /// A size does not fit a machine word.
    #[error("{place} is too large for this machine")]
    Overflow {
        /// The tensor.
        place: Place,
    },
}
