//! LSTM in integers: INT8 or INT16 activations, INT8 weights, a cell state in INT16.
//!
//! Gates are computed as TFLM does: the products with the input and those with the last output are each brought to
//! Q3.12 and saturate, then so does their sum. A unit's four gates are computed together, so that every value that is
//! loaded serves four products and no gate needs memory.

use larun_quant::fixed_point::{FixedMultiplier, Rounding, SigmoidInput16};

use super::geometry::rows;
use super::{LstmGeometry, LstmState, LstmWeights};
use crate::dot::{dot_4, widen};
use crate::integer::Quantized;
use crate::plan::{linked, record};
use crate::requantize::OutputStage;
use crate::{Element, InvokeError, check_scratch};

record! {
    /// Quantisation of an LSTM. Gates are in the order of [`LstmWeights`].
    pub struct LstmQuantization {
        /// How scaled values are rounded. Other roundings than TFLM's need the feature `roundings`.
        pub rounding: Rounding,
        /// Zero point of the input.
        pub input_zero_point: i32,
        /// `input_scale * weight_scale * 2^12` of each gate.
        pub input: [FixedMultiplier; 4],
        /// `output_scale * weight_scale * 2^12` of each gate.
        pub recurrent: [FixedMultiplier; 4],
        /// Of forget gate and cell state: `2^-15`.
        pub forget: FixedMultiplier,
        /// Of input gate and candidate: `2^-30 / cell_scale`.
        pub update: FixedMultiplier,
        /// Of output gate and the cell state's tangent: `2^-30 / output_scale`.
        pub output: FixedMultiplier,
        /// How the tangent reads the cell state.
        pub cell: SigmoidInput16,
        /// Largest magnitude of the cell state; above 32767 none.
        pub cell_clip: i32,
        /// Zero point and range of the output.
        pub stage: OutputStage,
    }
}

/// Elements of scratch memory that [`lstm_i8`] and [`lstm_i16`] need: an input and two outputs, less their zero points.
#[must_use]
pub const fn lstm_scratch_len(geometry: &LstmGeometry) -> usize {
    let outputs = geometry.units.saturating_mul(2);
    geometry.inputs.saturating_add(outputs)
}

/// INT8 LSTM, as TFLM's `EvalLstm<int8_t, int8_t, int16_t, int32_t>`.
///
/// `scratch` has [`lstm_scratch_len`] elements or more.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
pub fn lstm_i8(
    geometry: &LstmGeometry,
    quantization: &LstmQuantization,
    weights: &LstmWeights<'_, i8, i32>,
    input: &[i8],
    state: LstmState<'_, i8, i16>,
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

/// LSTM of INT16 activations, as TFLM's `EvalLstm<int16_t, int8_t, int16_t, int64_t>`.
///
/// `scratch` has [`lstm_scratch_len`] elements or more.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
pub fn lstm_i16(
    geometry: &LstmGeometry,
    quantization: &LstmQuantization,
    weights: &LstmWeights<'_, i8, i64>,
    input: &[i16],
    state: LstmState<'_, i16, i16>,
    output: &mut [i16],
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

/// The element of an integer LSTM's activations.
pub(super) trait Activation: Element + Into<i16> {
    type Bias: Element + Into<i64>;
    /// Whether sums may need more than 32 bits.
    const WIDE: bool;

    /// A value in the element's range.
    fn narrow(value: i32) -> Self;
}

impl Activation for i8 {
    type Bias = i32;
    const WIDE: bool = false;

    fn narrow(value: i32) -> Self {
        value as Self
    }
}

impl Activation for i16 {
    type Bias = i64;
    const WIDE: bool = true;

    fn narrow(value: i32) -> Self {
        value as Self
    }
}

pub(super) fn run<T: Activation>(
    geometry: &LstmGeometry,
    quantization: &LstmQuantization,
    weights: &LstmWeights<'_, i8, T::Bias>,
    input: &[T],
    mut state: LstmState<'_, T, i16>,
    output: &mut [T],
    scratch: &mut [i16],
) -> Result<(), InvokeError> {
    geometry.check(weights, input, &state, output)?;
    let scratch = check_scratch(scratch, lstm_scratch_len(geometry))?;
    let split = scratch.split_at_mut_checked(geometry.inputs);
    let (now, outputs) = split.unwrap_or_default();
    let split = outputs.split_at_mut_checked(geometry.units);
    let (mut last, mut next) = split.unwrap_or_default();
    let cells = Cells {
        quantization,
        input: weights.input,
        recurrent: weights.recurrent,
        wide: T::WIDE,
    };
    let zero_point = quantization.stage.zero_point;
    for (sequence, (hidden, cell)) in state.sequences(geometry.units) {
        widen(hidden, zero_point, last);
        geometry.for_each_step(sequence, input, output, |input, output| {
            widen(input, quantization.input_zero_point, now);
            let units = cell.iter_mut().zip(next.iter_mut()).zip(output);
            for (unit, ((cell, next), output)) in units.enumerate() {
                let bias = weights
                    .bias
                    .map(|bias| bias.get(unit).map_or(0, |&b| b.into()));
                let value = cells.update(unit, [now, last], bias, cell);
                *next = value.wrapping_sub(zero_point) as i16;
                *output = T::narrow(value);
            }
            core::mem::swap(&mut last, &mut next);
        });
        for (hidden, &last) in hidden.iter_mut().zip(last.iter()) {
            *hidden = T::narrow(i32::from(last).wrapping_add(zero_point));
        }
    }
    Ok(())
}

/// What stays the same over all units and steps.
struct Cells<'a> {
    quantization: &'a LstmQuantization,
    input: [&'a [i8]; 4],
    recurrent: [&'a [i8]; 4],
    wide: bool,
}

impl Cells<'_> {
    /// Brings the cell state of a unit up to date; the unit's output. `now` is the input and `last` the output of the
    /// step before, less their zero points.
    fn update(&self, unit: usize, [now, last]: [&[i16]; 2], bias: [i64; 4], cell: &mut i16) -> i32 {
        let of_input = self.sums(now, rows(&self.input, unit, now.len()));
        let recurrent = self.sums(last, rows(&self.recurrent, unit, last.len()));
        let mut gates = [0; 4];
        for (gate, value) in gates.iter_mut().enumerate() {
            let of_input = of_input[gate].wrapping_add(bias[gate]);
            let of_input = self.scaled(of_input, self.quantization.input[gate]);
            let recurrent = self.scaled(recurrent[gate], self.quantization.recurrent[gate]);
            *value = of_input.saturating_add(recurrent);
        }
        self.remember(gates, cell)
    }

    /// The products of values with a unit's four rows.
    fn sums(&self, values: &[i16], rows: [&[i8]; 4]) -> [i64; 4] {
        // So many products of 16 and 8 bits fit a sum of 32.
        let most = if self.wide { 256 } else { values.len().max(1) };
        let mut sums = [0i64; 4];
        for (part, values) in values.chunks(most).enumerate() {
            let rows = rows.map(|row| row.get(part * most..).unwrap_or(&[]));
            for (sum, partial) in sums.iter_mut().zip(dot_4(values, rows)) {
                *sum = sum.wrapping_add(i64::from(partial));
            }
        }
        sums
    }

    /// A sum in Q3.12.
    fn scaled(&self, sum: i64, multiplier: FixedMultiplier) -> i16 {
        i16::saturate(match self.wide {
            true => multiplier.apply_i64(sum),
            false => self.scale(sum as i32, multiplier),
        })
    }

    #[inline]
    fn scale(&self, value: i32, multiplier: FixedMultiplier) -> i32 {
        multiplier.apply_with(value, linked(self.quantization.rounding))
    }

    /// Brings a cell state up to date from its unit's gates; the unit's output.
    fn remember(&self, [input, forget, candidate, output]: [i16; 4], cell: &mut i16) -> i32 {
        let quantization = self.quantization;
        let gate = |x| i32::from(SigmoidInput16::Q3_12.logistic(x));
        let candidate = i32::from(SigmoidInput16::Q3_12.tanh(candidate));
        let kept = self.scale(gate(forget) * i32::from(*cell), quantization.forget);
        let added = self.scale(gate(input) * candidate, quantization.update);
        let clip = quantization.cell_clip;
        let sum = i16::saturate(kept).saturating_add(i16::saturate(added));
        let state = i32::from(sum).min(clip).max(clip.wrapping_neg()) as i16;
        *cell = state;
        let tangent = i32::from(quantization.cell.tanh(state));
        let scaled = self.scale(tangent * gate(output), quantization.output);
        let OutputStage {
            zero_point,
            min,
            max,
        } = quantization.stage;
        scaled.wrapping_add(zero_point).max(min).min(max)
    }
}
