//! Losses on inner values: FitNets' hints through a 1x1 regressor, attention transfer.
//!
//! Values are `[samples, positions, channels]`, one sample after the other.

use larun_train::{Optimizer, OptimizerConfig};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The sizes of inner values of student and teacher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureShape {
    /// Positions of one sample: the same for both.
    pub positions: usize,
    /// Channels of the student.
    pub student: usize,
    /// Channels of the teacher.
    pub teacher: usize,
}

/// A hint (Romero et al. 2015): the mean squared difference of the teacher's values and of what a 1x1 convolution makes of the
/// student's. The convolution is trained along and thrown away afterwards.
#[derive(Clone, Debug)]
pub struct Regressor {
    shape: FeatureShape,
    /// `[teacher, student]`.
    weights: Vec<f32>,
    bias: Vec<f32>,
    gradients: [Vec<f32>; 2],
    optimizer: Optimizer,
}

impl Regressor {
    /// A regressor with weights drawn by `seed`.
    pub fn new(shape: FeatureShape, seed: u64) -> Self {
        let count = shape.student * shape.teacher;
        let limit = libm::sqrtf(6.0 / (shape.student + shape.teacher).max(1) as f32);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let weights = (0..count).map(|_| (rng.random::<f32>() * 2.0 - 1.0) * limit);
        Self {
            shape,
            weights: weights.collect(),
            bias: vec![0.0; shape.teacher],
            gradients: [vec![0.0; count], vec![0.0; shape.teacher]],
            optimizer: Optimizer::new([count, shape.teacher].into_iter()),
        }
    }

    /// The loss of a batch and its gradient with respect to the student's values; that of the regressor is kept for
    /// [`step`](Self::step).
    pub fn value_and_gradient(&mut self, student: &[f32], teacher: &[f32]) -> (f32, Vec<f32>) {
        let FeatureShape {
            student: depth,
            teacher: channels,
            ..
        } = self.shape;
        self.gradients.iter_mut().for_each(|g| g.fill(0.0));
        let mut gradient = vec![0.0; student.len()];
        let factor = 2.0 / teacher.len().max(1) as f32;
        let mut total = 0.0f64;
        let rows = student
            .chunks_exact(depth)
            .zip(teacher.chunks_exact(channels))
            .zip(gradient.chunks_exact_mut(depth));
        for ((student, teacher), gradient) in rows {
            for (channel, &target) in teacher.iter().enumerate() {
                let weights = &self.weights[channel * depth..][..depth];
                let sum: f32 = weights.iter().zip(student).map(|(w, x)| w * x).sum();
                let error = sum + self.bias[channel] - target;
                total += f64::from(error * error);
                let d = factor * error;
                self.gradients[1][channel] += d;
                let of_weights = &mut self.gradients[0][channel * depth..][..depth];
                for ((of_weight, x), (g, w)) in of_weights
                    .iter_mut()
                    .zip(student)
                    .zip(gradient.iter_mut().zip(weights))
                {
                    *of_weight += d * x;
                    *g += d * w;
                }
            }
        }
        ((total / teacher.len().max(1) as f64) as f32, gradient)
    }

    /// Takes step number `step`, counted from 1, with Adam.
    pub fn step(&mut self, learning_rate: f32, step: u64) {
        let config = OptimizerConfig::default();
        let [of_weights, of_bias] = &self.gradients;
        let optimizer = &mut self.optimizer;
        optimizer.apply(
            config,
            learning_rate,
            step,
            0,
            true,
            &mut self.weights,
            of_weights,
        );
        optimizer.apply(
            config,
            learning_rate,
            step,
            1,
            false,
            &mut self.bias,
            of_bias,
        );
    }

    /// Everything that a training needs to go on.
    pub(crate) fn state(&self) -> Vec<Vec<f32>> {
        let mut state = vec![self.weights.clone(), self.bias.clone()];
        state.extend(self.optimizer.moments());
        state
    }

    pub(crate) fn restore(&mut self, state: Vec<Vec<f32>>) -> Result<(), String> {
        let expected: Vec<usize> = self.state().iter().map(Vec::len).collect();
        let found: Vec<usize> = state.iter().map(Vec::len).collect();
        if expected != found {
            return Err(format!(
                "tensors of {found:?} values in place of {expected:?}"
            ));
        }
        let mut state = state.into_iter();
        self.weights = state.next().unwrap_or_default();
        self.bias = state.next().unwrap_or_default();
        self.optimizer.set_moments(state.collect());
        Ok(())
    }

    /// The weights `[teacher, student]` and the bias.
    pub fn parameters(&self) -> (&[f32], &[f32]) {
        (&self.weights, &self.bias)
    }

    /// The gradients of weights and bias from the last batch.
    pub fn gradients(&self) -> (&[f32], &[f32]) {
        (&self.gradients[0], &self.gradients[1])
    }
}

/// Attention transfer (Zagoruyko and Komodakis 2017): the squared distance of the two maps of squared values, summed over channels
/// and brought to length one; a mean over the batch.
pub fn attention(student: &[f32], teacher: &[f32], shape: FeatureShape) -> (f32, Vec<f32>) {
    let FeatureShape {
        positions,
        student: depth,
        teacher: channels,
    } = shape;
    let samples = (student.len() / (positions * depth).max(1)).max(1);
    let mut gradient = vec![0.0; student.len()];
    let mut total = 0.0;
    let rows = student
        .chunks_exact(positions * depth)
        .zip(teacher.chunks_exact(positions * channels))
        .zip(gradient.chunks_exact_mut(positions * depth));
    for ((student, teacher), gradient) in rows {
        let (of_student, length) = map(student, depth);
        let (of_teacher, _) = map(teacher, channels);
        let d: Vec<f64> = of_student
            .iter()
            .zip(&of_teacher)
            .map(|(s, t)| 2.0 * (s - t) / samples as f64)
            .collect();
        total += of_student
            .iter()
            .zip(&of_teacher)
            .map(|(s, t)| (s - t) * (s - t))
            .sum::<f64>();
        let along: f64 = d.iter().zip(&of_student).map(|(d, q)| d * q).sum();
        let pixels = gradient
            .chunks_exact_mut(depth)
            .zip(student.chunks_exact(depth));
        for ((gradient, student), (d, q)) in pixels.zip(d.iter().zip(&of_student)) {
            let of_map = (d - q * along) / length;
            for (g, x) in gradient.iter_mut().zip(student) {
                *g = (of_map * 2.0 * f64::from(*x)) as f32;
            }
        }
    }
    ((total / samples as f64) as f32, gradient)
}

/// The attention map of a sample, of length one, and the length that it had.
fn map(values: &[f32], channels: usize) -> (Vec<f64>, f64) {
    let squares = |pixel: &[f32]| pixel.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let map: Vec<f64> = values.chunks_exact(channels).map(squares).collect();
    let length = map.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-12);
    (map.iter().map(|x| x / length).collect(), length)
}
