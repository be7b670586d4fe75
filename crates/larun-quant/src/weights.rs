//! Symmetric INT8 weights in [-127, 127], per tensor or per channel.
//!
//! The scale is `max(|w|) / 127` and a weight `round(w * (1 / scale))`, ties away from zero, in float32: the arithmetic
//! of TensorFlow's converter, to the bit. It multiplies by the reciprocal where activations are divided by the scale.
//!
//! Source: TensorFlow Lite's int8 quantisation specification (per-axis along the output channel, zero point 0).

use crate::affine::{Affine, IntegerRange, round_to_i32};
use crate::axis::ChannelAxis;
use crate::error::{QuantError, all_finite, all_scales, same_length};
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

/// Quantises `weights` with one scale, into `quantized` of the same length.
///
/// # Errors
/// [`BadScale`](QuantError::BadScale), [`LengthMismatch`](QuantError::LengthMismatch),
/// [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity; nothing is written then.
pub fn quantize_per_tensor(
    weights: &[f32],
    scale: f32,
    quantized: &mut [i8],
) -> Result<(), QuantError> {
    let axis = ChannelAxis::new(&[1, weights.len()], 0)?;
    quantize_per_channel(weights, axis, &[scale], quantized)
}

/// Quantises `weights`, each with its channel's scale, into `quantized` of the same length.
///
/// # Errors
/// As [`quantize_per_tensor`], and [`NotWholeChannels`](QuantError::NotWholeChannels).
pub fn quantize_per_channel(
    weights: &[f32],
    axis: ChannelAxis,
    scales: &[f32],
    quantized: &mut [i8],
) -> Result<(), QuantError> {
    same_length("scales", axis.channels(), scales.len())?;
    same_length(
        "places for quantised weights",
        weights.len(),
        quantized.len(),
    )?;
    axis.check(weights.len())?;
    all_scales(scales)?;
    all_finite(weights)?;
    let runs = axis.runs(weights).zip(axis.runs_mut(quantized));
    for ((channel, weights), (_, quantized)) in runs {
        let reciprocal = scales.get(channel).map_or(0.0, |scale| 1.0 / scale);
        for (quantized, weight) in quantized.iter_mut().zip(weights) {
            *quantized = quantize_weight(weight * reciprocal);
        }
    }
    Ok(())
}

/// Dequantises `quantized`, each with its channel's scale, into `weights` of the same length.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch), [`NotWholeChannels`](QuantError::NotWholeChannels).
pub fn dequantize_per_channel(
    quantized: &[i8],
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

/// Quantised weights with their scales, one in all or one a channel.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedWeights {
    /// The weights, in the order of the real ones.
    pub values: alloc::vec::Vec<i8>,
    /// The scales; the zero points are 0.
    pub scales: alloc::vec::Vec<f32>,
}

#[cfg(feature = "alloc")]
impl QuantizedWeights {
    /// `weights` quantised with one scale, that of [`per_tensor_scale`].
    ///
    /// # Errors
    /// [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity.
    pub fn per_tensor(weights: &[f32]) -> Result<Self, QuantError> {
        Self::per_channel(weights, ChannelAxis::new(&[1, weights.len()], 0)?)
    }

    /// `weights` quantised with the [scale of each channel](per_channel_scales).
    ///
    /// # Errors
    /// [`NotWholeChannels`](QuantError::NotWholeChannels), [`NotFinite`](QuantError::NotFinite).
    pub fn per_channel(weights: &[f32], axis: ChannelAxis) -> Result<Self, QuantError> {
        axis.check(weights.len())?;
        let mut scales = alloc::vec![0.0; axis.channels()];
        let mut values = alloc::vec![0; weights.len()];
        per_channel_scales(weights, axis, &mut scales)?;
        quantize_per_channel(weights, axis, &scales, &mut values)?;
        Ok(Self { values, scales })
    }
}

#[inline]
fn quantize_weight(in_steps: f32) -> i8 {
    round_to_i32(in_steps).clamp(INTEGERS.min, INTEGERS.max) as i8
}
