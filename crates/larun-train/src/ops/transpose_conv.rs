//! TRANSPOSE_CONV: the gradient of a convolution with respect to its input, as a layer.

use super::conv2d::Lowered;
use super::lanes::sum_rows;
use super::window::Window2d;
use super::{Differentiable, ShapeError, Tape, View, arity, rank4};

const NAME: &str = "TRANSPOSE_CONV";

/// TRANSPOSE_CONV. Inputs: weights `[O, KH, KW, C]`, `[N, H, W, C]`, bias `[O]`; output `[N, OH, OW, O]`.
///
/// The output is what a convolution would have taken to give the input's shape.
#[derive(Clone, Copy, Debug)]
pub struct TransposeConv {
    /// The sliding window of that convolution; its size is that of the weights.
    pub window: Window2d,
    /// Height and width of the output.
    pub output: [usize; 2],
}

impl TransposeConv {
    /// The shape of the output and, seen from it, the convolution.
    fn convolution(&self, weights: &[usize], batch: usize) -> ([usize; 4], [usize; 4]) {
        let &[filters, height, width, channels] = weights else {
            return ([0; 4], [0; 4]);
        };
        let output = [batch, self.output[0], self.output[1], filters];
        (output, [channels, height, width, filters])
    }
}

impl Differentiable for TransposeConv {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let [weights, input, bias] = arity(NAME, inputs)?;
        let wrong = |problem| Err(ShapeError::new(NAME, problem));
        let [batch, height, width, channels] = rank4(NAME, "input", input)?;
        let [filters, rows, columns, depth] = rank4(NAME, "weights", weights)?;
        if depth != channels || [rows, columns] != self.window.size {
            return wrong(format!(
                "weights {weights:?} do not suit the input {input:?} and the window {:?}",
                self.window
            ));
        }
        if bias != [filters] {
            return wrong(format!("bias must have shape [{filters}], has {bias:?}"));
        }
        let (output, _) = self.convolution(weights, batch);
        let place = self.window.place(NAME, &output)?;
        if place.output != [height, width] {
            return wrong(format!(
                "a convolution of {output:?} gives {:?} positions, the input {input:?} has others",
                place.output
            ));
        }
        Ok(output.to_vec())
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [w, x, b] = inputs else { return };
        let (shape, kernel) = self.convolution(w.shape, x.shape[0]);
        let conv = Lowered::new(self.window, &shape, &kernel);
        conv.input_gradient(&turned(w.data, w.shape), x.data, output);
        for pixel in output.chunks_exact_mut(b.data.len().max(1)) {
            pixel.iter_mut().zip(b.data).for_each(|(y, b)| *y += b);
        }
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([w, x, _], [dw, dx, db]) = (tape.inputs, gradients) else {
            return;
        };
        let (shape, kernel) = self.convolution(w.shape, x.shape[0]);
        let conv = Lowered::new(self.window, &shape, &kernel);
        if let Some(dx) = dx {
            let bias = vec![0.0; kernel[0]];
            conv.run(tape.gradient, &turned(w.data, w.shape), &bias, dx);
        }
        if let Some(dw) = dw {
            let mut by_input = vec![0.0; dw.len()];
            conv.weight_gradient(tape.gradient, x.data, &mut by_input);
            dw.copy_from_slice(&turned(&by_input, &kernel));
        }
        if let Some(db) = db {
            sum_rows(tape.gradient, db);
        }
    }
}

/// Weights `[A, KH, KW, B]` as `[B, KH, KW, A]`.
fn turned(weights: &[f32], shape: &[usize]) -> Vec<f32> {
    let &[a, height, width, b] = shape else {
        return weights.to_vec();
    };
    let taps = height * width;
    let mut turned = vec![0.0; weights.len()];
    for first in 0..a {
        for tap in 0..taps {
            for second in 0..b {
                turned[(second * taps + tap) * a + first] =
                    weights[(first * taps + tap) * b + second];
            }
        }
    }
    turned
}
