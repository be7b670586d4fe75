//! The model card: what a user of the model wants to know, filled with measured values only.

use serde::{Deserialize, Serialize};

use crate::report::OptimizeReport;

/// A model card, in the form of `card.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// The network's name.
    pub model_name: String,
    /// The version of LARUN that made the model.
    pub version: String,
    /// What it does.
    pub task: String,
    /// The classes in order of the outputs.
    pub classes: Vec<String>,
    /// How it is made.
    pub architecture: Architecture,
    /// How well it does: the INT8 model on the test split.
    pub performance: Performance,
    /// How large it is.
    pub size: Size,
    /// What it was trained on.
    pub training: Training,
    /// Where it runs.
    pub hardware: Hardware,
    /// Under which licence it may be used.
    pub license: String,
}

/// How a model is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// The layers in words.
    #[serde(rename = "type")]
    pub kind: String,
    /// Layers that have weights.
    pub layers: usize,
    /// Trained values.
    pub parameters: u64,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
}

/// How well a model does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Performance {
    /// Share of right answers, 0 to 1.
    pub accuracy: f64,
    /// Macro F1, 0 to 1.
    pub f1_macro: f64,
    /// Accuracy of the float model it was made from.
    pub accuracy_float: f64,
    /// Samples that this was measured on.
    pub test_samples: u64,
}

/// How large a model is, in bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// The float file.
    pub tflite_fp32_bytes: u64,
    /// The INT8 file.
    pub tflite_int8_bytes: u64,
}

/// What a model was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The dataset.
    pub dataset: String,
    /// Samples trained on.
    pub samples: usize,
    /// Epochs trained, 0 for a model that was quantised as it came.
    pub epochs: usize,
    /// The optimiser.
    pub optimizer: String,
    /// The seed.
    pub seed: Option<u64>,
}

/// Where a model runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hardware {
    /// The board it was made for.
    pub board: String,
    /// Whether it fits that board and its budget.
    pub fits: bool,
    /// Bytes of memory that the interpreter needs.
    pub tensor_arena_bytes: u64,
    /// Time of an inference: an estimate from counted operations, not a measurement.
    pub inference_time_ms_estimate: f64,
}

impl ModelCard {
    /// The card of a result.
    pub fn new(report: &OptimizeReport, license: &str) -> Self {
        let training = report.training.as_ref();
        let round = |share: f64| (share * 1e4).round() / 1e4;
        Self {
            model_name: report.network.clone(),
            version: report.larun_version.clone(),
            task: format!(
                "classification into {} classes",
                report.dataset.classes.len()
            ),
            classes: report.dataset.classes.clone(),
            architecture: Architecture {
                kind: report.architecture.clone(),
                layers: report.layers,
                parameters: report.parameters,
                macs: report.macs,
            },
            performance: Performance {
                accuracy: round(report.int8.accuracy),
                f1_macro: round(report.int8.macro_f1),
                accuracy_float: round(report.float.accuracy),
                test_samples: report.int8.samples,
            },
            size: Size {
                tflite_fp32_bytes: report.float_bytes,
                tflite_int8_bytes: report.int8_bytes,
            },
            training: Training {
                dataset: report.dataset.name.clone(),
                samples: report.dataset.train,
                epochs: training.map_or(0, |training| training.epochs),
                optimizer: training.map_or("none", |_| "Adam").to_owned(),
                seed: training.map(|training| training.config.seed),
            },
            hardware: Hardware {
                board: report.fit.board.name.clone(),
                fits: report.fits,
                tensor_arena_bytes: report.arena_bytes,
                inference_time_ms_estimate: (report.fit.latency.milliseconds * 100.0).round()
                    / 100.0,
            },
            license: license.to_owned(),
        }
    }

    /// The card as YAML.
    pub fn to_yaml(&self) -> String {
        let body = serde_norway::to_string(self).unwrap_or_default();
        format!("# LARUN Model Card\n\n{body}")
    }
}
