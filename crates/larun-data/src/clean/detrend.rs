//! Slow variation, and how to take it away.

use serde::{Deserialize, Serialize};

use super::gaps::{cadence, segments};
use super::scale::{median, median_in_place};
use super::{CleanError, same_length};

/// How the slow variation of a light curve is found. Windows are as wide as given, centred on each measurement, and never reach across
/// a gap.
///
/// A window should be three times as long as the longest transit that must survive (Hippke et al. 2019, AJ 158, 143).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detrend {
    /// Not at all.
    #[default]
    None,
    /// The median of the measurements within a window of so many days.
    Median {
        /// Days.
        window: f64,
    },
    /// The polynomial of least squares through a window of so many days' worth of measurements (Savitzky and Golay 1964), as if they
    /// were evenly spaced. Those within half a window of an end take the value of the polynomial of the last whole window.
    SavitzkyGolay {
        /// Days.
        window: f64,
        /// The polynomial's degree, 5 at most.
        degree: usize,
    },
    /// Tukey's biweight location of the measurements within a window of so many days: what [`biweight_location`] gives.
    Biweight {
        /// Days.
        window: f64,
    },
}

/// Gaps from this many windows on part a light curve into segments.
const GAP_IN_WINDOWS: f64 = 0.5;

impl Detrend {
    /// The slow variation at each measurement. Times ascend; values are finite.
    ///
    /// # Errors
    /// [`CleanError`]: times and values differ in number, the window is not positive, or the degree is too high.
    pub fn trend(self, time: &[f64], flux: &[f64]) -> Result<Vec<f64>, CleanError> {
        same_length(time, flux)?;
        let window = match self {
            Self::None => return Ok(vec![median(flux); flux.len()]),
            Self::Median { window }
            | Self::SavitzkyGolay { window, .. }
            | Self::Biweight { window } => window,
        };
        if !(window > 0.0 && window.is_finite()) {
            return Err(CleanError::Setting {
                name: "the window",
                found: window,
                expected: "days, more than 0",
            });
        }
        let mut trend = Vec::with_capacity(flux.len());
        let step = cadence(time).unwrap_or(window);
        for segment in segments(time, (window * GAP_IN_WINDOWS).max(1.5 * step)) {
            let flux = flux.get(segment.clone()).unwrap_or_default();
            let time = time.get(segment).unwrap_or_default();
            match self {
                Self::None => {}
                Self::Median { .. } => slide(time, flux, window, median_in_place, &mut trend),
                Self::Biweight { .. } => slide(time, flux, window, biweight, &mut trend),
                Self::SavitzkyGolay { degree, .. } => {
                    polynomials(flux, libm::round(window / step), degree, &mut trend)?;
                }
            }
        }
        Ok(trend)
    }

    /// The light curve relative to its slow variation: divided by it where it is positive throughout, as fluxes are, else less by it.
    ///
    /// # Errors
    /// As [`Detrend::trend`].
    pub fn apply(self, time: &[f64], flux: &[f64]) -> Result<Vec<f64>, CleanError> {
        if self == Self::None {
            same_length(time, flux)?;
            return Ok(flux.to_vec());
        }
        let trend = self.trend(time, flux)?;
        let divides = trend.iter().all(|&value| value > 0.0);
        let pairs = flux.iter().zip(&trend);
        Ok(match divides {
            true => pairs.map(|(flux, trend)| flux / trend).collect(),
            false => pairs.map(|(flux, trend)| flux - trend).collect(),
        })
    }
}

/// Applies `location` to the measurements within half a window of each.
fn slide(
    time: &[f64],
    flux: &[f64],
    window: f64,
    location: impl Fn(&mut [f64]) -> f64,
    trend: &mut Vec<f64>,
) {
    let half = window / 2.0;
    let (mut first, mut end) = (0, 0);
    let mut inside = Vec::new();
    for &now in time {
        while time.get(first).is_some_and(|&time| time < now - half) {
            first += 1;
        }
        while time.get(end).is_some_and(|&time| time <= now + half) {
            end += 1;
        }
        inside.clear();
        inside.extend_from_slice(flux.get(first..end).unwrap_or_default());
        trend.push(location(&mut inside));
    }
}

/// Tukey's biweight location (Mosteller and Tukey 1977): the mean of the values, of which each weighs `(1 - u^2)^2` with u its distance
/// from the location over `tuning` median absolute deviations, and nothing beyond; found anew until it stays. 0 for no values.
#[must_use]
pub fn biweight_location(values: &[f64], tuning: f64) -> f64 {
    let mut location = median(values);
    let deviations: Vec<f64> = values.iter().map(|v| (v - location).abs()).collect();
    let unit = tuning * median(&deviations);
    if unit == 0.0 {
        return location;
    }
    for _ in 0..15 {
        let (mut sum, mut weights) = (0.0, 0.0);
        for &value in values {
            let u = (value - location) / unit;
            if u.abs() < 1.0 {
                let weight = (1.0 - u * u) * (1.0 - u * u);
                sum += weight * value;
                weights += weight;
            }
        }
        if weights == 0.0 {
            break;
        }
        let last = location;
        location = sum / weights;
        if (location - last).abs() <= 1e-9 * unit {
            break;
        }
    }
    location
}

/// Tuned as usual for detrending: 5 deviations.
fn biweight(values: &mut [f64]) -> f64 {
    biweight_location(values, 5.0)
}

/// The highest degree: beyond, the equations would lose their digits.
const MOST_DEGREE: usize = 5;

fn polynomials(
    flux: &[f64],
    window: f64,
    degree: usize,
    trend: &mut Vec<f64>,
) -> Result<(), CleanError> {
    if degree > MOST_DEGREE {
        return Err(CleanError::Setting {
            name: "the degree of the polynomial",
            found: degree as f64,
            expected: "5 or less",
        });
    }
    // An odd number of points has a middle. A segment shorter than the window has one polynomial, of a degree that it can bear.
    let wanted = (window.max(1.0) as usize) | 1;
    let points = wanted.min(flux.len());
    let degree = degree.min(points.saturating_sub(1));
    let half = points / 2;
    let at = |i: usize| match points {
        0 | 1 => 0.0,
        _ => 2.0 * i as f64 / (points - 1) as f64 - 1.0,
    };
    let middle = filter(points, degree, at(half), at);
    for i in 0..flux.len() {
        // Near an end the window stays whole, and the polynomial is taken off its middle.
        let start = i.saturating_sub(half).min(flux.len() - points);
        let window = flux.get(start..).unwrap_or_default();
        let value = |weights: &[f64]| window.iter().zip(weights).map(|(f, w)| f * w).sum();
        trend.push(match i - start {
            offset if offset == half => value(&middle),
            offset => value(&filter(points, degree, at(offset), at)),
        });
    }
    Ok(())
}

/// How much each of `points` values contributes to the polynomial of least squares at `x`.
fn filter(points: usize, degree: usize, x: f64, at: impl Fn(usize) -> f64) -> Vec<f64> {
    // Polynomials that are orthogonal over the points: the one of degree k is (x - a) times the last, less b times the one before.
    let positions: Vec<f64> = (0..points).map(at).collect();
    let mut result = vec![0.0; points];
    let (mut before, mut now) = (vec![0.0; points], vec![1.0; points]);
    let (mut before_x, mut now_x) = (0.0, 1.0);
    let mut last_norm = 1.0;
    for k in 0..=degree {
        let norm: f64 = now.iter().map(|p| p * p).sum();
        if norm <= 0.0 {
            break;
        }
        for (result, value) in result.iter_mut().zip(&now) {
            *result += value * now_x / norm;
        }
        let a = now
            .iter()
            .zip(&positions)
            .map(|(p, x)| p * p * x)
            .sum::<f64>()
            / norm;
        let b = if k == 0 { 0.0 } else { norm / last_norm };
        let next: Vec<f64> = now
            .iter()
            .zip(&before)
            .zip(&positions)
            .map(|((now, before), position)| (position - a) * now - b * before)
            .collect();
        let next_x = (x - a) * now_x - b * before_x;
        (before, now) = (now, next);
        (before_x, now_x) = (now_x, next_x);
        last_norm = norm;
    }
    result
}
