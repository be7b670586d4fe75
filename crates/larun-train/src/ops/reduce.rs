//! SUM, REDUCE_MAX and REDUCE_MIN over some axes.

use super::mean::Mean;
use super::{Differentiable, ShapeError, Tape, View};

/// What elements come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// SUM.
    Sum,
    /// REDUCE_MAX; the gradient goes to the first of equals.
    Max,
    /// REDUCE_MIN; the gradient goes to the first of equals.
    Min,
}

/// A reduction over `axes`.
#[derive(Clone, Debug)]
pub struct Reduce {
    /// What elements come to.
    pub reduction: Reduction,
    /// The axes that are gone through, counted from the outermost.
    pub axes: Vec<usize>,
    /// Whether they stay as axes of size 1.
    pub keep_dims: bool,
}

impl Reduce {
    /// The mean over the same axes, whose geometry is the same.
    fn mean(&self) -> Mean {
        Mean {
            axes: self.axes.clone(),
            keep_dims: self.keep_dims,
        }
    }

    fn wins(&self, new: f32, old: f32) -> bool {
        match self.reduction {
            Reduction::Max => new > old || (new.is_nan() && !old.is_nan()),
            _ => new < old || (new.is_nan() && !old.is_nan()),
        }
    }

    /// Calls `f` with every element's index and that of the output which it goes into.
    fn for_each(&self, shape: &[usize], mut f: impl FnMut(usize, usize)) {
        self.mean().pairs(shape, &mut f);
    }
}

impl Differentiable for Reduce {
    fn name(&self) -> &'static str {
        match self.reduction {
            Reduction::Sum => "SUM",
            Reduction::Max => "REDUCE_MAX",
            Reduction::Min => "REDUCE_MIN",
        }
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let named = |error: ShapeError| ShapeError {
            operator: self.name(),
            ..error
        };
        self.mean().output_shape(inputs).map_err(named)
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x] = inputs else { return };
        if self.reduction == Reduction::Sum {
            output.fill(0.0);
            self.for_each(x.shape, |from, to| output[to] += x.data[from]);
            return;
        }
        let mut seen = vec![false; output.len()];
        self.for_each(x.shape, |from, to| {
            if !seen[to] || self.wins(x.data[from], output[to]) {
                seen[to] = true;
                output[to] = x.data[from];
            }
        });
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([x], [Some(dx)]) = (tape.inputs, gradients) else {
            return;
        };
        if self.reduction == Reduction::Sum {
            self.for_each(x.shape, |from, to| dx[from] = tape.gradient[to]);
            return;
        }
        let mut open = tape.gradient.to_vec();
        self.for_each(x.shape, |from, to| {
            let is_it = x.data[from] == tape.output.data[to];
            dx[from] = if is_it {
                core::mem::take(&mut open[to])
            } else {
                0.0
            };
        });
    }
}
