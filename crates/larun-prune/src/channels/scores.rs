//! How much each channel of a group matters: the mean over the group's layers, each layer's scores in units of their mean.

use std::collections::BTreeMap;

use larun_graph::{Graph, TensorId};

use super::{ChannelGroup, ChannelGroups, GroupLayer};
use crate::importance::random;
use crate::values::{real_values, tensor};
use crate::{Filters, Importance, PruneError};

/// What some measures of importance need beside weights.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Gradients of the loss by weights, averaged over samples: for [`Importance::Taylor`].
    pub gradients: BTreeMap<TensorId, Vec<f32>>,
    /// The mean magnitude of each channel of layers' results: for [`Importance::Activation`].
    pub activations: BTreeMap<TensorId, Vec<f64>>,
}

impl ChannelGroups {
    /// The importance of every channel of every group, 1 on the average of a group; `None` for a group of which the measure
    /// cannot say anything, as one without batch normalisation for [`Importance::BatchNormScale`].
    ///
    /// # Errors
    /// When the measure needs evidence that is not there, or weights are not finite.
    pub fn scores(
        &self,
        graph: &Graph,
        importance: Importance,
        evidence: &Evidence,
    ) -> Result<Vec<Option<Vec<f64>>>, PruneError> {
        let groups = self.groups.iter().enumerate();
        let scores: Vec<_> = groups
            .map(|(number, group)| group.scores(graph, number, importance, evidence))
            .collect::<Result<_, _>>()?;
        if self.groups.iter().any(ChannelGroup::is_free) && scores.iter().all(Option::is_none) {
            return Err(PruneError::Importance {
                importance: importance.name(),
                needs: "batch normalisation, which this model has nowhere (folded already, perhaps); take l1, l2 or fpgm",
            });
        }
        Ok(scores)
    }
}

impl ChannelGroup {
    fn scores(
        &self,
        graph: &Graph,
        number: usize,
        importance: Importance,
        evidence: &Evidence,
    ) -> Result<Option<Vec<f64>>, PruneError> {
        if !self.is_free() {
            return Ok(None);
        }
        let missing = |needs| PruneError::Importance {
            importance: importance.name(),
            needs,
        };
        match importance {
            Importance::Random { seed } => Ok(Some(random(seed, number as u64, self.len()))),
            Importance::BatchNormScale => {
                let scale = |&id: &TensorId| {
                    let scales = real_values(graph, id)?;
                    let sizes: Vec<f64> = scales.iter().map(|s| f64::from(s.abs())).collect();
                    Ok(self.gather((id, 0), &sizes))
                };
                let layers = self.batch_norms.iter().map(scale);
                Ok(mean(&layers.collect::<Result<Vec<_>, PruneError>>()?))
            }
            Importance::Activation => {
                let size = |layer: &GroupLayer| {
                    let found = evidence.activations.get(&layer.output)?;
                    Some(self.gather((layer.weights, layer.axis), found))
                };
                let layers: Vec<_> = self.layers.iter().filter_map(size).collect();
                let needs = "the mean magnitude of the layers' results on samples";
                mean(&layers).ok_or_else(|| missing(needs)).map(Some)
            }
            Importance::L1 | Importance::L2 | Importance::GeometricMedian | Importance::Taylor => {
                let layer = |layer: &GroupLayer| {
                    let weights = real_values(graph, layer.weights)?;
                    let shape = tensor(graph, layer.weights)?.shape;
                    let filters = Filters::new(&weights, shape.dims(), layer.axis)?;
                    let scores = match importance {
                        Importance::L2 => filters.l2(),
                        Importance::GeometricMedian => filters.geometric_median(),
                        Importance::Taylor => {
                            let gradients = evidence.gradients.get(&layer.weights);
                            let needs = "the gradients of the layers' weights on samples";
                            filters.taylor(gradients.ok_or_else(|| missing(needs))?)?
                        }
                        _ => filters.l1(),
                    };
                    Ok(self.gather((layer.weights, layer.axis), &scores))
                };
                let layers = self.layers.iter().map(layer);
                Ok(mean(&layers.collect::<Result<Vec<_>, PruneError>>()?))
            }
        }
    }

    /// Scores of indices of an axis, summed for each channel.
    fn gather(&self, axis: (TensorId, usize), scores: &[f64]) -> Vec<f64> {
        let score = |index: usize| scores.get(index).copied().unwrap_or(0.0);
        let channels = 0..self.len();
        channels
            .map(|channel| self.indices(channel, axis).map(score).sum())
            .collect()
    }
}

/// The mean of layers' scores, each layer's in units of their mean.
fn mean(layers: &[Vec<f64>]) -> Option<Vec<f64>> {
    let first = layers.first()?;
    let mut sums = vec![0.0; first.len()];
    for layer in layers {
        let unit = layer.iter().sum::<f64>() / layer.len().max(1) as f64;
        let unit = if unit > 0.0 { unit } else { 1.0 };
        for (sum, score) in sums.iter_mut().zip(layer) {
            *sum += score / unit / layers.len() as f64;
        }
    }
    Some(sums)
}
