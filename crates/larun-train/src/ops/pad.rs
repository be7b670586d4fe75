//! PAD with zeros.

use super::walk::{Walk, strides};
use super::{Differentiable, ShapeError, Tape, View, arity};

const NAME: &str = "PAD";

/// PAD: zeros before and after each axis.
#[derive(Clone, Debug)]
pub struct Pad {
    /// Elements before and after, for each axis.
    pub padding: Vec<[usize; 2]>,
}

impl Pad {
    /// Where the first input element lands in the output, and the walk over input and output.
    fn plan(&self, input: &[usize]) -> (usize, Walk<2>) {
        let output: Vec<usize> = input
            .iter()
            .zip(&self.padding)
            .map(|(size, [before, after])| size + before + after)
            .collect();
        let to = strides(&output);
        let first = to
            .iter()
            .zip(&self.padding)
            .map(|(stride, [before, _])| stride * before)
            .sum();
        (first, Walk::new(input, [&strides(input), &to]))
    }
}

impl Differentiable for Pad {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let [input] = arity(NAME, inputs)?;
        let wrong = |problem| ShapeError::new(NAME, problem);
        if input.len() != self.padding.len() {
            let problem = format!(
                "{} pairs of padding for an input {input:?}",
                self.padding.len()
            );
            return Err(wrong(problem));
        }
        let sizes = input.iter().zip(&self.padding);
        sizes
            .map(|(size, [before, after])| size.checked_add(*before)?.checked_add(*after))
            .collect::<Option<_>>()
            .ok_or_else(|| wrong("the padded size overflows".to_owned()))
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x] = inputs else { return };
        let (first, walk) = self.plan(x.shape);
        output.fill(0.0);
        walk.runs(|[from, to], length, _| {
            output[first + to..][..length].copy_from_slice(&x.data[from..][..length]);
        });
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([x], [Some(dx)]) = (tape.inputs, gradients) else {
            return;
        };
        let (first, walk) = self.plan(x.shape);
        walk.runs(|[from, to], length, _| {
            dx[from..][..length].copy_from_slice(&tape.gradient[first + to..][..length]);
        });
    }
}
