//! What can be wrong with an operand, and what a refusal keeps of it.

use core::fmt;

use larun_ops::{Activation, ElementType, OpKind, ShapeError};

use crate::ways::Way;

/// As much of a reason as a program keeps: with the feature `explain` all of it, else [which](ReasonKind) it is.
#[cfg(feature = "explain")]
pub(crate) type Kept = Reason;
#[cfg(not(feature = "explain"))]
pub(crate) type Kept = ReasonKind;

impl Reason {
    #[cfg(feature = "explain")]
    pub(crate) const fn kept(self) -> Self {
        self
    }

    /// Inlined wherever a reason is made, of which nothing else is linked then.
    #[cfg(not(feature = "explain"))]
    #[inline(always)]
    pub(crate) const fn kept(self) -> Kept {
        self.kind()
    }
}

/// What is wrong with an operand or with the options.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// The node is of another operator than the kernel.
    Operator {
        /// The kernel's.
        expected: OpKind,
        /// The node's.
        found: OpKind,
    },
    /// The node has a number of inputs that its operator does not take.
    Inputs {
        /// The number found.
        found: usize,
    },
    /// The node has a number of outputs that its operator does not give.
    Outputs {
        /// The number found.
        found: usize,
    },
    /// A required operand is absent.
    Missing,
    /// A type that the kernel does not compute with.
    ElementType {
        /// The type found.
        found: ElementType,
        /// The types that would do.
        supported: &'static [ElementType],
    },
    /// It needs what the program leaves out.
    LeftOut {
        /// The feature that links it.
        feature: &'static str,
    },
    /// A way to compute the layer that the program does not link.
    Way {
        /// The way.
        way: Way,
    },
    /// A type other than that of the first operand.
    TypeDiffers {
        /// The type found.
        found: ElementType,
        /// The type that the others have.
        expected: ElementType,
    },
    /// Shapes that do not fit the operator.
    Shape(ShapeError),
    /// A number of dimensions other than the one that follows from the inputs.
    Rank {
        /// Dimensions found.
        found: usize,
        /// Dimensions expected.
        expected: usize,
    },
    /// A dimension other than the one that follows from the inputs.
    Dimension {
        /// Which dimension.
        axis: usize,
        /// Its size.
        found: usize,
        /// The size expected.
        expected: usize,
    },
    /// A number of elements other than that of the input.
    Elements {
        /// Elements found.
        found: usize,
        /// Elements of the input.
        expected: usize,
    },
    /// A tensor of 2 GiB or more, a size that does not fit a machine word, or elements without fixed size.
    TooLarge,
    /// An empty tensor where the operator needs an element.
    Empty,
    /// A constant whose bytes are fewer or more than its shape says.
    ConstantSize {
        /// Bytes found.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// An operand that must be a constant is computed at run time.
    NotConstant,
    /// An operand that is written is a constant.
    Constant,
    /// A subgraph that the model does not have.
    NoSubgraph {
        /// Its number in the options.
        index: i32,
    },
    /// A subgraph that does not have the inputs or outputs of the operator that runs it.
    Ports {
        /// The subgraph.
        subgraph: u32,
        /// Inputs or outputs.
        what: &'static str,
        /// How many it has.
        found: usize,
        /// How many it must have.
        expected: usize,
    },
    /// A resource variable that another operator has with another size.
    ResourceSize {
        /// Bytes here.
        found: usize,
        /// Bytes there.
        expected: usize,
    },
    /// An operand that the node changes is not a variable.
    NotVariable,
    /// A variable that the node changes is another of its operands too.
    Shared,
    /// An operand of a variant of the operator that is not computed.
    Variant,
    /// An integer tensor without scale.
    NotQuantized,
    /// A scale that is not a positive finite number.
    Scale {
        /// The scale.
        found: f32,
    },
    /// A zero point that the element type cannot hold.
    ZeroPointRange {
        /// The zero point.
        found: i64,
        /// The element type.
        element_type: ElementType,
    },
    /// A zero point other than the one that the operator fixes.
    ZeroPoint {
        /// The zero point.
        found: i64,
        /// The one expected.
        expected: i64,
    },
    /// Per-channel parameters along an axis other than the operator's.
    ChannelAxis {
        /// The axis found.
        found: usize,
        /// The axis expected.
        expected: usize,
    },
    /// A number of per-channel scales other than 1 or the number of channels.
    ChannelCount {
        /// Scales found.
        found: usize,
        /// Channels.
        expected: usize,
    },
    /// Per-channel parameters where only per-tensor ones are supported.
    PerChannel,
    /// A scale other than the one the operator fixes, or than that of its input.
    FixedScale {
        /// The scale found.
        found: f32,
        /// The scale expected.
        expected: f32,
    },
    /// Scales whose ratio no fixed-point multiplier can hold.
    ScaleRatio,
    /// A bias whose scale is not the product of the scales of input and weights.
    BiasScale {
        /// The scale found.
        found: f32,
        /// The product.
        expected: f32,
    },
    /// A fused activation that the kernel does not apply.
    Activation(Activation),
    /// An option whose value is not supported.
    Option {
        /// The option.
        what: &'static str,
        /// Its value.
        found: i32,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Operator { expected, found } => {
                write!(
                    f,
                    "the node is a {found}, but the kernel computes {expected}"
                )
            }
            Self::Inputs { found } => {
                write!(
                    f,
                    "the node has {found} inputs, which the operator does not take"
                )
            }
            Self::Outputs { found } => {
                write!(
                    f,
                    "the node has {found} outputs, which the operator does not give"
                )
            }
            Self::Missing => f.write_str("it is required but absent"),
            Self::ElementType { found, supported } => {
                write!(f, "element type {found} is not supported here (supported: ")?;
                for (i, element_type) in supported.iter().enumerate() {
                    let separator = if i == 0 { "" } else { ", " };
                    write!(f, "{separator}{element_type}")?;
                }
                f.write_str(")")
            }
            Self::LeftOut { feature } => write!(
                f,
                "needs what this program leaves out: enable feature `{feature}`"
            ),
            Self::Way { way } => write!(
                f,
                "is computed by way of `{way}`, which the program does not link: add it to the operator in the ops! list"
            ),
            Self::TypeDiffers { found, expected } => {
                write!(f, "element type must be {expected}, is {found}")
            }
            Self::Shape(error) => error.fmt(f),
            Self::Rank { found, expected } => {
                write!(f, "must have {expected} dimensions, has {found}")
            }
            Self::Dimension {
                axis,
                found,
                expected,
            } => write!(f, "dimension {axis} must be {expected}, is {found}"),
            Self::Elements { found, expected } => {
                write!(f, "must have {expected} elements, has {found}")
            }
            Self::TooLarge => f.write_str("is 2 GiB or more, or has elements of no fixed size"),
            Self::Empty => f.write_str("has no elements"),
            Self::ConstantSize { found, expected } => {
                write!(f, "the constant must have {expected} bytes, has {found}")
            }
            Self::NotConstant => f.write_str("must be a constant"),
            Self::Constant => f.write_str("is written, so it must not be a constant"),
            Self::NoSubgraph { index } => write!(f, "the model has no subgraph {index}"),
            Self::Ports {
                subgraph,
                what,
                found,
                expected,
            } => write!(
                f,
                "subgraph {subgraph} must have {expected} {what}, has {found}"
            ),
            Self::ResourceSize { found, expected } => write!(
                f,
                "the variable has {found} bytes here, but {expected} where it is used before"
            ),
            Self::NotVariable => f.write_str("must be a variable, which keeps its value"),
            Self::Shared => f.write_str("is changed, and so must be no other operand too"),
            Self::Variant => {
                f.write_str("belongs to a variant of the operator that is not supported")
            }
            Self::NotQuantized => f.write_str("has no quantisation parameters"),
            Self::Scale { found } => {
                write!(f, "scale must be positive and finite, is {found}")
            }
            Self::ZeroPointRange {
                found,
                element_type,
            } => write!(
                f,
                "zero point {found} is outside the range of {element_type}"
            ),
            Self::ZeroPoint { found, expected } => {
                write!(f, "zero point must be {expected}, is {found}")
            }
            Self::ChannelAxis { found, expected } => {
                write!(f, "per-channel along axis {found}, expected {expected}")
            }
            Self::ChannelCount { found, expected } => {
                write!(f, "has {found} scales, expected 1 or {expected}")
            }
            Self::PerChannel => {
                f.write_str("is quantised per channel, which is not supported here")
            }
            Self::FixedScale { found, expected } => {
                write!(f, "scale must be {expected}, is {found}")
            }
            Self::ScaleRatio => f.write_str(
                "the scales of inputs and output are too far apart for fixed-point arithmetic",
            ),
            Self::BiasScale { found, expected } => write!(
                f,
                "scale must be the product {expected} of the scales of input and weights, is {found}"
            ),
            Self::Activation(activation) => {
                write!(
                    f,
                    "the fused activation {activation:?} is not supported here"
                )
            }
            Self::Option { what, found } => write!(f, "{what} {found} is not supported"),
        }
    }
}

/// Declares the reasons without what they carry.
macro_rules! kinds {
    ($($name:ident,)*) => {
        /// What is wrong, without the values that show it: all that is left of a [`Reason`] in a program without the
        /// feature `explain`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ReasonKind {
            $(
                #[doc = concat!("[`Reason::", stringify!($name), "`].")]
                $name,
            )*
        }

        impl Reason {
            /// Which reason it is.
            #[inline(always)]
            pub const fn kind(&self) -> ReasonKind {
                match self {
                    $(Self::$name { .. } => ReasonKind::$name,)*
                }
            }
        }
    };
}

kinds! {
    Operator,
    Inputs,
    Outputs,
    Missing,
    ElementType,
    LeftOut,
    Way,
    TypeDiffers,
    Shape,
    Rank,
    Dimension,
    Elements,
    TooLarge,
    Empty,
    ConstantSize,
    NotConstant,
    Constant,
    NoSubgraph,
    Ports,
    ResourceSize,
    NotVariable,
    Shared,
    Variant,
    NotQuantized,
    Scale,
    ZeroPointRange,
    ZeroPoint,
    ChannelAxis,
    ChannelCount,
    PerChannel,
    FixedScale,
    ScaleRatio,
    BiasScale,
    Activation,
    Option,
}

/// Names the reason; the feature `explain` says it in words, with what was found.
impl fmt::Display for ReasonKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
