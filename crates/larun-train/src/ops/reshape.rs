//! RESHAPE, SQUEEZE and EXPAND_DIMS: the same elements under other dimensions.

use super::parallel::copy;
use super::{Differentiable, ShapeError, Tape, View, arity};

const NAME: &str = "RESHAPE";

/// RESHAPE: one input, whose elements get the dimensions `shape`.
#[derive(Clone, Debug)]
pub struct Reshape {
    /// The dimensions of the output.
    pub shape: Vec<usize>,
}

impl Differentiable for Reshape {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let [input] = arity(NAME, inputs)?;
        let product = |shape: &[usize]| shape.iter().try_fold(1, |a: usize, &b| a.checked_mul(b));
        if product(input) != product(&self.shape) {
            let problem = format!("{input:?} cannot become {:?}", self.shape);
            return Err(ShapeError::new(NAME, problem));
        }
        Ok(self.shape.clone())
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x] = inputs else { return };
        copy(x.data, output);
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let [Some(dx)] = gradients else { return };
        copy(tape.gradient, dx);
    }
}
