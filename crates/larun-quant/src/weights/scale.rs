//! How the scale of weights is chosen: by their largest magnitude, or by the error that quantisation leaves.

use alloc::vec::Vec;

use super::least_squares;
use crate::affine::{Affine, IntegerRange};
use crate::axis::ChannelAxis;
use crate::error::{QuantError, all_finite, same_length};
use crate::octav;
use crate::parallel;

/// How the symmetric scale of a tensor, a channel or a block of weights is chosen.
///
/// Below, `levels` is the largest integer: 127 for INT8, 7 for INT4.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum ScaleMethod {
    /// `max(|w|) / levels`: nothing is clipped. TensorFlow's rule.
    #[default]
    Max,
    /// The scale of least squared error, exactly: with fewer bits, clipping a few weights pays for resolving the others.
    /// Takes about `30 n log n` steps for `n` INT8 weights, `3 n log n` for INT4.
    LeastSquares,
    /// The best of `n` thresholds `i / n * max(|w|)`, by the squared error that they leave.
    Grid {
        /// How many thresholds are tried, at least 1.
        thresholds: u16,
    },
    /// The threshold of [OCTAV](crate::octav), divided by `levels`.
    Octav,
}

impl ScaleMethod {
    /// The scale of these weights, `None` if they are all 0.
    ///
    /// # Errors
    /// [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity, [`BadParameter`](QuantError::BadParameter)
    /// for a grid without thresholds or a range without positive integers.
    pub fn scale(self, weights: &[f32], integers: IntegerRange) -> Result<Option<f32>, QuantError> {
        self.weighted(weights, None, integers)
    }

    /// As [`scale`](Self::scale), where an error of a weight counts by its importance: the diagonal of
    /// the [Gram matrix](crate::rounding::Gram) of the layer's inputs, for one. [`Max`](Self::Max) and
    /// [`Octav`](Self::Octav) do not look at it.
    ///
    /// # Errors
    /// As [`scale`](Self::scale), and [`LengthMismatch`](QuantError::LengthMismatch) if there is not one importance
    /// for each weight.
    pub fn weighted_scale(
        self,
        weights: &[f32],
        importance: &[f32],
        integers: IntegerRange,
    ) -> Result<Option<f32>, QuantError> {
        same_length("importances", weights.len(), importance.len())?;
        all_finite(importance)?;
        self.weighted(weights, Some(importance), integers)
    }

    fn weighted(
        self,
        weights: &[f32],
        importance: Option<&[f32]>,
        integers: IntegerRange,
    ) -> Result<Option<f32>, QuantError> {
        all_finite(weights)?;
        if integers.max < 1 {
            return Err(QuantError::BadParameter {
                what: "symmetric weights need a range with positive integers",
                value: f64::from(integers.max),
            });
        }
        let largest = weights.iter().fold(0.0_f32, |most, w| most.max(w.abs()));
        if largest == 0.0 {
            return Ok(None);
        }
        let of_threshold = |threshold: f32| Affine::symmetric(0.0, threshold, integers);
        let scale = match self {
            Self::Max => of_threshold(largest)?.scale,
            Self::Octav => of_threshold(octav::threshold(weights, integers.max as u32)?)?.scale,
            Self::Grid { thresholds } => {
                best_of_grid(weights, importance, integers, largest, thresholds)?
            }
            Self::LeastSquares => {
                let best = least_squares::best_scale(weights, importance, integers);
                // Without importance any scale serves.
                best.map_or(of_threshold(largest)?.scale, |scale| scale as f32)
            }
        };
        Ok(Some(scale.max(f32::MIN_POSITIVE)))
    }
}

/// The scales of all channels (or [blocks](ChannelAxis::blocks), or the [whole](ChannelAxis::whole)).
///
/// A channel whose weights are all 0 takes the scale of the whole tensor, and 1 if that is 0 too. Channels are
/// independent: with the feature `rayon` they are spread over threads.
///
/// # Errors
/// [`NotWholeChannels`](QuantError::NotWholeChannels), and those of [`ScaleMethod::scale`].
pub fn scales(
    weights: &[f32],
    axis: ChannelAxis,
    integers: IntegerRange,
    method: ScaleMethod,
) -> Result<Vec<f32>, QuantError> {
    axis.check(weights.len())?;
    all_finite(weights)?;
    let of_zeros = ScaleMethod::Max.scale(weights, integers)?.unwrap_or(1.0);
    let of_channels = parallel::map(axis.channels(), |channel| {
        let mut of_channel = Vec::new();
        axis.of_channel(weights, channel, &mut of_channel);
        method.scale(&of_channel, integers)
    });
    let scales = of_channels.into_iter();
    scales.map(|scale| Ok(scale?.unwrap_or(of_zeros))).collect()
}

fn best_of_grid(
    weights: &[f32],
    importance: Option<&[f32]>,
    integers: IntegerRange,
    largest: f32,
    thresholds: u16,
) -> Result<f32, QuantError> {
    if thresholds == 0 {
        return Err(QuantError::BadParameter {
            what: "the number of thresholds must be at least 1",
            value: 0.0,
        });
    }
    let mut best = (f64::INFINITY, largest);
    // Largest first: of equal errors, the one that clips least.
    for step in (1..=thresholds).rev() {
        let threshold = largest * (f32::from(step) / f32::from(thresholds));
        let scale = Affine::symmetric(0.0, threshold, integers)?.scale;
        let error = squared_error(weights, importance, scale, integers);
        if error < best.0 {
            best = (error, scale);
        }
    }
    Ok(best.1)
}

/// `sum h (w - scale q)^2` with the integers that [`quantize`](super::quantize) gives.
fn squared_error(
    weights: &[f32],
    importance: Option<&[f32]>,
    scale: f32,
    integers: IntegerRange,
) -> f64 {
    let importance = importance.unwrap_or_default().iter().copied();
    let importance = importance.chain(core::iter::repeat(1.0));
    let reciprocal = 1.0 / scale;
    let error = |(&weight, importance): (&f32, f32)| {
        let quantized = super::quantize_weight(weight * reciprocal, integers);
        let error = f64::from(weight) - f64::from(scale) * f64::from(quantized);
        f64::from(importance) * error * error
    };
    weights.iter().zip(importance).map(error).sum()
}
