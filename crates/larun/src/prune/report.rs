//! What pruning came to.

use std::path::Path;

use larun_graph::Graph;
use larun_prune::{ChannelGroup, Sensitivity, Stored};
use larun_zoo::dataset::{Dataset, Split};
use serde::{Deserialize, Serialize};

use super::int8_bytes;
use crate::evaluate::classify;
use crate::sizes::{SizeReport, planned_bytes};
use crate::{Error, Model};

/// The result of pruning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PruneReport {
    /// The version of LARUN.
    pub larun_version: String,
    /// The model as it came.
    pub before: ModelReport,
    /// The model as it is now, its weights dense.
    pub after: ModelReport,
    /// Bytes of the file that was written.
    pub file_bytes: u64,
    /// How it stores weights.
    pub storage: String,
    /// The channels of every group of layers; empty where weights were pruned and not channels.
    pub groups: Vec<GroupReport>,
    /// What each layer alone would suffer.
    pub sensitivity: Vec<SensitivityReport>,
    /// Tensors of weights, as they were stored.
    pub stored: Vec<StoredReport>,
    /// Weights that are zero.
    pub zeros: u64,
    /// All weights.
    pub weights: u64,
    /// The sizes of the model in every way of storing.
    pub sizes: SizeReport,
}

/// A model in figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelReport {
    /// Trained values.
    pub parameters: u64,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of the file that INT8 makes of it: an estimate for a float model.
    pub int8_bytes: u64,
    /// Bytes of activations, by TensorFlow Lite Micro's planner.
    pub planned_bytes: u64,
    /// The share of test samples whose class is found, `null` without labelled samples.
    pub accuracy: Option<f64>,
}

impl ModelReport {
    pub(super) fn of(graph: &Graph, data: Option<&Dataset>, path: &Path) -> Result<Self, Error> {
        let stats = graph.stats()?;
        let bytes = larun_tflite::write(graph)?;
        let model = Model::new(path, &bytes);
        let accuracy = |data: &Dataset| {
            Ok::<_, Error>(classify(&model, data, &data.indices(Split::Test))?.accuracy)
        };
        Ok(Self {
            parameters: stats.parameters,
            macs: stats.macs,
            file_bytes: bytes.len() as u64,
            int8_bytes: int8_bytes(graph)?,
            planned_bytes: planned_bytes(graph)?,
            accuracy: data.map(accuracy).transpose()?,
        })
    }
}

/// The channels of a group of layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupReport {
    /// The group, after its first layer.
    pub name: String,
    /// Layers that compute its channels.
    pub layers: usize,
    /// Channels before.
    pub before: usize,
    /// Channels now.
    pub after: usize,
    /// Why they stay, where they do.
    pub kept_by: Option<String>,
}

impl GroupReport {
    pub(super) fn of(group: &ChannelGroup, gone: usize) -> Self {
        let blocker = group.blocker.as_ref();
        Self {
            name: group.name.clone(),
            layers: group.layers.len(),
            before: group.len(),
            after: group.len() - gone,
            kept_by: blocker.map(|blocker| format!("{}: {}", blocker.place, blocker.reason)),
        }
    }
}

/// The accuracy with one layer pruned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SensitivityReport {
    /// The layer.
    pub name: String,
    /// Shares pruned, and the accuracy at each.
    pub points: Vec<(f32, f64)>,
}

impl From<Sensitivity> for SensitivityReport {
    fn from(found: Sensitivity) -> Self {
        Self {
            name: found.name,
            points: found.points,
        }
    }
}

/// A tensor of weights in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredReport {
    /// Its name.
    pub name: String,
    /// Its bytes when dense.
    pub dense: u64,
    /// Its bytes as stored.
    pub bytes: u64,
    /// The way.
    pub storage: String,
    /// Why it stayed dense, where another way was asked for.
    pub reason: Option<String>,
}

impl StoredReport {
    pub(super) fn of(stored: &Stored) -> Self {
        Self {
            name: stored.name.clone(),
            dense: stored.dense as u64,
            bytes: stored.bytes as u64,
            storage: stored.storage.to_owned(),
            reason: stored.reason.clone(),
        }
    }
}
