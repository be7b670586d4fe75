//! The range that keeps the distribution of the values, by the Kullback-Leibler divergence of histograms.

use alloc::vec::Vec;

use super::{Histogram, Observer};
use crate::affine::IntegerRange;
use crate::error::QuantError;

/// Bins of the histogram, as in TensorRT's calibrator.
const BINS: usize = 2_048;
/// What counts as the count of a bin that has none, beside others that stand for clipped values.
const LEAST_COUNT: f64 = 1e-4;

/// The range `[-t, t]`, less what no value reaches, whose quantised distribution is nearest to the values' own.
///
/// For every threshold `t` of whole bins, the distribution `p` is that of the values with those beyond `t` counted into
/// the outermost bins; for `q`, the bins within are joined to as many groups as there are integers and each group's count is spread
/// evenly over those of its bins that are not empty. The `t` of least `KL(p || q)` is taken. Values that are 0 are left out: every range
/// represents them exactly. With more integers than bins in use (INT16), the range is that of the extremes.
///
/// As TensorRT's entropy calibration (S. Migacz, *8-bit Inference with TensorRT*, 2017), with signed values as in ONNX Runtime's.
///
/// ```
/// use larun_quant::{Entropy, IntegerRange, Observer};
///
/// let mut observer = Entropy::new(IntegerRange::INT8);
/// let mut values: Vec<f32> = (-5_000..=5_000).map(|i| (i as f32 / 5_000.0).powi(3)).collect();
/// values.push(8.0);
/// observer.observe(&values)?;
/// let (min, max) = observer.bounds().ok_or(larun_quant::QuantError::NothingObserved)?;
/// assert!(min == -1.0 && max < 4.0);
/// # Ok::<(), larun_quant::QuantError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Entropy {
    pub(super) histogram: Histogram,
    integers: IntegerRange,
}

impl Entropy {
    /// An observer that has seen nothing, for values that become these integers.
    #[must_use]
    pub fn new(integers: IntegerRange) -> Self {
        Self {
            histogram: Histogram::with_bins(BINS),
            integers,
        }
    }
}

impl Observer for Entropy {
    fn observe(&mut self, values: &[f32]) -> Result<(), QuantError> {
        self.histogram.add(values)
    }

    fn bounds(&self) -> Option<(f32, f32)> {
        let (min, max) = self.histogram.extremes()?;
        let (first, counts) = self.histogram.dense();
        let levels = (self.integers.steps() as usize).saturating_add(1);
        let sums = Sums::new(counts);
        let farthest = (-first).max(first + counts.len() as i64).max(0);
        let mut best = (f64::INFINITY, farthest);
        for threshold in (1..=farthest).rev() {
            // The bins within the threshold, as places among the counts.
            let start = (-threshold - first).clamp(0, counts.len() as i64) as usize;
            let end = (threshold - first).clamp(0, counts.len() as i64) as usize;
            if end.saturating_sub(start) < levels {
                break;
            }
            let divergence = sums.divergence(start, end, levels);
            if divergence < best.0 {
                best = (divergence, threshold);
            }
        }
        let threshold = (best.1 as f64 * self.histogram.width().unwrap_or(0.0)) as f32;
        Some((min.max(-threshold).min(max), max.min(threshold).max(min)))
    }
}

/// Sums over the bins before each place.
struct Sums {
    counts: Vec<f64>,
    filled: Vec<f64>,
    /// Of `count ln count`.
    logarithms: Vec<f64>,
}

impl Sums {
    fn new(counts: &[u64]) -> Self {
        Self {
            counts: before_each(counts, |count| count),
            filled: before_each(counts, |count| f64::from(u8::from(count > 0.0))),
            logarithms: before_each(counts, times_logarithm),
        }
    }

    /// `KL(p || q)` for the bins from `start` to before `end`, more of them than levels.
    fn divergence(&self, start: usize, end: usize, levels: usize) -> f64 {
        let all = of_range(&self.counts, 0, self.counts.len().saturating_sub(1));
        let inside = of_range(&self.counts, start, end);
        let (below, above) = (
            of_range(&self.counts, 0, start),
            all - inside - of_range(&self.counts, 0, start),
        );
        if inside == 0.0 {
            return f64::INFINITY;
        }
        // sum p ln p - sum p ln q of counts, first as if nothing were clipped.
        let mut sum = of_range(&self.logarithms, start, end);
        let bins = end - start;
        let mut edge_levels = [LEAST_COUNT; 2];
        for level in 0..levels {
            // The first place whose level, floor(place * levels / bins), is this one or above.
            let [from, to] =
                [level, level + 1].map(|level| start + (level * bins).div_ceil(levels));
            let count = of_range(&self.counts, from, to);
            if count > 0.0 {
                let spread = count / of_range(&self.filled, from, to);
                sum -= count * libm::log(spread);
                if level == 0 && of_range(&self.counts, start, start + 1) > 0.0 {
                    edge_levels[0] = spread;
                }
                if level + 1 == levels && of_range(&self.counts, end - 1, end) > 0.0 {
                    edge_levels[1] = spread;
                }
            }
        }
        // Then with what is clipped in the outermost bins.
        let edges = [(below, start), (above, end - 1)];
        for ((clipped, edge), spread) in edges.into_iter().zip(edge_levels) {
            let count = of_range(&self.counts, edge, edge + 1);
            sum += times_logarithm(count + clipped) - times_logarithm(count);
            sum -= clipped * libm::log(spread);
        }
        // Of probabilities: those of p sum to 1 with all values, those of q without the clipped.
        sum / all + libm::log(inside / all)
    }
}

fn before_each(counts: &[u64], of: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut sum = 0.0;
    let after = counts.iter().map(|&count| {
        sum += of(count as f64);
        sum
    });
    core::iter::once(0.0).chain(after).collect()
}

fn of_range(before: &[f64], start: usize, end: usize) -> f64 {
    let at = |place: usize| before.get(place).copied().unwrap_or_default();
    at(end) - at(start)
}

fn times_logarithm(count: f64) -> f64 {
    if count > 0.0 {
        count * libm::log(count)
    } else {
        0.0
    }
}
