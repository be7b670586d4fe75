//! `x min(max(x + 3, 0), 6) / 6` of an INT8 number in 16-bit fixed point, with the bits of TFLM's.

use super::{FixedMultiplier, rounding_divide_by_pot};
use crate::Affine;

/// How HARD_SWISH reads its INT8 input and writes its output, and the function itself.
///
/// The input, less its zero point and shifted left by seven bits, is brought to the output's scale and, beside it, to
/// a factor in `[0, 1]`; the output is their product. It is a function of one byte, so a table replaces it exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardSwishInput {
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// `input_scale / 128 / output_scale`: the multiplier held to 16 bits, the shift not above zero.
    pub output: FixedMultiplier,
    /// `input_scale / 128 * 32768 / 3`: the multiplier held to 16 bits.
    pub factor: FixedMultiplier,
}

impl HardSwishInput {
    /// The parameters for tensors of these scales and zero points, in double precision as in TFLM since October 2026; `None` when the input's scale is 128 times the
    /// output's or more.
    #[must_use]
    pub fn new(input: Affine, output: Affine) -> Option<Self> {
        let fine_scale = f64::from(input.scale) / 128.0;
        let to_output = held_to_16_bits(fine_scale / f64::from(output.scale));
        (to_output.shift <= 0).then_some(Self {
            input_zero_point: input.zero_point,
            output_zero_point: output.zero_point,
            output: to_output,
            factor: held_to_16_bits(fine_scale / (3.0 / 32768.0)),
        })
    }

    /// HARD_SWISH of an INT8 number.
    #[must_use]
    pub const fn apply_i8(self, x: i8) -> i8 {
        let fine = (x as i32).wrapping_sub(self.input_zero_point) << 7;
        let scaled = rounding_doubling_high_mul(fine, self.output.multiplier);
        let product = (self.factor_of(fine) * scaled) / (1 << 15);
        let output = rounding_divide_by_pot(product, self.output.shift.saturating_neg());
        let output = output.wrapping_add(self.output_zero_point);
        if output < i8::MIN as i32 {
            i8::MIN
        } else if output > i8::MAX as i32 {
            i8::MAX
        } else {
            output as i8
        }
    }

    /// `min(max(x + 3, 0), 6) / 6` in Q0.15.
    const fn factor_of(self, fine: i32) -> i32 {
        let FixedMultiplier { multiplier, shift } = self.factor;
        // All bits of a left shift but the last come first, where saturation has no effect on the result.
        let shifted = saturating_shift_left(fine, shift.saturating_sub(1));
        let value = rounding_doubling_high_mul(shifted, multiplier);
        let value = if shift > 0 {
            saturating_shift_left(value, 1)
        } else {
            rounding_divide_by_pot(value, shift.saturating_neg())
        };
        (value + (1 << 15)) >> 1
    }
}

fn held_to_16_bits(real: f64) -> FixedMultiplier {
    let FixedMultiplier { multiplier, shift } = FixedMultiplier::from_real(real);
    let multiplier = (multiplier.saturating_add(1 << 15) >> 16).min(i32::from(i16::MAX));
    FixedMultiplier { multiplier, shift }
}

/// `round(a * b / 2^15)` of 16-bit numbers, a tie going up; the first may also be a little more.
const fn rounding_doubling_high_mul(a: i32, b: i32) -> i32 {
    saturated(a.wrapping_mul(b).wrapping_add(1 << 14) >> 15)
}

/// `x * 2^amount` within 16 bits; an amount below zero counts as none.
const fn saturating_shift_left(x: i32, amount: i32) -> i32 {
    let amount = if amount < 0 {
        0
    } else if amount > 16 {
        16
    } else {
        amount
    };
    let wide = (x as i64) << amount;
    if wide > i16::MAX as i64 {
        i16::MAX as i32
    } else if wide < i16::MIN as i64 {
        i16::MIN as i32
    } else {
        wide as i32
    }
}

const fn saturated(x: i32) -> i32 {
    saturating_shift_left(x, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_is_near_the_real_one() {
        for (scale, zero_point) in [(0.03, -20), (0.1, 0), (0.004, 100)] {
            let (input, output) = (Affine::new(scale, zero_point), Affine::new(0.05, -100));
            let swish = HardSwishInput::new(input, output).unwrap();
            for x in i8::MIN..=i8::MAX {
                let real = input.dequantize(x);
                let expected = output.quantize_i8(real * (real + 3.0).clamp(0.0, 6.0) / 6.0);
                let off = i32::from(swish.apply_i8(x)) - i32::from(expected);
                assert!(off.abs() <= 1, "{x}: off by {off}");
            }
        }
    }

    #[test]
    fn scales_too_far_apart_are_refused() {
        let (input, output) = (Affine::new(2.0, 0), Affine::new(0.001, 0));
        assert_eq!(HardSwishInput::new(input, output), None);
    }
}
