//! Softmax cross-entropy on logits.

use super::softmax::softmax;
use super::{Differentiable, ShapeError, Tape, View, arity};

const NAME: &str = "softmax cross-entropy";

/// The mean over the batch of `-log softmax(logits)[label]`. Input: logits `[N, K]`; output: `[]`.
///
/// Softmax and logarithm are one operator: its gradient is `(softmax - one hot) / N`, exact where the
/// two steps apart would divide by a vanishing probability.
#[derive(Clone, Debug)]
pub struct SoftmaxCrossEntropy {
    /// The class of each sample.
    pub labels: Vec<u32>,
}

impl Differentiable for SoftmaxCrossEntropy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let [logits] = arity(NAME, inputs)?;
        let wrong = |problem| Err(ShapeError::new(NAME, problem));
        let &[samples, classes] = logits else {
            return wrong(format!("logits must have rank 2, have shape {logits:?}"));
        };
        if samples != self.labels.len() {
            return wrong(format!(
                "{samples} rows of logits but {} labels",
                self.labels.len()
            ));
        }
        match self.labels.iter().find(|&&label| label as usize >= classes) {
            Some(label) => wrong(format!("label {label} with {classes} classes")),
            None => Ok(Vec::new()),
        }
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], saved: &mut Vec<f32>) {
        let ([x], [output]) = (inputs, output) else {
            return;
        };
        let classes = x.data.len() / self.labels.len();
        saved.clear();
        saved.resize(x.data.len(), 0.0);
        let rows = x
            .data
            .chunks_exact(classes)
            .zip(saved.chunks_exact_mut(classes));
        let mut total = 0.0;
        for ((x, y), &label) in rows.zip(&self.labels) {
            let (max, sum) = softmax(x, 1.0, y);
            total += f64::from(libm::logf(sum) + max - x[label as usize]);
        }
        *output = (total / self.labels.len() as f64) as f32;
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([Some(dx)], [gradient]) = (gradients, tape.gradient) else {
            return;
        };
        let classes = dx.len() / self.labels.len();
        let factor = gradient / self.labels.len() as f32;
        for (dx, y) in dx.iter_mut().zip(tape.saved) {
            *dx = y * factor;
        }
        for (dx, &label) in dx.chunks_exact_mut(classes).zip(&self.labels) {
            dx[label as usize] -= factor;
        }
    }
}
