//! Bytes of values that are alive while each node runs.

use larun_graph::{Graph, GraphError, Subgraph, lifetimes};

/// What is alive while a node runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveBytes {
    /// Bytes of all values, the node's inputs and outputs among them; each rounded up to a tensor's alignment.
    pub all: u64,
    /// Bytes of the node's own inputs and outputs.
    pub own: u64,
}

/// Bytes between places where tensors may begin.
const ALIGNMENT: u64 = 16;

/// What is alive while each node of a subgraph runs. The most is a bound that no plan of whole tensors can go below.
///
/// # Errors
/// When the size of a tensor is unknown or overflows.
pub fn live_bytes(graph: &Graph, subgraph: &Subgraph) -> Result<Vec<LiveBytes>, GraphError> {
    let mut live = vec![LiveBytes::default(); subgraph.nodes.len()];
    for lifetime in lifetimes(graph, subgraph)? {
        let bytes = (lifetime.bytes as u64).next_multiple_of(ALIGNMENT);
        let span = live.iter_mut().zip(&subgraph.nodes).enumerate();
        for (at, (live, node)) in span.take(lifetime.last + 1).skip(lifetime.first) {
            debug_assert!(at <= lifetime.last);
            live.all = live.all.saturating_add(bytes);
            let mut operands = node.inputs.iter().flatten().chain(&node.outputs);
            if operands.any(|&id| id == lifetime.tensor) {
                live.own = live.own.saturating_add(bytes);
            }
        }
    }
    Ok(live)
}
