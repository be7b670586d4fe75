//! SOFTMAX over the last axis.

use super::{Differentiable, ShapeError, Tape, View, arity};

const NAME: &str = "SOFTMAX";

/// SOFTMAX: `exp(beta * x)` over its sum along the last axis.
#[derive(Clone, Copy, Debug)]
pub struct Softmax {
    /// The factor of the logits.
    pub beta: f32,
}

impl Differentiable for Softmax {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let [input] = arity(NAME, inputs)?;
        if input.is_empty() {
            return Err(ShapeError::new(
                NAME,
                "the input must have at least one axis",
            ));
        }
        Ok(input.to_vec())
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x] = inputs else { return };
        let classes = x.shape.last().copied().unwrap_or(1);
        for (y, x) in output
            .chunks_exact_mut(classes)
            .zip(x.data.chunks_exact(classes))
        {
            softmax(x, self.beta, y);
        }
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let [Some(dx)] = gradients else { return };
        let classes = tape.output.shape.last().copied().unwrap_or(1);
        let rows = tape
            .output
            .data
            .chunks_exact(classes)
            .zip(tape.gradient.chunks_exact(classes));
        for (dx, (y, g)) in dx.chunks_exact_mut(classes).zip(rows) {
            let mean: f32 = y.iter().zip(g).map(|(y, g)| y * g).sum();
            for ((dx, y), g) in dx.iter_mut().zip(y).zip(g) {
                *dx = self.beta * y * (g - mean);
            }
        }
    }
}

/// The softmax of one row. Returns the greatest scaled logit and the sum of the exponentials below it,
/// from which follows the logarithm of the softmax.
pub(super) fn softmax(x: &[f32], beta: f32, y: &mut [f32]) -> (f32, f32) {
    let max = x
        .iter()
        .fold(f32::NEG_INFINITY, |max, &x| max.max(beta * x));
    let mut sum = 0.0;
    for (y, &x) in y.iter_mut().zip(x) {
        *y = libm::expf(beta * x - max);
        sum += *y;
    }
    for y in y {
        *y /= sum;
    }
    (max, sum)
}
