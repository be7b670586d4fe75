//! What a training has to keep: zeros of pruned weights, values of clustered ones; and gradients on the way.

use core::ops::ControlFlow;
use std::collections::BTreeMap;

use larun_graph::TensorId;
use larun_prune::{CentroidGradient, Clusters, WeightMask};
use larun_train::{BatchEvent, EpochMetrics, Observer, TrainError};

/// What holds for weights after every step.
#[derive(Clone, Debug, Default)]
pub struct Constraints {
    /// Weights that are zero.
    pub masks: Vec<WeightMask>,
    /// Weights that share values: each goes to the mean of its cluster, which is a step along the mean of its gradients.
    pub clusters: BTreeMap<TensorId, Clusters>,
}

impl Constraints {
    /// Puts weights back to what holds for them.
    fn apply(&self, event: &BatchEvent<'_>) -> Result<(), TrainError> {
        for parameter in event.executor.parameters() {
            let tensor = parameter.tensor();
            for mask in self.masks.iter().filter(|mask| mask.tensor == tensor) {
                parameter.update(|values| mask.apply(values))?;
            }
            if let Some(clusters) = self.clusters.get(&tensor) {
                parameter.update(|values| tie(clusters, values))?;
            }
        }
        Ok(())
    }
}

/// Gives every weight of a cluster the mean of them all.
fn tie(clusters: &Clusters, values: &mut [f32]) {
    let means = clusters
        .gradient(values, CentroidGradient::Average)
        .unwrap_or_default();
    for (value, &index) in values.iter_mut().zip(&clusters.indices) {
        *value = means.get(index as usize).copied().unwrap_or(*value);
    }
}

/// An observer that keeps constraints and passes everything on to another.
pub(super) struct Constrained<'o> {
    pub(super) inner: &'o mut dyn Observer,
    pub(super) constraints: &'o Constraints,
}

impl Observer for Constrained<'_> {
    fn epoch_started(&mut self, epoch: usize, epochs: usize, batches: usize) {
        self.inner.epoch_started(epoch, epochs, batches);
    }

    fn batch_finished(&mut self, event: BatchEvent<'_>) -> ControlFlow<()> {
        // A parameter that cannot be changed cannot be trained either: the trainer says so.
        if self.constraints.apply(&event).is_err() {
            return ControlFlow::Break(());
        }
        self.inner.batch_finished(event)
    }

    fn epoch_finished(&mut self, metrics: &EpochMetrics, is_best: bool) {
        self.inner.epoch_finished(metrics, is_best);
    }
}
