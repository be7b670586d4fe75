//! ADD and MUL with broadcasting.

use rayon::prelude::*;

use super::parallel::{copy, group_size, sum_in_order, zip_map};
use super::walk::{Walk, strides};
use super::{Differentiable, ShapeError, Tape, View, arity};

/// ADD: the sum of two tensors; axes of size 1 repeat, missing leading axes count as 1.
#[derive(Clone, Copy, Debug)]
pub struct Add;

/// MUL: the product of two tensors; axes of size 1 repeat, missing leading axes count as 1.
#[derive(Clone, Copy, Debug)]
pub struct Mul;

impl Differentiable for Add {
    fn name(&self) -> &'static str {
        "ADD"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        broadcast_shape(self.name(), inputs)
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        forward(inputs, output, |a, b| a + b);
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        backward(tape, gradients, |g, _| g);
    }
}

impl Differentiable for Mul {
    fn name(&self) -> &'static str {
        "MUL"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        broadcast_shape(self.name(), inputs)
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        forward(inputs, output, |a, b| a * b);
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        backward(tape, gradients, |g, other| g * other);
    }
}

pub(super) fn broadcast_shape(
    operator: &'static str,
    inputs: &[&[usize]],
) -> Result<Vec<usize>, ShapeError> {
    let [a, b] = arity(operator, inputs)?;
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| match (axis + shape.len()).checked_sub(rank) {
        Some(own) => shape[own],
        None => 1,
    };
    (0..rank)
        .map(|axis| match (size(a, axis), size(b, axis)) {
            (a, b) if a == b || b == 1 => Ok(a),
            (1, b) => Ok(b),
            _ => {
                let problem = format!("shapes {a:?} and {b:?} do not broadcast");
                Err(ShapeError::new(operator, problem))
            }
        })
        .collect()
}

/// Strides of an operand in the output's index space: 0 where it repeats.
fn operand_strides(operand: &[usize], output: &[usize]) -> Vec<usize> {
    let missing = output.len() - operand.len();
    let own = strides(operand);
    (0..output.len())
        .map(|axis| match axis.checked_sub(missing) {
            Some(axis) if operand[axis] != 1 => own[axis],
            _ => 0,
        })
        .collect()
}

/// Both operands in the index space of the output, whose leading axis is set apart.
struct Broadcast {
    /// Size of the leading axis.
    leading: usize,
    /// Elements of the output, and of each operand, that one index of the leading axis passes.
    steps: [usize; 3],
    /// The other axes: output, first and second operand.
    walk: Walk<3>,
}

impl Broadcast {
    fn new(a: &[usize], b: &[usize], output: &[usize]) -> Self {
        let all = [
            strides(output),
            operand_strides(a, output),
            operand_strides(b, output),
        ];
        let (leading, rest) = output
            .split_first()
            .map_or((1, output), |(&n, rest)| (n, rest));
        Self {
            leading,
            steps: [0, 1, 2].map(|i| all[i].first().copied().unwrap_or(0)),
            walk: Walk::new(rest, [0, 1, 2].map(|i| all[i].get(1..).unwrap_or(&[]))),
        }
    }
}

pub(super) fn forward(inputs: &[View<'_>], output: &mut [f32], f: impl Fn(f32, f32) -> f32 + Sync) {
    let [a, b] = inputs else { return };
    if a.shape == b.shape {
        return zip_map(a.data, b.data, output, f);
    }
    let Ok(shape) = broadcast_shape("", &[a.shape, b.shape]) else {
        return;
    };
    let space = Broadcast::new(a.shape, b.shape, &shape);
    output
        .par_chunks_mut(space.steps[0].max(1))
        .enumerate()
        .for_each(|(index, output)| {
            let (a, b) = (
                &a.data[index * space.steps[1]..],
                &b.data[index * space.steps[2]..],
            );
            space
                .walk
                .runs(|[at, at_a, at_b], length, [_, step_a, step_b]| {
                    let output = &mut output[at..][..length];
                    match (step_a, step_b) {
                        (1, 1) => combine(output, &a[at_a..], &b[at_b..], &f),
                        (1, _) => unary(output, &a[at_a..], |x| f(x, b[at_b])),
                        _ => unary(output, &b[at_b..], |x| f(a[at_a], x)),
                    }
                });
        });
}

fn combine(output: &mut [f32], a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) {
    for ((o, &a), &b) in output.iter_mut().zip(a).zip(b) {
        *o = f(a, b);
    }
}

fn unary(output: &mut [f32], x: &[f32], f: impl Fn(f32) -> f32) {
    for (o, &x) in output.iter_mut().zip(x) {
        *o = f(x);
    }
}

/// `slope(gradient, other operand)` is the gradient of an operand before it is summed over repeats.
fn backward(
    tape: Tape<'_>,
    gradients: &mut [Option<&mut [f32]>],
    slope: impl Fn(f32, f32) -> f32 + Sync + Copy,
) {
    let ([a, b], [da, db]) = (tape.inputs, gradients) else {
        return;
    };
    for (gradient, own, other) in [(da, a, b), (db, b, a)] {
        let Some(gradient) = gradient else { continue };
        if own.shape == other.shape {
            zip_map(tape.gradient, other.data, gradient, slope);
        } else {
            let space = Broadcast::new(own.shape, other.shape, tape.output.shape);
            let operands = [own.data, other.data];
            operand_gradient(&space, tape.gradient, operands, gradient, |g, _, other| {
                slope(g, other)
            });
        }
    }
}

/// `slope_a(gradient, a, b)` and `slope_b(gradient, a, b)` are the gradients of the operands before they are summed over repeats.
pub(super) fn backward_of_both(
    tape: Tape<'_>,
    gradients: &mut [Option<&mut [f32]>],
    slope_a: impl Fn(f32, f32, f32) -> f32 + Sync,
    slope_b: impl Fn(f32, f32, f32) -> f32 + Sync,
) {
    let ([a, b], [da, db]) = (tape.inputs, gradients) else {
        return;
    };
    if let Some(da) = da {
        let space = Broadcast::new(a.shape, b.shape, tape.output.shape);
        operand_gradient(&space, tape.gradient, [a.data, b.data], da, slope_a);
    }
    if let Some(db) = db {
        let space = Broadcast::new(b.shape, a.shape, tape.output.shape);
        operand_gradient(&space, tape.gradient, [b.data, a.data], db, |g, b, a| {
            slope_b(g, a, b)
        });
    }
}

/// The gradient of the first operand of `space`; `slope(gradient, own, other)`.
fn operand_gradient(
    space: &Broadcast,
    gradient: &[f32],
    [own, other]: [&[f32]; 2],
    result: &mut [f32],
    slope: impl Fn(f32, f32, f32) -> f32 + Sync,
) {
    let add = |index: usize, result: &mut [f32]| {
        let gradient = &gradient[index * space.steps[0]..];
        let own = &own[index * space.steps[1]..];
        let other = &other[index * space.steps[2]..];
        space.walk.runs(
            |[at, at_own, at_other], length, [_, step_own, step_other]| {
                let gradient = &gradient[at..][..length];
                for (i, &g) in gradient.iter().enumerate() {
                    let (mine, theirs) = (at_own + i * step_own, at_other + i * step_other);
                    result[mine] += slope(g, own[mine], other[theirs]);
                }
            },
        );
    };
    if space.steps[1] != 0 {
        result
            .par_chunks_mut(space.steps[1])
            .enumerate()
            .for_each(|(index, result)| {
                result.fill(0.0);
                add(index, result);
            });
        return;
    }
    let group = group_size(space.leading);
    let parts = (0..space.leading.div_ceil(group))
        .into_par_iter()
        .map(|part| {
            let mut sums = vec![0.0; result.len()];
            let end = space.leading.min((part + 1) * group);
            (part * group..end).for_each(|index| add(index, &mut sums));
            sums
        })
        .collect();
    copy(&sum_in_order(parts), result);
}
