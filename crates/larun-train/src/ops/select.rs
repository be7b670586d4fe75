//! SELECT and ADD_N.

use super::binary::broadcast_shape;
use super::walk::{Walk, strides};
use super::{Differentiable, ShapeError, Tape, View, arity, not_empty};

/// SELECT and SELECT_V2: elements of the second input where the first is not 0, else of the third. All broadcast. The condition
/// has no gradient.
#[derive(Clone, Copy, Debug)]
pub struct Select;

impl Select {
    fn walk(inputs: &[&[usize]], output: &[usize]) -> Walk<4> {
        let own = |shape: &[usize]| -> Vec<usize> {
            // SELECT lets a vector of conditions choose whole rows.
            let missing = output.len().saturating_sub(shape.len());
            let steps = strides(shape);
            (0..output.len())
                .map(|axis| match axis.checked_sub(missing) {
                    Some(axis) if shape[axis] != 1 => steps[axis],
                    _ => 0,
                })
                .collect()
        };
        let all = [
            own(inputs[0]),
            own(inputs[1]),
            own(inputs[2]),
            strides(output),
        ];
        Walk::new(output, [&all[0], &all[1], &all[2], &all[3]])
    }
}

impl Differentiable for Select {
    fn name(&self) -> &'static str {
        "SELECT_V2"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let [condition, a, b] = arity(self.name(), inputs)?;
        let values = broadcast_shape(self.name(), &[a, b])?;
        broadcast_shape(self.name(), &[condition, &values])
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [c, a, b] = inputs else { return };
        let shapes = [c.shape, a.shape, b.shape];
        let Ok(shape) = self.output_shape(&shapes) else {
            return;
        };
        Self::walk(&shapes, &shape).runs(|[c0, a0, b0, y0], length, [cs, as_, bs, ys]| {
            for i in 0..length {
                output[y0 + i * ys] = match c.data[c0 + i * cs] != 0.0 {
                    true => a.data[a0 + i * as_],
                    false => b.data[b0 + i * bs],
                };
            }
        });
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([c, a, b], [dc, da, db]) = (tape.inputs, gradients) else {
            return;
        };
        for gradient in [&mut *dc, &mut *da, &mut *db].into_iter().flatten() {
            gradient.fill(0.0);
        }
        let shapes = [c.shape, a.shape, b.shape];
        Self::walk(&shapes, tape.output.shape).runs(
            |[c0, a0, b0, y0], length, [cs, as_, bs, ys]| {
                for i in 0..length {
                    let g = tape.gradient[y0 + i * ys];
                    let chosen = match c.data[c0 + i * cs] != 0.0 {
                        true => da.as_deref_mut().map(|da| &mut da[a0 + i * as_]),
                        false => db.as_deref_mut().map(|db| &mut db[b0 + i * bs]),
                    };
                    if let Some(slot) = chosen {
                        *slot += g;
                    }
                }
            },
        );
    }
}

/// ADD_N: the sum of any number of tensors of one shape.
#[derive(Clone, Copy, Debug)]
pub struct AddN;

impl Differentiable for AddN {
    fn name(&self) -> &'static str {
        "ADD_N"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        not_empty(self.name(), inputs)?;
        let wrong = |problem: String| Err(ShapeError::new(self.name(), problem));
        let Some((first, rest)) = inputs.split_first() else {
            return wrong("takes at least one input".to_owned());
        };
        match rest.iter().find(|shape| *shape != first) {
            Some(other) => wrong(format!(
                "{other:?} is not the shape {first:?} of the first input"
            )),
            None => Ok(first.to_vec()),
        }
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        output.fill(0.0);
        for input in inputs {
            super::accumulate(output, input.data);
        }
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        for gradient in gradients.iter_mut().flatten() {
            gradient.copy_from_slice(tape.gradient);
        }
    }
}
