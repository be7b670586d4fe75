#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub use error::TrainError;
pub use executor::{Executor, Mode, Parameter, Statistic};
pub use initialise::initialise;
pub use trainer::{
    AdamConfig, Augmentation, BatchEvent, CheckpointConfig, Confusion, EpochMetrics, Monitor,
    Observer, Outcome, Schedule, Scores, Stop, TrainConfig, Trainer, TrainingData, evaluate,
};

pub mod ops;

mod checkpoint;
mod error;
mod executor;
mod initialise;
mod trainer;
