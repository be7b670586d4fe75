//! What calibration data says too little about.

use larun_graph::{Graph, Place, TensorId};

use super::check::is_float;
use crate::{Calibration, PassError, edit};

/// Values of a graph that were the same in every element of every sample: their ranges say nothing about other inputs.
///
/// They are quantised all the same, with a scale that holds the one value and 0; a value that was always 0 gets the scale 1.
///
/// # Errors
/// When the graph has no subgraph.
pub fn constant_values(graph: &Graph, calibration: &Calibration) -> Result<Vec<Place>, PassError> {
    let subgraph = edit::main(graph)?;
    let tensors = (0..subgraph.tensors.len()).map(TensorId::new);
    let constant = tensors.filter(|&id| {
        let several = subgraph.tensor(id).and_then(|t| t.shape.elements());
        let range = calibration.range(id);
        is_float(subgraph, id)
            && several.is_some_and(|elements| elements > 1)
            && range.is_some_and(|(min, max)| min == max)
    });
    Ok(constant.map(|id| Place::tensor(subgraph, id)).collect())
}
