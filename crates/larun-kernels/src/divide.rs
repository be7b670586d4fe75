//! Division by a number that stays the same, without a division instruction.

/// Rounds quotients by one divisor to the nearest integer, ties away from zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundedDivision {
    divisor: u32,
    half: u32,
    /// `2^32 / divisor` rounded up, or 0 where the product with it would not be exact.
    reciprocal: u64,
}

impl RoundedDivision {
    /// Divides sums of at most `divisor` values of an INT8, so that the dividend is at most `128 * divisor`.
    ///
    /// With n <= 128.5 d and a reciprocal too large by at most d / 2^32, the quotient n / d is off by less than the
    /// distance 1 / d to the next one as long as 128.5 d^2 < 2^32.
    pub(crate) fn new(divisor: usize) -> Self {
        Self::with_reciprocal_below(5_000, divisor)
    }

    /// Divides sums of at most `divisor` values of an INT16: as [`new`](Self::new), as long as 32768.5 d^2 < 2^32.
    pub(crate) fn of_int16(divisor: usize) -> Self {
        Self::with_reciprocal_below(360, divisor)
    }

    fn with_reciprocal_below(limit: u32, divisor: usize) -> Self {
        let divisor = u32::try_from(divisor).unwrap_or(u32::MAX).max(1);
        let exact = divisor < limit;
        Self {
            divisor,
            half: divisor / 2,
            reciprocal: if exact {
                u64::from(u32::MAX / divisor) + 1
            } else {
                0
            },
        }
    }

    #[inline]
    pub(crate) fn divide(self, sum: i32) -> i32 {
        let dividend = sum.unsigned_abs().saturating_add(self.half);
        let quotient = match self.reciprocal {
            0 => dividend / self.divisor,
            reciprocal => ((u64::from(dividend) * reciprocal) >> 32) as u32,
        };
        let magnitude = quotient as i32;
        if sum < 0 {
            magnitude.wrapping_neg()
        } else {
            magnitude
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RoundedDivision;

    #[test]
    fn equals_a_division() {
        for divisor in (1..300).chain([4_998, 4_999, 5_000, 5_001, 70_000]) {
            check(divisor, 128, RoundedDivision::new(divisor as usize));
        }
        for divisor in [1, 2, 3, 7, 49, 120, 358, 359, 360, 361, 5_000] {
            check(divisor, 32768, RoundedDivision::of_int16(divisor as usize));
        }
    }

    fn check(divisor: i32, magnitude: i32, division: RoundedDivision) {
        let (largest, step) = (magnitude * divisor, (divisor / 40).max(1) as usize);
        for sum in (-largest..=largest).step_by(step).chain([largest]) {
            let away = if sum < 0 { -divisor / 2 } else { divisor / 2 };
            let expected = (sum + away) / divisor;
            assert_eq!(division.divide(sum), expected, "{sum} / {divisor}");
        }
    }
}
