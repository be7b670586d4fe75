//! OCTAV: the clipping threshold of least mean squared error, by Newton's method.
//!
//! Values beyond the threshold `t` are clipped, those within it rounded to steps of `t / levels`, whose error counts as
//! evenly spread: `J(t) = t^2 / (12 levels^2) P(0 < |x| <= t) + E[(|x| - t)^2; |x| > t]`. A Newton step is
//!
//! `t <- E[|x|; |x| > t] / (P(0 < |x| <= t) / (12 levels^2) + P(|x| > t))`.
//!
//! `J` jumps where `t` passes a value, so that the iteration may circle; the threshold of least `J` on its way is taken.
//!
//! Source: C. Sakr et al., *Optimal Clipping and Magnitude-aware Differentiation for Improved Quantization-aware
//! Training*, ICML 2022, equation 6; with `B` bits, `levels = 2^(B-1)` for signed and `2^B` for unsigned values give its
//! `4^-B / 3` and `4^-B / 12`.

use crate::error::{QuantError, all_finite};

/// Steps after which the iteration ends if it has not settled; it settles in about ten.
const STEPS: usize = 50;

/// What a Newton step needs to know of the values' magnitudes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moments {
    /// How many are within the threshold and not 0.
    pub(crate) within: f64,
    /// How many are beyond it.
    pub(crate) beyond: f64,
    /// Sum of those beyond it.
    pub(crate) sum_beyond: f64,
    /// Sum of the squares of what of them is beyond it.
    pub(crate) clipped: f64,
}

/// The threshold of least error for `values` in `levels` steps from 0 to the threshold: 127 for INT8 weights.
///
/// Values that are all 0 give 0. The result is never above the largest magnitude.
///
/// ```
/// // One outlier among many values: it is clipped, and the many are finer resolved.
/// let mut values = vec![1.0; 1_000];
/// values[0] = 10.0;
/// let threshold = larun_quant::octav::threshold(&values, 7)?;
/// assert!(threshold > 1.0 && threshold < 10.0);
/// # Ok::<(), larun_quant::QuantError>(())
/// ```
///
/// # Errors
/// [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity, [`BadParameter`](QuantError::BadParameter) for
/// no levels.
pub fn threshold(values: &[f32], levels: u32) -> Result<f32, QuantError> {
    all_finite(values)?;
    if levels == 0 {
        return Err(QuantError::BadParameter {
            what: "the number of levels must be at least 1",
            value: 0.0,
        });
    }
    let largest = values.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    Ok(newton(levels, largest, |threshold| {
        let mut moments = Moments::default();
        for value in values {
            let magnitude = f64::from(value.abs());
            if magnitude > threshold {
                moments.beyond += 1.0;
                moments.sum_beyond += magnitude;
                moments.clipped += (magnitude - threshold) * (magnitude - threshold);
            } else if magnitude > 0.0 {
                moments.within += 1.0;
            }
        }
        moments
    }))
}

/// Newton's method on moments that a slice or a histogram gives.
pub(crate) fn newton(levels: u32, largest: f32, moments: impl Fn(f64) -> Moments) -> f32 {
    let largest = f64::from(largest);
    let noise = 1.0 / (12.0 * f64::from(levels) * f64::from(levels));
    let mut best = (f64::INFINITY, largest);
    // The first threshold is 0, which makes the second the mean magnitude of what is not 0.
    let mut threshold = 0.0;
    for _ in 0..STEPS {
        let at = moments(threshold);
        let error = at.within * noise * threshold * threshold + at.clipped;
        if error < best.0 && threshold > 0.0 {
            best = (error, threshold);
        }
        let weight = at.within * noise + at.beyond;
        if weight == 0.0 {
            break;
        }
        let next = (at.sum_beyond / weight).min(largest);
        if (next - threshold).abs() <= 1e-7 * next {
            break;
        }
        threshold = next;
    }
    best.1 as f32
}
