//! Operators that only move elements: each output element is one element of an input, or a constant.

use std::sync::Arc;

use rayon::prelude::*;

use super::{Differentiable, ShapeError, Tape, View, not_empty};

/// An operator that only moves elements, sample by sample: SLICE, TRANSPOSE, GATHER and many more.
///
/// An input with the elements of one sample, where others have those of several, is the same for all.
#[derive(Clone, Debug)]
pub struct Moves {
    /// The name of the operator, in the terms of the `.tflite` format.
    pub name: &'static str,
    /// Elements of each input in one sample.
    pub inputs: Vec<usize>,
    /// The dimensions of the output for one sample.
    pub shape: Vec<usize>,
    /// Where each output element of a sample comes from: element `k` of the first input as `k`, those of the inputs after it as
    /// if all were one; [`Moves::NOTHING`] for nought.
    pub from: Arc<[u32]>,
}

impl Moves {
    /// An output element that is nought.
    pub const NOTHING: u32 = u32::MAX;

    /// The first element of each input, as if all were one.
    fn starts(&self) -> Vec<usize> {
        let mut next = 0;
        let start = |length: &usize| {
            let start = next;
            next += length;
            start
        };
        self.inputs.iter().map(start).collect()
    }

    /// The input that an element belongs to, and its index there.
    fn place(starts: &[usize], element: u32) -> Option<(usize, usize)> {
        if element == Self::NOTHING {
            return None;
        }
        let element = element as usize;
        let input = starts
            .partition_point(|&start| start <= element)
            .checked_sub(1)?;
        Some((input, element - starts[input]))
    }

    fn output_len(&self) -> usize {
        self.from.len().max(1)
    }
}

impl Differentiable for Moves {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        not_empty(self.name, inputs)?;
        let wrong = |problem| Err(ShapeError::new(self.name, problem));
        if inputs.len() != self.inputs.len() {
            return wrong(format!(
                "takes {} inputs, got {}",
                self.inputs.len(),
                inputs.len()
            ));
        }
        let mut samples = 1;
        for (shape, &length) in inputs.iter().zip(&self.inputs) {
            let elements: usize = shape.iter().product();
            let count = elements / length.max(1);
            if length == 0
                || !elements.is_multiple_of(length)
                || (count > 1 && samples > 1 && count != samples)
            {
                return wrong(format!(
                    "an input {shape:?} does not hold samples of {length}"
                ));
            }
            samples = samples.max(count);
        }
        let mut shape = self.shape.clone();
        match shape.first_mut() {
            Some(leading) => *leading *= samples,
            None if samples > 1 => {
                return wrong(
                    "a single number comes out, whatever the number of samples".to_owned(),
                );
            }
            None => {}
        }
        Ok(shape)
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let starts = self.starts();
        let of_sample = |sample: usize, input: usize| -> &[f32] {
            let length = self.inputs[input];
            match inputs[input].data.len() > length {
                true => &inputs[input].data[sample * length..][..length],
                false => inputs[input].data,
            }
        };
        output
            .par_chunks_mut(self.output_len())
            .enumerate()
            .for_each(|(sample, output)| {
                if let [_] = inputs {
                    let input = of_sample(sample, 0);
                    for (y, &from) in output.iter_mut().zip(&*self.from) {
                        *y = input.get(from as usize).copied().unwrap_or(0.0);
                    }
                    return;
                }
                for (y, &from) in output.iter_mut().zip(&*self.from) {
                    *y = match Self::place(&starts, from) {
                        Some((input, index)) => of_sample(sample, input)[index],
                        None => 0.0,
                    };
                }
            });
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let starts = self.starts();
        for (input, gradient) in gradients.iter_mut().enumerate() {
            let Some(dx) = gradient else { continue };
            let (start, length) = (starts[input], self.inputs[input]);
            let add = |dx: &mut [f32], gradient: &[f32]| {
                for (&from, g) in self.from.iter().zip(gradient) {
                    let at = (from as usize).wrapping_sub(start);
                    if from != Self::NOTHING && at < length {
                        dx[at] += g;
                    }
                }
            };
            dx.fill(0.0);
            let rows = tape.gradient.par_chunks(self.output_len());
            if dx.len() > length {
                dx.par_chunks_mut(length)
                    .zip(rows)
                    .for_each(|(dx, gradient)| add(dx, gradient));
            } else {
                // The same for all samples: their gradients add up in order.
                for gradient in tape.gradient.chunks(self.output_len()) {
                    add(dx, gradient);
                }
            }
        }
    }
}
