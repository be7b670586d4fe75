//! Exponential, logistic and hyperbolic tangent in 32-bit fixed point, with the bits of gemmlowp's as TFLM uses them.
//!
//! Arguments and results are raw values; `INTEGER_BITS` names the format of the argument, results are Q0.31. In Q0.31
//! the number 1 is not representable and stands as `i32::MAX`.

use super::{
    saturating_rounding_doubling_high_mul, saturating_rounding_multiply_by_pot as multiply_by_pot,
};

/// A call on small processors: these functions are long chains of products, and flash is short.
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
const fn mul(a: i32, b: i32) -> i32 {
    saturating_rounding_doubling_high_mul(a, b)
}

/// One, as near as Q0.31 comes to it.
const Q0_ONE: i32 = i32::MAX;
/// One half in Q0.31.
const Q0_HALF: i32 = 1 << 30;
/// One in Q2.29.
const Q2_ONE: i32 = 1 << 29;

/// `exp(a)` for `a <= 0` in Q`INTEGER_BITS`; the result is in Q0.31.
///
/// The argument is split into a part in `[-1/4, 0)`, where a fourth-order Taylor polynomial about -1/8 serves, and
/// powers of two from 1/4 up, each a multiplication by a constant. `INTEGER_BITS` is at most 29. The int8 softmax
/// uses 5, the int8 logistic 4. Positive arguments give a meaningless value.
#[inline]
#[must_use]
pub const fn exp_on_negative_values<const INTEGER_BITS: u32>(a: i32) -> i32 {
    const { assert!(INTEGER_BITS <= 29, "a quarter must be representable") }
    exp_with_integer_bits(a, INTEGER_BITS as i32)
}

/// `1 / (1 + x)` for `x` in `[0, 1]`, both in Q0.31.
///
/// Three Newton-Raphson steps of division from the minimax line `48/17 - 32/17 d`, `d` in `[1/2, 1]`.
#[inline]
#[must_use]
pub const fn one_over_one_plus_x_for_x_in_0_1(x: i32) -> i32 {
    // Halving a Q2.29 number by renaming it Q1.30 loses no bit.
    multiply_by_pot(reciprocal_of_half_one_plus(x), 1)
}

/// `(1 - x) / (1 + x)` for `x` in `[0, 1]`, both in Q0.31.
#[inline]
#[must_use]
pub const fn one_minus_x_over_one_plus_x_for_x_in_0_1(x: i32) -> i32 {
    multiply_by_pot(reciprocal_of_half_one_plus(x).wrapping_sub(Q2_ONE), 2)
}

/// `1 / (1 + exp(-a))` for `a` in Q`INTEGER_BITS`; the result is in Q0.31. `INTEGER_BITS` is at most 29.
#[must_use]
pub const fn logistic<const INTEGER_BITS: u32>(a: i32) -> i32 {
    if a == 0 {
        return Q0_HALF;
    }
    let minus_magnitude = if a > 0 { a.wrapping_neg() } else { a };
    let of_magnitude =
        one_over_one_plus_x_for_x_in_0_1(exp_on_negative_values::<INTEGER_BITS>(minus_magnitude));
    if a > 0 {
        of_magnitude
    } else {
        Q0_ONE.wrapping_sub(of_magnitude)
    }
}

/// `tanh(a)` for `a` in Q`INTEGER_BITS`; the result is in Q0.31. `INTEGER_BITS` is at most 28.
#[must_use]
pub const fn tanh<const INTEGER_BITS: u32>(a: i32) -> i32 {
    const { assert!(INTEGER_BITS <= 28, "an eighth must be representable") }
    if a == 0 {
        return 0;
    }
    let minus_magnitude = if a > 0 { a.wrapping_neg() } else { a };
    // Doubled by renaming: the same bits with one more integer bit.
    let exp_of_double = exp_with_integer_bits(minus_magnitude, INTEGER_BITS as i32 + 1);
    let of_magnitude = one_minus_x_over_one_plus_x_for_x_in_0_1(exp_of_double);
    if a > 0 {
        of_magnitude
    } else {
        of_magnitude.wrapping_neg()
    }
}

/// Changes the format of `x` from Q`FROM` to Q`TO`, rounding or saturating.
#[inline]
#[must_use]
pub const fn rescale<const FROM: u32, const TO: u32>(x: i32) -> i32 {
    const {
        assert!(
            FROM <= 31 && TO <= 31,
            "a format has at most 31 integer bits"
        );
    };
    multiply_by_pot(x, FROM as i32 - TO as i32)
}

/// The reciprocal of `x > 0` in Q`INTEGER_BITS`: a significand `s` in Q0.31 and an exponent `e` with `1/x = s * 2^-e`.
///
/// The softmax divides by its sum of exponentials so, with 12 integer bits. For `x <= 0` the value is meaningless.
#[doc(alias = "GetReciprocal")]
#[inline]
#[must_use]
pub const fn reciprocal<const INTEGER_BITS: u32>(x: i32) -> (i32, i32) {
    let headroom = x.leading_zeros();
    let fraction = (x as u32).wrapping_shl(headroom) & (i32::MAX as u32);
    (
        one_over_one_plus_x_for_x_in_0_1(fraction as i32),
        INTEGER_BITS as i32 - headroom as i32,
    )
}

#[inline]
const fn exp_with_integer_bits(a: i32, integer_bits: i32) -> i32 {
    if a == 0 {
        return Q0_ONE;
    }
    // -32 and below; with five integer bits or fewer nothing is.
    if integer_bits > 5 && a < -(1 << (36 - integer_bits)) {
        return 0;
    }
    let one_quarter = 1_i32 << (29 - integer_bits);
    let in_last_quarter = (a & (one_quarter - 1)) - one_quarter;
    let result = exp_on_last_quarter(multiply_by_pot(in_last_quarter, integer_bits));
    scale_by_exp_of_bits(result, in_last_quarter.wrapping_sub(a), integer_bits)
}

/// `exp(a)` for `a` in `[-1/4, 0)`, both in Q0.31.
#[inline]
const fn exp_on_last_quarter(a: i32) -> i32 {
    const EXP_MINUS_EIGHTH: i32 = 1_895_147_668;
    const ONE_THIRD: i32 = 715_827_883;
    let x = a.wrapping_add(1 << 28);
    let x2 = mul(x, x);
    let x3 = mul(x2, x);
    let x4_over_4 = multiply_by_pot(mul(x2, x2), -2);
    // x^2/2 + x^3/6 + x^4/24
    let tail = multiply_by_pot(mul(x4_over_4 + x3, ONE_THIRD) + x2, -1);
    EXP_MINUS_EIGHTH + mul(EXP_MINUS_EIGHTH, x + tail)
}

/// Multiplies `value` by `exp(-2^k)` for every bit of weight `2^k`, `k` in `-2..=4`, set in `multiple_of_quarter`.
#[inline]
const fn scale_by_exp_of_bits(mut value: i32, multiple_of_quarter: i32, integer_bits: i32) -> i32 {
    /// `exp(-2^(i - 2))` in Q0.31.
    const EXP_MINUS_POWER: [i32; 7] = [
        1_672_461_947,
        1_302_514_674,
        790_015_084,
        290_630_308,
        39_332_535,
        720_401,
        242,
    ];
    let mut index = 0;
    while index < EXP_MINUS_POWER.len() {
        let bit = 29 - integer_bits + index as i32;
        if bit < 31 && multiple_of_quarter & (1 << bit) != 0 {
            value = mul(value, EXP_MINUS_POWER[index]);
        }
        index += 1;
    }
    value
}

/// `2 / (1 + x)` in Q2.29 for `x` in `[0, 1]` in Q0.31.
#[inline]
const fn reciprocal_of_half_one_plus(x: i32) -> i32 {
    const Q2_48_OVER_17: i32 = 1_515_870_810;
    const Q2_MINUS_32_OVER_17: i32 = -1_010_580_540;
    let half_denominator = rounding_half_sum(x, Q0_ONE);
    let mut estimate = Q2_48_OVER_17.wrapping_add(mul(half_denominator, Q2_MINUS_32_OVER_17));
    let mut step = 0;
    while step < 3 {
        let error = Q2_ONE.wrapping_sub(mul(half_denominator, estimate));
        // The product of two Q2 numbers is a Q4.
        estimate = estimate.wrapping_add(multiply_by_pot(mul(estimate, error), 2));
        step += 1;
    }
    estimate
}

/// `(a + b) / 2`, a tie going away from zero.
#[inline]
pub(super) const fn rounding_half_sum(a: i32, b: i32) -> i32 {
    let sum = a as i64 + b as i64;
    ((sum + if sum >= 0 { 1 } else { -1 }) / 2) as i32
}
