//! The threshold of least error by OCTAV, on the histogram of the magnitudes.

use alloc::vec::Vec;

use super::{BINS, Histogram, Observer};
use crate::affine::IntegerRange;
use crate::error::QuantError;
use crate::octav::{Moments, newton};

/// The range up to the threshold of [OCTAV](crate::octav): `[-t, t]`, less what no value reaches.
///
/// The method takes values to be signed and quantised symmetrically, or of one sign and quantised from 0 on; where a
/// range is neither, [`LeastSquares`](super::LeastSquares) searches both ends. From a [histogram](Histogram) of 4,096 bins,
/// values spread evenly within each.
///
/// ```
/// use larun_quant::{IntegerRange, Observer, Octav};
///
/// let mut observer = Octav::new(IntegerRange::INT4);
/// let mut values: Vec<f32> = (-500..=500).map(|i| i as f32 / 500.0).collect();
/// values.push(50.0);
/// observer.observe(&values)?;
/// let (min, max) = observer.bounds().ok_or(larun_quant::QuantError::NothingObserved)?;
/// assert!(min == -1.0 && max > 1.0 && max < 20.0);
/// # Ok::<(), larun_quant::QuantError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Octav {
    pub(super) histogram: Histogram,
    integers: IntegerRange,
}

impl Octav {
    /// An observer that has seen nothing, for values that become these integers.
    #[must_use]
    pub fn new(integers: IntegerRange) -> Self {
        Self {
            histogram: Histogram::with_bins(BINS),
            integers,
        }
    }
}

impl Observer for Octav {
    fn observe(&mut self, values: &[f32]) -> Result<(), QuantError> {
        self.histogram.add(values)
    }

    fn bounds(&self) -> Option<(f32, f32)> {
        let (min, max) = self.histogram.extremes()?;
        let signed = min < 0.0 && max > 0.0;
        let levels = self.integers.steps() / if signed { 2 } else { 1 };
        let bins: Vec<_> = self.histogram.bins().map(magnitudes).collect();
        let threshold = newton(levels.max(1), max.max(-min), |threshold| {
            let mut moments = Moments::default();
            for &bin in &bins {
                add_bin(&mut moments, bin, threshold);
            }
            moments
        });
        let within = |extreme: f32| extreme.min(threshold).max(-threshold);
        Some((within(min), within(max)))
    }
}

fn magnitudes((lower, upper, count): (f64, f64, u64)) -> (f64, f64, f64) {
    if lower < 0.0 {
        (-upper, -lower, count as f64)
    } else {
        (lower, upper, count as f64)
    }
}

/// Adds the values of a bin, spread evenly between its ends.
fn add_bin(moments: &mut Moments, (lower, upper, count): (f64, f64, f64), threshold: f64) {
    let split = threshold.clamp(lower, upper);
    let beyond = count * (upper - split) / (upper - lower);
    moments.within += count - beyond;
    moments.beyond += beyond;
    moments.sum_beyond += beyond * f64::midpoint(split, upper);
    // The mean of (x - t)^2 over [a, b] is ((b-t)^2 + (b-t)(a-t) + (a-t)^2) / 3.
    let (near, far) = (split - threshold, upper - threshold);
    moments.clipped += beyond * (far * far + far * near + near * near) / 3.0;
}
