//! Why a shape could not be inferred.

use core::fmt;

/// Operands that do not fit their operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// A required input is absent.
    MissingInput {
        /// Which input.
        index: usize,
    },
    /// An input has the wrong number of dimensions.
    Rank {
        /// Which input.
        index: usize,
        /// How many it should have.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// Two sizes that must agree do not.
    Mismatch {
        /// What disagrees.
        what: &'static str,
        /// The size that is expected.
        expected: usize,
        /// The size that was found.
        found: usize,
    },
    /// An option has a value without meaning here.
    Option {
        /// What is wrong with it.
        what: &'static str,
        /// The value.
        value: i32,
    },
    /// The window of a convolution or pool does not fit its input, or a stride is not positive.
    Window,
    /// The shape depends on an input that is not a constant.
    Unknown {
        /// Which input.
        index: usize,
    },
    /// The operator has no such output.
    NoSuchOutput {
        /// Which output.
        output: usize,
    },
    /// More dimensions than a [`Shape`](crate::Shape) holds.
    TooManyDimensions,
    /// A size does not fit a machine word.
    Overflow,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MissingInput { index } => write!(f, "input {index} is missing"),
            Self::Rank {
                index,
                expected,
                found,
            } => write!(
                f,
                "input {index} has {found} dimensions, expected {expected}"
            ),
            Self::Mismatch {
                what,
                expected,
                found,
            } => write!(f, "{what}: expected {expected}, found {found}"),
            Self::Option { what, value } => write!(f, "{what} (value {value})"),
            Self::Window => f.write_str(
                "the window does not fit its input, or a stride, dilation or filter size is not positive",
            ),
            Self::Unknown { index } => write!(
                f,
                "the shape depends on the values of input {index}, which is not a constant"
            ),
            Self::NoSuchOutput { output } => write!(f, "there is no output {output}"),
            Self::TooManyDimensions => {
                write!(f, "more than {} dimensions", crate::MAX_RANK)
            }
            Self::Overflow => f.write_str("a size does not fit a machine word"),
        }
    }
}

impl core::error::Error for ShapeError {}
