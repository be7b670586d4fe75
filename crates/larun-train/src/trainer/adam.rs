//! Adam (Kingma and Ba 2015), with the bias correction folded into the step as Keras does.

use super::AdamConfig;
use crate::{Parameter, TrainError};

/// The optimiser's state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Adam {
    /// First moment of each parameter's gradient.
    pub(crate) first: Vec<Vec<f32>>,
    /// Second moment of each parameter's gradient.
    pub(crate) second: Vec<Vec<f32>>,
}

impl Adam {
    pub(super) fn new(parameters: &[Parameter]) -> Self {
        let zeros = || parameters.iter().map(|p| vec![0.0; p.len()]).collect();
        Self {
            first: zeros(),
            second: zeros(),
        }
    }

    /// Takes step number `step`, counted from 1.
    pub(super) fn step(
        &mut self,
        config: AdamConfig,
        learning_rate: f32,
        step: u64,
        parameters: &[Parameter],
        gradients: &[Vec<f32>],
    ) -> Result<(), TrainError> {
        let correction = |beta: f32| 1.0 - libm::pow(f64::from(beta), step as f64);
        let rate = f64::from(learning_rate) * libm::sqrt(correction(config.beta2))
            / correction(config.beta1);
        let rate = rate as f32;
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((parameter, gradient), (first, second)) in
            parameters.iter().zip(gradients).zip(moments)
        {
            parameter.update(|values| {
                let moments = first.iter_mut().zip(second);
                for ((value, &g), (m, v)) in values.iter_mut().zip(gradient).zip(moments) {
                    *m += (g - *m) * (1.0 - config.beta1);
                    *v += (g * g - *v) * (1.0 - config.beta2);
                    *value -= rate * *m / (v.sqrt() + config.epsilon);
                }
            })?;
        }
        Ok(())
    }
}
