//! How real weights become integers: a hook for methods that round better than to the nearest.

use larun_graph::TensorId;
use larun_quant::{ChannelAxis, IntegerRange};

use crate::PassError;

/// The weights of one layer as the engine is about to round them.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RealWeights<'w> {
    /// The layer's result, which names the layer: tensors keep their ids while a graph is quantised.
    pub output: TensorId,
    /// Which of the node's inputs the weights are.
    pub operand: usize,
    /// The real values, in the order of the tensor's elements.
    pub values: &'w [f32],
    /// The tensor's dimensions.
    pub shape: &'w [usize],
    /// Where the channels lie that have a scale each; one channel where there is one scale for all.
    pub axis: ChannelAxis,
    /// The scale of each channel. The zero points are 0.
    pub scales: &'w [f32],
    /// The integers that a weight may become.
    pub integers: IntegerRange,
}

/// Chooses the integers of weights: AdaRound's result, GPTQ's, or any other's.
pub trait WeightRounder {
    /// The integers for `weights`, one a value and within `weights.integers`; `None` to round to the nearest.
    ///
    /// # Errors
    /// What the method cannot do.
    fn round(&self, weights: &RealWeights<'_>) -> Result<Option<Vec<i8>>, PassError>;

    /// Other scales than those found, one for each; `None` to keep them. They take effect before the rounding.
    fn scales(&self, weights: &RealWeights<'_>) -> Option<Vec<f32>> {
        let _ = weights;
        None
    }
}

/// Rounds to the nearest integer, ties away from zero.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundToNearest;

impl WeightRounder for RoundToNearest {
    fn round(&self, _: &RealWeights<'_>) -> Result<Option<Vec<i8>>, PassError> {
        Ok(None)
    }
}
