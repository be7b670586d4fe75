//! CONCATENATION along an axis.

use super::{Differentiable, ShapeError, Tape, View, not_empty};

const NAME: &str = "CONCATENATION";

/// CONCATENATION: any number of inputs, joined along `axis`.
#[derive(Clone, Copy, Debug)]
pub struct Concatenation {
    /// The axis, counted from the outermost.
    pub axis: usize,
}

impl Concatenation {
    /// Elements from one index of the axes before `axis` to the next.
    fn step(self, shape: &[usize]) -> usize {
        shape.get(self.axis..).unwrap_or(&[]).iter().product()
    }
}

impl Differentiable for Concatenation {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        not_empty(NAME, inputs)?;
        let wrong = |problem| Err(ShapeError::new(NAME, problem));
        let Some(&first) = inputs.first() else {
            return wrong("takes at least one input".to_owned());
        };
        if self.axis >= first.len() {
            return wrong(format!("no axis {} in an input {first:?}", self.axis));
        }
        let mut joined = first.to_vec();
        for &input in &inputs[1..] {
            let others = |shape: &[usize]| {
                let mut shape = shape.to_vec();
                shape
                    .get_mut(self.axis)
                    .map(|size| core::mem::replace(size, 0))
                    .map(|size| (shape, size))
            };
            match (others(input), others(&joined)) {
                (Some((a, size)), Some((b, _))) if a == b => joined[self.axis] += size,
                _ => {
                    return wrong(format!(
                        "{input:?} does not join {first:?} along {}",
                        self.axis
                    ));
                }
            }
        }
        Ok(joined)
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let total: usize = inputs.iter().map(|input| self.step(input.shape)).sum();
        let mut first = 0;
        for input in inputs {
            let step = self.step(input.shape);
            for (output, input) in output
                .chunks_exact_mut(total)
                .zip(input.data.chunks_exact(step))
            {
                output[first..][..step].copy_from_slice(input);
            }
            first += step;
        }
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let total = self.step(tape.output.shape);
        let mut first = 0;
        for (input, gradient) in tape.inputs.iter().zip(gradients) {
            let step = self.step(input.shape);
            if let Some(gradient) = gradient {
                let rows = tape.gradient.chunks_exact(total);
                for (gradient, row) in gradient.chunks_exact_mut(step).zip(rows) {
                    gradient.copy_from_slice(&row[first..][..step]);
                }
            }
            first += step;
        }
    }
}
