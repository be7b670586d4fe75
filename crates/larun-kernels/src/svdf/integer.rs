//! SVDF in integers: INT8 activations and feature weights; state and time weights in INT8 or INT16.

use larun_quant::fixed_point::{FixedMultiplier, Rounding};

use super::filters::{Arithmetic, Filters};
use super::{SvdfGeometry, SvdfWeights};
use crate::dot::{for_each_row, widen};
use crate::integer::Quantized;
use crate::plan::{linked, record};
use crate::requantize::OutputStage;
use crate::{InvokeError, check_scratch};

record! {
    /// Quantisation of an SVDF.
    pub struct SvdfQuantization {
        /// How scaled sums are rounded. Other roundings than TFLM's need the feature `roundings`.
        pub rounding: Rounding,
        /// Zero point of the input.
        pub input_zero_point: i32,
        /// Zero point of the state.
        pub state_zero_point: i32,
        /// `input_scale * feature_scale / state_scale`.
        pub feature: FixedMultiplier,
        /// `state_scale * time_scale / output_scale`.
        pub time: FixedMultiplier,
        /// Zero point and range of the output.
        pub stage: OutputStage,
    }
}

/// SVDF with an INT16 state, as TFLM's `EvalInt16SvdfReference`. There is no activation but the output's range.
///
/// `scratch` has as many elements as a row of the input, or more.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
pub fn svdf_i8_i16(
    geometry: &SvdfGeometry,
    quantization: &SvdfQuantization,
    weights: &SvdfWeights<'_, i8, i16, i32>,
    input: &[i8],
    state: &mut [i16],
    output: &mut [i8],
    scratch: &mut [i16],
) -> Result<(), InvokeError> {
    run(
        geometry,
        quantization,
        weights,
        input,
        state,
        output,
        scratch,
    )
}

/// SVDF with an INT8 state, as TFLM's `EvalInt8SvdfReference`.
///
/// # Errors
/// As [`svdf_i8_i16`].
pub fn svdf_i8(
    geometry: &SvdfGeometry,
    quantization: &SvdfQuantization,
    weights: &SvdfWeights<'_, i8, i8, i32>,
    input: &[i8],
    state: &mut [i8],
    output: &mut [i8],
    scratch: &mut [i16],
) -> Result<(), InvokeError> {
    run(
        geometry,
        quantization,
        weights,
        input,
        state,
        output,
        scratch,
    )
}

/// A feature as it is remembered: it saturates, then the zero point, where there is one, wraps.
fn remembered<T: Quantized>(feature: i32, zero_point: i32) -> T {
    let value: i32 = T::saturate(feature).into();
    T::narrow(value.wrapping_add(zero_point))
}

pub(super) fn run<T: Quantized>(
    geometry: &SvdfGeometry,
    quantization: &SvdfQuantization,
    weights: &SvdfWeights<'_, i8, T, i32>,
    input: &[i8],
    state: &mut [T],
    output: &mut [i8],
    scratch: &mut [i16],
) -> Result<(), InvokeError> {
    geometry.check(weights, input, state, output)?;
    let centred = check_scratch(scratch, geometry.inputs)?;
    let rounding = linked(quantization.rounding);
    let zero_point = quantization.state_zero_point;
    for (input, state, output) in geometry.rows(input, state, output) {
        let arithmetic = Integers {
            quantization,
            bias: weights.bias.unwrap_or(&[]),
        };
        widen(input, quantization.input_zero_point, centred);
        let mut filters = Filters::new(geometry, arithmetic, state, weights.time, output);
        for_each_row(centred, weights.feature, |_, sum| {
            let feature = quantization.feature.apply_with(sum, rounding);
            filters.next(remembered::<T>(feature, zero_point));
        });
    }
    Ok(())
}

struct Integers<'a> {
    quantization: &'a SvdfQuantization,
    bias: &'a [i32],
}

impl<T: Quantized> Arithmetic<T, T, i8> for Integers<'_> {
    type Sum = i32;
    const ZERO: i32 = 0;

    fn start(&self, unit: usize) -> i32 {
        self.bias.get(unit).copied().unwrap_or(0)
    }

    #[inline]
    fn add(&self, sum: i32, value: T, weight: T) -> i32 {
        let value = value
            .into()
            .wrapping_sub(self.quantization.state_zero_point);
        sum.wrapping_add(weight.into().wrapping_mul(value))
    }

    fn join(&self, a: i32, b: i32) -> i32 {
        a.wrapping_add(b)
    }

    fn finish(&self, sum: i32) -> i8 {
        let quantization = self.quantization;
        let scaled = quantization
            .time
            .apply_with(sum, linked(quantization.rounding));
        quantization.stage.finish(scaled)
    }
}
