//! Reciprocal square root of an integer, with TFLM's bits.

use super::{
    FixedMultiplier, rounding_divide_by_pot, saturating_rounding_doubling_high_mul as mul,
    saturating_rounding_multiply_by_pot as multiply_by_pot,
};

/// `1 / sqrt(x)` for `x >= 1`; one of less counts as 1.
///
/// Five Newton-Raphson steps with three integer bits, on `x` brought into `2^27..2^29` by powers of four.
#[doc(alias = "GetInvSqrtQuantizedMultiplierExp")]
#[must_use]
pub const fn inverse_sqrt(x: i32) -> FixedMultiplier {
    const HALF_SQRT_2: i32 = 1_518_500_250;
    if x <= 1 {
        return FixedMultiplier {
            multiplier: i32::MAX,
            shift: 0,
        };
    }
    let (mut x, mut right) = (x, 11);
    while x >= 1 << 29 {
        x /= 4;
        right += 1;
    }
    // Below 2^29 there are at least two bits of headroom beside the sign.
    let pairs = (x.leading_zeros() as i32 - 1) / 2 - 1;
    right -= pairs;
    let multiplier = mul(newton(x << (2 * pairs)), HALF_SQRT_2);
    if right < 0 {
        return FixedMultiplier {
            multiplier: multiplier << -right,
            shift: 0,
        };
    }
    FixedMultiplier {
        multiplier,
        shift: -right,
    }
}

/// `1 / sqrt(x / 2^29)` in Q3.28 for `x` in `2^27..2^29`.
const fn newton(x: i32) -> i32 {
    const ONE: i32 = 1 << 28;
    const THREE_HALVES: i32 = (1 << 28) + (1 << 27);
    let half_input = rounding_divide_by_pot(x >> 1, 1);
    let mut root = ONE;
    let mut step = 0;
    while step < 5 {
        // The product of three Q3 numbers is a Q9.
        let cube = multiply_by_pot(mul(mul(root, root), root), 6);
        let next = mul(THREE_HALVES, root).wrapping_sub(mul(half_input, cube));
        root = multiply_by_pot(next, 3);
        step += 1;
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_near_the_real_one() {
        let powers = (0..31).map(|bit| 1_i32 << bit);
        for x in (1..70_000).chain(powers).chain([i32::MAX]) {
            let expected = 1.0 / libm::sqrt(f64::from(x));
            let relative = inverse_sqrt(x).to_real() / expected - 1.0;
            assert!(relative.abs() < 1e-5, "{x}: {relative}");
        }
    }

    #[test]
    fn what_has_no_root_counts_as_one() {
        for x in [i32::MIN, -1, 0] {
            assert_eq!(inverse_sqrt(x), inverse_sqrt(1));
        }
    }
}
