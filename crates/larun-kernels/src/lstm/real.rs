//! LSTM in real numbers.

use super::geometry::rows;
use super::{LstmGeometry, LstmState, LstmWeights};
use crate::dot::add_products;
use crate::sigmoid::logistic;
use crate::{InvokeError, check_scratch};

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
    mut state: LstmState<'_, f32, f32>,
    output: &mut [f32],
    scratch: &mut [f32],
) -> Result<(), InvokeError> {
    geometry.check(weights, input, &state, output)?;
    let last = check_scratch(scratch, geometry.units)?;
    for (sequence, (hidden, cell)) in state.sequences(geometry.units) {
        geometry.for_each_step(sequence, input, output, |input, output| {
            last.copy_from_slice(hidden);
            for (unit, (cell, hidden)) in cell.iter_mut().zip(hidden.iter_mut()).enumerate() {
                let mut of_input = [0.0; 4];
                add_products(
                    &mut of_input,
                    input,
                    rows(&weights.input, unit, input.len()),
                );
                let mut recurrent = [0.0; 4];
                add_products(
                    &mut recurrent,
                    last,
                    rows(&weights.recurrent, unit, last.len()),
                );
                let mut gates = weights
                    .bias
                    .map(|bias| bias.get(unit).copied().unwrap_or(0.0));
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
pub(super) fn remember(gates: [f32; 4], cell_clip: f32, cell: &mut f32) -> f32 {
    let [input, forget, candidate, output] = gates;
    let mut state = logistic(forget) * *cell + logistic(input) * libm::tanhf(candidate);
    if cell_clip > 0.0 {
        state = state.min(cell_clip).max(-cell_clip);
    }
    *cell = state;
    libm::tanhf(state) * logistic(output)
}
