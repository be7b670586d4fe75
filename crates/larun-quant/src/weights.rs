//! Symmetric weights (zero point 0): per tensor, per channel or per block, of any integer range.
//!
//! An integer is `round(w * (1 / scale))`, ties away from zero, in float32, brought into the range. With
//! `scale = max(|w|) / 127` and the range [-127, 127] this is the arithmetic of TensorFlow's converter, to the bit. It
//! multiplies by the reciprocal where activations are divided by the scale. Other [methods](ScaleMethod) choose the scale
//! by the error that is left.
//!
//! What shares a scale is a [`ChannelAxis`]: [channels](ChannelAxis::new), [blocks](ChannelAxis::blocks) along the axis
//! that is summed over, or the [whole tensor](ChannelAxis::whole).
//!
//! ```
//! use larun_quant::{ChannelAxis, IntegerRange};
//! use larun_quant::weights::{QuantizedWeights, ScaleMethod};
//!
//! // A fully connected layer [2, 4], INT4, a scale for every two weights along the inputs.
//! let weights = [0.1, -0.7, 2.4, 4.0, 0.5, 0.5, 0.0, -0.07];
//! let blocks = ChannelAxis::blocks(&[2, 4], 2)?;
//! let int4 = IntegerRange::INT4_NARROW;
//! let quantized = QuantizedWeights::<i8>::quantize(&weights, blocks, int4, ScaleMethod::Max)?;
//! assert_eq!(quantized.values, [1, -7, 4, 7, 7, 7, 0, -7]);
//! assert_eq!(quantized.scales, [0.7 / 7.0, 4.0 / 7.0, 0.5 / 7.0, 0.07 / 7.0]);
//! # Ok::<(), larun_quant::QuantError>(())
//! ```
//!
//! Sources: TensorFlow Lite's int8 quantisation specification (per-axis along the output channel, zero point 0); its
//! schema's `BlockwiseQuantization`.

#[cfg(feature = "alloc")]
mod least_squares;
#[cfg(feature = "alloc")]
mod scale;

#[cfg(feature = "alloc")]
pub use scale::{ScaleMethod, scales};

use crate::affine::{Affine, IntegerRange, round_to_i32};
use crate::axis::ChannelAxis;
use crate::binary16;
use crate::error::{QuantError, all_finite, all_scales, same_length};
use crate::integer::{Integer, range_fits};
use crate::observer::{MinMax, Observer};

const INTEGERS: IntegerRange = IntegerRange::INT8_NARROW;

/// The scale for all of `weights` together. Weights that are all 0 give the scale 1.
///
/// # Errors
/// [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity.
pub fn per_tensor_scale(weights: &[f32]) -> Result<f32, QuantError> {
    let (min, max) = MinMax::of(weights)?.bounds().unwrap_or((0.0, 0.0));
    Ok(Affine::symmetric(min, max, INTEGERS)?.scale)
}

/// The scale of every channel of `weights`, into `scales`, one place a channel.
///
/// A channel whose weights are all 0 takes the scale of the whole tensor: any serves its weights, and this one gives
/// its bias a resolution like that of the others.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch) if `scales` is not one a channel,
/// [`NotWholeChannels`](QuantError::NotWholeChannels), and [`NotFinite`](QuantError::NotFinite) for the first NaN or
/// infinity.
pub fn per_channel_scales(
    weights: &[f32],
    axis: ChannelAxis,
    scales: &mut [f32],
) -> Result<(), QuantError> {
    same_length("places for scales", axis.channels(), scales.len())?;
    axis.check(weights.len())?;
    let of_tensor = per_tensor_scale(weights)?;
    // The scales' places hold the largest magnitudes first.
    scales.fill(0.0);
    for (channel, run) in axis.runs(weights) {
        let magnitude = run.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        if let Some(largest) = scales.get_mut(channel) {
            *largest = largest.max(magnitude);
        }
    }
    for scale in scales {
        *scale = match *scale {
            0.0 => of_tensor,
            magnitude => Affine::symmetric(-magnitude, magnitude, INTEGERS)?.scale,
        };
    }
    Ok(())
}

/// Quantises `weights` to INT8 in [-127, 127] with one scale, into `quantized` of the same length.
///
/// # Errors
/// [`BadScale`](QuantError::BadScale), [`LengthMismatch`](QuantError::LengthMismatch),
/// [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity; nothing is written then.
pub fn quantize_per_tensor(
    weights: &[f32],
    scale: f32,
    quantized: &mut [i8],
) -> Result<(), QuantError> {
    let whole = ChannelAxis::whole(weights.len());
    quantize(weights, whole, &[scale], INTEGERS, quantized)
}

/// Quantises `weights` to INT8 in [-127, 127], each with its channel's scale, into `quantized` of the same length.
///
/// # Errors
/// As [`quantize_per_tensor`], and [`NotWholeChannels`](QuantError::NotWholeChannels).
pub fn quantize_per_channel(
    weights: &[f32],
    axis: ChannelAxis,
    scales: &[f32],
    quantized: &mut [i8],
) -> Result<(), QuantError> {
    quantize(weights, axis, scales, INTEGERS, quantized)
}

/// Quantises `weights` to `integers`, each with the scale of its channel (or block), into `quantized` of the same length.
///
/// # Errors
/// As [`quantize_per_channel`], and [`OutOfRange`](QuantError::OutOfRange) if `T` does not hold the range.
pub fn quantize<T: Integer>(
    weights: &[f32],
    axis: ChannelAxis,
    scales: &[f32],
    integers: IntegerRange,
    quantized: &mut [T],
) -> Result<(), QuantError> {
    same_length("scales", axis.channels(), scales.len())?;
    same_length(
        "places for quantised weights",
        weights.len(),
        quantized.len(),
    )?;
    axis.check(weights.len())?;
    range_fits::<T>(integers)?;
    all_scales(scales)?;
    all_finite(weights)?;
    let runs = axis.runs(weights).zip(axis.runs_mut(quantized));
    for ((channel, weights), (_, quantized)) in runs {
        let reciprocal = scales.get(channel).map_or(0.0, |scale| 1.0 / scale);
        for (quantized, weight) in quantized.iter_mut().zip(weights) {
            *quantized = T::saturating_from(quantize_weight(weight * reciprocal, integers));
        }
    }
    Ok(())
}

/// The scale nearest to this one that block-wise quantisation can store: rounded to bfloat16 and kept within the
/// positive numbers of binary16, the type of TensorFlow Lite's block scales. Quantise with the scale that is stored.
///
/// ai-edge-quantizer rounds scales so: both formats represent the result, as kernels read either.
#[must_use]
pub fn block_scale(scale: f32) -> f32 {
    let bits = scale.to_bits();
    // Half of the last place that bfloat16 keeps, less one if that place is even: ties to even.
    let rounded = bits.saturating_add(0x7FFF + ((bits >> 16) & 1)) & 0xFFFF_0000;
    let stored = binary16::to_f32(binary16::from_f32(f32::from_bits(rounded)));
    if stored.is_nan() {
        return stored;
    }
    // The smallest and the largest scale that both formats hold.
    stored.clamp(binary16::to_f32(1), 65_280.0)
}

/// Dequantises `quantized`, each with its channel's scale, into `weights` of the same length.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch), [`NotWholeChannels`](QuantError::NotWholeChannels).
pub fn dequantize_per_channel<T: Integer>(
    quantized: &[T],
    axis: ChannelAxis,
    scales: &[f32],
    weights: &mut [f32],
) -> Result<(), QuantError> {
    same_length("scales", axis.channels(), scales.len())?;
    same_length("places for weights", quantized.len(), weights.len())?;
    axis.check(quantized.len())?;
    let runs = axis.runs(quantized).zip(axis.runs_mut(weights));
    for ((channel, quantized), (_, weights)) in runs {
        let affine = Affine::new(scales.get(channel).copied().unwrap_or(1.0), 0);
        for (weight, &quantized) in weights.iter_mut().zip(quantized) {
            *weight = affine.dequantize(quantized);
        }
    }
    Ok(())
}

/// Quantised weights with their scales.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedWeights<T = i8> {
    /// The weights, in the order of the real ones.
    pub values: alloc::vec::Vec<T>,
    /// The scales, one a channel or block; the zero points are 0.
    pub scales: alloc::vec::Vec<f32>,
}

#[cfg(feature = "alloc")]
impl QuantizedWeights {
    /// `weights` quantised to INT8 with one scale, that of [`per_tensor_scale`].
    ///
    /// # Errors
    /// [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity.
    pub fn per_tensor(weights: &[f32]) -> Result<Self, QuantError> {
        Self::per_channel(weights, ChannelAxis::whole(weights.len()))
    }

    /// `weights` quantised to INT8 with the [scale of each channel](per_channel_scales).
    ///
    /// # Errors
    /// [`NotWholeChannels`](QuantError::NotWholeChannels), [`NotFinite`](QuantError::NotFinite).
    pub fn per_channel(weights: &[f32], axis: ChannelAxis) -> Result<Self, QuantError> {
        axis.check(weights.len())?;
        let mut scales = alloc::vec![0.0; axis.channels()];
        per_channel_scales(weights, axis, &mut scales)?;
        Self::with_scales(weights, axis, scales, INTEGERS)
    }
}

#[cfg(feature = "alloc")]
impl<T: Integer> QuantizedWeights<T> {
    /// `weights` quantised to `integers`, with [scales](scales()) chosen by `method` for each channel or block of `axis`.
    ///
    /// # Errors
    /// Those of [`scales`](scales()) and of [`quantize`].
    pub fn quantize(
        weights: &[f32],
        axis: ChannelAxis,
        integers: IntegerRange,
        method: ScaleMethod,
    ) -> Result<Self, QuantError> {
        let scales = scales(weights, axis, integers, method)?;
        Self::with_scales(weights, axis, scales, integers)
    }

    /// `weights` quantised to `integers` with these scales.
    ///
    /// # Errors
    /// Those of [`quantize`].
    pub fn with_scales(
        weights: &[f32],
        axis: ChannelAxis,
        scales: alloc::vec::Vec<f32>,
        integers: IntegerRange,
    ) -> Result<Self, QuantError> {
        let mut values = alloc::vec![T::default(); weights.len()];
        quantize(weights, axis, &scales, integers, &mut values)?;
        Ok(Self { values, scales })
    }

    /// The real numbers that the integers stand for.
    ///
    /// # Errors
    /// [`LengthMismatch`](QuantError::LengthMismatch) and [`NotWholeChannels`](QuantError::NotWholeChannels) if `axis`
    /// is not that of these weights.
    pub fn dequantize(&self, axis: ChannelAxis) -> Result<alloc::vec::Vec<f32>, QuantError> {
        let mut reals = alloc::vec![0.0; self.values.len()];
        dequantize_per_channel(&self.values, axis, &self.scales, &mut reals)?;
        Ok(reals)
    }
}

#[inline]
fn quantize_weight(in_steps: f32, integers: IntegerRange) -> i32 {
    integers.nearest(round_to_i32(in_steps))
}
