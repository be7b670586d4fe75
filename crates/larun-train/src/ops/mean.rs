//! MEAN over some axes.

use rayon::prelude::*;

use super::walk::{Walk, strides};
use super::{Differentiable, ShapeError, Tape, View, arity};

const NAME: &str = "MEAN";

/// MEAN over `axes`.
#[derive(Clone, Debug)]
pub struct Mean {
    /// The axes to average over, counted from the outermost.
    pub axes: Vec<usize>,
    /// Whether they stay as axes of size 1.
    pub keep_dims: bool,
}

impl Mean {
    /// The leading axis as tasks when it stays, and how the others map input to output.
    fn plan(&self, input: &[usize]) -> Plan {
        let kept: Vec<usize> = (0..input.len())
            .map(|axis| {
                if self.axes.contains(&axis) {
                    1
                } else {
                    input[axis]
                }
            })
            .collect();
        let mut to = strides(&kept);
        for (axis, stride) in to.iter_mut().enumerate() {
            if self.axes.contains(&axis) {
                *stride = 0;
            }
        }
        let from = strides(input);
        let leading = usize::from(!self.axes.contains(&0) && !input.is_empty());
        let product = |shape: &[usize]| shape[leading..].iter().product::<usize>();
        Plan {
            walk: Walk::new(&input[leading..], [&from[leading..], &to[leading..]]),
            input: product(input),
            output: product(&kept),
        }
    }
}

impl Mean {
    /// Calls `f` with the index of every element, in order, and that of the output which it goes into.
    pub(super) fn pairs(&self, input: &[usize], f: &mut impl FnMut(usize, usize)) {
        let plan = self.plan(input);
        let tasks = input.iter().product::<usize>() / plan.input.max(1);
        for task in 0..tasks {
            plan.walk.runs(|[from, to], length, [_, step]| {
                for i in 0..length {
                    f(
                        task * plan.input + from + i,
                        task * plan.output + to + i * step,
                    );
                }
            });
        }
    }
}

/// How one task maps its input to its output.
struct Plan {
    walk: Walk<2>,
    /// Elements of the input of a task.
    input: usize,
    /// Elements of the output of a task.
    output: usize,
}

impl Plan {
    /// What one element of the input counts in the mean.
    fn share(&self) -> f32 {
        self.output as f32 / self.input as f32
    }
}

impl Differentiable for Mean {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let [input] = arity(NAME, inputs)?;
        if let Some(axis) = self.axes.iter().find(|&&axis| axis >= input.len()) {
            return Err(ShapeError::new(
                NAME,
                format!("no axis {axis} in an input {input:?}"),
            ));
        }
        let axes = input.iter().enumerate();
        Ok(axes
            .filter(|(axis, _)| self.keep_dims || !self.axes.contains(axis))
            .map(|(axis, &size)| if self.axes.contains(&axis) { 1 } else { size })
            .collect())
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x] = inputs else { return };
        let plan = self.plan(x.shape);
        let tasks = output
            .par_chunks_mut(plan.output)
            .zip(x.data.par_chunks(plan.input));
        tasks.for_each(|(output, x)| {
            output.fill(0.0);
            plan.walk.runs(|[from, to], length, [_, step]| {
                let x = &x[from..][..length];
                if step == 0 {
                    output[to] += x.iter().sum::<f32>();
                } else {
                    let output = &mut output[to..][..length];
                    output
                        .iter_mut()
                        .zip(x)
                        .for_each(|(output, x)| *output += x);
                }
            });
            output.iter_mut().for_each(|output| *output *= plan.share());
        });
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([x], [Some(dx)]) = (tape.inputs, gradients) else {
            return;
        };
        let plan = self.plan(x.shape);
        let tasks = dx
            .par_chunks_mut(plan.input)
            .zip(tape.gradient.par_chunks(plan.output));
        tasks.for_each(|(dx, gradient)| {
            plan.walk.runs(|[from, to], length, [_, step]| {
                let dx = &mut dx[from..][..length];
                if step == 0 {
                    dx.fill(gradient[to] * plan.share());
                } else {
                    let gradient = &gradient[to..][..length];
                    dx.iter_mut()
                        .zip(gradient)
                        .for_each(|(dx, g)| *dx = g * plan.share());
                }
            });
        });
    }
}
