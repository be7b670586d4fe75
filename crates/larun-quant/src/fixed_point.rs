//! Integer arithmetic that stands for real numbers: the requantisation and the transcendental functions of integer kernels.
//!
//! Every function here is total: it returns a value for any argument, in debug and in release builds, and wraps
//! where the arithmetic it reproduces would be undefined. In the domain where that arithmetic is defined, the results
//! are those of TensorFlow Lite Micro (TFLM), bit for bit.
//!
//! ```
//! use larun_quant::fixed_point::{FixedMultiplier, exp_on_negative_values};
//!
//! // An accumulator in units of 0.02 * 0.005 becomes an output in steps of 0.1.
//! let rescale = FixedMultiplier::from_real(0.02 * 0.005 / 0.1);
//! assert_eq!(rescale.apply(123_456), 123);
//! // exp(-1) of a Q5.26 number, as a Q0.31 number.
//! let exp = f64::from(exp_on_negative_values::<5>(-1 << 26)) / f64::from(1_u32 << 31);
//! assert!((exp - (-1.0_f64).exp()).abs() < 1e-6);
//! ```
//!
//! A raw value `r` in the format *Qm.n* (`m` integer bits, `n = 31 - m` fractional bits) stands for `r / 2^n`.
//!
//! Sources: B. Jacob et al., *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
//! Inference*, CVPR 2018, section 2.2 and appendix B; TensorFlow Lite's int8 specification.

mod hard_swish;
mod inverse_sqrt;
mod logarithm;
mod multiplier;
mod nonlinear;
mod ratio;
mod scaled_ln;
mod sigmoid16;
mod softmax16;
mod square_root;
mod transcendental;

pub use hard_swish::HardSwishInput;
pub use inverse_sqrt::inverse_sqrt;
pub use logarithm::ln_of_one_or_more;
pub use multiplier::{
    FixedMultiplier, Rounding, multiply_by_quantized_multiplier_smaller_than_one_exp,
};
pub use nonlinear::{SigmoidInput, SoftmaxInput, input_radius};
pub use scaled_ln::scaled_ln;
pub use sigmoid16::SigmoidInput16;
pub use softmax16::{SoftmaxInput16, reciprocal_of_sum_16};
pub use square_root::square_root;
pub use transcendental::{
    exp_on_negative_values, logistic, one_minus_x_over_one_plus_x_for_x_in_0_1,
    one_over_one_plus_x_for_x_in_0_1, reciprocal, rescale, tanh,
};

/// High half of the doubled product, rounded: `round(a * b / 2^31)`, a tie going up.
///
/// The one product that does not fit, `i32::MIN * i32::MIN`, saturates to `i32::MAX`. As a product of two Q0.31
/// numbers this is their Q0.31 product; Arm calls it `VQRDMULH`, gemmlowp `SaturatingRoundingDoublingHighMul`.
#[doc(alias = "SaturatingRoundingDoublingHighMul")]
#[inline]
#[must_use]
pub const fn saturating_rounding_doubling_high_mul(a: i32, b: i32) -> i32 {
    let rounded = ((a as i64 * b as i64 + (1 << 30)) >> 31) as i32;
    // Only the saturating product rounds to 2^31 and so arrives here as MIN; every other result is above it.
    rounded.wrapping_sub((rounded == i32::MIN) as i32)
}

/// `round(x / 2^exponent)`, a tie going away from zero.
///
/// `exponent` is clamped to `0..=31`.
#[doc(alias = "RoundingDivideByPOT")]
#[inline]
#[must_use]
pub const fn rounding_divide_by_pot(x: i32, exponent: i32) -> i32 {
    let exponent = clamp_shift(exponent);
    let mask = (1_i32 << exponent).wrapping_sub(1);
    let remainder = x & mask;
    let threshold = (mask >> 1) + (x < 0) as i32;
    (x >> exponent) + (remainder > threshold) as i32
}

/// [`rounding_divide_by_pot`] for any exponent, as builds of TFLM and LiteRT for 64-bit processors compute it.
///
/// Outside `0..=31` the C++ is undefined, but two operators depend on it: INT8 DIV of small dividends, and comparisons
/// of operands whose scale is 1 or more. Shifts there take their amount modulo the width of the word, so that from 32
/// to 63 (and from -32 to -1) no bit is a remainder and every value of 0 or more is rounded up.
#[inline]
#[must_use]
pub const fn rounding_divide_by_pot_modular(x: i32, exponent: i32) -> i32 {
    let within = exponent & 31;
    if exponent & 32 == 0 {
        return rounding_divide_by_pot(x, within);
    }
    (x >> within).wrapping_add((x >= 0) as i32)
}

/// `x * 2^exponent`: saturating for a positive exponent, [rounded](rounding_divide_by_pot) for a negative one.
///
/// `exponent` is clamped to `-31..=31`.
#[doc(alias = "SaturatingRoundingMultiplyByPOT")]
#[inline]
#[must_use]
pub const fn saturating_rounding_multiply_by_pot(x: i32, exponent: i32) -> i32 {
    if exponent < 0 {
        return rounding_divide_by_pot(x, exponent.saturating_neg());
    }
    let shift = clamp_shift(exponent);
    let shifted = x << shift;
    if shifted >> shift == x {
        shifted
    } else if x < 0 {
        i32::MIN
    } else {
        i32::MAX
    }
}

/// Brings a shift amount into `0..=31`, where Rust's shifts of an `i32` are defined (one instruction on Arm).
#[inline]
const fn clamp_shift(shift: i32) -> u32 {
    if shift < 0 {
        0
    } else if shift > 31 {
        31
    } else {
        shift as u32
    }
}
