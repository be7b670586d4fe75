//! A positive real factor as a 32-bit integer and a shift: how an accumulator becomes an output.

use super::ratio::Ratio;
use super::{
    clamp_shift, rounding_divide_by_pot, rounding_divide_by_pot_modular,
    saturating_rounding_doubling_high_mul,
};

/// The real number `multiplier * 2^(shift - 31)`, which scales an integer accumulator without floating point.
///
/// In a convolution it stands for `input_scale * weight_scale / output_scale`. [`from_real`](Self::from_real) gives
/// a multiplier in `2^30..2^31` (or 0), so the factor is held to 31 significant bits, and a shift in `-31..=30`.
/// Shifts outside `-31..=31` are clamped to it when the multiplier is applied.
///
/// ```
/// use larun_quant::fixed_point::{FixedMultiplier, Rounding};
///
/// let third = FixedMultiplier::from_real(1.0 / 3.0);
/// assert_eq!(third, FixedMultiplier { multiplier: 1_431_655_765, shift: -1 });
/// // 1000 * 2/3 is first rounded to 667, and half of that to 334.
/// assert_eq!(third.apply(1_000), 334);
/// assert_eq!(third.apply_with(1_000, Rounding::Single), 333);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FixedMultiplier {
    /// Significand in Q0.31.
    pub multiplier: i32,
    /// Power of two: positive shifts left, negative shifts right.
    pub shift: i32,
}

/// How a product of accumulator and [`FixedMultiplier`] is rounded to an integer.
///
/// The three agree but for results within a rounding of half way, where they may differ by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// Two roundings, as TFLM and the TFLite built-in kernels: the high multiplication rounds (ties up), then the
    /// right shift rounds (ties away from zero).
    #[default]
    TflmDouble,
    /// One rounding of the 64-bit product, ties up: TFLite built with `TFLITE_SINGLE_ROUNDING`.
    Single,
    /// One float32 product, rounded to nearest with ties to even: XNNPACK's `fp32` requantisation. Accumulators above
    /// 2^24 are themselves rounded to float32 first; a result beyond 2^30 becomes that.
    XnnFloat,
}

impl FixedMultiplier {
    /// The factor 0.
    pub const ZERO: Self = Self {
        multiplier: 0,
        shift: 0,
    };
    /// The factor 1, exactly.
    pub const ONE: Self = Self {
        multiplier: 1 << 30,
        shift: 1,
    };

    /// The closest multiplier to `real`, as TFLM's `QuantizeMultiplier`.
    ///
    /// With `real = q * 2^e`, `0.5 <= |q| < 1`, it is `round(q * 2^31)` (ties away from zero) and the shift `e`. A
    /// factor below about 2^-32 in size becomes 0, as does NaN. One of 2^30 or more, infinity included, becomes the
    /// largest that can be applied, `(2^31 - 1) * 2^-1`.
    ///
    /// The cap belongs to TFLM's single-rounding build; its default build would go on to a shift of 31 or more, which
    /// has no defined effect. No quantised network has such a factor.
    #[doc(alias = "QuantizeMultiplier")]
    #[must_use]
    pub fn from_real(real: f64) -> Self {
        Self::from_real_uncapped(real).capped()
    }

    /// The largest factor that can be applied in place of a larger one.
    const fn capped(self) -> Self {
        if self.shift <= 30 {
            return self;
        }
        Self {
            multiplier: if self.multiplier < 0 {
                -i32::MAX
            } else {
                i32::MAX
            },
            shift: 30,
        }
    }

    /// [`from_real`](Self::from_real) for a factor in `0 < real < 1`; `None` for any other.
    #[doc(alias = "QuantizeMultiplierSmallerThanOneExp")]
    #[must_use]
    pub fn from_real_smaller_than_one(real: f64) -> Option<Self> {
        let in_domain = 0.0 < real && real < 1.0;
        // A factor that rounds up to 1 has a shift of 1, which the narrower operation cannot apply.
        in_domain
            .then(|| Self::from_real(real))
            .filter(|fixed| fixed.shift <= 0)
    }

    /// [`from_real`](Self::from_real) for a factor `real > 1`; `None` for any other, NaN included.
    #[doc(alias = "QuantizeMultiplierGreaterThanOne")]
    #[must_use]
    pub fn from_real_greater_than_one(real: f64) -> Option<Self> {
        (real > 1.0).then(|| Self::from_real(real))
    }

    /// [`from_real`](Self::from_real) of `a * b / divisor` in double precision, bit for bit, computed in integers: for
    /// processors that would have to imitate double precision.
    ///
    /// `None` where one of them is negative or not finite, the divisor is 0, or the ratio is 2^30 or more.
    ///
    /// ```
    /// use larun_quant::fixed_point::FixedMultiplier;
    ///
    /// let (input, weights, output) = (0.05_f32, 0.003_f32, 0.1_f32);
    /// let real = f64::from(input) * f64::from(weights) / f64::from(output);
    /// let fixed = FixedMultiplier::from_scales([input, weights], output);
    /// assert_eq!(fixed, Some(FixedMultiplier::from_real(real)));
    /// ```
    #[must_use]
    pub fn from_scales([a, b]: [f32; 2], divisor: f32) -> Option<Self> {
        // By the bits, for processors that compare no real numbers: 0 of either sign, or positive and finite.
        let magnitude = |value: f32| value.to_bits() << 1;
        for value in [a, b, divisor] {
            let is_negative = value.to_bits() >> 31 == 1 && magnitude(value) > 0;
            if is_negative || magnitude(value) >= magnitude(f32::INFINITY) {
                return None;
            }
        }
        if magnitude(divisor) == 0 {
            return None;
        }
        let Some(ratio) = Ratio::new([a, b], divisor) else {
            return Some(Self::ZERO);
        };
        (ratio.exponent <= 30).then(|| ratio.fixed_uncapped().capped())
    }

    /// As `from_real`, without the cap on the shift; infinity is the largest multiplier with an unusable shift.
    pub(super) fn from_real_uncapped(real: f64) -> Self {
        if real.is_infinite() {
            return Self {
                multiplier: if real > 0.0 { i32::MAX } else { -i32::MAX },
                shift: i32::MAX,
            };
        }
        let (fraction, mut shift) = libm::frexp(real);
        let mut significand = libm::round(fraction * (1_i64 << 31) as f64) as i64;
        if significand == 1 << 31 {
            significand /= 2;
            shift += 1;
        }
        if significand == 0 || shift < -31 {
            return Self::ZERO;
        }
        Self {
            multiplier: significand as i32,
            shift,
        }
    }

    /// The real number this stands for, exactly.
    #[must_use]
    pub fn to_real(self) -> f64 {
        libm::ldexp(f64::from(self.multiplier), self.shift.saturating_sub(31))
    }

    /// `x` times this factor, rounded as [`Rounding::TflmDouble`].
    ///
    /// A left shift that carries bits out of 32 wraps, as on the processors TFLM runs on.
    #[doc(alias = "MultiplyByQuantizedMultiplier")]
    #[inline]
    #[must_use]
    pub const fn apply(self, x: i32) -> i32 {
        let shifted = x << clamp_shift(self.shift);
        let product = saturating_rounding_doubling_high_mul(shifted, self.multiplier);
        rounding_divide_by_pot(product, self.shift.wrapping_neg())
    }

    /// `x` times this factor, rounded as `rounding` says.
    #[inline]
    #[must_use]
    pub fn apply_with(self, x: i32, rounding: Rounding) -> i32 {
        match rounding {
            Rounding::TflmDouble => self.apply(x),
            Rounding::Single => self.apply_single(x),
            Rounding::XnnFloat => self.apply_xnn_float(x),
        }
    }

    /// `x` times this factor for the 64-bit accumulators of 16x8 kernels, as TFLM.
    ///
    /// The multiplier is first rounded to 16 bits, then the product once, ties up: the result is good to about 15
    /// bits. Defined for `|x| < 2^47` and shifts in `-31..=7`; outside, it wraps.
    #[inline]
    #[must_use]
    pub const fn apply_i64(self, x: i64) -> i32 {
        let reduced = if self.multiplier < 0x7FFF_0000 {
            (self.multiplier + (1 << 15)) >> 16
        } else {
            0x7FFF
        };
        let right = total_right_shift(15, self.shift);
        let product = x.wrapping_mul(reduced as i64);
        (product.wrapping_add(1 << (right - 1)) >> right) as i32
    }

    /// [`apply_i64`](Self::apply_i64), rounded as `rounding` says: TFLM's and single rounding are the same here.
    #[inline]
    #[must_use]
    pub fn apply_i64_with(self, x: i64, rounding: Rounding) -> i32 {
        match rounding {
            Rounding::TflmDouble | Rounding::Single => self.apply_i64(x),
            Rounding::XnnFloat => self.scale_float(x as f32),
        }
    }

    /// `x` times this factor, which is below 1, skipping the left shift of [`apply`](Self::apply).
    ///
    /// A positive shift is taken for 0.
    #[inline]
    #[must_use]
    pub const fn apply_smaller_than_one(self, x: i32) -> i32 {
        multiply_by_quantized_multiplier_smaller_than_one_exp(x, self.multiplier, self.shift)
    }

    /// As [`apply_smaller_than_one`](Self::apply_smaller_than_one) for any shift, through
    /// [`rounding_divide_by_pot_modular`]: the product only where the shift is in `-31..=0`.
    #[inline]
    #[must_use]
    pub const fn apply_smaller_than_one_modular(self, x: i32) -> i32 {
        let product = saturating_rounding_doubling_high_mul(x, self.multiplier);
        rounding_divide_by_pot_modular(product, self.shift.wrapping_neg())
    }

    /// `x` times this factor, which is above 1, skipping the right shift of [`apply`](Self::apply).
    ///
    /// A negative shift is taken for 0.
    #[doc(alias = "MultiplyByQuantizedMultiplierGreaterThanOne")]
    #[inline]
    #[must_use]
    pub const fn apply_greater_than_one(self, x: i32) -> i32 {
        saturating_rounding_doubling_high_mul(x << clamp_shift(self.shift), self.multiplier)
    }

    #[inline]
    const fn apply_single(self, x: i32) -> i32 {
        let right = total_right_shift(31, self.shift);
        let product = x as i64 * self.multiplier as i64;
        ((product + (1 << (right - 1))) >> right) as i32
    }

    #[inline]
    fn apply_xnn_float(self, x: i32) -> i32 {
        self.scale_float(x as f32)
    }

    fn scale_float(self, x: f32) -> i32 {
        let power = self.shift.clamp(-31, 31) - 31;
        let power_of_two = f32::from_bits(((power + 127) as u32) << 23);
        // Far enough from the ends that a zero point can be added.
        let most = (1 << 30) as f32;
        libm::rintf(x * (self.multiplier as f32 * power_of_two)).clamp(-most, most) as i32
    }
}

/// `round(round(x * multiplier / 2^31) / 2^-shift)` for a factor below 1, as [`FixedMultiplier::apply_smaller_than_one`].
///
/// `shift` is zero or negative, as TFLM passes it; a positive one is taken for 0.
#[doc(alias = "MultiplyByQuantizedMultiplierSmallerThanOneExp")]
#[inline]
#[must_use]
pub const fn multiply_by_quantized_multiplier_smaller_than_one_exp(
    x: i32,
    multiplier: i32,
    shift: i32,
) -> i32 {
    let product = saturating_rounding_doubling_high_mul(x, multiplier);
    rounding_divide_by_pot(product, shift.wrapping_neg())
}

/// `fraction_bits - shift`, brought into `1..=62` so that a half can be added and an `i64` shifted.
#[inline]
const fn total_right_shift(fraction_bits: i32, shift: i32) -> u32 {
    let total = fraction_bits.saturating_sub(shift);
    if total < 1 {
        1
    } else if total > 62 {
        62
    } else {
        total as u32
    }
}
