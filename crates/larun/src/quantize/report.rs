//! What quantising did, for people and machines.

use larun_graph::{Node, Subgraph};
use larun_passes::{Decision, LayerOption, LayerSensitivity};
use serde::{Deserialize, Serialize};

/// What became of an operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerReport {
    /// The name of its result.
    pub name: String,
    /// The operator.
    pub op: String,
    /// What it became.
    pub scheme: String,
    /// Why it stays float though integers were asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub left_float: Option<String>,
}

/// What quantising did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantizeReport {
    /// The scheme.
    pub scheme: String,
    /// Bytes of the float file.
    pub float_bytes: u64,
    /// Bytes of the quantised file.
    pub quantized_bytes: u64,
    /// How many times smaller it is.
    pub ratio: f64,
    /// Samples that were used for calibration.
    pub calibration_samples: usize,
    /// What was done for quality; `None` where that is not a matter of choice.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ways: Option<String>,
    /// Samples that both models were run on.
    pub evaluation_samples: usize,
    /// Signal to quantisation noise of the outputs in decibels, as the interpreter of the device computes them; `None` where nothing
    /// was run or nothing differs.
    pub sqnr_db: Option<f64>,
    /// The share of output rows whose largest value is in the same place.
    pub argmax_agreement: Option<f64>,
    /// The operators of the float model, folded and fused.
    pub layers: Vec<LayerReport>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// What each way to quantise each layer with weights costs; empty unless asked for.
    pub sensitivity: Vec<SensitivityReport>,
    /// How the search for mixed precision ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mixed: Option<MixedReport>,
}

/// What each way to quantise a layer costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SensitivityReport {
    /// The name of the layer's result.
    pub name: String,
    /// Its operator.
    pub op: String,
    /// The ways.
    pub options: Vec<OptionReport>,
    /// The number of the one that a search chose.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chosen: Option<usize>,
}

/// One way to quantise a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OptionReport {
    /// What the layer becomes.
    pub scheme: String,
    /// Signal to noise of the outputs in decibels with this layer alone quantised; `None` without noise.
    pub sqnr_db: Option<f64>,
    /// Bytes of weights, scales and bias.
    pub bytes: usize,
}

/// How the search for mixed precision ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MixedReport {
    /// Signal to noise as the sum of the layers' noise foretells it.
    pub predicted_sqnr_db: f64,
    /// Signal to noise as measured on the calibration samples that were used.
    pub measured_sqnr_db: f64,
    /// The share of those samples whose largest output is elsewhere.
    pub drop: f64,
    /// Bytes of the file.
    pub flash_bytes: usize,
    /// Bytes of the arena.
    pub ram_bytes: usize,
    /// How many samples were used.
    pub samples: usize,
}

pub(super) fn sensitivity_reports(
    layers: &[LayerSensitivity],
    chosen: Option<&[usize]>,
) -> Vec<SensitivityReport> {
    let option = |option: &LayerOption| OptionReport {
        scheme: option.scheme.to_string(),
        sqnr_db: Some(option.sqnr_db()).filter(|db| db.is_finite()),
        bytes: option.bytes,
    };
    let layers = layers.iter().enumerate();
    let report = |(at, layer): (usize, &LayerSensitivity)| SensitivityReport {
        name: layer.name.clone(),
        op: layer.op.clone(),
        options: layer.options.iter().map(option).collect(),
        chosen: chosen.and_then(|chosen| chosen.get(at).copied()),
    };
    layers.map(report).collect()
}

pub(super) fn layer_reports(subgraph: &Subgraph, decisions: &[Decision]) -> Vec<LayerReport> {
    let nodes = subgraph.nodes.iter().zip(decisions);
    let report = |(node, decision): (&Node, &Decision)| {
        let output = node.outputs.first().and_then(|&id| subgraph.tensor(id));
        LayerReport {
            name: output.map_or_else(String::new, |tensor| tensor.name.clone()),
            op: node.op_name(),
            scheme: decision.scheme.to_string(),
            left_float: decision.left_float.map(str::to_owned),
        }
    };
    nodes.map(report).collect()
}
