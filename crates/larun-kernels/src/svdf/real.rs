//! SVDF in real numbers, with real weights or with INT8 weights.

use super::filters::{Arithmetic, Filters};
use super::{SvdfGeometry, SvdfWeights};
use crate::dot::{add_products, for_each_row, four_rows};
use crate::hybrid::quantize;
use crate::plan::record;
use crate::requantize::Clamp;
use crate::window::nonzero;
use crate::{Element, InvokeError, check_scratch};

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
    for (input, state, output) in geometry.rows(input, state, output) {
        let arithmetic = Reals {
            clamp,
            bias: weights.bias.unwrap_or(&[]),
            time_scale: 1.0,
        };
        let mut filters = Filters::new(geometry, arithmetic, state, weights.time, output);
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

record! {
    /// What an SVDF of real values knows of its INT8 weights.
    pub struct HybridSvdf {
        /// Whether the integers that stand for the input use all of their range.
        pub asymmetric: bool,
        /// Scale of the feature weights.
        pub feature_scale: f32,
        /// Scale of the time weights, 1 where they are real.
        pub time_scale: f32,
        /// Activation.
        pub clamp: Clamp,
    }
}

/// Real SVDF with INT8 feature weights, and time weights in real numbers or INT8: each row of the input becomes INT8, as in
/// TensorFlow Lite's `EvalHybridSVDF`.
///
/// `scratch` has as many elements as a row of the input, or more.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
pub fn svdf_hybrid<W: Element + Into<f32>>(
    geometry: &SvdfGeometry,
    hybrid: &HybridSvdf,
    weights: &SvdfWeights<'_, i8, W, f32>,
    input: &[f32],
    state: &mut [f32],
    output: &mut [f32],
    scratch: &mut [i16],
) -> Result<(), InvokeError> {
    geometry.check(weights, input, state, output)?;
    let integers = check_scratch(scratch, geometry.inputs)?;
    for (input, state, output) in geometry.rows(input, state, output) {
        let arithmetic = Reals {
            clamp: &hybrid.clamp,
            bias: weights.bias.unwrap_or(&[]),
            time_scale: hybrid.time_scale,
        };
        let scale = quantize(input, hybrid.asymmetric, integers) * hybrid.feature_scale;
        let mut filters = Filters::new(geometry, arithmetic, state, weights.time, output);
        for_each_row(integers, weights.feature, |_, sum| {
            filters.next(sum as f32 * scale);
        });
    }
    Ok(())
}

struct Reals<'a> {
    clamp: &'a Clamp,
    bias: &'a [f32],
    time_scale: f32,
}

impl<W: Into<f32>> Arithmetic<f32, W, f32> for Reals<'_> {
    type Sum = f32;
    const ZERO: f32 = 0.0;

    fn start(&self, unit: usize) -> f32 {
        self.bias.get(unit).copied().unwrap_or(0.0)
    }

    #[inline]
    fn add(&self, sum: f32, value: f32, weight: W) -> f32 {
        let weight: f32 = weight.into();
        sum + weight * self.time_scale * value
    }

    fn join(&self, a: f32, b: f32) -> f32 {
        a + b
    }

    fn finish(&self, sum: f32) -> f32 {
        self.clamp.apply(sum)
    }
}
