//! Outliers.

use serde::{Deserialize, Serialize};

use super::scale::{mean_and_deviation, median};

/// Leaves out values that are too far from the median, again and again until none is.
///
/// Distances are in standard deviations of what is left, as astropy's `sigma_clip` measures them. With an infinite `lower`, transits stay
/// while cosmic rays and flares go.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SigmaClip {
    /// Standard deviations below the median from which a value goes.
    pub lower: f64,
    /// Standard deviations above.
    pub upper: f64,
    /// The most passes.
    pub iterations: usize,
}

impl Default for SigmaClip {
    /// 5 on either side, 5 passes.
    fn default() -> Self {
        Self {
            lower: 5.0,
            upper: 5.0,
            iterations: 5,
        }
    }
}

impl SigmaClip {
    /// Which values stay; those that are not finite go.
    #[must_use]
    pub fn keep(&self, values: &[f64]) -> Vec<bool> {
        let mut keep: Vec<bool> = values.iter().map(|value| value.is_finite()).collect();
        for _ in 0..self.iterations {
            let left: Vec<f64> = kept(values, &keep).collect();
            let middle = median(&left);
            let deviation = mean_and_deviation(&left).1;
            let before = left.len();
            for (keep, &value) in keep.iter_mut().zip(values) {
                let above = value - middle;
                *keep &= above <= self.upper * deviation && -above <= self.lower * deviation;
            }
            if kept(values, &keep).count() == before {
                break;
            }
        }
        keep
    }
}

fn kept<'v>(values: &'v [f64], keep: &'v [bool]) -> impl Iterator<Item = f64> + 'v {
    let pairs = values.iter().zip(keep);
    pairs.filter_map(|(&value, &keep)| keep.then_some(value))
}
