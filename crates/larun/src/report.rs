//! What `optimize` found out, as `report.json` has it.

use larun_device::FitReport;
use larun_train::{EpochMetrics, TrainConfig};

use larun_zoo::dataset::{Dataset, Split};
use serde::{Deserialize, Serialize};

use crate::evaluate::Classification;

/// The result of the pipeline. Sizes are those of the files, accuracies were measured on the test split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OptimizeReport {
    /// The version of LARUN.
    pub larun_version: String,
    /// The network's name.
    pub network: String,
    /// Its layers in words.
    pub architecture: String,
    /// Layers that have weights.
    pub layers: usize,
    /// The data.
    pub dataset: DatasetReport,
    /// The training, `null` where there was none.
    pub training: Option<TrainingReport>,
    /// The pruning, `null` where the model was small enough.
    pub pruning: Option<PruningReport>,
    /// Trained values of the deployed model.
    pub parameters: u64,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Bytes of `model_float.tflite`.
    pub float_bytes: u64,
    /// Bytes of `model.tflite`.
    pub int8_bytes: u64,
    /// How many times smaller the second is.
    pub compression_ratio: f64,
    /// Bytes of the arena that the interpreter needs.
    pub arena_bytes: u64,
    /// Bytes of it that hold values.
    pub activation_bytes: u64,
    /// The most that the file may have.
    pub target_bytes: u64,
    /// Whether it has no more.
    pub target_met: bool,
    /// The float model on the test split.
    pub float: Classification,
    /// The INT8 model on the test split.
    pub int8: Classification,
    /// Whether the model fits the board and the budget.
    pub fits: bool,
    /// What does not, in sentences.
    pub exceeded: Vec<String>,
    /// Limit by limit.
    pub fit: FitReport,
}

impl OptimizeReport {
    /// The report as indented JSON with a newline at the end.
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).unwrap_or_default();
        json.push('\n');
        json
    }
}

/// How a model was pruned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PruningReport {
    /// The share that had to go.
    pub sparsity: f32,
    /// Whether whole channels went; single weights otherwise, which leaves the file as large.
    pub by_channels: bool,
    /// Epochs of training after it.
    pub fine_tune_epochs: usize,
    /// Trained values before.
    pub parameters_before: u64,
    /// Trained values after.
    pub parameters_after: u64,
    /// Multiply-accumulates before.
    pub macs_before: u64,
    /// Multiply-accumulates after.
    pub macs_after: u64,
}

/// The data of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetReport {
    /// What it is called.
    pub name: String,
    /// Whether it was simulated.
    pub simulated: bool,
    /// The shape of a sample.
    pub sample_shape: Vec<usize>,
    /// The classes.
    pub classes: Vec<String>,
    /// Samples to train on.
    pub train: usize,
    /// Samples to stop by.
    pub validation: usize,
    /// Samples to measure on.
    pub test: usize,
}

impl DatasetReport {
    pub(crate) fn new(data: &Dataset, simulated: bool) -> Self {
        let count = |split| data.indices(split).len();
        Self {
            name: data.name.clone(),
            simulated,
            sample_shape: data.sample_shape.clone(),
            classes: data.class_names.clone(),
            train: count(Split::Train),
            validation: count(Split::Validation),
            test: count(Split::Test),
        }
    }
}

/// A training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingReport {
    /// Settings, seed among them.
    pub config: TrainConfig,
    /// Epochs that were trained.
    pub epochs: usize,
    /// The epoch whose weights were kept.
    pub best: Option<EpochMetrics>,
    /// Every epoch.
    pub history: Vec<EpochMetrics>,
    /// Seconds that this process trained; a resumed training counts from there.
    pub seconds: f64,
}

impl TrainingReport {
    pub(crate) fn new(
        config: &TrainConfig,
        best: Option<EpochMetrics>,
        history: Vec<EpochMetrics>,
        seconds: f64,
    ) -> Self {
        Self {
            config: config.clone(),
            epochs: history.len(),
            best,
            history,
            seconds,
        }
    }
}
