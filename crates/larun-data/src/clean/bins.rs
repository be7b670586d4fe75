//! Folding at a period, and binning to a fixed length.

use super::{CleanError, same_length};

/// Phases at a period: 0 at `epoch`, from -0.5 inclusive to 0.5 exclusive.
///
/// # Errors
/// [`CleanError::Setting`] for a period that is not positive or an epoch that is no number.
pub fn fold(time: &[f64], period: f64, epoch: f64) -> Result<Vec<f64>, CleanError> {
    if !(period > 0.0 && period.is_finite()) {
        return Err(CleanError::Setting {
            name: "the period",
            found: period,
            expected: "days, more than 0",
        });
    }
    if !epoch.is_finite() {
        return Err(CleanError::Setting {
            name: "the epoch",
            found: epoch,
            expected: "a time in days",
        });
    }
    let phase = |&time: &f64| {
        let turns = (time - epoch) / period;
        let phase = turns - libm::floor(turns + 0.5);
        // Rounding may give 0.5 itself.
        if phase >= 0.5 { -0.5 } else { phase }
    };
    Ok(time.iter().map(phase).collect())
}

/// The mean of the values in each of `bins` equal bins over `range`; `None` where there is none. Positions outside the range, and values
/// that are not finite, are left out; the range's end is not part of it.
///
/// # Errors
/// [`CleanError`]: positions and values differ in number, there are no bins, or the range is empty.
pub fn bin(
    positions: &[f64],
    values: &[f64],
    range: [f64; 2],
    bins: usize,
) -> Result<Vec<Option<f64>>, CleanError> {
    same_length(positions, values)?;
    let [low, high] = range;
    let is_range = low < high && low.is_finite() && high.is_finite();
    if bins == 0 || !is_range {
        return Err(CleanError::Setting {
            name: "the number of bins",
            found: bins as f64,
            expected: "1 or more over a range that is not empty",
        });
    }
    let mut sums = vec![(0.0, 0u32); bins];
    for (&position, &value) in positions.iter().zip(values) {
        let along = (position - low) / (high - low) * bins as f64;
        let inside = position >= low && position < high && value.is_finite();
        // Rounding may carry the last position over the end.
        let index = (along.max(0.0) as usize).min(bins - 1);
        if let (true, Some((sum, count))) = (inside, sums.get_mut(index)) {
            *sum += value;
            *count += 1;
        }
    }
    let mean = |(sum, count)| (count > 0).then(|| sum / f64::from(count));
    Ok(sums.into_iter().map(mean).collect())
}

/// An even series at another number of points: each is the mean of the stretch that it covers, points that it cuts counted in part. The
/// mean of the whole stays what it is.
#[must_use]
pub fn rebin(values: &[f64], points: usize) -> Vec<f64> {
    let len = values.len();
    if len == 0 || len == points {
        return values.to_vec();
    }
    let stretch = len as f64 / points as f64;
    let mean = |point: usize| {
        let (start, end) = (point as f64 * stretch, (point + 1) as f64 * stretch);
        let first = start as usize;
        let last = (libm::ceil(end) as usize).min(len);
        let covered = values.iter().enumerate().take(last).skip(first);
        let sum: f64 = covered
            .map(|(index, value)| {
                let share = end.min(index as f64 + 1.0) - start.max(index as f64);
                value * share.max(0.0)
            })
            .sum();
        sum / stretch
    };
    (0..points).map(mean).collect()
}
