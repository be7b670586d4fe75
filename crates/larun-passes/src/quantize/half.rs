//! Constants in half precision.

use larun_graph::ops::ElementType;
use larun_graph::{Graph, Tensor, TensorId};
use larun_quant::binary16;

use super::weights::add_with_bytes;
use crate::{PassError, edit};

/// Adds a FLOAT16 copy of a constant: rounded to nearest, ties to even, what lies beyond its range at its largest value.
pub(crate) fn store(graph: &mut Graph, real: TensorId) -> Result<TensorId, PassError> {
    let values = graph.values::<f32>(real)?;
    let halves = values
        .iter()
        .map(|&value| binary16::from_f32_saturating(value).to_le_bytes());
    let bytes = halves.flatten().collect();
    let tensor = Tensor {
        element_type: ElementType::Float16,
        ..edit::tensor(edit::main(graph)?, real)?.clone()
    };
    add_with_bytes(graph, tensor, bytes)
}
