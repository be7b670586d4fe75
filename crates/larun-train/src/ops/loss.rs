//! Losses: softmax cross-entropy on logits, binary cross-entropy on logits, mean squared error.

use super::softmax::softmax;
use super::{Differentiable, ShapeError, Tape, View, arity};

const NAME: &str = "softmax cross-entropy";
const BINARY: &str = "binary cross-entropy";
const SQUARED: &str = "mean squared error";

/// The mean over the batch of `-log softmax(logits)[label]`. Input: logits `[N, K]`; output: `[]`.
///
/// Softmax and logarithm are one operator: its gradient is `(softmax - target) / N`, exact where the
/// two steps apart would divide by a vanishing probability.
#[derive(Clone, Debug, Default)]
pub struct SoftmaxCrossEntropy {
    /// The class of each sample.
    pub labels: Vec<u32>,
    /// The share of the target that is spread evenly over all classes; 0 puts it all on the label.
    pub smoothing: f32,
    /// What a sample of each class counts; empty where all count alike. The mean is over the number of samples.
    pub class_weights: Vec<f32>,
    /// What each class has of each sample, `[N, K]`, each row summing to 1, in place of all for the label; empty where it has all.
    pub shares: Vec<f32>,
}

impl SoftmaxCrossEntropy {
    fn weight(&self, label: u32) -> f32 {
        let weight = self.class_weights.get(label as usize);
        weight.copied().unwrap_or(1.0)
    }

    /// What is asked of a sample: to each class its share, less what is spread over all.
    fn target(&self, sample: usize, target: &mut [f32]) {
        let classes = target.len();
        let shares = self.shares.get(sample * classes..(sample + 1) * classes);
        match (shares, self.labels.get(sample)) {
            (Some(shares), _) => target.copy_from_slice(shares),
            (None, Some(&label)) => {
                target.fill(0.0);
                target[label as usize] = 1.0;
            }
            (None, None) => {}
        }
        for share in target {
            *share = (1.0 - self.smoothing) * *share + self.smoothing / classes as f32;
        }
    }
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
        if !self.class_weights.is_empty() && self.class_weights.len() != classes {
            return wrong(format!(
                "{} weights for {classes} classes",
                self.class_weights.len()
            ));
        }
        if !self.shares.is_empty() && self.shares.len() != samples * classes {
            return wrong(format!(
                "{} shares for {samples} samples of {classes} classes",
                self.shares.len()
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
        let mut target = vec![0.0; classes];
        for (sample, ((x, y), &label)) in rows.zip(&self.labels).enumerate() {
            let (max, sum) = softmax(x, 1.0, y);
            self.target(sample, &mut target);
            let asked: f32 = x.iter().zip(&target).map(|(x, t)| x * t).sum();
            total += f64::from(self.weight(label) * (libm::logf(sum) + max - asked));
        }
        *output = (total / self.labels.len() as f64) as f32;
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([Some(dx)], [gradient]) = (gradients, tape.gradient) else {
            return;
        };
        let classes = dx.len() / self.labels.len();
        let factor = gradient / self.labels.len() as f32;
        let rows = dx
            .chunks_exact_mut(classes)
            .zip(tape.saved.chunks_exact(classes));
        let mut target = vec![0.0; classes];
        for (sample, ((dx, y), &label)) in rows.zip(&self.labels).enumerate() {
            let factor = factor * self.weight(label);
            self.target(sample, &mut target);
            for ((dx, y), target) in dx.iter_mut().zip(y).zip(&target) {
                *dx = y * factor - target * factor;
            }
        }
    }
}

/// The mean over all elements of `-t log s(x) - (1 - t) log(1 - s(x))` with the logistic function `s`. Input: logits of any
/// shape; output: `[]`.
#[derive(Clone, Debug, Default)]
pub struct BinaryCrossEntropy {
    /// The target of each element, between 0 and 1.
    pub targets: Vec<f32>,
    /// What each element counts; empty where all count alike. The mean is over the number of elements.
    pub weights: Vec<f32>,
}

impl BinaryCrossEntropy {
    fn weight(&self, index: usize) -> f32 {
        self.weights.get(index).copied().unwrap_or(1.0)
    }
}

impl Differentiable for BinaryCrossEntropy {
    fn name(&self) -> &'static str {
        BINARY
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        all_targets(BINARY, inputs, self.targets.len())
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let ([x], [output]) = (inputs, output) else {
            return;
        };
        let elements = x.data.iter().zip(&self.targets).enumerate();
        let total: f64 = elements
            .map(|(index, (&x, &t))| {
                let positive = if x > 0.0 || x.is_nan() { x } else { 0.0 };
                let loss = positive - x * t + libm::log1pf(libm::expf(-x.abs()));
                f64::from(self.weight(index) * loss)
            })
            .sum();
        *output = (total / self.targets.len() as f64) as f32;
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([x], [Some(dx)], [gradient]) = (tape.inputs, gradients, tape.gradient) else {
            return;
        };
        let factor = gradient / self.targets.len() as f32;
        let elements = x.data.iter().zip(&self.targets).enumerate();
        for (dx, (index, (&x, &t))) in dx.iter_mut().zip(elements) {
            *dx = factor * self.weight(index) * (1.0 / (1.0 + libm::expf(-x)) - t);
        }
    }
}

/// The mean over all elements of `(x - t)^2`. Input: any shape; output: `[]`.
#[derive(Clone, Debug, Default)]
pub struct MeanSquaredError {
    /// The target of each element.
    pub targets: Vec<f32>,
}

impl Differentiable for MeanSquaredError {
    fn name(&self) -> &'static str {
        SQUARED
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        all_targets(SQUARED, inputs, self.targets.len())
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let ([x], [output]) = (inputs, output) else {
            return;
        };
        let squares = x.data.iter().zip(&self.targets);
        let total: f64 = squares.map(|(&x, &t)| f64::from((x - t) * (x - t))).sum();
        *output = (total / self.targets.len() as f64) as f32;
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([x], [Some(dx)], [gradient]) = (tape.inputs, gradients, tape.gradient) else {
            return;
        };
        let factor = 2.0 * gradient / self.targets.len() as f32;
        for ((dx, x), t) in dx.iter_mut().zip(x.data).zip(&self.targets) {
            *dx = factor * (x - t);
        }
    }
}

fn all_targets(
    operator: &'static str,
    inputs: &[&[usize]],
    targets: usize,
) -> Result<Vec<usize>, ShapeError> {
    let [x] = arity(operator, inputs)?;
    if x.iter().product::<usize>() != targets {
        let problem = format!("{targets} targets for an input {x:?}");
        return Err(ShapeError::new(operator, problem));
    }
    Ok(Vec::new())
}
