//! A histogram of all values seen, in memory that does not grow with them, and that needs no range beforehand.

use alloc::vec::Vec;

use super::{MinMax, Observer, extremes};
use crate::error::{QuantError, all_finite};

/// Counts values in bins whose width is a power of two, and that widen as the range does.
///
/// Bin `i` holds the values from `i w` up to, not including, `(i + 1) w`; values that are 0 are counted apart, as
/// quantisation represents them exactly. The width `w` is the least power of two with which the bins cover 0, the
/// smallest and the largest value. So two bins become one exactly when the range outgrows them, and what is counted
/// depends on the values alone: not on their order, nor on how they were cut into samples. With `n` bins, `w` is below
/// `2 (max - min) / (n - 2)`, where `min` and `max` include 0.
///
/// ```
/// use larun_quant::Histogram;
///
/// let mut histogram = Histogram::new(8)?;
/// histogram.add(&[0.0, 0.25, 0.3, -0.5])?;
/// assert_eq!(histogram.width(), Some(0.125));
/// histogram.add(&[3.0])?;
/// assert_eq!(histogram.width(), Some(0.5));
/// assert_eq!(histogram.bins().collect::<Vec<_>>(), [(-0.5, 0.0, 1), (0.0, 0.5, 2), (3.0, 3.5, 1)]);
/// assert_eq!((histogram.zeros(), histogram.count()), (1, 5));
/// # Ok::<(), larun_quant::QuantError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Empty as long as only zeros were seen.
    counts: Vec<u64>,
    bins: usize,
    /// Number of the bin of the first count.
    first: i64,
    /// The width is two to the power of this.
    exponent: i32,
    zeros: u64,
    extremes: MinMax,
}

impl Histogram {
    /// A histogram of so many bins that has seen nothing.
    ///
    /// # Errors
    /// [`BadParameter`](QuantError::BadParameter) for fewer than 4 bins or more than 2^20.
    pub fn new(bins: usize) -> Result<Self, QuantError> {
        if !(4..=1 << 20).contains(&bins) {
            return Err(QuantError::BadParameter {
                what: "the number of bins must be from 4 to 2^20",
                value: bins as f64,
            });
        }
        Ok(Self::with_bins(bins))
    }

    /// As [`new`](Self::new), for a number that is in range.
    pub(super) fn with_bins(bins: usize) -> Self {
        Self {
            counts: Vec::new(),
            bins,
            first: 0,
            exponent: 0,
            zeros: 0,
            extremes: MinMax::new(),
        }
    }

    /// Counts values.
    ///
    /// # Errors
    /// [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity; nothing is counted then.
    pub fn add(&mut self, values: &[f32]) -> Result<(), QuantError> {
        all_finite(values)?;
        self.hold(extremes(values));
        let zeros = values.iter().filter(|&&value| value == 0.0).count() as u64;
        self.zeros += zeros;
        let (per_width, first) = (power_of_two(-self.exponent), self.first);
        for &value in values {
            if let Some(count) = self.counts.get_mut(bin_of(value, per_width, first)) {
                *count += 1;
            }
        }
        // Zeros were counted too: a branch that depends on each value would cost more than all else.
        if let Some(count) = self.counts.get_mut(bin_of(0.0, per_width, first)) {
            *count -= zeros;
        }
        Ok(())
    }

    /// Counts what another histogram of as many bins has counted.
    ///
    /// # Errors
    /// [`LengthMismatch`](QuantError::LengthMismatch).
    pub fn merge(&mut self, mut other: Self) -> Result<(), QuantError> {
        crate::error::same_length("bins", self.bins, other.bins)?;
        self.hold(other.extremes);
        other.hold(self.extremes);
        // Both hold the same range now, and so have the same bins.
        for (count, other) in self.counts.iter_mut().zip(&other.counts) {
            *count += other;
        }
        self.zeros += other.zeros;
        Ok(())
    }

    /// Number of values, zeros included.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.zeros + self.counts.iter().sum::<u64>()
    }

    /// Number of values that are 0.
    #[must_use]
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// Smallest and largest value, exactly; `None` before the first.
    #[must_use]
    pub fn extremes(&self) -> Option<(f32, f32)> {
        self.extremes.bounds()
    }

    /// Width of a bin; `None` as long as only zeros were seen.
    #[must_use]
    pub fn width(&self) -> Option<f64> {
        (!self.counts.is_empty()).then(|| power_of_two(self.exponent))
    }

    /// The bins that are not empty, in order: lower end, upper end, count.
    pub fn bins(&self) -> impl DoubleEndedIterator<Item = (f64, f64, u64)> {
        let width = power_of_two(self.exponent);
        let first = self.first;
        let counts = self.counts.iter().enumerate();
        counts
            .filter(|(_, count)| **count > 0)
            .map(move |(index, &count)| {
                let lower = (first + index as i64) as f64 * width;
                (lower, lower + width, count)
            })
    }

    /// The value below which this part of all values lies, spread evenly within their bins; `None` before the first.
    ///
    /// Off from the true one by less than a bin's [width](Self::width), and within the extremes.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<f32> {
        let (min, max) = self.extremes()?;
        let mut left = part.clamp(0.0, 1.0) * self.count() as f64;
        let zeros = (0.0, 0.0, self.zeros);
        let below = self.bins().filter(|bin| bin.0 < 0.0);
        let above = self.bins().filter(|bin| bin.0 >= 0.0);
        for (lower, upper, count) in below.chain([zeros]).chain(above) {
            let count = count as f64;
            if left <= count && count > 0.0 {
                let value = lower + (upper - lower) * (left / count);
                return Some((value as f32).clamp(min, max));
            }
            left -= count;
        }
        Some(max)
    }

    /// All counts from the first bin to the last that is not empty, with the number of the first.
    pub(super) fn dense(&self) -> (i64, &[u64]) {
        let used = |count: &u64| *count > 0;
        let start = self.counts.iter().position(used).unwrap_or(0);
        let end = self
            .counts
            .iter()
            .rposition(used)
            .map_or(0, |last| last + 1);
        let counts = self.counts.get(start..end).unwrap_or_default();
        (self.first + start as i64, counts)
    }

    /// Widens and moves the bins so that they hold these extremes too.
    fn hold(&mut self, more: MinMax) {
        self.extremes = self.extremes.union(more);
        let Some((min, max)) = self.extremes.bounds() else {
            return;
        };
        let (min, max) = (f64::from(min.min(0.0)), f64::from(max.max(0.0)));
        if min == max {
            return;
        }
        let exponent = least_exponent(min, max, self.bins);
        let first = floor_to_bin(min, power_of_two(-exponent));
        if self.counts.is_empty() {
            self.counts = alloc::vec![0; self.bins];
        } else if (exponent, first) != (self.exponent, self.first) {
            self.move_counts(exponent, first);
        }
        (self.exponent, self.first) = (exponent, first);
    }

    /// Moves each count to its bin among bins that are no narrower.
    fn move_counts(&mut self, exponent: i32, first: i64) {
        let halvings = (exponent - self.exponent).clamp(0, 63);
        let mut moved = alloc::vec![0; self.bins];
        for (index, &count) in self.counts.iter().enumerate() {
            // An arithmetic shift rounds down, as bins do.
            let bin = (self.first + index as i64) >> halvings;
            if let Some(place) = usize::try_from(bin - first)
                .ok()
                .and_then(|i| moved.get_mut(i))
            {
                *place += count;
            }
        }
        self.counts = moved;
    }
}

/// Place among the counts; past them for a value that no bin holds.
#[inline]
fn bin_of(value: f32, per_width: f64, first: i64) -> usize {
    // A bin before the first wraps to a place past all counts.
    (floor_to_bin(f64::from(value), per_width) - first) as usize
}

/// `floor(value * per_width)`, exactly: scaling by a power of two does not round.
#[inline]
fn floor_to_bin(value: f64, per_width: f64) -> i64 {
    let in_widths = value * per_width;
    let truncated = in_widths as i64;
    truncated - i64::from(in_widths < truncated as f64)
}

/// The least exponent with which so many bins cover the range, which holds 0 and another number.
fn least_exponent(min: f64, max: f64, bins: usize) -> i32 {
    let covers = |exponent: i32| {
        let per_width = power_of_two(-exponent);
        floor_to_bin(max, per_width) - floor_to_bin(min, per_width) < bins as i64
    };
    // A width with which the range surely has more than twice as many bins, unless these are too few.
    let mut exponent = libm::ilogb(max - min) - libm::ilogb(bins as f64) - 2;
    while !covers(exponent) {
        exponent += 1;
    }
    exponent
}

fn power_of_two(exponent: i32) -> f64 {
    libm::ldexp(1.0, exponent)
}
