//! What can be wrong with numbers to quantise.

use core::fmt;

/// Why values could not be quantised. Indices count elements of the slice that was passed, from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum QuantError {
    /// A value is NaN or infinite.
    NotFinite {
        /// Its index.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A bound of a range is NaN or infinite.
    RangeNotFinite {
        /// Lower bound.
        min: f32,
        /// Upper bound.
        max: f32,
    },
    /// The lower bound of a range is above the upper.
    RangeReversed {
        /// Lower bound.
        min: f32,
        /// Upper bound.
        max: f32,
    },
    /// A range was asked of an observer that has seen no value.
    NothingObserved,
    /// A scale is zero, negative, subnormal, infinite or NaN.
    BadScale {
        /// Its index among the scales.
        index: usize,
        /// The scale.
        scale: f32,
    },
    /// Two slices that belong together have different lengths.
    LengthMismatch {
        /// What the second slice holds.
        what: &'static str,
        /// Length wanted.
        expected: usize,
        /// Length found.
        found: usize,
    },
    /// The values are not whole channels of the given axis.
    NotWholeChannels {
        /// Number of values.
        len: usize,
        /// Channels of the axis.
        channels: usize,
        /// Consecutive values of one channel.
        inner: usize,
    },
    /// The axis is not one of the tensor's dimensions, or its dimensions do not fit the address space.
    BadAxis {
        /// The axis.
        axis: usize,
        /// Dimensions of the tensor.
        rank: usize,
    },
    /// A bias in units of its scale does not fit INT32.
    BiasSaturates {
        /// Index of the bias, which is its output channel.
        index: usize,
        /// The bias.
        bias: f32,
        /// Its scale, input scale times weight scale.
        scale: f32,
    },
    /// A value of what should be a distribution is negative, or all are 0.
    NotADistribution {
        /// Index of the negative value, 0 if there is none.
        index: usize,
        /// The value.
        value: f32,
    },
    /// The last axis of a tensor is not whole blocks.
    NotWholeBlocks {
        /// Length of the axis.
        len: usize,
        /// Values of a block.
        block: usize,
    },
    /// An integer is outside of the range it should be stored in.
    OutOfRange {
        /// Its index.
        index: usize,
        /// The integer.
        value: i32,
        /// Smallest integer that can be stored.
        min: i32,
        /// Largest integer that can be stored.
        max: i32,
    },
    /// A parameter of a method is outside of its domain.
    BadParameter {
        /// Which, and its domain.
        what: &'static str,
        /// Its value.
        value: f64,
    },
}

impl fmt::Display for QuantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotFinite { index, value } => write!(
                f,
                "value {index} is {value}, which no integer stands for: remove or replace it before quantising"
            ),
            Self::RangeNotFinite { min, max } => write!(
                f,
                "the range [{min}, {max}] is not finite: look for NaN or overflow in the values it was taken from"
            ),
            Self::RangeReversed { min, max } => write!(
                f,
                "the range [{min}, {max}] is empty: its lower bound must not be above its upper bound"
            ),
            Self::NothingObserved => f.write_str(
                "no value was observed: run at least one calibration sample before asking for the range",
            ),
            Self::BadScale { index, scale } => write!(
                f,
                "scale {index} is {scale}: a scale must be a positive number, neither infinite nor subnormal"
            ),
            Self::LengthMismatch {
                what,
                expected,
                found,
            } => write!(f, "{found} {what} were given where {expected} are needed"),
            Self::NotWholeChannels {
                len,
                channels,
                inner,
            } => write!(
                f,
                "{len} values are not a multiple of {channels} channels of {inner} consecutive values each: check the shape and the axis"
            ),
            Self::BadAxis { axis, rank } => write!(
                f,
                "axis {axis} is no axis of a tensor with {rank} dimensions, or the tensor is too large"
            ),
            Self::BiasSaturates { index, bias, scale } => write!(
                f,
                "bias {index} is {bias}, more than INT32 holds at a scale of {scale}: raise the channel's weight scale to at least `bias::smallest_weight_scale`"
            ),
            Self::NotADistribution { index, value } if value < 0.0 => write!(
                f,
                "value {index} is {value}: probabilities and counts are not negative"
            ),
            Self::NotADistribution { .. } => f.write_str(
                "all values are 0: at least one probability or count must be above 0",
            ),
            Self::NotWholeBlocks { len, block } => write!(
                f,
                "an axis of {len} is not whole blocks of {block}: choose a block size that divides it"
            ),
            Self::OutOfRange {
                index,
                value,
                min,
                max,
            } => write!(
                f,
                "integer {index} is {value}, outside of [{min}, {max}]: quantise to this range first"
            ),
            Self::BadParameter { what, value } => write!(f, "{what}, not {value}"),
        }
    }
}

impl core::error::Error for QuantError {}

/// Refuses the pair of lengths unless they are equal.
pub(crate) const fn same_length(
    what: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), QuantError> {
    if expected == found {
        Ok(())
    } else {
        Err(QuantError::LengthMismatch {
            what,
            expected,
            found,
        })
    }
}

/// Refuses the first value that is NaN or infinite.
pub(crate) fn all_finite(values: &[f32]) -> Result<(), QuantError> {
    // Without an early exit the test of all values runs on vectors; only bad data pays for the search.
    if values.iter().fold(true, |all, x| all & x.is_finite()) {
        return Ok(());
    }
    let first = values.iter().position(|x| !x.is_finite());
    first.map_or(Ok(()), |index| {
        Err(QuantError::NotFinite {
            index,
            value: values.get(index).copied().unwrap_or(f32::NAN),
        })
    })
}

/// Refuses the first scale that is not a normal positive number, so that every scale left has a reciprocal.
pub(crate) fn all_scales(scales: &[f32]) -> Result<(), QuantError> {
    let bad = |scale: &f32| !(scale.is_normal() && *scale > 0.0);
    match scales.iter().enumerate().find(|(_, scale)| bad(scale)) {
        Some((index, &scale)) => Err(QuantError::BadScale { index, scale }),
        None => Ok(()),
    }
}
