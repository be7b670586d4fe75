//! Affine quantisation: `real = scale * (quantised - zero_point)`.
//!
//! Sources: B. Jacob et al., CVPR 2018, section 2.1; TensorFlow Lite's int8 quantisation specification.

use crate::error::{QuantError, all_finite, same_length};
use crate::integer::{Integer, range_fits};

/// The integers a real number may be stored as, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IntegerRange {
    /// Smallest integer.
    pub min: i32,
    /// Largest integer.
    pub max: i32,
}

impl IntegerRange {
    /// INT8 activations, -128 to 127.
    pub const INT8: Self = Self {
        min: -128,
        max: 127,
    };
    /// INT8 weights, -127 to 127: without -128, so that the range is symmetric.
    pub const INT8_NARROW: Self = Self {
        min: -127,
        max: 127,
    };
    /// INT16 activations, -32768 to 32767.
    pub const INT16: Self = Self {
        min: -32768,
        max: 32767,
    };
    /// UINT8, 0 to 255: images, and models of before INT8.
    pub const UINT8: Self = Self { min: 0, max: 255 };
    /// INT32, the whole of it.
    pub const INT32: Self = Self {
        min: i32::MIN,
        max: i32::MAX,
    };
    /// INT16 weights, -32767 to 32767.
    pub const INT16_NARROW: Self = Self {
        min: -32767,
        max: 32767,
    };
    /// INT4, -8 to 7.
    pub const INT4: Self = Self { min: -8, max: 7 };
    /// INT4 weights, -7 to 7.
    pub const INT4_NARROW: Self = Self { min: -7, max: 7 };
    /// INT2, -2 to 1.
    pub const INT2: Self = Self { min: -2, max: 1 };
    /// INT2 weights, -1 to 1: the ternary numbers.
    pub const INT2_NARROW: Self = Self { min: -1, max: 1 };

    /// Number of steps from the smallest integer to the largest, at least 1.
    #[must_use]
    pub const fn steps(self) -> u32 {
        let steps = self.max.wrapping_sub(self.min) as u32;
        if self.min >= self.max { 1 } else { steps }
    }

    /// The nearest integer of the range.
    #[inline]
    #[must_use]
    pub(crate) fn nearest(self, value: i32) -> i32 {
        value.min(self.max).max(self.min)
    }
}

/// Scale and zero point of a tensor (or of one channel): `real = scale * (quantised - zero_point)`.
///
/// ```
/// use larun_quant::Affine;
///
/// let affine = Affine::from_range(-1.0, 3.0)?;
/// assert_eq!(affine.zero_point, -64);
/// assert_eq!(affine.quantize_i8(0.0), -64);
/// assert_eq!(affine.quantize_i8(1_000.0), 127);
/// assert!((affine.dequantize(affine.quantize_i8(0.7)) - 0.7).abs() <= affine.scale / 2.0);
/// # Ok::<(), larun_quant::QuantError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Real distance between neighbouring integers, above 0.
    pub scale: f32,
    /// The integer that stands for 0.
    pub zero_point: i32,
}

impl Affine {
    /// These parameters.
    #[must_use]
    pub const fn new(scale: f32, zero_point: i32) -> Self {
        Self { scale, zero_point }
    }

    /// Asymmetric INT8 parameters for reals in `[min, max]`, as [`asymmetric`](Self::asymmetric).
    ///
    /// # Errors
    /// [`RangeNotFinite`](QuantError::RangeNotFinite) and [`RangeReversed`](QuantError::RangeReversed).
    pub fn from_range(min: f32, max: f32) -> Result<Self, QuantError> {
        Self::asymmetric(min, max, IntegerRange::INT8)
    }

    /// Asymmetric parameters that spread `[min, max]` over `integers`, as TensorFlow's converter chooses them.
    ///
    /// The range is first widened to hold 0, which thereby is represented exactly. Then, in float32,
    /// `scale = (max - min) / (integers.max - integers.min)` and
    /// `zero_point = round(integers.min - min / scale)`, ties away from zero, within `integers`.
    ///
    /// Where the formula fails: a range of 0 alone gives the scale 1 and the zero point 0; a scale below
    /// the smallest normal float32 is raised to it; a range wider than float32 can express is computed in float64.
    ///
    /// # Errors
    /// [`RangeNotFinite`](QuantError::RangeNotFinite) for NaN or infinity, [`RangeReversed`](QuantError::RangeReversed)
    /// for `min > max`.
    pub fn asymmetric(min: f32, max: f32, integers: IntegerRange) -> Result<Self, QuantError> {
        check_range(min, max)?;
        let (min, max) = (min.min(0.0), max.max(0.0));
        if min == max {
            return Ok(Self::new(1.0, 0));
        }
        let steps = integers.max.saturating_sub(integers.min).max(1);
        let scale = range_over_steps(min, max, steps);
        let zero_point = round_to_i32(integers.min as f32 - min / scale);
        Ok(Self::new(
            scale,
            zero_point.min(integers.max).max(integers.min),
        ))
    }

    /// Symmetric parameters (zero point 0) for reals in `[min, max]`: `scale = max(|min|, |max|) / integers.max`.
    ///
    /// For INT16 activations and for weights. A range of 0 alone gives the scale 1; a scale below the smallest normal
    /// float32 is raised to it.
    ///
    /// # Errors
    /// As [`asymmetric`](Self::asymmetric).
    pub fn symmetric(min: f32, max: f32, integers: IntegerRange) -> Result<Self, QuantError> {
        check_range(min, max)?;
        let magnitude = max.abs().max(min.abs());
        if magnitude == 0.0 {
            return Ok(Self::new(1.0, 0));
        }
        let scale = magnitude / integers.max.max(1) as f32;
        Ok(Self::new(scale.max(f32::MIN_POSITIVE), 0))
    }

    /// The nearest INT8 to `real`, ties away from zero, saturating: `round(real / scale) + zero_point`.
    ///
    /// NaN gives the zero point.
    #[inline]
    #[must_use]
    pub fn quantize_i8(self, real: f32) -> i8 {
        self.quantize(real, IntegerRange::INT8) as i8
    }

    /// As [`quantize_i8`](Self::quantize_i8), for INT16.
    #[inline]
    #[must_use]
    pub fn quantize_i16(self, real: f32) -> i16 {
        self.quantize(real, IntegerRange::INT16) as i16
    }

    /// The nearest of `integers` to `real`, ties away from zero, saturating: `round(real / scale) + zero_point`.
    ///
    /// NaN gives the zero point, brought into the range.
    #[inline]
    #[must_use]
    pub fn quantize(self, real: f32, integers: IntegerRange) -> i32 {
        let quantized = round_to_i32(real / self.scale).saturating_add(self.zero_point);
        quantized.min(integers.max).max(integers.min)
    }

    /// The real number that `quantized` stands for: `scale * (quantized - zero_point)`.
    ///
    /// Rounded once for differences below 2^24, which those of INT8 and INT16 are.
    #[inline]
    #[must_use]
    pub fn dequantize(self, quantized: impl Into<i32>) -> f32 {
        self.scale * quantized.into().wrapping_sub(self.zero_point) as f32
    }

    /// Quantises `reals` to `integers`, into `quantized` of the same length.
    ///
    /// # Errors
    /// [`LengthMismatch`](QuantError::LengthMismatch), [`OutOfRange`](QuantError::OutOfRange) if `T` does not hold the
    /// range, and [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity; nothing is written then.
    pub fn quantize_slice<T: Integer>(
        self,
        reals: &[f32],
        integers: IntegerRange,
        quantized: &mut [T],
    ) -> Result<(), QuantError> {
        same_length("places for quantised values", reals.len(), quantized.len())?;
        range_fits::<T>(integers)?;
        all_finite(reals)?;
        for (quantized, &real) in quantized.iter_mut().zip(reals) {
            *quantized = T::saturating_from(self.quantize(real, integers));
        }
        Ok(())
    }

    /// Dequantises `quantized` into `reals`, which has the same length.
    ///
    /// # Errors
    /// [`LengthMismatch`](QuantError::LengthMismatch).
    pub fn dequantize_slice<T: Integer>(
        self,
        quantized: &[T],
        reals: &mut [f32],
    ) -> Result<(), QuantError> {
        same_length("places for real values", quantized.len(), reals.len())?;
        for (real, &quantized) in reals.iter_mut().zip(quantized) {
            *real = self.dequantize(quantized);
        }
        Ok(())
    }

    /// Quantises `reals` into `quantized`, which has the same length.
    ///
    /// # Errors
    /// [`LengthMismatch`](QuantError::LengthMismatch), and [`NotFinite`](QuantError::NotFinite) for the first NaN or
    /// infinity; nothing is written then.
    pub fn quantize_slice_i8(self, reals: &[f32], quantized: &mut [i8]) -> Result<(), QuantError> {
        self.quantize_slice(reals, IntegerRange::INT8, quantized)
    }

    /// Dequantises `quantized` into `reals`, which has the same length.
    ///
    /// # Errors
    /// [`LengthMismatch`](QuantError::LengthMismatch).
    pub fn dequantize_slice_i8(
        self,
        quantized: &[i8],
        reals: &mut [f32],
    ) -> Result<(), QuantError> {
        self.dequantize_slice(quantized, reals)
    }

    /// As [`quantize_slice_i8`](Self::quantize_slice_i8), into a new vector.
    ///
    /// # Errors
    /// [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity.
    #[cfg(feature = "alloc")]
    pub fn quantize_to_vec_i8(self, reals: &[f32]) -> Result<alloc::vec::Vec<i8>, QuantError> {
        all_finite(reals)?;
        Ok(reals.iter().map(|&real| self.quantize_i8(real)).collect())
    }

    /// As [`dequantize_slice_i8`](Self::dequantize_slice_i8), into a new vector.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn dequantize_to_vec_i8(self, quantized: &[i8]) -> alloc::vec::Vec<f32> {
        quantized.iter().map(|&q| self.dequantize(q)).collect()
    }
}

/// The nearest integer to `x`, ties away from zero; saturating, and 0 for NaN.
///
/// `libm::roundf(x) as i32` in fewer instructions, and such that loops over it become vector code.
#[inline]
pub(crate) fn round_to_i32(x: f32) -> i32 {
    let truncated = x as i32;
    // Exact: below 2^24 the fraction of a float32 is one too, and above it there is none.
    let fraction = x - truncated as f32;
    truncated.saturating_add(i32::from(fraction >= 0.5) - i32::from(fraction <= -0.5))
}

/// Refuses bounds that are not finite or in the wrong order.
pub(crate) fn check_range(min: f32, max: f32) -> Result<(), QuantError> {
    if !(min.is_finite() && max.is_finite()) {
        return Err(QuantError::RangeNotFinite { min, max });
    }
    if min > max {
        return Err(QuantError::RangeReversed { min, max });
    }
    Ok(())
}

fn range_over_steps(min: f32, max: f32, steps: i32) -> f32 {
    let scale = (max - min) / steps as f32;
    if scale.is_finite() {
        return scale.max(f32::MIN_POSITIVE);
    }
    ((f64::from(max) - f64::from(min)) / f64::from(steps)) as f32
}
