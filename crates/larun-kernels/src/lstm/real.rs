//! LSTM in real numbers, with real weights or with INT8 weights.

use super::geometry::rows;
use super::{LstmGeometry, LstmState, LstmWeights};
use crate::dot::{add_products, dot_4};
use crate::hybrid::quantize;
use crate::plan::record;
use crate::sigmoid::logistic;
use crate::{Element, InvokeError, check_scratch};

/// Real LSTM. The cell state is held within `cell_clip` where that is above 0.
///
/// Each gate is the sum of the products with the input, the bias, then the sum of the products with the last output, as
/// in TFLM. `scratch` has as many elements as there are units, or more.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
pub fn lstm_f32(
    geometry: &LstmGeometry,
    cell_clip: f32,
    weights: &LstmWeights<'_, f32, f32>,
    input: &[f32],
    state: LstmState<'_, f32, f32>,
    output: &mut [f32],
    scratch: &mut [f32],
) -> Result<(), InvokeError> {
    let last = check_scratch(scratch, geometry.units)?;
    let products = Real { weights, last };
    run(geometry, cell_clip, products, weights, input, state, output)
}

record! {
    /// What an LSTM of real values knows of its INT8 weights. Gates are in the order of [`LstmWeights`].
    pub struct HybridLstm {
        /// Bound of the cell state, 0 for none.
        pub cell_clip: f32,
        /// Whether the integers that stand for values use all of their range.
        pub asymmetric: bool,
        /// Scales of the weights that the input is multiplied with.
        pub input: [f32; 4],
        /// Scales of the weights that the last output is multiplied with.
        pub recurrent: [f32; 4],
    }
}

/// Elements of scratch memory that [`lstm_hybrid`] needs: an input and an output as integers.
#[must_use]
pub const fn lstm_hybrid_scratch_len(geometry: &LstmGeometry) -> usize {
    geometry.inputs.saturating_add(geometry.units)
}

/// Real LSTM with INT8 weights: input and last output of each step become INT8, as in TensorFlow Lite's `EvalHybrid`.
///
/// `scratch` has [`lstm_hybrid_scratch_len`] elements or more.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
pub fn lstm_hybrid(
    geometry: &LstmGeometry,
    hybrid: &HybridLstm,
    weights: &LstmWeights<'_, i8, f32>,
    input: &[f32],
    state: LstmState<'_, f32, f32>,
    output: &mut [f32],
    scratch: &mut [i16],
) -> Result<(), InvokeError> {
    let scratch = check_scratch(scratch, lstm_hybrid_scratch_len(geometry))?;
    let split = scratch.split_at_mut_checked(geometry.inputs);
    let (now, last) = split.unwrap_or_default();
    let products = Hybrid {
        hybrid,
        weights,
        values: [now, last],
        scales: [0.0; 2],
    };
    run(
        geometry,
        hybrid.cell_clip,
        products,
        weights,
        input,
        state,
        output,
    )
}

/// The products of a step's values with the weights of a unit's gates.
trait Products {
    /// Begins a step. The last output is overwritten while it goes on.
    fn begin(&mut self, input: &[f32], last: &[f32]);

    /// The products with the input, and those with the last output.
    fn of_unit(&self, unit: usize, input: &[f32]) -> [[f32; 4]; 2];
}

struct Real<'a> {
    weights: &'a LstmWeights<'a, f32, f32>,
    last: &'a mut [f32],
}

impl Products for Real<'_> {
    fn begin(&mut self, _: &[f32], last: &[f32]) {
        self.last.copy_from_slice(last);
    }

    fn of_unit(&self, unit: usize, input: &[f32]) -> [[f32; 4]; 2] {
        let LstmWeights {
            input: of_input,
            recurrent,
            ..
        } = self.weights;
        [(input, of_input), (&*self.last, recurrent)].map(|(values, matrices)| {
            let mut sums = [0.0; 4];
            add_products(&mut sums, values, rows(matrices, unit, values.len()));
            sums
        })
    }
}

struct Hybrid<'a> {
    hybrid: &'a HybridLstm,
    weights: &'a LstmWeights<'a, i8, f32>,
    /// Input and last output, less their zero points.
    values: [&'a mut [i16]; 2],
    /// The scales of both.
    scales: [f32; 2],
}

impl Products for Hybrid<'_> {
    fn begin(&mut self, input: &[f32], last: &[f32]) {
        let targets = self.values.iter_mut().zip(&mut self.scales);
        for ((values, scale), source) in targets.zip([input, last]) {
            *scale = quantize(source, self.hybrid.asymmetric, values);
        }
    }

    fn of_unit(&self, unit: usize, _: &[f32]) -> [[f32; 4]; 2] {
        let [now, last] = &self.values;
        let [of_now, of_last] = self.scales;
        [
            (now, &self.weights.input, of_now, &self.hybrid.input),
            (
                last,
                &self.weights.recurrent,
                of_last,
                &self.hybrid.recurrent,
            ),
        ]
        .map(|(values, matrices, scale, scales)| {
            let sums = dot_4(values, rows(matrices, unit, values.len()));
            let mut products = [0.0; 4];
            for ((product, sum), of_weights) in products.iter_mut().zip(sums).zip(scales) {
                *product = sum as f32 * (scale * of_weights);
            }
            products
        })
    }
}

fn run<W: Element>(
    geometry: &LstmGeometry,
    cell_clip: f32,
    mut products: impl Products,
    weights: &LstmWeights<'_, W, f32>,
    input: &[f32],
    mut state: LstmState<'_, f32, f32>,
    output: &mut [f32],
) -> Result<(), InvokeError> {
    geometry.check(weights, input, &state, output)?;
    for (sequence, (hidden, cell)) in state.sequences(geometry.units) {
        geometry.for_each_step(sequence, input, output, |input, output| {
            products.begin(input, hidden);
            for (unit, (cell, hidden)) in cell.iter_mut().zip(hidden.iter_mut()).enumerate() {
                let mut gates = weights
                    .bias
                    .map(|bias| bias.get(unit).copied().unwrap_or(0.0));
                let [of_input, recurrent] = products.of_unit(unit, input);
                for ((gate, of_input), recurrent) in gates.iter_mut().zip(of_input).zip(recurrent) {
                    *gate = of_input + *gate + recurrent;
                }
                *hidden = remember(gates, cell_clip, cell);
            }
            output.copy_from_slice(hidden);
        });
    }
    Ok(())
}

/// Brings a cell state up to date from its unit's gates; the unit's output.
fn remember(gates: [f32; 4], cell_clip: f32, cell: &mut f32) -> f32 {
    let [input, forget, candidate, output] = gates;
    let mut state = logistic(forget) * *cell + logistic(input) * libm::tanhf(candidate);
    if cell_clip > 0.0 {
        state = state.min(cell_clip).max(-cell_clip);
    }
    *cell = state;
    libm::tanhf(state) * logistic(output)
}
