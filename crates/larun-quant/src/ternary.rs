//! Ternary weights: -1, 0 or 1 and, for each channel, one magnitude.
//!
//! With the weights `I` above a threshold in magnitude, `w` becomes `s sign(w)` in `I` and 0 elsewhere,
//! `s = mean(|w|)` over `I`; the squared error is `sum w^2 - (sum_I |w|)^2 / |I|`. The largest `k` weights make the best `I` of
//! size `k`, so that sorting finds the best of all; as published, the threshold is `0.7 mean(|w|)`, which is near it for bell-shaped weights.
//!
//! ```
//! use larun_quant::ChannelAxis;
//! use larun_quant::ternary::{self, Threshold};
//!
//! let weights = [0.9, -1.1, 0.1, 0.0];
//! let all = ChannelAxis::whole(4);
//! let quantized = ternary::quantize(&weights, all, Threshold::LeastSquares)?;
//! assert_eq!((quantized.values, quantized.scales), (vec![1, -1, 0, 0], vec![1.0]));
//! # Ok::<(), larun_quant::QuantError>(())
//! ```
//!
//! Source: F. Li et al., *Ternary Weight Networks*, 2016, equations 6 to 8.

use alloc::vec::Vec;

use crate::axis::ChannelAxis;
use crate::error::{QuantError, all_finite};
use crate::parallel;
use crate::weights::QuantizedWeights;

/// Which weights become 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threshold {
    /// Those whose loss leaves the least squared error, exactly.
    #[default]
    LeastSquares,
    /// Those of at most `0.7 mean(|w|)`, as published.
    SevenTenths,
}

/// `weights` as -1, 0 and 1, with a magnitude for every channel (or [block](ChannelAxis::blocks)).
///
/// A channel whose weights are all 0 has the magnitude 1.
///
/// # Errors
/// [`NotWholeChannels`](QuantError::NotWholeChannels), and [`NotFinite`](QuantError::NotFinite) for the first NaN or
/// infinity.
pub fn quantize(
    weights: &[f32],
    axis: ChannelAxis,
    threshold: Threshold,
) -> Result<QuantizedWeights, QuantError> {
    axis.check(weights.len())?;
    all_finite(weights)?;
    let chosen = parallel::map(axis.channels(), |channel| {
        let mut magnitudes = Vec::new();
        axis.of_channel(weights, channel, &mut magnitudes);
        magnitudes.iter_mut().for_each(|w: &mut f32| *w = w.abs());
        match threshold {
            Threshold::LeastSquares => least_squares(magnitudes),
            Threshold::SevenTenths => seven_tenths(&magnitudes),
        }
    });
    let mut values = alloc::vec![0; weights.len()];
    for ((channel, weights), (_, values)) in axis.runs(weights).zip(axis.runs_mut(&mut values)) {
        let above = chosen.get(channel).map_or(f32::INFINITY, |chosen| chosen.0);
        for (value, &weight) in values.iter_mut().zip(weights) {
            *value = i8::from(weight > above) - i8::from(weight < -above);
        }
    }
    let scales = chosen.into_iter().map(|(_, scale)| scale).collect();
    Ok(QuantizedWeights { values, scales })
}

/// The threshold that weights must be above, and the magnitude of those that are.
fn seven_tenths(magnitudes: &[f32]) -> (f32, f32) {
    let sum: f64 = magnitudes.iter().copied().map(f64::from).sum();
    let above = (0.7 * sum / magnitudes.len().max(1) as f64) as f32;
    let kept = magnitudes.iter().filter(|&&w| w > above);
    (
        above,
        mean(kept.clone().copied().map(f64::from).sum(), kept.count()),
    )
}

fn least_squares(mut magnitudes: Vec<f32>) -> (f32, f32) {
    magnitudes.sort_unstable_by(|a, b| b.total_cmp(a));
    let mut sum = 0.0;
    let mut best = (0.0, f32::INFINITY, 1.0);
    for (index, &magnitude) in magnitudes.iter().enumerate() {
        sum += f64::from(magnitude);
        let next = magnitudes.get(index + 1).copied().unwrap_or(0.0);
        let gain = sum * sum / (index + 1) as f64;
        // Equal weights are all kept, or none: one more of what is more than half the mean is a gain.
        if next < magnitude && gain > best.0 {
            best = (gain, next, mean(sum, index + 1));
        }
    }
    (best.1, best.2)
}

fn mean(sum: f64, count: usize) -> f32 {
    match count {
        0 => 1.0,
        _ => ((sum / count as f64) as f32).max(f32::MIN_POSITIVE),
    }
}
