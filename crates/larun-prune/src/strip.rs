//! What a deployed model does not need: descriptions, debug records, informative ranges, names of signatures.

use larun_graph::{Graph, Metadata};

use crate::PruneError;
use crate::values::main;

/// What was taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stripped {
    /// Pieces of metadata, descriptions and debug records.
    pub metadata: usize,
    /// Ranges (`min`, `max`) of quantised tensors, which inform and compute nothing.
    pub ranges: usize,
    /// Entry points.
    pub signatures: usize,
    /// Bytes of names of tensors between nodes.
    pub name_bytes: usize,
}

/// Metadata that a runtime acts upon.
const NEEDED: [&str; 2] = ["OfflineMemoryAllocation", "COMPRESSION_METADATA"];

/// Takes away what no microcontroller reads: metadata but the memory plan and compression, the description, debug records,
/// informative ranges, signatures, and the names of tensors other than inputs and outputs. What is computed stays the same.
///
/// # Errors
/// When a node is left that only training knows, such as batch normalisation: fold it first.
pub fn strip(graph: &mut Graph) -> Result<Stripped, PruneError> {
    for (id, node) in main(graph)?.iter_nodes() {
        let info = node.kind().map(|kind| kind.info());
        if info.is_some_and(|info| info.code.is_none() && !info.is_custom) {
            return Err(PruneError::Storage {
                place: larun_graph::Place::node(main(graph)?, id),
                reason: "only training knows this operator; fold it before the model is deployed"
                    .to_owned(),
            });
        }
    }
    let mut stripped = Stripped::default();
    let needed = |metadata: &Metadata| {
        metadata
            .name
            .as_deref()
            .is_some_and(|name| NEEDED.contains(&name))
    };
    let before = graph.metadata.len();
    let dropped: Vec<_> = graph
        .metadata
        .iter()
        .filter(|m| !needed(m))
        .map(|m| m.buffer)
        .collect();
    graph.metadata.retain(needed);
    stripped.metadata =
        before - graph.metadata.len() + usize::from(graph.description.take().is_some());
    for buffer in dropped {
        crate::storage::release(graph, buffer);
    }
    stripped.signatures = core::mem::take(&mut graph.signatures).len();
    for subgraph in &mut graph.subgraphs {
        let records = subgraph
            .nodes
            .iter_mut()
            .filter(|node| node.debug_metadata >= 0);
        stripped.metadata += records.map(|node| node.debug_metadata = -1).count();
        subgraph.debug_metadata = -1;
        let ports: Vec<_> = subgraph
            .inputs
            .iter()
            .chain(&subgraph.outputs)
            .copied()
            .collect();
        for (index, tensor) in subgraph.tensors.iter_mut().enumerate() {
            if let Some(quantization) = &mut tensor.quantization {
                stripped.ranges +=
                    usize::from(!quantization.min.is_empty() || !quantization.max.is_empty());
                (quantization.min, quantization.max) = (Vec::new(), Vec::new());
            }
            if !ports.contains(&larun_graph::TensorId::new(index)) {
                stripped.name_bytes += core::mem::take(&mut tensor.name).len();
            }
        }
    }
    Ok(stripped)
}
