//! Why an inference failed, or a tensor could not be accessed.

use core::fmt;

use larun_kernels::InvokeError;
use larun_ops::ElementType;

/// Why an inference failed, or a tensor could not be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunError {
    /// A kernel failed. In a model that loaded, that is a READ_VARIABLE or ASSIGN_VARIABLE which is handed the handle
    /// of no variable or of one of another size, an index that is out of range, or a fault in the interpreter.
    Node {
        /// Which subgraph.
        subgraph: usize,
        /// Which operator of it.
        index: usize,
        /// Why.
        error: InvokeError,
    },
    /// Loops and branches have run as many subgraphs as [`Options::max_calls`](crate::Options::max_calls) allows.
    TooManyCalls {
        /// As many are allowed.
        limit: u32,
    },
    /// The model has no such input or output.
    NoSuchPort {
        /// The input or output asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// The tensor has other elements than asked for.
    ElementType {
        /// What the tensor has.
        found: ElementType,
    },
    /// The tensor has another number of elements than given.
    Length {
        /// What the tensor has.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// The tensor is a constant and cannot be written.
    Constant,
    /// The tensor is a constant that the file does not align to its elements: its bytes can be read.
    Misaligned,
    /// The interpreter's memory is not as it was made.
    Corrupt,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node {
                subgraph,
                index,
                error,
            } => {
                if *subgraph != 0 {
                    write!(f, "subgraph {subgraph}: ")?;
                }
                write!(f, "operator {index}: {error}")
            }
            Self::TooManyCalls { limit } => write!(
                f,
                "stopped after {limit} runs of subgraphs in one inference: a loop may be endless"
            ),
            Self::NoSuchPort { index, count } => {
                write!(
                    f,
                    "there is no input or output {index}, the model has {count}"
                )
            }
            Self::ElementType { found } => write!(f, "the tensor's elements are {found}"),
            Self::Length { expected, found } => {
                write!(f, "the tensor has {expected} elements, {found} were given")
            }
            Self::Constant => f.write_str("the tensor is a constant"),
            Self::Misaligned => f.write_str(
                "the tensor is a constant that is not aligned to its elements: read it with output_bytes",
            ),
            Self::Corrupt => f.write_str("the interpreter's memory was changed from outside"),
        }
    }
}

impl core::error::Error for RunError {}
