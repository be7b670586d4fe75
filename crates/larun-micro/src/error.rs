//! Why a model cannot be loaded or run, and where.

use core::fmt;

use larun_arena::PlanError;
use larun_kernels::{InvokeError, Refusal};
use larun_ops::{ElementType, OpKind};
use larun_tflite::view::ViewError;

/// A name out of a file: UTF-8 by the format's rule, shown with `?` for what is not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name<'m>(pub &'m [u8]);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_str("?")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

/// An arena that cannot hold the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaTooSmall {
    /// Bytes that the model needs, in an arena of the same alignment.
    pub needed: usize,
    /// Bytes that were given.
    pub given: usize,
    /// Whether `needed` is exact. Where the arena cannot even hold the memory planner's notes, it
    /// is a lower bound that is nearly always met.
    pub exact: bool,
}

impl fmt::Display for ArenaTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = if self.exact { "" } else { "at least " };
        let Self { needed, given, .. } = self;
        write!(
            f,
            "the arena has {given} bytes, the model needs {least}{needed}"
        )
    }
}

/// Why a model cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum LoadError<'m> {
    /// The file is damaged or not a model.
    View(ViewError),
    /// The file has no subgraph.
    NoSubgraph,
    /// The subgraph has more tensors or operators than an interpreter numbers, or they need more than
    /// a gigabyte of persistent memory.
    TooLarge {
        /// How many tensors.
        tensors: usize,
        /// How many operators.
        operators: usize,
    },
    /// The operand lists of the operators up to this one have more entries than the file has room for.
    TooManyOperands {
        /// Which operator of the subgraph.
        index: usize,
    },
    /// An operator that no kernel exists for.
    UnsupportedOperator {
        /// Which operator of the subgraph.
        index: usize,
        /// Its builtin code.
        code: i32,
        /// The name of a custom operator, else empty.
        name: Name<'m>,
    },
    /// An operator that the program did not name.
    NotLinked {
        /// Which operator of the subgraph.
        index: usize,
        /// The operator.
        kind: OpKind,
    },
    /// A kernel refuses the operator.
    Refused {
        /// Which operator of the subgraph.
        index: usize,
        /// The operator.
        kind: OpKind,
        /// Why.
        refusal: Refusal,
        /// The tensor at fault, where there is one.
        tensor: Option<usize>,
        /// Its name.
        name: Name<'m>,
    },
    /// An operator or port names a tensor that does not exist.
    NoSuchTensor {
        /// The operator, or `None` for an input or output of the model.
        index: Option<usize>,
        /// The tensor.
        tensor: i32,
        /// How many tensors there are.
        count: usize,
    },
    /// A value is read that nothing computes before.
    NotComputed {
        /// The operator, or `None` for an output of the model.
        index: Option<usize>,
        /// The tensor.
        tensor: usize,
        /// Its name.
        name: Name<'m>,
    },
    /// A value is computed twice, or is computed though it is a constant, a variable or an input.
    WrittenTwice {
        /// The operator.
        index: usize,
        /// The tensor.
        tensor: usize,
        /// Its name.
        name: Name<'m>,
    },
    /// A constant of which the file holds fewer or more bytes than its shape asks for, or a size
    /// that is unknown or overflows.
    TensorSize {
        /// The tensor.
        tensor: usize,
        /// Its name.
        name: Name<'m>,
    },
    /// A sparse constant, which no kernel reads.
    Sparse {
        /// The tensor.
        tensor: usize,
        /// Its name.
        name: Name<'m>,
    },
    /// A constant at an address that does not suit its elements: the model's bytes must start at a
    /// multiple of 16 ([`include_model!`](crate::include_model) sees to it).
    Misaligned {
        /// The tensor.
        tensor: usize,
        /// Its name.
        name: Name<'m>,
        /// Its elements.
        element_type: ElementType,
    },
    /// The arena is too small.
    Arena(ArenaTooSmall),
    /// No plan exists: a size overflows 4 GiB.
    Plan(PlanError),
}

impl From<ViewError> for LoadError<'_> {
    #[cold]
    fn from(error: ViewError) -> Self {
        Self::View(error)
    }
}

/// An operator of the model or, without one, its inputs and outputs.
struct Reader(Option<usize>);

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(index) => write!(f, "operator {index}"),
            None => f.write_str("an input or output of the model"),
        }
    }
}

impl fmt::Display for LoadError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::View(error) => error.fmt(f),
            Self::NoSubgraph => f.write_str("the model has no subgraph"),
            Self::TooLarge { tensors, operators } => write!(
                f,
                "the model has {tensors} tensors and {operators} operators; at most 65534 of each, and a gigabyte of memory for them, are supported"
            ),
            Self::TooManyOperands { index } => write!(
                f,
                "operator {index}: the operators up to here list more operands than the file has room for"
            ),
            Self::UnsupportedOperator { index, code, name } if name.0.is_empty() => {
                write!(
                    f,
                    "operator {index}: builtin operator {code} is not supported"
                )
            }
            Self::UnsupportedOperator { index, name, .. } => {
                write!(
                    f,
                    "operator {index}: custom operator `{name}` is not supported"
                )
            }
            Self::NotLinked { index, kind } => write!(
                f,
                "operator {index} is a {kind}, which the program does not link: add {kind:?} to its ops! list"
            ),
            Self::Refused {
                index,
                kind,
                refusal,
                tensor,
                name,
            } => {
                write!(f, "operator {index} ({kind}), {}", refusal.at)?;
                if let Some(tensor) = tensor {
                    write!(f, " (tensor {tensor} `{name}`)")?;
                }
                write!(f, ": {}", refusal.reason)
            }
            Self::NoSuchTensor {
                index,
                tensor,
                count,
            } => write!(
                f,
                "{} names tensor {tensor}, but there are {count} tensors",
                Reader(*index)
            ),
            Self::NotComputed {
                index,
                tensor,
                name,
            } => write!(
                f,
                "{} reads tensor {tensor} `{name}` before anything computes it",
                Reader(*index)
            ),
            Self::WrittenTwice {
                index,
                tensor,
                name,
            } => write!(
                f,
                "operator {index} writes tensor {tensor} `{name}`, which is a constant, a variable, an input, or written already"
            ),
            Self::TensorSize { tensor, name } => write!(
                f,
                "tensor {tensor} `{name}`: its data is not what its shape and element type ask for, or too large"
            ),
            Self::Sparse { tensor, name } => {
                write!(
                    f,
                    "tensor {tensor} `{name}` is sparse, which is not supported"
                )
            }
            Self::Misaligned {
                tensor,
                name,
                element_type,
            } => write!(
                f,
                "tensor {tensor} `{name}`: its {element_type} data is not aligned; the model's bytes must start at a multiple of 16"
            ),
            Self::Arena(error) => error.fmt(f),
            Self::Plan(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LoadError<'_> {}

/// Why an inference failed, or a tensor could not be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunError {
    /// A kernel failed: a fault in the interpreter, never in the model.
    Node {
        /// Which operator.
        index: usize,
        /// Why.
        error: InvokeError,
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
            Self::Node { index, error } => write!(f, "operator {index}: {error}"),
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
