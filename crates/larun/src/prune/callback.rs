//! What a training has to keep: zeros of pruned weights, values of clustered ones.

use std::collections::BTreeMap;

use larun_graph::{Graph, TensorId};
use larun_prune::{CentroidGradient, Clusters, WeightMask, sparsities};
use larun_train::{Callback, Step, TrainError};

use crate::Error;

/// What holds for weights after every step.
#[derive(Clone, Debug, Default)]
pub struct Constraints {
    /// Weights that are zero.
    pub masks: Vec<WeightMask>,
    /// Weights that share values: each goes to the mean of its cluster, which is a step along the mean of its gradients.
    pub clusters: BTreeMap<TensorId, Clusters>,
}

/// Which of the properties that weights show are to last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Weights that are zero stay so.
    pub zeros: bool,
    /// Weights that have one value go on having one.
    pub clusters: bool,
}

/// The most values that count as few: what an index of a byte can tell apart.
const MOST_CLUSTERS: usize = 256;

impl Constraints {
    /// What the weights of a graph show. Clustered is a layer with four times as many weights as values, or more, and no more values
    /// than a byte tells apart.
    ///
    /// # Errors
    /// When a layer's weights do not fill their shape.
    pub fn of(graph: &Graph, kept: Kept) -> Result<Self, Error> {
        let mut found = Self::default();
        if kept == Kept::default() {
            return Ok(found);
        }
        for layer in sparsities(graph)? {
            let tensor = layer.tensor;
            let weights = graph.values::<f32>(tensor)?;
            if kept.zeros && layer.zeros > 0 {
                let keep = weights.iter().map(|&weight| weight != 0.0).collect();
                found.masks.push(WeightMask { tensor, keep });
            }
            if let Some(clusters) = clusters_of(&weights).filter(|_| kept.clusters) {
                found.clusters.insert(tensor, clusters);
            }
        }
        Ok(found)
    }

    /// Puts the weights of a tensor back to what holds for them.
    fn apply(&self, tensor: TensorId, values: &mut [f32]) {
        for mask in self.masks.iter().filter(|mask| mask.tensor == tensor) {
            mask.apply(values);
        }
        if let Some(clusters) = self.clusters.get(&tensor) {
            tie(clusters, values);
        }
    }
}

/// The clusters that weights already have, where they have few values. Zero stays zero.
fn clusters_of(weights: &[f32]) -> Option<Clusters> {
    let mut centroids = weights.to_vec();
    centroids.sort_by(f32::total_cmp);
    centroids.dedup();
    if centroids.len() > MOST_CLUSTERS.min(weights.len() / 4) {
        return None;
    }
    let number = |weight: &f32| centroids.binary_search_by(|value| value.total_cmp(weight));
    let indices = weights
        .iter()
        .map(|weight| number(weight).unwrap_or(0) as u32);
    let indices = indices.collect();
    let zero = centroids.iter().position(|&value| value == 0.0);
    Some(Clusters {
        zero: zero.map(|index| index as u32),
        centroids,
        indices,
    })
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

impl Callback for Constraints {
    fn name(&self) -> &'static str {
        "zeros and clusters"
    }

    fn settings(&self) -> String {
        let masked: Vec<_> = self.masks.iter().map(WeightMask::sparsity).collect();
        let shared: Vec<_> = self.clusters.values().map(|c| c.centroids.len()).collect();
        format!("zeros {masked:?}, values {shared:?}")
    }

    fn after_step(&mut self, step: &Step<'_>) -> Result<(), TrainError> {
        for parameter in step.parameters {
            let tensor = parameter.tensor();
            parameter.update(|values| self.apply(tensor, values))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use larun_graph::TensorId;

    use super::{Constraints, WeightMask, clusters_of};

    #[test]
    fn few_values_are_clusters_and_zero_stays() {
        let weights = [
            0.5, 0.0, -1.0, 0.5, 0.0, 0.0, 0.5, -1.0, 0.5, 0.5, -1.0, 0.0,
        ];
        let clusters = clusters_of(&weights).expect("three values of twelve weights");
        assert_eq!(clusters.weights(), weights);
        let tensor = TensorId::default();
        let constraints = Constraints {
            clusters: [(tensor, clusters)].into(),
            ..Constraints::default()
        };
        let mut moved = weights.map(|weight| weight + 0.1);
        moved[0] += 0.5;
        constraints.apply(tensor, &mut moved);
        let (half, zero) = (moved[0], moved[1]);
        assert!((half - 0.7).abs() < 1e-6 && zero == 0.0);
        assert!([3, 6, 8, 9].iter().all(|&i| moved[i] == half));
        assert!([2, 7, 10].iter().all(|&i| (moved[i] + 0.9).abs() < 1e-6));
    }

    #[test]
    fn many_values_are_no_clusters() {
        assert_eq!(clusters_of(&[1.0, 2.0, 3.0, 1.0, 2.0]), None);
    }

    #[test]
    fn masked_weights_go_back_to_zero() {
        let tensor = TensorId::default();
        let keep = vec![true, false, true];
        let constraints = Constraints {
            masks: vec![WeightMask { tensor, keep }],
            ..Constraints::default()
        };
        let mut values = [1.0, 2.0, 3.0];
        constraints.apply(tensor, &mut values);
        assert_eq!(values, [1.0, 0.0, 3.0]);
    }
}
