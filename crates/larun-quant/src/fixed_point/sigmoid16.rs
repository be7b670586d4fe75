//! Logistic and hyperbolic tangent of 16-bit numbers: one table of 256 entries, interpolated.
//!
//! `tanh(x) = 2 logistic(2x) - 1` and both functions are symmetric, so the table holds the logistic of magnitudes alone.

use super::clamp_shift;

/// How an INT16 number is read as the argument of [`logistic`](Self::logistic) or [`tanh`](Self::tanh): `multiplier / 2^shift`
/// takes it to units of `1 / (3 * 4096)`, so that the table's steps of 1/24 are 512 units.
///
/// Results are in Q0.15, scale 1/32768.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigmoidInput16 {
    /// Factor, at least 0.
    pub multiplier: i32,
    /// Bits by which the product is shifted right, rounding half up; clamped to `0..=31`.
    pub shift: i32,
}

impl SigmoidInput16 {
    /// The argument is in Q3.12, scale 1/4096.
    pub const Q3_12: Self = Self {
        multiplier: 3,
        shift: 0,
    };

    /// An argument of scale `2^exponent`, read exactly as long as the product fits 32 bits; beyond that the functions
    /// have reached their limit.
    #[must_use]
    pub const fn from_power_of_two(exponent: i32) -> Self {
        let left_shift = exponent.saturating_add(12);
        if left_shift < 0 {
            return Self {
                multiplier: 3,
                shift: left_shift.saturating_neg(),
            };
        }
        // Above 2^17 even the argument 1 is past the end of the table.
        let left_shift = if left_shift > 20 { 20 } else { left_shift };
        Self {
            multiplier: 3 << left_shift,
            shift: 0,
        }
    }

    /// An argument of any scale, the multiplier held to 15 bits.
    #[must_use]
    pub fn from_scale(scale: f32) -> Self {
        let mut real = f64::from(scale) * (3.0 * 4096.0);
        let mut shift = 0;
        while real <= 32767.0 / 2.0 && shift <= 30 {
            shift += 1;
            real *= 2.0;
        }
        Self {
            // Truncates; a scale past 2^17 saturates, where the functions have reached their limit anyway.
            multiplier: real as i32,
            shift,
        }
    }

    /// LOGISTIC of an INT16 number in Q0.15, with the bits of TFLM's.
    #[inline]
    #[must_use]
    pub fn logistic(self, x: i16) -> i16 {
        let x = self.scaled(x);
        let magnitude = x.unsigned_abs();
        let positive = match interval(magnitude >> 9) {
            Some((low, high)) => (low << 9) + (magnitude & 0x1FF) * (high - low),
            None => 0x7FFF << 10,
        };
        let rounded = if x >= 0 {
            positive + (1 << 9)
        } else {
            (1 << 25) - positive + (1 << 9) - 1
        };
        (rounded >> 10) as i16
    }

    /// TANH of an INT16 number in Q0.15, with the bits of TFLM's.
    #[inline]
    #[must_use]
    pub fn tanh(self, x: i16) -> i16 {
        let x = self.scaled(x);
        let magnitude = x.unsigned_abs();
        let logistic = match interval(magnitude >> 8) {
            Some((low, high)) => (low << 8) + (magnitude & 0xFF) * (high - low),
            None => 0xFFFF << 8,
        } as i32;
        let centred = logistic - (1 << 23);
        let rounded = if x >= 0 {
            centred + (1 << 7)
        } else {
            (1 << 7) - 1 - centred
        };
        (rounded >> 8) as i16
    }

    const fn scaled(self, x: i16) -> i32 {
        let shift = clamp_shift(self.shift);
        let round = ((1_u32 << shift) >> 1) as i32;
        let product = (x as i32).saturating_mul(self.multiplier);
        product.saturating_add(round) >> shift
    }
}

/// The table's entries on both sides of an argument, or `None` past its end.
#[inline]
fn interval(step: u32) -> Option<(u32, u32)> {
    let (low, high) = (step as usize, step as usize + 1);
    Some((
        u32::from(*LOGISTIC.get(low)?),
        u32::from(*LOGISTIC.get(high)?),
    ))
}

/// `logistic(i / 24)` in 16 bits, to within one unit of the nearest: the entries that TFLM uses.
#[rustfmt::skip]
static LOGISTIC: [u16; 256] = [
    32_768, 33_451, 34_133, 34_813, 35_493, 36_169, 36_843, 37_513, 38_180, 38_841, 39_498, 40_149, 40_794, 41_432, 42_064, 42_688,
    43_304, 43_912, 44_511, 45_102, 45_683, 46_255, 46_817, 47_369, 47_911, 48_443, 48_964, 49_475, 49_975, 50_464, 50_942, 51_409,
    51_865, 52_311, 52_745, 53_169, 53_581, 53_983, 54_374, 54_755, 55_125, 55_485, 55_834, 56_174, 56_503, 56_823, 57_133, 57_433,
    57_724, 58_007, 58_280, 58_544, 58_800, 59_048, 59_288, 59_519, 59_743, 59_959, 60_168, 60_370, 60_565, 60_753, 60_935, 61_110,
    61_279, 61_441, 61_599, 61_750, 61_896, 62_036, 62_172, 62_302, 62_428, 62_549, 62_666, 62_778, 62_886, 62_990, 63_090, 63_186,
    63_279, 63_368, 63_454, 63_536, 63_615, 63_691, 63_765, 63_835, 63_903, 63_968, 64_030, 64_090, 64_148, 64_204, 64_257, 64_308,
    64_357, 64_405, 64_450, 64_494, 64_536, 64_576, 64_614, 64_652, 64_687, 64_721, 64_754, 64_786, 64_816, 64_845, 64_873, 64_900,
    64_926, 64_950, 64_974, 64_997, 65_019, 65_039, 65_060, 65_079, 65_097, 65_115, 65_132, 65_149, 65_164, 65_179, 65_194, 65_208,
    65_221, 65_234, 65_246, 65_258, 65_269, 65_280, 65_291, 65_301, 65_310, 65_319, 65_328, 65_337, 65_345, 65_352, 65_360, 65_367,
    65_374, 65_381, 65_387, 65_393, 65_399, 65_404, 65_410, 65_415, 65_420, 65_425, 65_429, 65_433, 65_438, 65_442, 65_445, 65_449,
    65_453, 65_456, 65_459, 65_462, 65_465, 65_468, 65_471, 65_474, 65_476, 65_479, 65_481, 65_483, 65_485, 65_488, 65_489, 65_491,
    65_493, 65_495, 65_497, 65_498, 65_500, 65_501, 65_503, 65_504, 65_505, 65_507, 65_508, 65_509, 65_510, 65_511, 65_512, 65_513,
    65_514, 65_515, 65_516, 65_517, 65_517, 65_518, 65_519, 65_520, 65_520, 65_521, 65_522, 65_522, 65_523, 65_523, 65_524, 65_524,
    65_525, 65_525, 65_526, 65_526, 65_526, 65_527, 65_527, 65_528, 65_528, 65_528, 65_529, 65_529, 65_529, 65_529, 65_530, 65_530,
    65_530, 65_530, 65_531, 65_531, 65_531, 65_531, 65_531, 65_532, 65_532, 65_532, 65_532, 65_532, 65_532, 65_533, 65_533, 65_533,
    65_533, 65_533, 65_533, 65_533, 65_533, 65_534, 65_534, 65_534, 65_534, 65_534, 65_534, 65_534, 65_534, 65_534, 65_534, 65_535,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_logistic_to_within_a_unit() {
        for (i, &entry) in LOGISTIC.iter().enumerate() {
            let exact = 65536.0 / (1.0 + libm::exp(-(i as f64) / 24.0));
            assert!((f64::from(entry) - exact).abs() <= 1.6, "entry {i}");
        }
    }

    #[test]
    fn functions_are_near_the_real_ones_for_any_scale() {
        for exponent in -16..=-9 {
            let scale = libm::ldexp(1.0, exponent);
            for input in [
                SigmoidInput16::from_power_of_two(exponent),
                SigmoidInput16::from_scale(scale as f32),
            ] {
                for x in i16::MIN..=i16::MAX {
                    let real = f64::from(x) * scale;
                    let logistic = 32768.0 / (1.0 + libm::exp(-real));
                    let tanh = 32768.0 * libm::tanh(real);
                    assert!((f64::from(input.logistic(x)) - logistic).abs() < 4.0);
                    assert!((f64::from(input.tanh(x)) - tanh).abs() < 8.0);
                }
            }
        }
    }

    #[test]
    fn extreme_scales_reach_the_limits() {
        for input in [
            SigmoidInput16::from_power_of_two(i32::MAX),
            SigmoidInput16::from_scale(f32::MAX),
        ] {
            assert_eq!((input.logistic(1), input.logistic(-1)), (i16::MAX, 1));
            assert_eq!((input.tanh(1), input.tanh(-1)), (i16::MAX, -i16::MAX));
            assert_eq!((input.logistic(0), input.tanh(0)), (1 << 14, 0));
        }
        let input = SigmoidInput16::from_power_of_two(i32::MIN);
        assert_eq!(
            (input.logistic(i16::MIN), input.tanh(i16::MAX)),
            (1 << 14, 0)
        );
    }
}
