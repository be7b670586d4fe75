//! The range of least mean squared error, both ends searched, on the histogram.

use alloc::vec::Vec;

use super::{BINS, Histogram, Observer};
use crate::affine::{Affine, IntegerRange};
use crate::error::QuantError;

/// Ends that are tried on each side before the best pair is refined.
const ENDS: usize = 64;
/// Halvings of the distance between ends during the refinement.
const HALVINGS: usize = 10;

/// The asymmetric range of least mean squared error: clipping a few values pays for resolving the others.
///
/// All pairs of 64 lower and 64 upper ends are weighed with the error of rounding taken as evenly spread; from the best
/// pair, ends move by ever smaller steps with the error of the very integers, of which 0 is exact. From a [histogram](Histogram) of 4,096
/// bins, values spread evenly within each.
///
/// ```
/// use larun_quant::{IntegerRange, LeastSquares, Observer};
///
/// let mut observer = LeastSquares::new(IntegerRange::INT4);
/// let mut values: Vec<f32> = (-1_000..=9_000).map(|i| i as f32 / 1_000.0).collect();
/// values.push(60.0);
/// observer.observe(&values)?;
/// let (min, max) = observer.bounds().ok_or(larun_quant::QuantError::NothingObserved)?;
/// assert!(min > -1.5 && min < 0.0 && max > 8.0 && max < 30.0);
/// # Ok::<(), larun_quant::QuantError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LeastSquares {
    pub(super) histogram: Histogram,
    integers: IntegerRange,
}

impl LeastSquares {
    /// An observer that has seen nothing, for values that become these integers.
    #[must_use]
    pub fn new(integers: IntegerRange) -> Self {
        Self {
            histogram: Histogram::with_bins(BINS),
            integers,
        }
    }
}

impl Observer for LeastSquares {
    fn observe(&mut self, values: &[f32]) -> Result<(), QuantError> {
        self.histogram.add(values)
    }

    fn bounds(&self) -> Option<(f32, f32)> {
        let (min, max) = self.histogram.extremes()?;
        let (min, max) = (min.min(0.0), max.max(0.0));
        if min == max {
            return Some((min, max));
        }
        let search = Search {
            bins: self.histogram.bins().collect(),
            integers: self.integers,
            extremes: (f64::from(min), f64::from(max)),
        };
        let (min, max) = search.refined(search.best_pair());
        Some((min as f32, max as f32))
    }
}

struct Search {
    bins: Vec<(f64, f64, u64)>,
    integers: IntegerRange,
    extremes: (f64, f64),
}

/// What clipping at an end costs, and the values that it leaves on its side of 0.
struct End {
    at: f64,
    clipped: f64,
    left: f64,
}

impl Search {
    /// The best pair of ends, the error of rounding being a twelfth of a step squared.
    fn best_pair(&self) -> (f64, f64) {
        let steps = f64::from(self.integers.steps());
        let [lower, upper] = [self.extremes.0, self.extremes.1].map(|extreme| self.ends(extreme));
        let mut best = (f64::INFINITY, self.extremes);
        for upper in &upper {
            for lower in &lower {
                let step = (upper.at - lower.at) / steps;
                let rounding = (lower.left + upper.left) * step * step / 12.0;
                let error = lower.clipped + upper.clipped + rounding;
                if error < best.0 {
                    best = (error, (lower.at, upper.at));
                }
            }
        }
        best.1
    }

    /// Ends from this extreme towards 0, in equal distances; only 0 if there is no value on its side.
    fn ends(&self, extreme: f64) -> Vec<End> {
        let count = if extreme == 0.0 { 1 } else { ENDS };
        let end = |index: usize| self.end(extreme * ((count - index) as f64 / count as f64));
        (0..count).map(end).collect()
    }

    fn end(&self, at: f64) -> End {
        let (mut clipped, mut left) = (0.0, 0.0);
        for &(lower, upper, count) in &self.bins {
            // As magnitudes, on the end's side of 0.
            let (near, far) = if at < 0.0 {
                (-upper, -lower)
            } else {
                (lower, upper)
            };
            if far <= 0.0 {
                continue;
            }
            let split = at.abs().clamp(near, far);
            let beyond = count as f64 * (far - split) / (far - near);
            let (a, b) = (split - at.abs(), far - at.abs());
            left += count as f64 - beyond;
            clipped += beyond * (a * a + a * b + b * b) / 3.0;
        }
        End { at, clipped, left }
    }

    /// Moves the ends by ever smaller steps as long as that helps.
    fn refined(&self, start: (f64, f64)) -> (f64, f64) {
        let mut best = (self.error(start), start);
        let unclipped = self.error(self.extremes);
        if unclipped < best.0 {
            best = (unclipped, self.extremes);
        }
        let mut part = 1.0 / ENDS as f64;
        for _ in 0..HALVINGS {
            part /= 2.0;
            while let Some(better) = self.better_neighbour(best, part) {
                best = better;
            }
        }
        best.1
    }

    fn better_neighbour(
        &self,
        (least, (lower, upper)): (f64, (f64, f64)),
        part: f64,
    ) -> Option<(f64, (f64, f64))> {
        let (min, max) = self.extremes;
        let neighbours = [
            (-1.0, 0.0),
            (1.0, 0.0),
            (0.0, -1.0),
            (0.0, 1.0),
            (1.0, 1.0),
            (-1.0, -1.0),
        ];
        let candidates = neighbours.into_iter().map(|(down, up)| {
            let lower = (lower - down * part * min).clamp(min, 0.0);
            (lower, (upper + up * part * max).clamp(0.0, max))
        });
        let measured = candidates.map(|ends| (self.error(ends), ends));
        let best = measured.min_by(|a, b| a.0.total_cmp(&b.0))?;
        // A gain that ends the search in bounded time.
        (best.0 < least * (1.0 - 1e-9)).then_some(best)
    }

    /// The squared error of all values, spread evenly within their bins, as the integers of this range give it.
    ///
    /// With `n` the multiple of the scale `s` that `x` is rounded to, the integral of the squared error from 0 to `x`
    /// is `n s^3 / 12 + (x - n s)^3 / 3`, in the clipped ranges too.
    fn error(&self, (lower, upper): (f64, f64)) -> f64 {
        let Ok(affine) = Affine::asymmetric(lower as f32, upper as f32, self.integers) else {
            return f64::INFINITY;
        };
        let scale = f64::from(affine.scale);
        let lowest = f64::from(self.integers.min) - f64::from(affine.zero_point);
        let highest = f64::from(self.integers.max) - f64::from(affine.zero_point);
        let integral = |x: f64| {
            let in_steps = x / scale;
            let whole = (in_steps + libm::copysign(0.5, in_steps)) as i64 as f64;
            let multiple = whole.clamp(lowest, highest.max(lowest));
            let rest = x - multiple * scale;
            multiple * scale * scale * scale / 12.0 + rest * rest * rest / 3.0
        };
        let error = |&(lower, upper, count): &(f64, f64, u64)| {
            count as f64 / (upper - lower) * (integral(upper) - integral(lower))
        };
        self.bins.iter().map(error).sum()
    }
}
