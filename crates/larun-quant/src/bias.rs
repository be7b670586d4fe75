//! INT32 biases in units of the accumulator: scale `input_scale * weight_scale`, zero point 0.
//!
//! A bias is `round(bias * (1 / scale))`, ties away from zero, in float32: the arithmetic of TensorFlow's converter, to
//! the bit.
//!
//! ```
//! use larun_quant::bias;
//!
//! // Two channels with weight scales of their own, and an input scale of 0.5.
//! let mut quantized = [0; 2];
//! bias::quantize(&[0.3, -1.0], 0.5, &[0.01, 0.02], &mut quantized)?;
//! assert_eq!(quantized, [60, -100]);
//! // A bias that INT32 does not hold at this scale; the weight scale that it takes.
//! assert!(bias::quantize(&[1e9], 0.5, &[0.01], &mut quantized[..1]).is_err());
//! let weight_scale = bias::smallest_weight_scale(1e9, 0.5);
//! assert!(bias::quantize(&[1e9], 0.5, &[weight_scale], &mut quantized[..1]).is_ok());
//! # Ok::<(), larun_quant::QuantError>(())
//! ```

use crate::affine::round_to_i32;
use crate::error::{QuantError, all_finite, all_scales, same_length};

/// Two to the 31, the first magnitude that INT32 does not hold.
const INT32_LIMIT: f32 = 2_147_483_648.0;

/// The scale of the biases of a channel, rounded to float32 as it is stored.
#[inline]
#[must_use]
pub fn scale(input_scale: f32, weight_scale: f32) -> f32 {
    input_scale * weight_scale
}

/// Quantises `biases`, one an output channel, into `quantized` of the same length.
///
/// `weight_scales` holds one scale a channel, or a single one for all.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch), [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity,
/// [`BadScale`](QuantError::BadScale) for a scale or a product of scales that is not a positive number, and
/// [`BiasSaturates`](QuantError::BiasSaturates) for the first bias that INT32 does not hold; what was written is then
/// unspecified.
pub fn quantize(
    biases: &[f32],
    input_scale: f32,
    weight_scales: &[f32],
    quantized: &mut [i32],
) -> Result<(), QuantError> {
    same_length("places for quantised biases", biases.len(), quantized.len())?;
    if weight_scales.len() != 1 {
        same_length("weight scales", biases.len(), weight_scales.len())?;
    }
    all_finite(biases)?;
    all_scales(&[input_scale])?;
    all_scales(weight_scales)?;
    let per_channel = weight_scales.iter().cycle();
    let values = biases.iter().zip(per_channel).enumerate();
    for (quantized, (index, (&bias, &weight_scale))) in quantized.iter_mut().zip(values) {
        *quantized = quantize_one(index, bias, scale(input_scale, weight_scale))?;
    }
    Ok(())
}

/// As [`quantize`], into a new vector.
///
/// # Errors
/// As [`quantize`].
#[cfg(feature = "alloc")]
pub fn quantize_to_vec(
    biases: &[f32],
    input_scale: f32,
    weight_scales: &[f32],
) -> Result<alloc::vec::Vec<i32>, QuantError> {
    let mut quantized = alloc::vec![0; biases.len()];
    quantize(biases, input_scale, weight_scales, &mut quantized)?;
    Ok(quantized)
}

/// The smallest weight scale at which `bias` takes no more than half of INT32, which leaves the other half to the
/// products that are added to it.
///
/// A channel of very small weights beside a large bias needs a scale above `max(|w|) / 127`: take the larger of the two.
#[must_use]
pub fn smallest_weight_scale(bias: f32, input_scale: f32) -> f32 {
    bias.abs() / (INT32_LIMIT / 2.0) / input_scale
}

/// The largest magnitude of an INT64 bias: kernels multiply sums below 2 to the 47 only.
const WIDE_LIMIT: f64 = 70_368_744_177_664.0;

/// INT64 biases, of layers with INT16 activations: `round(bias / scale)`, ties away from zero, in float64.
///
/// # Errors
/// As [`quantize`]; [`BiasSaturates`](QuantError::BiasSaturates) from a magnitude of 2 to the 46.
#[cfg(feature = "alloc")]
pub fn quantize_wide_to_vec(
    biases: &[f32],
    input_scale: f32,
    weight_scales: &[f32],
) -> Result<alloc::vec::Vec<i64>, QuantError> {
    if weight_scales.len() != 1 {
        same_length("weight scales", biases.len(), weight_scales.len())?;
    }
    all_finite(biases)?;
    all_scales(&[input_scale])?;
    all_scales(weight_scales)?;
    let values = biases.iter().zip(weight_scales.iter().cycle()).enumerate();
    let quantized = values.map(|(index, (&bias, &weight_scale))| {
        let scale = scale(input_scale, weight_scale);
        all_scales(&[scale]).map_err(|_| QuantError::BadScale { index, scale })?;
        let in_steps = f64::from(bias) / f64::from(scale);
        match in_steps.abs() < WIDE_LIMIT {
            true => Ok(libm::round(in_steps) as i64),
            false => Err(QuantError::BiasSaturates { index, bias, scale }),
        }
    });
    quantized.collect()
}

/// As [`smallest_weight_scale`], for an INT64 bias.
#[must_use]
pub fn smallest_weight_scale_wide(bias: f32, input_scale: f32) -> f32 {
    bias.abs() / (WIDE_LIMIT as f32 / 2.0) / input_scale
}

fn quantize_one(index: usize, bias: f32, scale: f32) -> Result<i32, QuantError> {
    all_scales(&[scale]).map_err(|_| QuantError::BadScale { index, scale })?;
    let in_steps = bias * (1.0 / scale);
    if in_steps.is_nan() || in_steps.abs() >= INT32_LIMIT {
        return Err(QuantError::BiasSaturates { index, bias, scale });
    }
    Ok(round_to_i32(in_steps))
}
