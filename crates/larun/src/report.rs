//! What `optimize` found out, as `report.json` has it; [`OptimizeReport::to_html`] is the same as a page.

mod curves;
mod flashing;
mod html;

use larun_device::FitReport;
use larun_device::advice::Change;
use larun_train::{EpochMetrics, TrainConfig};

use larun_zoo::dataset::{Dataset, Split};
use serde::{Deserialize, Serialize};

use crate::evaluate::Classification;
use crate::plan::PlanReport;

pub use flashing::{Route, quoted, routes};

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
    /// The training after pruning.
    pub fine_tuning: Option<TrainingReport>,
    /// The training for the integers.
    pub qat: Option<TrainingReport>,
    /// The model after each step that made it, in order; the last one is `model.tflite`.
    pub steps: Vec<StepReport>,
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
    /// Energy of an inference in microjoules, an estimate; `null` where no current is published for the board.
    pub microjoules: Option<f64>,
    /// What would help, most helpful first.
    pub changes: Vec<Change>,
    /// Operator by operator.
    pub per_layer: Vec<LayerReport>,
    /// Where the interpreter keeps which value.
    pub memory: PlanReport,
    /// The networks of a search that this one is shown beside.
    pub trials: Vec<TrialPoint>,
    /// Ways to put the model on the board.
    pub flashing: Vec<Route>,
    /// The command that made all this, as it was typed.
    pub command: Option<String>,
    /// The seed of everything random.
    pub seed: u64,
    /// The files beside the report.
    pub files: Vec<FileReport>,
}

impl OptimizeReport {
    /// The schema of the report as JSON, with its version.
    pub const SCHEMA: &'static str = "larun.optimize/1";

    /// The report as indented JSON with a newline at the end.
    pub fn to_json(&self) -> String {
        let mut json = versioned_json(Self::SCHEMA, self).unwrap_or_default();
        json.push('\n');
        json
    }

    /// The trainings, in order, with what each is called.
    pub(crate) fn trainings(&self) -> Vec<(&'static str, &TrainingReport)> {
        let all = [
            ("training", &self.training),
            ("after pruning", &self.fine_tuning),
            ("for integers", &self.qat),
        ];
        let done = all.into_iter();
        done.filter_map(|(name, training)| Some((name, training.as_ref()?)))
            .collect()
    }
}

/// A structure as indented JSON that names its schema and the schema's version, such as `larun.plan/1`.
///
/// The schema is a file in docs/schemas, `larun.plan.1.json`. What is written may gain fields under the same version; a field that
/// goes, or means something else, is another version.
///
/// # Errors
/// When the value is no structure, or cannot be written as JSON.
pub fn versioned_json<T: Serialize>(schema: &'static str, value: &T) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Versioned<'v, T> {
        schema: &'static str,
        #[serde(flatten)]
        value: &'v T,
    }
    serde_json::to_string_pretty(&Versioned { schema, value })
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

/// A model after a step that made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// What the model is after it.
    pub name: String,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of the file deflated, as an update over the air carries it.
    pub deflated_bytes: u64,
    /// Trained values.
    pub parameters: u64,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Accuracy on the validation split, by which steps are compared; the test split is kept for the result.
    pub validation_accuracy: f64,
    /// Whether this is `model.tflite`.
    pub is_deployed: bool,
}

/// An operator of the deployed model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerReport {
    /// Its number.
    pub index: usize,
    /// The operator.
    pub op: String,
    /// The name of its first output.
    pub name: String,
    /// The shape of that.
    pub output_shape: Vec<usize>,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of constants that no earlier operator uses.
    pub weight_bytes: u64,
    /// Bytes of the values that are alive while it runs.
    pub live_bytes: u64,
    /// Its output against the float model's, in decibels of signal to quantisation noise, on validation samples; `null` where the float
    /// model has no such value, or nothing differs.
    pub sqnr_db: Option<f64>,
    /// Cycles, an estimate.
    pub cycles: f64,
    /// Milliseconds, an estimate.
    pub milliseconds: f64,
    /// Whether a kernel of this kind was counted; else the cycles are a guess.
    pub counted: bool,
}

/// A network of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialPoint {
    /// What it is.
    pub name: String,
    /// Bytes of its INT8 file.
    pub file_bytes: u64,
    /// Accuracy of its INT8 model on the validation split.
    pub validation_accuracy: f64,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReport {
    /// Its name in the output folder.
    pub name: String,
    /// What it is.
    pub what: String,
    /// Its bytes.
    pub bytes: u64,
}
