//! Magnitude pruning of a graph: which weights of which layers become zero.

use larun_graph::ops::OpKind;
use larun_graph::{Graph, NodeId, TensorId};

use crate::pattern::threshold;
use crate::schedule::check_sparsity;
use crate::values::{main, real_values, weights_of, zero_out};
use crate::{Pattern, PruneError};

/// Over what weights are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Every layer loses the same share.
    #[default]
    Layer,
    /// The smallest weights of the whole network go, wherever they are; every layer keeps at least one.
    Global,
}

/// Magnitude pruning (Han et al. 2015).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MagnitudePruning {
    /// What is pruned together.
    pub pattern: Pattern,
    /// Over what weights are compared.
    pub scope: Scope,
    /// Whether depthwise filters are pruned too. They are few weights, and the network feels each of them.
    pub depthwise: bool,
}

/// Which weights of a constant stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightMask {
    /// The constant.
    pub tensor: TensorId,
    /// For each element, whether it stays.
    pub keep: Vec<bool>,
}

impl WeightMask {
    /// The share of elements that go.
    pub fn sparsity(&self) -> f32 {
        let zeros = self.keep.iter().filter(|keep| !**keep).count();
        zeros as f32 / self.keep.len().max(1) as f32
    }

    /// Sets what goes to zero: weights, or their gradients and the optimiser's moments.
    pub fn apply(&self, values: &mut [f32]) {
        for (value, _) in values
            .iter_mut()
            .zip(&self.keep)
            .filter(|(_, keep)| !**keep)
        {
            *value = 0.0;
        }
    }
}

/// A constant of weights seen as a matrix.
struct Matrix {
    tensor: TensorId,
    values: Vec<f32>,
    rows: usize,
}

impl MagnitudePruning {
    /// The weights that stay at a sparsity, for every layer that is pruned.
    ///
    /// A dense layer is the matrix `[units, inputs]`, a convolution `[filters, H W channels]`, a depthwise one
    /// `[H W, channels]`; groups of [`Pattern::Grouped`] lie along the innermost axis.
    ///
    /// # Errors
    /// When the sparsity or the pattern is impossible, or weights are not finite.
    pub fn masks(&self, graph: &Graph, sparsity: f32) -> Result<Vec<WeightMask>, PruneError> {
        check_sparsity(sparsity)?;
        self.pattern.check()?;
        let matrices = self.matrices(graph)?;
        let grouped = matches!(self.pattern, Pattern::Grouped { .. });
        if self.scope == Scope::Global && !grouped {
            return self.global(&matrices, sparsity);
        }
        let mask = |matrix: &Matrix| {
            let keep = self.pattern.keep(&matrix.values, matrix.rows, sparsity)?;
            let tensor = matrix.tensor;
            Ok(WeightMask { tensor, keep })
        };
        matrices.iter().map(mask).collect()
    }

    fn global(&self, matrices: &[Matrix], sparsity: f32) -> Result<Vec<WeightMask>, PruneError> {
        let sizes = |matrix: &Matrix| self.pattern.block_magnitudes(&matrix.values, matrix.rows);
        let all: Vec<Vec<f32>> = matrices.iter().map(sizes).collect();
        if all.iter().flatten().any(|size| !size.is_finite()) {
            return Err(PruneError::NotFinite { what: "weights" });
        }
        let smallest = threshold(&all.concat(), sparsity);
        let mask = |(matrix, sizes): (&Matrix, &Vec<f32>)| {
            let largest = sizes.iter().copied().fold(0.0, f32::max);
            let least = smallest.min(largest);
            let keep: Vec<bool> = sizes.iter().map(|&size| size >= least).collect();
            let columns = matrix.values.len() / matrix.rows.max(1);
            WeightMask {
                tensor: matrix.tensor,
                keep: self.pattern.spread(&keep, matrix.rows, columns),
            }
        };
        Ok(matrices.iter().zip(&all).map(mask).collect())
    }

    fn matrices(&self, graph: &Graph) -> Result<Vec<Matrix>, PruneError> {
        let mut matrices: Vec<Matrix> = Vec::new();
        let subgraph = main(graph)?;
        for node in &subgraph.nodes {
            let depthwise = node.kind() == Some(OpKind::DepthwiseConv2D);
            if depthwise && !self.depthwise {
                continue;
            }
            for tensor in weights_of(graph, node) {
                if matrices.iter().any(|matrix| matrix.tensor == tensor) {
                    continue;
                }
                let values = real_values(graph, tensor)?;
                let shape = subgraph.tensor(tensor).map(|t| t.shape).unwrap_or_default();
                let innermost = depthwise || matches!(self.pattern, Pattern::Grouped { .. });
                let rows = match innermost {
                    true => values.len() / shape.last().max(1),
                    false => shape.dims().first().copied().unwrap_or(1),
                };
                matrices.push(Matrix {
                    tensor,
                    values,
                    rows,
                });
            }
        }
        Ok(matrices)
    }
}

/// Sets the weights that masks drop to zero.
///
/// # Errors
/// When a mask does not fit its tensor.
pub fn apply_masks(graph: &mut Graph, masks: &[WeightMask]) -> Result<(), PruneError> {
    let mut zero = |mask: &WeightMask| zero_out(graph, mask.tensor, &mask.keep);
    masks.iter().try_for_each(&mut zero)
}

/// How many of a layer's weights are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerSparsity {
    /// The layer.
    pub node: NodeId,
    /// Its weights.
    pub tensor: TensorId,
    /// How many there are.
    pub weights: usize,
    /// How many of them are zero.
    pub zeros: usize,
}

/// The zeros of every layer.
///
/// # Errors
/// When a layer's weights do not fill their shape.
pub fn sparsities(graph: &Graph) -> Result<Vec<LayerSparsity>, PruneError> {
    let mut layers = Vec::new();
    for (id, node) in main(graph)?.iter_nodes() {
        for tensor in weights_of(graph, node) {
            let values = real_values(graph, tensor)?;
            layers.push(LayerSparsity {
                node: id,
                tensor,
                weights: values.len(),
                zeros: values.iter().filter(|value| **value == 0.0).count(),
            });
        }
    }
    Ok(layers)
}
