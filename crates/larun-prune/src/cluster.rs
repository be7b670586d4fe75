//! Weight clustering: all weights of a layer take a few values (Han et al. 2016, deep compression).

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::PruneError;

/// How often k-means moves its centroids at most. It mostly stands still after a few dozen times.
const MAX_STEPS: usize = 100;

/// Where centroids start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// Drawn from the weights, far ones more likely (k-means++, Arthur and Vassilvitskii 2007).
    #[default]
    KMeansPlusPlus,
    /// Evenly between the smallest and the largest weight.
    Linear,
    /// At even steps of the weights' distribution: many where weights are many.
    Density,
}

/// How the gradients of a cluster's weights become that of its centroid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CentroidGradient {
    /// Their sum: the true gradient.
    #[default]
    Sum,
    /// Their mean: steps do not grow with the size of the cluster.
    Average,
}

/// How weights are clustered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterOptions {
    /// Distinct values, 1 to 65536.
    pub clusters: usize,
    /// Where centroids start.
    pub start: Start,
    /// Whether Lloyd's steps follow, until no weight changes its cluster.
    pub refine: bool,
    /// Whether weights that are zero stay so: one centroid is 0 and stays 0. Keeps what was pruned.
    pub preserve_zeros: bool,
    /// What random numbers come from.
    pub seed: u64,
}

impl ClusterOptions {
    /// This many clusters from k-means++, refined.
    pub fn new(clusters: usize) -> Self {
        Self {
            clusters,
            start: Start::KMeansPlusPlus,
            refine: true,
            preserve_zeros: false,
            seed: 0,
        }
    }
}

/// Weights as numbers of centroids.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// The values that weights have, in ascending order until they are trained.
    pub centroids: Vec<f32>,
    /// The number of each weight's centroid.
    pub indices: Vec<u32>,
    /// The centroid that stays 0, if one does.
    pub zero: Option<u32>,
}

impl Clusters {
    /// Clusters weights. There may be fewer centroids than asked for where there are fewer distinct weights.
    ///
    /// # Errors
    /// When there are no weights, one is not finite, or the number of clusters is out of range.
    pub fn fit(weights: &[f32], options: &ClusterOptions) -> Result<Self, PruneError> {
        let found = options.clusters;
        if !(1..=65536).contains(&found) {
            return Err(PruneError::Clusters { found });
        }
        if weights.is_empty() {
            return Err(PruneError::Length {
                what: "weights to cluster",
                expected: 1,
                found: 0,
            });
        }
        if weights.iter().any(|weight| !weight.is_finite()) {
            return Err(PruneError::NotFinite { what: "weights" });
        }
        let zeros = options.preserve_zeros && weights.contains(&0.0);
        let mut sorted: Vec<f32> = weights.to_vec();
        sorted.retain(|&weight| !zeros || weight != 0.0);
        sorted.sort_by(f32::total_cmp);
        let wanted = found - usize::from(zeros);
        let mut centroids = starts(&sorted, wanted, options);
        if options.refine {
            lloyd(&sorted, &mut centroids);
        }
        if zeros {
            centroids.push(0.0);
        }
        centroids.iter_mut().for_each(|value| *value += 0.0); // -0 becomes 0.
        centroids.sort_by(f32::total_cmp);
        centroids.dedup();
        let zero = centroids.iter().position(|&value| value == 0.0);
        let zero = zero.filter(|_| zeros).map(|index| index as u32);
        let mut clusters = Self {
            centroids,
            indices: Vec::new(),
            zero,
        };
        clusters.indices = weights.iter().map(|&w| clusters.nearest_of(w)).collect();
        Ok(clusters)
    }

    /// The weights: each its centroid.
    pub fn weights(&self) -> Vec<f32> {
        let value = |&index: &u32| self.centroids.get(index as usize).copied();
        self.indices
            .iter()
            .map(|i| value(i).unwrap_or(0.0))
            .collect()
    }

    /// The gradient of each centroid from those of the weights. That of a centroid that stays 0 is 0.
    ///
    /// # Errors
    /// When there are not as many gradients as weights.
    pub fn gradient(
        &self,
        gradients: &[f32],
        by: CentroidGradient,
    ) -> Result<Vec<f32>, PruneError> {
        if gradients.len() != self.indices.len() {
            return Err(PruneError::Length {
                what: "the gradients of clustered weights",
                expected: self.indices.len(),
                found: gradients.len(),
            });
        }
        let mut sums = vec![(0.0f64, 0u32); self.centroids.len()];
        for (&index, &gradient) in self.indices.iter().zip(gradients) {
            if let Some((sum, count)) = sums.get_mut(index as usize) {
                *sum += f64::from(gradient);
                *count += 1;
            }
        }
        let one = |(index, (sum, count)): (usize, (f64, u32))| match by {
            _ if self.zero == Some(index as u32) => 0.0,
            CentroidGradient::Sum => sum as f32,
            CentroidGradient::Average => (sum / f64::from(count.max(1))) as f32,
        };
        Ok(sums.into_iter().enumerate().map(one).collect())
    }

    /// Weights that a step of training changed, clustered again: each goes to the nearest centroid, and each centroid to the
    /// mean of its weights. Without this clusters are as they were, however far the weights have moved.
    ///
    /// # Errors
    /// When there are not as many weights as there were.
    pub fn reassign(&mut self, weights: &[f32]) -> Result<(), PruneError> {
        if weights.len() != self.indices.len() {
            return Err(PruneError::Length {
                what: "clustered weights",
                expected: self.indices.len(),
                found: weights.len(),
            });
        }
        // A weight that was kept at zero stays there.
        for (index, &weight) in weights.iter().enumerate() {
            let kept = self.indices.get(index).copied() == self.zero && self.zero.is_some();
            let nearest = match kept {
                true => self.zero.unwrap_or(0),
                false => self.nearest_of(weight),
            };
            if let Some(slot) = self.indices.get_mut(index) {
                *slot = nearest;
            }
        }
        let means = self.gradient(weights, CentroidGradient::Average)?;
        let mut used = vec![false; self.centroids.len()];
        for &index in &self.indices {
            if let Some(used) = used.get_mut(index as usize) {
                *used = true;
            }
        }
        let centroids = self.centroids.iter_mut().zip(means).zip(used);
        for ((centroid, mean), _) in centroids.filter(|(_, used)| *used) {
            *centroid = mean;
        }
        Ok(())
    }

    /// The number of the nearest centroid, the lower one where two are alike. Centroids need not be sorted.
    fn nearest_of(&self, weight: f32) -> u32 {
        let distance = |value: &f32| (f64::from(*value) - f64::from(weight)).abs();
        let all = self.centroids.iter().map(distance).enumerate();
        let nearest = all.min_by(|(_, a), (_, b)| a.total_cmp(b));
        nearest.map_or(0, |(index, _)| index as u32)
    }
}

/// Where centroids start, at most `count` of them; `sorted` weights.
fn starts(sorted: &[f32], count: usize, options: &ClusterOptions) -> Vec<f32> {
    let (Some(&low), Some(&high)) = (sorted.first(), sorted.last()) else {
        return Vec::new();
    };
    if count == 0 {
        return Vec::new();
    }
    let share = |index: usize| (index as f64 + 0.5) / count as f64;
    match options.start {
        Start::Linear if count == 1 => vec![((f64::from(low) + f64::from(high)) / 2.0) as f32],
        Start::Linear => {
            let step = (f64::from(high) - f64::from(low)) / (count - 1) as f64;
            let at = |index: usize| (f64::from(low) + step * index as f64) as f32;
            (0..count).map(at).collect()
        }
        Start::Density => {
            let at = |index: usize| {
                ((share(index) * sorted.len() as f64) as usize).min(sorted.len() - 1)
            };
            let mut values: Vec<f32> = (0..count)
                .filter_map(|i| sorted.get(at(i)).copied())
                .collect();
            values.dedup();
            values
        }
        Start::KMeansPlusPlus => plus_plus(sorted, count, options.seed),
    }
}

/// Draws centroids from the weights, each with a probability as the square of its distance to the nearest so far.
fn plus_plus(sorted: &[f32], count: usize, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let first = random.random_range(0..sorted.len());
    let mut centroids: Vec<f32> = sorted.get(first).copied().into_iter().collect();
    let mut distances = vec![f64::INFINITY; sorted.len()];
    while centroids.len() < count {
        let newest = f64::from(centroids.last().copied().unwrap_or(0.0));
        for (distance, &weight) in distances.iter_mut().zip(sorted) {
            let away = f64::from(weight) - newest;
            *distance = distance.min(away * away);
        }
        let total: f64 = distances.iter().sum();
        // Every distinct weight is a centroid already.
        if total <= 0.0 {
            break;
        }
        let mut left = random.random::<f64>() * total;
        let drawn = distances.iter().position(|distance| {
            left -= distance;
            left < 0.0 && *distance > 0.0
        });
        let drawn = drawn.or_else(|| distances.iter().rposition(|distance| *distance > 0.0));
        let Some(&value) = drawn.and_then(|index| sorted.get(index)) else {
            break;
        };
        centroids.push(value);
    }
    centroids
}

/// Moves centroids to the means of their weights until nothing changes. In one dimension a cluster is a range of the sorted
/// weights, so that a step costs a search for each border.
fn lloyd(sorted: &[f32], centroids: &mut [f32]) {
    let mut sums = vec![0.0f64];
    for &weight in sorted {
        sums.push(sums.last().copied().unwrap_or(0.0) + f64::from(weight));
    }
    for _ in 0..MAX_STEPS {
        centroids.sort_by(f32::total_cmp);
        let before = centroids.to_vec();
        let middles = before.windows(2).map(|pair| match pair {
            [a, b] => (f64::from(*a) + f64::from(*b)) / 2.0,
            _ => f64::INFINITY,
        });
        let mut start = 0;
        let ends = middles.map(|middle| sorted.partition_point(|&w| f64::from(w) <= middle));
        let ends: Vec<usize> = ends.chain([sorted.len()]).collect();
        for (centroid, end) in centroids.iter_mut().zip(ends) {
            if end > start {
                let sum = sums
                    .get(end)
                    .zip(sums.get(start))
                    .map_or(0.0, |(e, s)| e - s);
                *centroid = (sum / (end - start) as f64) as f32;
                start = end;
            }
        }
        if *centroids == *before {
            break;
        }
    }
}
