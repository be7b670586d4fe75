//! How int8 inputs enter the fixed-point functions: the parameters of the integer softmax, logistic and tanh.

use super::ratio::Ratio;
use super::{FixedMultiplier, logistic, rounding_divide_by_pot, tanh};
use crate::fixed_point::exp_on_negative_values;

/// Integer bits of the softmax's scaled differences.
const SOFTMAX_INTEGER_BITS: u32 = 5;
/// Integer bits of the argument of the int8 logistic and tanh.
const SIGMOID_INTEGER_BITS: u32 = 4;

/// Largest magnitude of an integer input that, shifted left by `left_shift`, stays within Q`integer_bits`:
/// `floor((2^integer_bits - 1) * 2^(31 - integer_bits) / 2^left_shift)`.
///
/// Beyond it the functions take their limit. `integer_bits` is at most 31; the result saturates.
#[doc(alias = "CalculateInputRadius")]
#[must_use]
pub fn input_radius(integer_bits: u32, left_shift: i32) -> i32 {
    let integer_bits = integer_bits.min(31);
    let largest = ((1_i64 << integer_bits) - 1) << (31 - integer_bits);
    let (right, left) = (
        left_shift.clamp(0, 32),
        left_shift.saturating_neg().clamp(0, 31),
    );
    ((largest >> right) << left).min(i64::from(i32::MAX)) as i32
}

/// How the quantised softmax scales the differences `x - max(x)` of its int8 inputs.
///
/// A difference `d >= diff_min` stands for `d * beta * scale`, which [`exp`](Self::exp) exponentiates; a smaller one
/// counts as minus infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftmaxInput {
    /// Takes a difference to Q5.26, by [`FixedMultiplier::apply_greater_than_one`].
    pub multiplier: FixedMultiplier,
    /// Smallest difference (zero or negative) whose exponential is not taken for 0.
    pub diff_min: i32,
}

impl SoftmaxInput {
    /// The parameters for inputs of `scale` and the operator's `beta`.
    ///
    /// `None` when `beta * scale` is not above 2^-26 (or is NaN), for which the representation has no place.
    #[doc(alias = "PreprocessSoftmaxScaling")]
    #[must_use]
    pub fn new(beta: f32, scale: f32) -> Option<Self> {
        let mut real = Ratio::new([beta, scale], 1.0)?;
        real.exponent += 31 - SOFTMAX_INTEGER_BITS as i32;
        if !real.exceeds_one() {
            return None;
        }
        // A shift of 31 is wanted here: it makes `diff_min` zero, so that nothing is ever shifted by it.
        let exact = real.fixed_uncapped();
        let multiplier = match exact.shift {
            ..=31 => exact,
            _ => FixedMultiplier {
                multiplier: i32::MAX,
                shift: 31,
            },
        };
        let radius = input_radius(SOFTMAX_INTEGER_BITS, multiplier.shift);
        Some(Self {
            multiplier,
            diff_min: -radius,
        })
    }

    /// `exp(difference * beta * scale)` in Q0.31, for a difference in `diff_min..=0`.
    #[inline]
    #[must_use]
    pub const fn exp(self, difference: i32) -> i32 {
        exp_on_negative_values::<SOFTMAX_INTEGER_BITS>(
            self.multiplier.apply_greater_than_one(difference),
        )
    }
}

/// How the int8 logistic and tanh read their input, and those functions themselves.
///
/// Both are functions of one byte, so a table of 256 outputs replaces them exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigmoidInput {
    /// Zero point of the input.
    pub zero_point: i32,
    /// Distance from the zero point at which the output takes its limit.
    pub radius: i32,
    /// Takes an input less its zero point to Q4.27.
    pub multiplier: FixedMultiplier,
}

impl SigmoidInput {
    /// The parameters for an input of this scale and zero point.
    #[must_use]
    pub fn new(scale: f32, zero_point: i32) -> Self {
        let multiplier = to_fixed_format(scale, SIGMOID_INTEGER_BITS);
        Self {
            zero_point,
            radius: input_radius(SIGMOID_INTEGER_BITS, multiplier.shift),
            multiplier,
        }
    }

    /// LOGISTIC of an int8 input, with the output's fixed scale 1/256 and zero point -128.
    #[must_use]
    pub const fn logistic_i8(self, x: i8) -> i8 {
        match self.centred(x) {
            Centred::Below => i8::MIN,
            Centred::Above => i8::MAX,
            Centred::Within(input) => {
                let output = logistic::<SIGMOID_INTEGER_BITS>(self.multiplier.apply(input));
                saturate(rounding_divide_by_pot(output, 31 - 8) - 128)
            }
        }
    }

    /// TANH of an int8 input, with the output's fixed scale 1/128 and zero point 0.
    #[must_use]
    pub const fn tanh_i8(self, x: i8) -> i8 {
        match self.centred(x) {
            Centred::Below => i8::MIN,
            Centred::Above => i8::MAX,
            Centred::Within(input) => {
                let output = tanh::<SIGMOID_INTEGER_BITS>(self.multiplier.apply(input));
                saturate(rounding_divide_by_pot(output, 31 - 7))
            }
        }
    }

    const fn centred(self, x: i8) -> Centred {
        let input = (x as i32).wrapping_sub(self.zero_point);
        if input <= self.radius.saturating_neg() {
            Centred::Below
        } else if input >= self.radius {
            Centred::Above
        } else {
            Centred::Within(input)
        }
    }
}

/// `scale * 2^(31 - integer_bits)`, without a cap on the shift.
fn to_fixed_format(scale: f32, integer_bits: u32) -> FixedMultiplier {
    let Some(mut real) = Ratio::new([scale.abs(), 1.0], 1.0) else {
        return FixedMultiplier::ZERO;
    };
    real.exponent += 31 - integer_bits as i32;
    let FixedMultiplier { multiplier, shift } = match scale.is_infinite() {
        true => FixedMultiplier {
            multiplier: i32::MAX,
            shift: i32::MAX,
        },
        false => real.fixed_uncapped(),
    };
    FixedMultiplier {
        multiplier: if scale < 0.0 { -multiplier } else { multiplier },
        shift,
    }
}

/// An input less its zero point, against the radius.
enum Centred {
    Below,
    Within(i32),
    Above,
}

const fn saturate(x: i32) -> i8 {
    if x < i8::MIN as i32 {
        i8::MIN
    } else if x > i8::MAX as i32 {
        i8::MAX
    } else {
        x as i8
    }
}
