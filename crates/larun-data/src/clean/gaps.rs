//! Gaps: where a series breaks, and how it is made even.

use serde::{Deserialize, Serialize};

use super::scale::median;
use super::{CleanError, same_length};

/// Measurements on either side of a gap that say where its line begins and ends.
const SHOULDER: usize = 5;

/// An even series has at most so many points for each measurement: a stray measurement years away would ask for millions.
const MOST_POINTS_EACH: usize = 64;

/// What fills a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GapFill {
    /// A straight line between the medians of the five measurements on either side.
    #[default]
    Linear,
    /// The median of the whole series.
    Median,
}

/// Days from one measurement to the next, the median; `None` for fewer than two times, or times that do not ascend.
#[must_use]
pub fn cadence(time: &[f64]) -> Option<f64> {
    let steps: Vec<f64> = time.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let step = median(&steps);
    (step > 0.0 && step.is_finite()).then_some(step)
}

/// The runs of measurements between gaps longer than `longest` days, as ranges of indices.
#[must_use]
pub fn segments(time: &[f64], longest: f64) -> Vec<core::ops::Range<usize>> {
    let mut runs = Vec::new();
    let mut start = 0;
    for (index, pair) in time.windows(2).enumerate() {
        if pair[1] - pair[0] > longest {
            runs.push(start..index + 1);
            start = index + 1;
        }
    }
    if start < time.len() {
        runs.push(start..time.len());
    }
    runs
}

/// The series at even steps of the median cadence, from the first time to the last: each point is the mean of the measurements nearest
/// to it, and points without any are filled.
///
/// Times ascend.
///
/// # Errors
/// [`CleanError`]: fewer than two measurements, times that do not ascend, or so few measurements over so long that nearly all would be
/// filled.
pub fn even(time: &[f64], flux: &[f64], fill: GapFill) -> Result<Vec<f64>, CleanError> {
    same_length(time, flux)?;
    let (Some(&first), Some(&last), Some(step)) = (time.first(), time.last(), cadence(time)) else {
        return Err(CleanError::TooFew {
            step: "leaving out times that do not ascend",
            left: time.len().min(1),
            least: 2,
        });
    };
    let points = libm::round((last - first) / step) + 1.0;
    let most = time.len().saturating_mul(MOST_POINTS_EACH);
    // Also refuses what is not a number.
    if !(points >= 1.0 && points <= most as f64) {
        return Err(CleanError::Sparse {
            points,
            cadence: step,
            found: time.len(),
        });
    }
    let points = points as usize;
    let mut sums = vec![(0.0, 0u32); points];
    for (&time, &flux) in time.iter().zip(flux) {
        let nearest = libm::round((time - first) / step).max(0.0) as usize;
        if let Some((sum, count)) = sums.get_mut(nearest) {
            *sum += flux;
            *count += 1;
        }
    }
    let series: Vec<Option<f64>> = sums
        .into_iter()
        .map(|(sum, count)| (count > 0).then(|| sum / f64::from(count)))
        .collect();
    Ok(filled(&series, fill))
}

/// A series with its gaps filled; zeros where nothing is there to fill them with.
pub(crate) fn filled(series: &[Option<f64>], fill: GapFill) -> Vec<f64> {
    let present: Vec<f64> = series.iter().flatten().copied().collect();
    let middle = median(&present);
    let mut values: Vec<f64> = series.iter().map(|value| value.unwrap_or(middle)).collect();
    if fill == GapFill::Median {
        return values;
    }
    let mut at = 0;
    while at < series.len() {
        let gap = series.iter().skip(at).take_while(|value| value.is_none());
        let len = gap.count();
        if len > 0 {
            bridge(series, &mut values, at..at + len);
        }
        at += len.max(1);
    }
    values
}

/// Draws the line over a gap.
fn bridge(series: &[Option<f64>], values: &mut [f64], gap: core::ops::Range<usize>) {
    let before = series.get(..gap.start).unwrap_or_default();
    let after = series.get(gap.end..).unwrap_or_default();
    let before: Vec<f64> = before
        .iter()
        .rev()
        .map_while(|v| *v)
        .take(SHOULDER)
        .collect();
    let after: Vec<f64> = after.iter().map_while(|v| *v).take(SHOULDER).collect();
    // At an end of the series the line is level.
    let (from, to) = match (before.is_empty(), after.is_empty()) {
        (true, true) => return,
        (true, false) => (median(&after), median(&after)),
        (false, true) => (median(&before), median(&before)),
        (false, false) => (median(&before), median(&after)),
    };
    let len = gap.len();
    for (i, value) in values.iter_mut().skip(gap.start).take(len).enumerate() {
        *value = from + (to - from) * (i + 1) as f64 / (len + 1) as f64;
    }
}
