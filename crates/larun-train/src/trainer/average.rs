//! A running average of the weights, which is what an epoch is judged by and what the training gives.

use crate::{Executor, Parameter, TrainError};

/// Weights averaged over steps, newer ones counting more (Polyak and Juditsky 1992; as in Tarvainen and Valpola 2017). Under a small
/// training set single steps go far from it to either side; their average lies between.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Average {
    /// The average of each parameter's values; none before the first step.
    pub(crate) parameters: Vec<Vec<f32>>,
}

impl Average {
    /// Whether no step has taken part.
    pub(crate) fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// Lets the weights after step number `step`, counted from 1, take part.
    ///
    /// `decay` is what the average keeps; less in the beginning, so that the weights of the first steps do not last. While the network
    /// is not `settled`, the average is the weights themselves: weights that are still pruned must not live on in it.
    pub(super) fn add(&mut self, parameters: &[Parameter], step: u64, decay: f32, settled: bool) {
        if self.parameters.is_empty() || !settled {
            self.parameters = parameters.iter().map(Parameter::values).collect();
            return;
        }
        let step = step as f32;
        let kept = decay.min((1.0 + step) / (10.0 + step));
        for (average, parameter) in self.parameters.iter_mut().zip(parameters) {
            let values = parameter.values();
            for (average, value) in average.iter_mut().zip(values) {
                // In this form equal values stay equal, and zeros zero.
                *average = kept * *average + (1.0 - kept) * value;
            }
        }
    }

    /// Puts the average in the weights' place, and gives the weights.
    pub(super) fn swap_into(&self, executor: &Executor) -> Result<Vec<Vec<f32>>, TrainError> {
        let weights = executor
            .parameters()
            .iter()
            .map(Parameter::values)
            .collect();
        put_back(executor, &self.parameters)?;
        Ok(weights)
    }
}

/// Makes `values` the weights.
pub(super) fn put_back(executor: &Executor, values: &[Vec<f32>]) -> Result<(), TrainError> {
    for (parameter, values) in executor.parameters().iter().zip(values) {
        parameter.update(|own| own.copy_from_slice(values))?;
    }
    Ok(())
}
