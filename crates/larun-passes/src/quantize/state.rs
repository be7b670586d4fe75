//! Operators that keep a state: LSTM and SVDF, quantised as their integer kernels run them.

use larun_graph::{Graph, Node, Subgraph};
use larun_quant::Affine;

use super::layer::Layer;
use crate::{Calibration, PassError};

/// Whether a node has an integer form, or why it has none.
pub(crate) fn check(
    _graph: &Graph,
    _subgraph: &Subgraph,
    _node: &Node,
) -> Result<(), &'static str> {
    Err("it keeps a state, which is not quantised yet")
}

/// What is known of a node before its weights and states are quantised.
pub(crate) struct Known<'k> {
    pub(crate) layer: &'k Layer<'k>,
    pub(crate) input: Affine,
    pub(crate) output: Affine,
    pub(crate) calibration: &'k Calibration,
}

impl Known<'_> {
    /// Quantises weights, biases and states.
    pub(crate) fn quantize(&self, _graph: &mut Graph, _new: &mut Node) -> Result<(), PassError> {
        Ok(())
    }
}
