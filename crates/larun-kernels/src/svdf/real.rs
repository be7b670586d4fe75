//! SVDF in real numbers.

use super::filters::{Arithmetic, Filters};
use super::{SvdfGeometry, SvdfWeights};
use crate::InvokeError;
use crate::dot::{add_products, four_rows};
use crate::requantize::Clamp;
use crate::window::nonzero;

/// Real SVDF.
///
/// The bias comes first, then the filters' sums one after the other, as in TFLM's `EvalFloatSvdfReference`.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
pub fn svdf_f32(
    geometry: &SvdfGeometry,
    clamp: &Clamp,
    weights: &SvdfWeights<'_, f32, f32, f32>,
    input: &[f32],
    state: &mut [f32],
    output: &mut [f32],
) -> Result<(), InvokeError> {
    geometry.check(weights, input, state, output)?;
    let bias = weights.bias.unwrap_or(&[]);
    for (input, state, output) in geometry.rows(input, state, output) {
        let mut filters =
            Filters::new(geometry, Reals { clamp, bias }, state, weights.time, output);
        for rows in weights
            .feature
            .chunks(nonzero(input.len()).saturating_mul(4))
        {
            let mut features = [0.0; 4];
            add_products(&mut features, input, four_rows(rows, input.len()));
            for feature in features.into_iter().take(rows.len() / nonzero(input.len())) {
                filters.next(feature);
            }
        }
    }
    Ok(())
}

struct Reals<'a> {
    clamp: &'a Clamp,
    bias: &'a [f32],
}

impl Arithmetic<f32, f32> for Reals<'_> {
    type Sum = f32;
    const ZERO: f32 = 0.0;

    fn start(&self, unit: usize) -> f32 {
        self.bias.get(unit).copied().unwrap_or(0.0)
    }

    #[inline]
    fn add(&self, sum: f32, value: f32, weight: f32) -> f32 {
        sum + weight * value
    }

    fn join(&self, a: f32, b: f32) -> f32 {
        a + b
    }

    fn finish(&self, sum: f32) -> f32 {
        self.clamp.apply(sum)
    }
}
