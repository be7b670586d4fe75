//! From gradients to steps: SGD with momentum, Adam, AdamW.

use larun_graph::ops::Role;
use serde::{Deserialize, Serialize};

use crate::{Parameter, TrainError};

/// How a gradient becomes a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum OptimizerConfig {
    /// Stochastic gradient descent: `v <- momentum * v - rate * g`, `w <- w + v`.
    Sgd {
        /// The share of the last step that goes into the next; 0 for none.
        momentum: f32,
        /// Whether the gradient is taken where momentum leads (Nesterov 1983, in the form of Sutskever et al. 2013):
        /// `w <- w + momentum * v - rate * g`.
        nesterov: bool,
        /// Added to the gradient of weights, times their value (L2 regularisation).
        weight_decay: f32,
    },
    /// Adam (Kingma and Ba 2015), with the bias correction folded into the step as Keras does.
    Adam(AdamConfig),
    /// Adam with the decay of weights apart from the gradient (Loshchilov and Hutter 2019).
    AdamW {
        /// The constants of Adam.
        adam: AdamConfig,
        /// The share of a weight that a step takes away, times the learning rate. Biases and scales do not decay.
        weight_decay: f32,
    },
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::Adam(AdamConfig::default())
    }
}

impl OptimizerConfig {
    /// SGD with the usual momentum of 0.9.
    pub const fn sgd() -> Self {
        Self::Sgd {
            momentum: 0.9,
            nesterov: false,
            weight_decay: 0.0,
        }
    }

    /// AdamW with Keras' decay of 0.004.
    pub fn adam_w() -> Self {
        Self::AdamW {
            adam: AdamConfig::default(),
            weight_decay: 4e-3,
        }
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        let fraction = |x: f32| (0.0..1.0).contains(&x);
        let decay = |x: f32| (0.0..1e3).contains(&x);
        match *self {
            Self::Sgd { momentum, .. } if !fraction(momentum) => {
                Err("momentum must be at least 0 and less than 1")
            }
            Self::Adam(adam) | Self::AdamW { adam, .. }
                if !fraction(adam.beta1) || !fraction(adam.beta2) =>
            {
                Err("beta1 and beta2 must be at least 0 and less than 1")
            }
            Self::Adam(adam) | Self::AdamW { adam, .. }
                if !(adam.epsilon > 0.0 && adam.epsilon.is_finite()) =>
            {
                Err("epsilon must be greater than 0 and finite")
            }
            Self::Sgd { weight_decay, .. } | Self::AdamW { weight_decay, .. }
                if !decay(weight_decay) =>
            {
                Err("the decay of weights must be at least 0 and less than 1000")
            }
            _ => Ok(()),
        }
    }
}

/// The constants of Adam (Kingma and Ba 2015).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamConfig {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-7,
        }
    }
}

/// The optimiser's state.
#[derive(Clone, Debug, Default)]
pub struct Optimizer {
    /// First moment of each parameter's gradient, or its velocity.
    pub(crate) first: Vec<Vec<f32>>,
    /// Second moment of each parameter's gradient.
    pub(crate) second: Vec<Vec<f32>>,
}

impl Optimizer {
    /// The state before the first step, for parameters of these lengths.
    pub fn new(lengths: impl Iterator<Item = usize> + Clone) -> Self {
        Self {
            first: lengths.clone().map(|length| vec![0.0; length]).collect(),
            second: lengths.map(|length| vec![0.0; length]).collect(),
        }
    }

    /// Everything that it remembers, as [`set_moments`](Self::set_moments) takes it.
    pub fn moments(&self) -> impl Iterator<Item = Vec<f32>> + '_ {
        self.first.iter().chain(&self.second).cloned()
    }

    /// Takes back what [`moments`](Self::moments) gave; lists of another number or length leave it as it is.
    pub fn set_moments(&mut self, moments: Vec<Vec<f32>>) {
        let own = self.first.iter().chain(&self.second).map(Vec::len);
        if own.eq(moments.iter().map(Vec::len)) {
            let all = self.first.iter_mut().chain(&mut self.second);
            all.zip(moments).for_each(|(own, given)| *own = given);
        }
    }

    /// Takes step number `step`, counted from 1, for all parameters.
    pub(super) fn step(
        &mut self,
        config: OptimizerConfig,
        learning_rate: f32,
        step: u64,
        parameters: &[Parameter],
        gradients: &[Vec<f32>],
    ) -> Result<(), TrainError> {
        for (index, (parameter, gradient)) in parameters.iter().zip(gradients).enumerate() {
            let decays = matches!(parameter.role(), Role::Weights { .. });
            parameter.update(|values| {
                self.apply(config, learning_rate, step, index, decays, values, gradient);
            })?;
        }
        Ok(())
    }

    /// Takes step number `step`, counted from 1, for the values of parameter `index`.
    pub fn apply(
        &mut self,
        config: OptimizerConfig,
        learning_rate: f32,
        step: u64,
        index: usize,
        decays: bool,
        values: &mut [f32],
        gradient: &[f32],
    ) {
        let (Some(first), Some(second)) = (self.first.get_mut(index), self.second.get_mut(index))
        else {
            return;
        };
        match config {
            OptimizerConfig::Sgd {
                momentum,
                nesterov,
                weight_decay,
            } => {
                let decay = if decays { weight_decay } else { 0.0 };
                for ((value, &g), v) in values.iter_mut().zip(gradient).zip(first) {
                    let step = learning_rate * (g + decay * *value);
                    *v = momentum * *v - step;
                    *value += if nesterov { momentum * *v - step } else { *v };
                }
            }
            OptimizerConfig::Adam(adam) => {
                adam_step(adam, learning_rate, step, [first, second], values, gradient);
            }
            OptimizerConfig::AdamW { adam, weight_decay } => {
                if decays {
                    let kept = 1.0 - learning_rate * weight_decay;
                    values.iter_mut().for_each(|value| *value *= kept);
                }
                adam_step(adam, learning_rate, step, [first, second], values, gradient);
            }
        }
    }
}

fn adam_step(
    config: AdamConfig,
    learning_rate: f32,
    step: u64,
    [first, second]: [&mut Vec<f32>; 2],
    values: &mut [f32],
    gradient: &[f32],
) {
    let correction = |beta: f32| 1.0 - libm::pow(f64::from(beta), step as f64);
    let rate =
        f64::from(learning_rate) * libm::sqrt(correction(config.beta2)) / correction(config.beta1);
    let rate = rate as f32;
    let moments = first.iter_mut().zip(second);
    for ((value, &g), (m, v)) in values.iter_mut().zip(gradient).zip(moments) {
        *m += (g - *m) * (1.0 - config.beta1);
        *v += (g * g - *v) * (1.0 - config.beta2);
        *value -= rate * *m / (v.sqrt() + config.epsilon);
    }
}

#[cfg(test)]
mod tests {
    use super::{AdamConfig, Optimizer, OptimizerConfig};

    /// The values after three steps from (1, -2) with gradients (0.5, -1), (0.25, 2), (-1, 0) and a rate of 0.1.
    fn three(config: OptimizerConfig) -> Vec<f32> {
        let mut optimizer = Optimizer::new([2].into_iter());
        let mut values = vec![1.0, -2.0];
        for (step, gradient) in [[0.5, -1.0], [0.25, 2.0], [-1.0, 0.0]].iter().enumerate() {
            optimizer.apply(config, 0.1, step as u64 + 1, 0, true, &mut values, gradient);
        }
        values
    }

    fn close(found: &[f32], expected: [f64; 2]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-5,
                "{found} {expected}"
            );
        }
    }

    #[test]
    fn plain_descent_subtracts_the_gradients() {
        let plain = OptimizerConfig::Sgd {
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
        };
        close(&three(plain), [1.025, -2.1]);
    }

    /// By hand: v = -0.05, -0.07, 0.037 and 0.1, -0.11, -0.099 with momentum 0.9.
    #[test]
    fn momentum_goes_on() {
        close(&three(OptimizerConfig::sgd()), [0.917, -2.109]);
        let nesterov = OptimizerConfig::Sgd {
            momentum: 0.9,
            nesterov: true,
            weight_decay: 0.0,
        };
        // The look-ahead adds momentum * v - rate * g: -0.095, -0.088, 0.1333 and 0.19, -0.299, -0.0891.
        close(&three(nesterov), [0.9503, -2.1981]);
    }

    #[test]
    fn decay_shrinks_weights() {
        let adam = three(OptimizerConfig::Adam(AdamConfig::default()));
        let without = OptimizerConfig::AdamW {
            adam: AdamConfig::default(),
            weight_decay: 0.0,
        };
        assert_eq!(adam, three(without));
        let decayed = three(OptimizerConfig::AdamW {
            adam: AdamConfig::default(),
            weight_decay: 0.5,
        });
        assert!(decayed[1].abs() < adam[1].abs());
        // The first step of Adam is the learning rate in the direction of the gradient.
        let mut optimizer = Optimizer::new([1].into_iter());
        let mut value = [1.0];
        optimizer.apply(
            OptimizerConfig::default(),
            0.1,
            1,
            0,
            true,
            &mut value,
            &[3.0],
        );
        assert!((value[0] - 0.9).abs() < 1e-6);
    }
}
