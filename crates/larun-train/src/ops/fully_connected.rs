//! The fully connected layer.

use rayon::prelude::*;

use super::conv2d::transpose;
use super::gemm::{Panels, Rows, gemm, gemm_transposed};
use super::lanes::{fill_rows, repeat, sum_rows};
use super::parallel::{group_size, sum_in_order, task_size, vectorised};
use super::{Differentiable, ShapeError, Tape, View, arity};

const NAME: &str = "FULLY_CONNECTED";

/// FULLY_CONNECTED. Inputs: `x` whose elements form rows of `I`, weights `[O, I]`, bias `[O]`; output
/// `[rows, O]`, or `[.., O]` with the leading dimensions of `x`.
#[derive(Clone, Copy, Debug)]
pub struct FullyConnected {
    /// Whether the output keeps the leading dimensions of the input.
    pub keep_dims: bool,
}

impl Differentiable for FullyConnected {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let [input, weights, bias] = arity(NAME, inputs)?;
        let wrong = |problem| Err(ShapeError::new(NAME, problem));
        let &[outputs, depth] = weights else {
            return wrong(format!("weights must have rank 2, have shape {weights:?}"));
        };
        if bias != [outputs] {
            return wrong(format!("bias must have shape [{outputs}], has {bias:?}"));
        }
        let elements: usize = input.iter().product();
        match input {
            [leading @ .., last] if self.keep_dims && *last == depth => {
                Ok([leading, &[outputs]].concat())
            }
            _ if !self.keep_dims && elements.is_multiple_of(depth) => {
                Ok(vec![elements / depth, outputs])
            }
            _ => wrong(format!(
                "weights {weights:?} do not suit the input {input:?}"
            )),
        }
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x, w, b] = inputs else { return };
        let &[outputs, depth] = w.shape else { return };
        let weights = Panels::new(depth, outputs, |i, o| w.data[o * depth + i]);
        let bias = repeat(b.data);
        let rows = task_size(outputs * depth);
        output
            .par_chunks_mut(rows * outputs)
            .zip(x.data.par_chunks(rows * depth))
            .for_each(|(output, x)| {
                fill_rows(output, &bias);
                vectorised(|| gemm(x, dense(x, depth), &weights, output, outputs));
            });
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([x, w, _], [dx, dw, db]) = (tape.inputs, gradients) else {
            return;
        };
        let &[outputs, depth] = w.shape else { return };
        if let Some(dx) = dx {
            let weights = Panels::new(outputs, depth, |o, i| w.data[o * depth + i]);
            let rows = task_size(outputs * depth);
            dx.par_chunks_mut(rows * depth)
                .zip(tape.gradient.par_chunks(rows * outputs))
                .for_each(|(dx, gradient)| {
                    dx.fill(0.0);
                    let rows = dense(gradient, outputs);
                    vectorised(|| gemm(gradient, rows, &weights, dx, depth));
                });
        }
        if let Some(dw) = dw {
            weight_gradient(x.data, tape.gradient, [outputs, depth], dw);
        }
        if let Some(db) = db {
            sum_rows(tape.gradient, db);
        }
    }
}

/// All rows of a dense matrix.
fn dense(matrix: &[f32], columns: usize) -> Rows {
    Rows {
        rows: matrix.len() / columns,
        stride: columns,
    }
}

fn weight_gradient(x: &[f32], gradient: &[f32], shape: [usize; 2], dw: &mut [f32]) {
    let [outputs, depth] = shape;
    let rows = group_size(x.len() / depth);
    let parts = x
        .par_chunks(rows * depth)
        .zip(gradient.par_chunks(rows * outputs))
        .map(|(x, gradient)| {
            let mut sums = vec![0.0; outputs * depth];
            let rows = dense(x, depth);
            vectorised(|| gemm_transposed(x, rows, depth, gradient, outputs, &mut sums));
            sums
        })
        .collect();
    transpose(&sum_in_order(parts), outputs, dw);
}
