//! Why a model cannot be loaded, and where.

use core::fmt;

use larun_arena::PlanError;
use larun_kernels::Refusal;
use larun_ops::view::{OperatorCode, ViewError};
use larun_ops::{ElementType, OpKind};

use crate::activations::Span;
use crate::layout::ABSENT;
use crate::load::MOST_DEPTH;

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

impl core::error::Error for ArenaTooSmall {}

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
        /// Which subgraph.
        subgraph: usize,
        /// How many tensors.
        tensors: usize,
        /// How many operators.
        operators: usize,
    },
    /// The operand lists of the operators up to this one have more entries than the file has room for.
    TooManyOperands {
        /// Which subgraph.
        subgraph: usize,
        /// Which operator of the subgraph.
        index: usize,
    },
    /// An operator that the program did not name, or that no kernel exists for: where
    /// [`OperatorCode::kind`] knows it not.
    NoKernel {
        /// Which subgraph.
        subgraph: usize,
        /// Which operator of the subgraph.
        index: usize,
        /// The operator.
        operator: OperatorCode<'m>,
    },
    /// A kernel refuses the operator.
    Refused {
        /// Which subgraph.
        subgraph: usize,
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
        /// Which subgraph.
        subgraph: usize,
        /// The operator, or `None` for an input or output of the model.
        index: Option<usize>,
        /// The tensor.
        tensor: i32,
        /// How many tensors there are.
        count: usize,
    },
    /// A value is read that nothing computes before.
    NotComputed {
        /// Which subgraph.
        subgraph: usize,
        /// The operator, or `None` for an output of the model.
        index: Option<usize>,
        /// The tensor.
        tensor: usize,
        /// Its name.
        name: Name<'m>,
    },
    /// A value is computed twice, or is computed though it is a constant, a variable or an input.
    WrittenTwice {
        /// Which subgraph.
        subgraph: usize,
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
        /// Which subgraph.
        subgraph: usize,
        /// The tensor.
        tensor: usize,
        /// Its name.
        name: Name<'m>,
    },
    /// A sparse constant, which no kernel reads.
    Sparse {
        /// Which subgraph.
        subgraph: usize,
        /// The tensor.
        tensor: usize,
        /// Its name.
        name: Name<'m>,
    },
    /// A constant at an address that does not suit its elements: the model's bytes must start at a
    /// multiple of 16 ([`include_model!`](crate::include_model) sees to it).
    Misaligned {
        /// Which subgraph.
        subgraph: usize,
        /// The tensor.
        tensor: usize,
        /// Its name.
        name: Name<'m>,
        /// Its elements.
        element_type: ElementType,
    },
    /// A variable, in a program that leaves them out: they need the feature `state`.
    Variable {
        /// Which subgraph.
        subgraph: usize,
        /// The tensor.
        tensor: usize,
        /// Its name.
        name: Name<'m>,
    },
    /// A variable whose first value stands in the file.
    VariableWithData {
        /// Which subgraph.
        subgraph: usize,
        /// The tensor.
        tensor: usize,
        /// Its name.
        name: Name<'m>,
    },
    /// An operator runs a subgraph that leads back to the operator.
    Recursion {
        /// Which subgraph.
        subgraph: usize,
        /// Which operator of it.
        index: usize,
        /// The subgraph that it runs.
        callee: usize,
    },
    /// Subgraphs run each other deeper than is supported.
    TooDeep {
        /// Which subgraph.
        subgraph: usize,
        /// Which operator of it.
        index: usize,
    },
    /// The model has more resource variables than is supported.
    TooManyResources {
        /// How many are.
        most: usize,
    },
    /// The arena is too small.
    Arena(ArenaTooSmall),
    /// No plan exists: a size overflows 4 GiB; or the plan that the file brings is wrong.
    Plan(PlanError),
    /// The memory plan that the file brings is one for another number of tensors.
    OfflinePlan {
        /// How many tensors the plan has.
        planned: usize,
        /// How many tensors there are.
        tensors: usize,
    },
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

impl LoadError<'_> {
    /// The error for an arena of `given` bytes; `needed` is exact or a lower bound.
    #[cold]
    pub(crate) const fn too_small(needed: usize, given: usize, exact: bool) -> Self {
        Self::Arena(ArenaTooSmall {
            needed,
            given,
            exact,
        })
    }

    /// The subgraph at fault, where there is one.
    pub const fn subgraph(&self) -> Option<usize> {
        match *self {
            Self::TooLarge { subgraph, .. }
            | Self::TooManyOperands { subgraph, .. }
            | Self::NoKernel { subgraph, .. }
            | Self::Refused { subgraph, .. }
            | Self::NoSuchTensor { subgraph, .. }
            | Self::NotComputed { subgraph, .. }
            | Self::WrittenTwice { subgraph, .. }
            | Self::TensorSize { subgraph, .. }
            | Self::Sparse { subgraph, .. }
            | Self::Misaligned { subgraph, .. }
            | Self::Variable { subgraph, .. }
            | Self::VariableWithData { subgraph, .. }
            | Self::Recursion { subgraph, .. }
            | Self::TooDeep { subgraph, .. } => Some(subgraph),
            Self::View(_)
            | Self::NoSubgraph
            | Self::TooManyResources { .. }
            | Self::Arena(_)
            | Self::Plan(_)
            | Self::OfflinePlan { .. } => None,
        }
    }
}

/// Names the subgraph, unless it is the main one.
impl fmt::Display for LoadError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subgraph() {
            None | Some(0) => {}
            Some(subgraph) => write!(f, "subgraph {subgraph}: ")?,
        }
        match self {
            Self::View(error) => error.fmt(f),
            Self::NoSubgraph => f.write_str("the model has no subgraph"),
            Self::TooLarge {
                tensors, operators, ..
            } => write!(
                f,
                "the model has {tensors} tensors and {operators} operators; at most {} and {} in a subgraph are supported, and no more memory for them than is usual for a file of this size",
                ABSENT - 1,
                Span::MOST
            ),
            Self::TooManyOperands { index, .. } => write!(
                f,
                "operator {index}: the operators up to here list more operands than the file has room for"
            ),
            Self::NoKernel {
                index, operator, ..
            } => no_kernel(*index, operator, f),
            Self::Refused {
                index,
                kind,
                refusal,
                tensor,
                name,
                ..
            } => {
                write!(f, "operator {index} ({kind}), {}", refusal.at())?;
                if let Some(tensor) = tensor {
                    write!(f, " (tensor {tensor} `{name}`)")?;
                }
                write!(f, ": {}", refusal.reason())
            }
            Self::NoSuchTensor {
                index,
                tensor,
                count,
                ..
            } => write!(
                f,
                "{} names tensor {tensor}, but there are {count} tensors",
                Reader(*index)
            ),
            Self::NotComputed {
                index,
                tensor,
                name,
                ..
            } => write!(
                f,
                "{} reads tensor {tensor} `{name}` before anything computes it",
                Reader(*index)
            ),
            Self::WrittenTwice {
                index,
                tensor,
                name,
                ..
            } => write!(
                f,
                "operator {index} writes tensor {tensor} `{name}`, which is a constant, a variable, an input, or written already"
            ),
            Self::TensorSize { tensor, name, .. } => write!(
                f,
                "tensor {tensor} `{name}`: its data is not what its shape and element type ask for, or too large"
            ),
            Self::Sparse { tensor, name, .. } => {
                write!(
                    f,
                    "tensor {tensor} `{name}` is sparse, which is not supported"
                )
            }
            Self::Misaligned {
                tensor,
                name,
                element_type,
                ..
            } => write!(
                f,
                "tensor {tensor} `{name}`: its {element_type} data is not aligned; the model's bytes must start at a multiple of 16"
            ),
            Self::Variable { tensor, name, .. } => write!(
                f,
                "tensor {tensor} `{name}` is a variable, which this program leaves out: enable feature `state`"
            ),
            Self::VariableWithData { tensor, name, .. } => write!(
                f,
                "tensor {tensor} `{name}` is a variable that begins with data of the file, which is not supported"
            ),
            Self::Recursion { index, callee, .. } => write!(
                f,
                "operator {index} runs subgraph {callee}, which leads back to the operator"
            ),
            Self::TooDeep { index, .. } => write!(
                f,
                "operator {index}: subgraphs run each other deeper than the {MOST_DEPTH} levels that are supported"
            ),
            Self::TooManyResources { most } => write!(
                f,
                "the model has more than the {most} resource variables that are supported"
            ),
            Self::Arena(error) => error.fmt(f),
            Self::Plan(error) => error.fmt(f),
            Self::OfflinePlan { planned, tensors } => write!(
                f,
                "the memory plan in the file is for {planned} tensors, the model has {tensors}: plan it again"
            ),
        }
    }
}

/// Names an operator that is not among the program's.
fn no_kernel(index: usize, operator: &OperatorCode<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (operator.kind(), operator.custom_name) {
        (Some(kind), _) => write!(
            f,
            "operator {index} is a {kind}, which the program does not link: add {kind:?} to its ops! list"
        ),
        (None, Some(name)) => write!(
            f,
            "operator {index}: custom operator `{}` is not supported",
            Name(name)
        ),
        (None, None) => write!(
            f,
            "operator {index}: builtin operator {} is not supported",
            operator.code
        ),
    }
}

impl core::error::Error for LoadError<'_> {}
