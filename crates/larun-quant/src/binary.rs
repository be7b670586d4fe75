//! Binary weights: a sign and, for each channel, one magnitude.
//!
//! `w` becomes `s sign(w)` with `s = mean(|w|)` over the channel, which for these signs leaves the least squared error:
//! `sum w^2 - (sum |w|)^2 / n`. 0 counts as positive. The sum of products of binary weights `a` with binary inputs `b` is
//! a count of bits: `n - 2 popcount(a xor b)`.
//!
//! ```
//! use larun_quant::ChannelAxis;
//! use larun_quant::binary;
//! use larun_quant::packing::Packing;
//!
//! let weights = [0.5, -1.5, 0.25, 0.25];
//! let rows = ChannelAxis::new(&[2, 2], 0)?;
//! let quantized = binary::quantize(&weights, rows)?;
//! assert_eq!(quantized.values, [1, -1, 1, 1]);
//! assert_eq!(quantized.scales, [1.0, 0.25]);
//! assert_eq!(quantized.pack(Packing::Binary)?.bytes, [0b0010]);
//! # Ok::<(), larun_quant::QuantError>(())
//! ```
//!
//! Source: M. Rastegari et al., *XNOR-Net*, ECCV 2016, section 3.1.

use crate::axis::ChannelAxis;
use crate::error::{QuantError, all_finite, same_length};
#[cfg(feature = "alloc")]
use crate::weights::QuantizedWeights;

/// The signs of `weights`, -1 or 1, into `signs` of the same length, and the magnitude of every channel (or
/// [block](ChannelAxis::blocks)) into `scales`.
///
/// A channel whose weights are all 0 has the smallest normal float32 as its magnitude: scales are above 0.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch), [`NotWholeChannels`](QuantError::NotWholeChannels), and
/// [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity; nothing is written then.
pub fn quantize_slice(
    weights: &[f32],
    axis: ChannelAxis,
    signs: &mut [i8],
    scales: &mut [f32],
) -> Result<(), QuantError> {
    same_length("places for signs", weights.len(), signs.len())?;
    same_length("places for scales", axis.channels(), scales.len())?;
    axis.check(weights.len())?;
    all_finite(weights)?;
    for (sign, &weight) in signs.iter_mut().zip(weights) {
        *sign = if weight < 0.0 { -1 } else { 1 };
    }
    let of_channel = weights.len().checked_div(scales.len()).unwrap_or(0);
    let runs = weights.chunks(axis.inner().max(1));
    for (channel, scale) in scales.iter_mut().enumerate() {
        let own = runs.clone().skip(channel).step_by(axis.channels());
        let sum: f64 = own.flatten().map(|weight| f64::from(weight.abs())).sum();
        *scale = ((sum / of_channel.max(1) as f64) as f32).max(f32::MIN_POSITIVE);
    }
    Ok(())
}

/// As [`quantize_slice`], into new vectors.
///
/// # Errors
/// [`NotWholeChannels`](QuantError::NotWholeChannels), [`NotFinite`](QuantError::NotFinite).
#[cfg(feature = "alloc")]
pub fn quantize(weights: &[f32], axis: ChannelAxis) -> Result<QuantizedWeights, QuantError> {
    axis.check(weights.len())?;
    let mut quantized = QuantizedWeights {
        values: alloc::vec![0; weights.len()],
        scales: alloc::vec![0.0; axis.channels()],
    };
    quantize_slice(weights, axis, &mut quantized.values, &mut quantized.scales)?;
    Ok(quantized)
}

/// The sum of products of two rows of `len` signs, [packed](crate::packing::Packing::Binary).
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch) if either is not as many bytes as `len` signs take.
pub fn dot(left: &[u8], right: &[u8], len: usize) -> Result<i64, QuantError> {
    let bytes = len.div_ceil(8);
    same_length("packed bytes", bytes, left.len())?;
    same_length("packed bytes", bytes, right.len())?;
    let differing = left.iter().zip(right).map(|(l, r)| (l ^ r).count_ones());
    // What the last bytes have left over is 0 in both, as they are packed; it is masked for those that are not.
    let over = match (left.last(), right.last(), len % 8) {
        (Some(l), Some(r), used) if used > 0 => ((l ^ r) >> used).count_ones(),
        _ => 0,
    };
    let differing = i64::from(differing.sum::<u32>() - over);
    Ok(len as i64 - 2 * differing)
}
