#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub use error::TrainError;
pub use executor::{
    ActivationRanges, Executor, Mode, Parameter, ParameterKind, QatConfig, Statistic, WeightScales,
    why_untrained,
};
pub use initialise::initialise;
pub use trainer::{
    AdamConfig, Augmentation, AugmentationError, Batch, BatchEvent, Callback, CheckpointConfig,
    Confusion, EpochMetrics, JsonLog, Loss, Monitor, Observer, Optimizer, OptimizerConfig, Outcome,
    Schedule, Scores, Seeds, Step, Stop, TrainConfig, Trainer, TrainingData, evaluate,
    evaluate_loss, roc_auc,
};

pub mod ops;

mod checkpoint;
mod error;
mod executor;
mod initialise;
mod trainer;
