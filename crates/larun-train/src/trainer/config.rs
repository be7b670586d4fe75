//! The settings of a training.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Augmentation;
use crate::TrainError;

/// The settings of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// The seed of the order of samples.
    pub seed: u64,
    /// The most epochs.
    pub epochs: usize,
    /// Samples per step; the last step of an epoch may have fewer.
    pub batch_size: usize,
    /// The greatest learning rate. The default suits small networks with batch normalisation under a falling
    /// schedule; others may want the usual 0.001.
    pub learning_rate: f32,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// The optimiser's constants.
    pub adam: AdamConfig,
    /// How training samples are changed.
    #[serde(default)]
    pub augmentation: Augmentation,
    /// Epochs without a better result on the validation split after which training stops; `None` trains
    /// all epochs. The best weights are restored in either case.
    pub patience: Option<usize>,
    /// Batches of the training split over which mean and variance of batch normalisation are measured anew
    /// after each epoch (Wu and Johnson 2021); 0 keeps the running averages, which lag behind the weights
    /// where epochs are short.
    pub measured_batches: usize,
    /// What makes an epoch the best.
    pub monitor: Monitor,
    /// Where and how often to write a checkpoint; `None` writes none. Not part of what a checkpoint is
    /// compared with.
    #[serde(skip)]
    pub checkpoint: Option<CheckpointConfig>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            epochs: 60,
            batch_size: 64,
            learning_rate: 1e-2,
            schedule: Schedule::default(),
            adam: AdamConfig::default(),
            augmentation: Augmentation::default(),
            patience: Some(15),
            measured_batches: 32,
            monitor: Monitor::default(),
            checkpoint: None,
        }
    }
}

/// How the learning rate changes over the epochs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Schedule {
    /// Not at all.
    Constant,
    /// Multiplied by `factor` after `patience` epochs without a smaller validation loss, down to `least`.
    Plateau {
        /// Between 0 and 1.
        factor: f32,
        /// Epochs.
        patience: usize,
        /// The least learning rate.
        least: f32,
    },
    /// Half a cosine from the greatest learning rate to `least` at the last epoch (Loshchilov and Hutter 2017).
    Cosine {
        /// The least learning rate.
        least: f32,
    },
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Cosine { least: 1e-5 }
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

/// The figure on the validation split by which epochs are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Monitor {
    /// The smallest loss.
    #[default]
    Loss,
    /// The greatest accuracy; of two that are equal, the one with the smaller loss.
    Accuracy,
}

/// When a checkpoint is written. One is written after every epoch in any case.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointConfig {
    /// The file. It is written beside under a temporary name and then renamed.
    pub path: PathBuf,
    /// Steps between two checkpoints within an epoch; `None` writes after epochs only.
    pub every: Option<usize>,
}

impl TrainConfig {
    /// Checks every setting.
    pub(super) fn check(&self) -> Result<(), TrainError> {
        let wrong = |name, problem: &str| {
            let problem = problem.to_owned();
            Err(TrainError::Config { name, problem })
        };
        let fraction = |x: f32| (0.0..1.0).contains(&x);
        if self.epochs == 0 {
            return wrong("epochs", "must be at least 1");
        }
        if self.batch_size == 0 {
            return wrong("batch_size", "must be at least 1");
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return wrong("learning_rate", "must be greater than 0 and finite");
        }
        if !fraction(self.adam.beta1) || !fraction(self.adam.beta2) {
            return wrong("adam", "beta1 and beta2 must be at least 0 and less than 1");
        }
        if !(self.adam.epsilon > 0.0 && self.adam.epsilon.is_finite()) {
            return wrong("adam", "epsilon must be greater than 0 and finite");
        }
        let (Schedule::Plateau { least, .. } | Schedule::Cosine { least }) = self.schedule else {
            return Ok(());
        };
        if !(0.0..=self.learning_rate).contains(&least) {
            return wrong(
                "schedule",
                "the least learning rate must lie between 0 and the greatest",
            );
        }
        match self.schedule {
            Schedule::Plateau { factor, .. } if !(factor > 0.0 && factor < 1.0) => {
                wrong("schedule", "the factor must lie between 0 and 1")
            }
            _ => Ok(()),
        }
    }
}
