//! Natural logarithm in 32-bit fixed point, with TFLM's bits.

use super::transcendental::{one_over_one_plus_x_for_x_in_0_1, rounding_half_sum};
use super::{
    rounding_divide_by_pot, saturating_rounding_doubling_high_mul as mul,
    saturating_rounding_multiply_by_pot as multiply_by_pot,
};

/// `ln(x)` for `x >= 1` in Q`INPUT_BITS`; the result is in Q`OUTPUT_BITS`, which must hold it.
///
/// The argument is split into a power of two and a factor `r` about `sqrt(sqrt(1/2))`, whose logarithm a quotient of
/// polynomials approximates. `OUTPUT_BITS` is at most 29. For smaller `x` the value is meaningless.
#[doc(alias = "log_x_for_x_greater_than_or_equal_to_1")]
#[must_use]
pub const fn ln_of_one_or_more<const INPUT_BITS: u32, const OUTPUT_BITS: u32>(x: i32) -> i32 {
    const { assert!(OUTPUT_BITS <= 29, "the sum has a bit more") }
    /// In Q0.31.
    const LN_2: i32 = 1_488_522_236;
    // One more bit than the output, because the product below may saturate it.
    let sum_bits = OUTPUT_BITS as i32 + 1;
    let (r, exponent) = split(x, INPUT_BITS as i32, sum_bits);
    let (numerator, denominator_less_one) = quotient(r);
    let reciprocal = one_over_one_plus_x_for_x_in_0_1(denominator_less_one);
    let of_factor = mul(rounding_divide_by_pot(numerator, sum_bits), reciprocal);
    multiply_by_pot(mul(exponent, LN_2).wrapping_add(of_factor), 1)
}

/// The factor of `x` in Q0.31 and the exponent of its power of two, in Q`sum_bits`.
///
/// Of two ways to split, by the leading bit of `x` and by that of `x * sqrt(1/2)`, the one with the smaller factor.
const fn split(x: i32, input_bits: i32, sum_bits: i32) -> (i32, i32) {
    const SQRT_HALF: i32 = 1_518_500_250;
    let quarter = rounding_divide_by_pot(1 << 29, sum_bits);
    let zeros = x.leading_zeros() as i32;
    let r_a = multiply_by_pot(mul(multiply_by_pot(x, zeros - 1), SQRT_HALF), 1);
    let exponent_a = multiply_by_pot(input_bits - zeros, 31 - sum_bits).saturating_add(quarter);
    let headroom = mul(x, SQRT_HALF).leading_zeros() as i32 - 1;
    let r_b = multiply_by_pot(x, headroom);
    let exponent_b = multiply_by_pot(input_bits - headroom, 31 - sum_bits).saturating_sub(quarter);
    (
        if r_a < r_b { r_a } else { r_b },
        if exponent_a > exponent_b {
            exponent_a
        } else {
            exponent_b
        },
    )
}

/// The logarithm of `r / sqrt(sqrt(1/2))` as a quotient in Q0.31, whose denominator is one more than the second.
const fn quotient(r: i32) -> (i32, i32) {
    const SQRT_SQRT_HALF: i32 = 1_805_811_301;
    /// `11/240 sqrt(sqrt(2))`, `1/20 sqrt(sqrt(2))`, `2 / sqrt(sqrt(2)) - sqrt(sqrt(2))`, `1/4 sqrt(sqrt(2))`.
    const ALPHA_N: i32 = 117_049_297;
    const ALPHA_D: i32 = 127_690_142;
    const ALPHA_I: i32 = 1_057_819_769;
    const ALPHA_F: i32 = 638_450_708;
    let p = rounding_half_sum(r, SQRT_SQRT_HALF);
    let half_q = r.wrapping_sub(SQRT_SQRT_HALF);
    let q = half_q.wrapping_add(half_q);
    let square = mul(q, q);
    let numerator = mul(q, r).wrapping_add(mul(mul(q, square), ALPHA_N));
    let inner = ALPHA_I.wrapping_add(q).wrapping_add(mul(ALPHA_D, square));
    (numerator, mul(p, inner).wrapping_add(mul(ALPHA_F, q)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_near_the_real_one() {
        for shift in 0..12 {
            for step in 0..64 {
                let x = ((1_i64 << 19) * (64 + step) / 64) << shift;
                let x = i32::try_from(x).unwrap_or(i32::MAX);
                let found = f64::from(ln_of_one_or_more::<12, 5>(x)) / f64::from(1 << 26);
                let expected = libm::log(f64::from(x) / f64::from(1 << 19));
                assert!((found - expected).abs() < 1e-6, "{x}: {found} {expected}");
            }
        }
    }

    #[test]
    fn any_argument_has_a_value() {
        for x in [i32::MIN, -1, 0, 1, i32::MAX] {
            let _ = ln_of_one_or_more::<12, 5>(x);
        }
    }
}
