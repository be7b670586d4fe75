//! Affine quantisation with scale and zero point for each channel or block.
//!
//! TensorFlow Lite has zero points of 0 for weights, for which there is the module [`weights`](crate::weights); other
//! runtimes have them for each channel or block of 32 to 256 weights, and so do caches of activations.
//!
//! ```
//! use larun_quant::{ChannelAxis, IntegerRange, channels};
//!
//! let values = [0.0, 1.5, -3.0, 0.75];
//! let blocks = ChannelAxis::blocks(&[1, 4], 2)?;
//! let affines = channels::asymmetric(&values, blocks, IntegerRange::INT4)?;
//! let mut quantized = [0_i8; 4];
//! channels::quantize(&values, blocks, &affines, IntegerRange::INT4, &mut quantized)?;
//! assert_eq!(quantized, [-8, 7, -8, 7]);
//! let mut reals = [0.0; 4];
//! channels::dequantize(&quantized, blocks, &affines, &mut reals)?;
//! assert_eq!(reals, values);
//! # Ok::<(), larun_quant::QuantError>(())
//! ```

use crate::affine::{Affine, IntegerRange};
use crate::axis::ChannelAxis;
use crate::error::{QuantError, all_finite, all_scales, same_length};
use crate::integer::{Integer, range_fits};
#[cfg(feature = "alloc")]
use crate::observer::{MinMax, Observer, observe_channels};

/// The [asymmetric parameters](Affine::asymmetric) of every channel, from its extremes.
///
/// # Errors
/// [`NotWholeChannels`](QuantError::NotWholeChannels), [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity.
#[cfg(feature = "alloc")]
pub fn asymmetric(
    values: &[f32],
    axis: ChannelAxis,
    integers: IntegerRange,
) -> Result<alloc::vec::Vec<Affine>, QuantError> {
    let mut observers = alloc::vec![MinMax::new(); axis.channels()];
    observe_channels(values, axis, &mut observers)?;
    let ranges = observers
        .iter()
        .map(|observer| observer.bounds().unwrap_or_default());
    ranges
        .map(|(min, max)| Affine::asymmetric(min, max, integers))
        .collect()
}

/// Quantises `values` to `integers`, each with the parameters of its channel, into `quantized` of the same length.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch), [`NotWholeChannels`](QuantError::NotWholeChannels),
/// [`BadScale`](QuantError::BadScale), [`OutOfRange`](QuantError::OutOfRange) if `T` does not hold the range, and
/// [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity; nothing is written then.
pub fn quantize<T: Integer>(
    values: &[f32],
    axis: ChannelAxis,
    affines: &[Affine],
    integers: IntegerRange,
    quantized: &mut [T],
) -> Result<(), QuantError> {
    same_length("places for quantised values", values.len(), quantized.len())?;
    check(values.len(), axis, affines)?;
    range_fits::<T>(integers)?;
    all_finite(values)?;
    for ((channel, values), (_, quantized)) in axis.runs(values).zip(axis.runs_mut(quantized)) {
        if let Some(affine) = affines.get(channel) {
            affine.quantize_slice(values, integers, quantized)?;
        }
    }
    Ok(())
}

/// Dequantises `quantized`, each with the parameters of its channel, into `reals` of the same length.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch), [`NotWholeChannels`](QuantError::NotWholeChannels),
/// [`BadScale`](QuantError::BadScale).
pub fn dequantize<T: Integer>(
    quantized: &[T],
    axis: ChannelAxis,
    affines: &[Affine],
    reals: &mut [f32],
) -> Result<(), QuantError> {
    same_length("places for real values", quantized.len(), reals.len())?;
    check(quantized.len(), axis, affines)?;
    for ((channel, quantized), (_, reals)) in axis.runs(quantized).zip(axis.runs_mut(reals)) {
        if let Some(affine) = affines.get(channel) {
            affine.dequantize_slice(quantized, reals)?;
        }
    }
    Ok(())
}

fn check(len: usize, axis: ChannelAxis, affines: &[Affine]) -> Result<(), QuantError> {
    same_length("parameters", axis.channels(), affines.len())?;
    axis.check(len)?;
    for (index, affine) in affines.iter().enumerate() {
        all_scales(&[affine.scale]).map_err(|_| QuantError::BadScale {
            index,
            scale: affine.scale,
        })?;
    }
    Ok(())
}
