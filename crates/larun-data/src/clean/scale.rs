//! Medians, deviations, and the forms in which a classifier takes a curve.

use serde::{Deserialize, Serialize};

/// How values are scaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalisation {
    /// As they are.
    None,
    /// Divided by their median, minus 1: relative flux. For a median of 0, its difference alone.
    Median,
    /// Median 0, standard deviation 1: the form of the simulated light curves.
    #[default]
    Deviation,
    /// Median 0, lowest value -1: the form of folded views, where the depth says nothing (Shallue and Vanderburg 2018, AJ 155, 94).
    Depth,
}

impl Normalisation {
    /// Scales values in place. Values that are all alike become 0, where something would be divided by their spread.
    pub fn apply(self, values: &mut [f64]) {
        let middle = median(values);
        let (offset, unit) = match self {
            Self::None => return,
            Self::Median if middle != 0.0 => (middle, middle),
            Self::Median => (0.0, 1.0),
            Self::Deviation => (middle, mean_and_deviation(values).1),
            Self::Depth => {
                let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
                (middle, middle - lowest)
            }
        };
        for value in values {
            let above = *value - offset;
            *value = if unit == 0.0 { 0.0 } else { above / unit };
        }
    }
}

/// The middle one, the mean of the middle two for an even number, 0 for none. NaN is greater than all.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    median_in_place(&mut sorted)
}

/// As [`median`], reordering the values.
pub(crate) fn median_in_place(values: &mut [f64]) -> f64 {
    let len = values.len();
    if len == 0 {
        return 0.0;
    }
    let (below, &mut upper, _) = values.select_nth_unstable_by(len / 2, f64::total_cmp);
    if len % 2 == 1 {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // Halved first: the sum of two large numbers may be none.
    lower / 2.0 + upper / 2.0
}

/// Mean and (population) standard deviation; 0 for none.
pub(crate) fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (mean, libm::sqrt(squares / count))
}
