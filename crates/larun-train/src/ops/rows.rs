//! Functions of whole rows along the innermost axis: LOG_SOFTMAX, L2_NORMALIZATION; and CUMSUM along any axis.

use rayon::prelude::*;

use super::parallel::task_size;
use super::{Differentiable, ShapeError, Tape, View, arity};

/// LOG_SOFTMAX over the innermost axis.
#[derive(Clone, Copy, Debug)]
pub struct LogSoftmax;

/// L2_NORMALIZATION: the innermost axis divided by its Euclidean length, which counts as 1e-6 at least.
#[derive(Clone, Copy, Debug)]
pub struct L2Normalization;

const LEAST_LENGTH: f32 = 1e-6;

impl Differentiable for LogSoftmax {
    fn name(&self) -> &'static str {
        "LOG_SOFTMAX"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        rows_shape(self.name(), inputs)
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x] = inputs else { return };
        for_rows(last(x.shape), x.data, output, |x, y| {
            let max = x.iter().fold(f32::NEG_INFINITY, |max, &x| max.max(x));
            let sum: f32 = x.iter().map(|x| libm::expf(x - max)).sum();
            let log = libm::logf(sum) + max;
            for (y, x) in y.iter_mut().zip(x) {
                *y = x - log;
            }
        });
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let [Some(dx)] = gradients else { return };
        let columns = last(tape.output.shape);
        dx.copy_from_slice(tape.gradient);
        for_rows(columns, tape.output.data, dx, |y, dx| {
            let sum: f32 = dx.iter().sum();
            for (dx, y) in dx.iter_mut().zip(y) {
                *dx -= libm::expf(*y) * sum;
            }
        });
    }
}

impl Differentiable for L2Normalization {
    fn name(&self) -> &'static str {
        "L2_NORMALIZATION"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        rows_shape(self.name(), inputs)
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x] = inputs else { return };
        for_rows(last(x.shape), x.data, output, |x, y| {
            let length = length(x).max(LEAST_LENGTH);
            for (y, x) in y.iter_mut().zip(x) {
                *y = x / length;
            }
        });
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([x], [Some(dx)]) = (tape.inputs, gradients) else {
            return;
        };
        let columns = last(x.shape);
        dx.copy_from_slice(tape.gradient);
        for_rows(columns, x.data, dx, |x, dx| {
            let length = length(x);
            if length <= LEAST_LENGTH {
                dx.iter_mut().for_each(|dx| *dx /= LEAST_LENGTH);
                return;
            }
            let along: f32 =
                x.iter().zip(&*dx).map(|(x, g)| x * g).sum::<f32>() / (length * length);
            for (dx, x) in dx.iter_mut().zip(x) {
                *dx = (*dx - x * along) / length;
            }
        });
    }
}

/// CUMSUM: sums of all elements up to each, along an axis.
#[derive(Clone, Copy, Debug)]
pub struct CumSum {
    /// The axis, counted from the outermost.
    pub axis: usize,
    /// Whether an element does not count in its own sum.
    pub exclusive: bool,
    /// Whether sums begin at the end.
    pub reverse: bool,
}

impl Differentiable for CumSum {
    fn name(&self) -> &'static str {
        "CUMSUM"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let [input] = arity(self.name(), inputs)?;
        if self.axis >= input.len() {
            let problem = format!("no axis {} in an input {input:?}", self.axis);
            return Err(ShapeError::new(self.name(), problem));
        }
        Ok(input.to_vec())
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x] = inputs else { return };
        output.copy_from_slice(x.data);
        self.sum(x.shape, self.reverse, output);
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([x], [Some(dx)]) = (tape.inputs, gradients) else {
            return;
        };
        dx.copy_from_slice(tape.gradient);
        // Element i counts in the sums from i on: the gradient is the sum from the other end.
        self.sum(x.shape, !self.reverse, dx);
    }
}

impl CumSum {
    fn sum(&self, shape: &[usize], reverse: bool, values: &mut [f32]) {
        let length = shape[self.axis];
        let inner: usize = shape[self.axis + 1..].iter().product();
        for block in values.chunks_exact_mut(length * inner) {
            for lane in 0..inner {
                let mut sum = 0.0;
                for step in 0..length {
                    let at = if reverse { length - 1 - step } else { step };
                    let value = &mut block[at * inner + lane];
                    let before = sum;
                    sum += *value;
                    *value = if self.exclusive { before } else { sum };
                }
            }
        }
    }
}

fn rows_shape(operator: &'static str, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    let [input] = arity(operator, inputs)?;
    match input {
        [] => Err(ShapeError::new(
            operator,
            "the input must have at least one axis",
        )),
        shape => Ok(shape.to_vec()),
    }
}

fn last(shape: &[usize]) -> usize {
    shape.last().copied().unwrap_or(1).max(1)
}

fn length(row: &[f32]) -> f32 {
    row.iter().map(|x| x * x).sum::<f32>().sqrt()
}

/// Calls `f` with each row of both matrices.
fn for_rows(columns: usize, x: &[f32], y: &mut [f32], f: impl Fn(&[f32], &mut [f32]) + Sync) {
    let part = task_size(columns) * columns;
    y.par_chunks_mut(part)
        .zip(x.par_chunks(part))
        .for_each(|(y, x)| {
            for (y, x) in y.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
                f(x, y);
            }
        });
}
