//! How a network learns, the same in every command that trains: steps, loss, schedule, changes of samples.

use larun::optimize::Source;
use larun::train::{AdamConfig, Augmentation, Loss, OptimizerConfig, Schedule, TrainConfig};

use crate::failure::Failure;

/// The options.
#[derive(clap::Args)]
pub(crate) struct LearningArgs {
    /// Samples per training step
    #[arg(long, default_value_t = TrainConfig::default().batch_size)]
    batch_size: usize,

    /// Greatest learning rate
    // Below the trainer's own default: samples that change in every epoch want smaller steps.
    #[arg(long, default_value_t = 3e-3)]
    pub(crate) learning_rate: f32,

    /// How gradients become steps
    #[arg(long, value_enum, default_value_t = Optimizer::Adam)]
    optimizer: Optimizer,

    /// The share of the last step that goes into the next, with --optimizer sgd
    #[arg(long, default_value_t = 0.9)]
    momentum: f32,

    /// Take the gradient where momentum leads, with --optimizer sgd
    #[arg(long)]
    nesterov: bool,

    /// Decay of weights, with --optimizer sgd or adamw
    #[arg(long)]
    weight_decay: Option<f32>,

    /// How the learning rate falls
    #[arg(long, value_enum, default_value_t = Falling::Cosine)]
    schedule: Falling,

    /// Steps over which the learning rate rises in the beginning
    #[arg(long, value_name = "STEPS", default_value_t = 0)]
    warmup: u64,

    /// Epochs without a better result on the validation split after which training stops
    #[arg(long, value_name = "EPOCHS", default_value_t = 25)]
    patience: usize,

    /// What makes an epoch the best, on the validation split
    #[arg(long, value_enum, default_value_t = Monitor::Loss)]
    monitor: Monitor,

    /// What is minimised
    #[arg(long, value_enum, default_value_t = Minimised::CrossEntropy)]
    loss: Minimised,

    /// The share of each target that is spread over all classes
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    label_smoothing: f32,

    /// What a sample of each class counts, as many numbers as there are classes
    #[arg(long, value_name = "W,W,..", value_delimiter = ',')]
    class_weights: Vec<f32>,

    /// Judge and keep a running average of the weights, which keeps this share of itself in every step, such as 0.998; 0 for none
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    average: f32,

    /// How training samples are changed in every epoch, with commas between: none, roll, reverse, flip, rotate, shift=POINTS,
    /// zoom=SHARE, blend=SHARE, scale=SHARE, noise=DEVIATION [default: what suits the network of the zoo; none for a model of yours]
    #[arg(long, value_name = "CHANGES")]
    augment: Option<Augmentation>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Optimizer {
    /// Stochastic gradient descent with momentum
    Sgd,
    /// Adam
    Adam,
    /// Adam with decay of weights
    Adamw,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Falling {
    /// Not at all
    Constant,
    /// Half a cosine down to nearly nothing
    Cosine,
    /// To a tenth after each third of the epochs
    Step,
    /// By a twentieth in every epoch
    Exponential,
    /// By half after five epochs without a better loss
    Plateau,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Monitor {
    /// The smallest loss
    Loss,
    /// The greatest accuracy
    Accuracy,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Minimised {
    /// For one class of several
    CrossEntropy,
    /// For two classes in one output
    Binary,
    /// For an autoencoder: the difference from the input
    Mse,
}

impl LearningArgs {
    /// The settings of a training of `source`.
    pub(crate) fn config(
        &self,
        seed: u64,
        epochs: usize,
        source: &Source,
    ) -> Result<TrainConfig, Failure> {
        let suited = match self.augment {
            Some(asked) => asked,
            None => source.suited_augmentation()?,
        };
        Ok(self.config_for_any(seed, epochs, suited))
    }

    /// The settings of trainings that are not of one source; `suited` is how samples are changed where nothing was said.
    pub(crate) fn config_for_any(
        &self,
        seed: u64,
        epochs: usize,
        suited: Augmentation,
    ) -> TrainConfig {
        TrainConfig {
            seed,
            epochs,
            batch_size: self.batch_size,
            learning_rate: self.learning_rate,
            patience: Some(self.patience),
            warmup_steps: self.warmup,
            label_smoothing: self.label_smoothing,
            class_weights: self.class_weights.clone(),
            weight_average: self.average,
            loss: match self.loss {
                Minimised::CrossEntropy => Loss::CrossEntropy,
                Minimised::Binary => Loss::BinaryCrossEntropy,
                Minimised::Mse => Loss::MeanSquaredError,
            },
            monitor: match self.monitor {
                Monitor::Loss => larun::train::Monitor::Loss,
                Monitor::Accuracy => larun::train::Monitor::Accuracy,
            },
            optimizer: self.optimizer(),
            schedule: self.schedule(epochs),
            augmentation: self.augment.unwrap_or(suited),
            ..TrainConfig::default()
        }
    }

    fn optimizer(&self) -> OptimizerConfig {
        match self.optimizer {
            Optimizer::Sgd => OptimizerConfig::Sgd {
                momentum: self.momentum,
                nesterov: self.nesterov,
                weight_decay: self.weight_decay.unwrap_or(0.0),
            },
            Optimizer::Adam => OptimizerConfig::Adam(AdamConfig::default()),
            Optimizer::Adamw => OptimizerConfig::AdamW {
                adam: AdamConfig::default(),
                weight_decay: self.weight_decay.unwrap_or(4e-3),
            },
        }
    }

    fn schedule(&self, epochs: usize) -> Schedule {
        match self.schedule {
            Falling::Constant => Schedule::Constant,
            Falling::Cosine => Schedule::Cosine {
                least: self.learning_rate.min(1e-5),
            },
            Falling::Step => Schedule::Step {
                factor: 0.1,
                every: epochs.div_ceil(3).max(1),
            },
            Falling::Exponential => Schedule::Exponential { decay: 0.95 },
            Falling::Plateau => Schedule::Plateau {
                factor: 0.5,
                patience: 5,
                least: self.learning_rate * 1e-3,
            },
        }
    }
}
