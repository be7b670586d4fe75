//! The settings of a training.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Augmentation;
use super::optimizer::OptimizerConfig;
use super::schedule::Schedule;
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
    /// Steps at the beginning over which the learning rate rises in a straight line to that of the schedule.
    #[serde(default)]
    pub warmup_steps: u64,
    /// How a gradient becomes a step.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// What is minimised.
    #[serde(default)]
    pub loss: Loss,
    /// The share of each target that is spread evenly over all classes (Szegedy et al. 2016); 0 for none.
    #[serde(default)]
    pub label_smoothing: f32,
    /// What a sample of each class counts in the loss; empty where all count alike. As in Keras, the mean is still over the
    /// number of samples.
    #[serde(default)]
    pub class_weights: Vec<f32>,
    /// What a running average of the weights keeps in every step, such as 0.998; epochs are then judged by the average, and the
    /// training gives it. 0 for no average, and always less than 1.
    #[serde(default)]
    pub weight_average: f32,
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
            warmup_steps: 0,
            optimizer: OptimizerConfig::default(),
            loss: Loss::default(),
            label_smoothing: 0.0,
            class_weights: Vec::new(),
            weight_average: 0.0,
            augmentation: Augmentation::default(),
            patience: Some(15),
            measured_batches: 32,
            monitor: Monitor::default(),
            checkpoint: None,
        }
    }
}

/// What is minimised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loss {
    /// Softmax cross-entropy on logits, for one class of several. A final SOFTMAX or LOG_SOFTMAX is left out.
    #[default]
    CrossEntropy,
    /// Binary cross-entropy on logits, a mean over all outputs: for two classes in one output, or for targets between 0 and 1. A
    /// final LOGISTIC is left out.
    BinaryCrossEntropy,
    /// The mean of squared differences from the targets; where there are none, from the input itself, as an autoencoder wants.
    MeanSquaredError,
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
        if self.epochs == 0 {
            return wrong("epochs", "must be at least 1");
        }
        if self.batch_size == 0 {
            return wrong("batch_size", "must be at least 1");
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return wrong("learning_rate", "must be greater than 0 and finite");
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return wrong("label_smoothing", "must be at least 0 and less than 1");
        }
        if !(0.0..1.0).contains(&self.weight_average) {
            return wrong("weight_average", "must be at least 0 and less than 1");
        }
        let is_weight = |&weight: &f32| weight >= 0.0 && weight.is_finite();
        if !self.class_weights.iter().all(is_weight) {
            return wrong("class_weights", "must be finite and at least 0");
        }
        if let Err(problem) = self.augmentation.check() {
            return wrong("augmentation", problem);
        }
        if let Err(problem) = self.optimizer.check() {
            return wrong("optimizer", problem);
        }
        match self.schedule.check(self.learning_rate) {
            Err(problem) => wrong("schedule", problem),
            Ok(()) => Ok(()),
        }
    }
}
