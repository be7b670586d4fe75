//! When each value has to be in memory.

use crate::error::{GraphError, Place};
use crate::graph::{Graph, Subgraph};
use crate::ids::TensorId;

/// The steps during which a value occupies memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The value.
    pub tensor: TensorId,
    /// Its size in bytes.
    pub bytes: usize,
    /// The first node, by position, during which it must be there.
    pub first: usize,
    /// The last such node, inclusive.
    pub last: usize,
}

/// The lifetimes of all values of a subgraph that some node or port touches, by tensor id.
///
/// A node's inputs and outputs are all alive while it runs. Inputs of the subgraph are there from
/// the start, its outputs to the end, variables throughout.
///
/// # Errors
/// When the size of a tensor is unknown or overflows.
pub fn lifetimes(graph: &Graph, subgraph: &Subgraph) -> Result<Vec<Lifetime>, GraphError> {
    let end = subgraph.nodes.len().saturating_sub(1);
    let mut spans: Vec<Option<(usize, usize)>> = vec![None; subgraph.tensors.len()];
    let mut touch = |tensor: TensorId, at: usize| {
        if let Some(span) = spans.get_mut(tensor.index()) {
            let (first, last) = span.unwrap_or((at, at));
            *span = Some((first.min(at), last.max(at)));
        }
    };
    for &input in &subgraph.inputs {
        touch(input, 0);
    }
    for (id, node) in subgraph.iter_nodes() {
        let tensors = node.inputs.iter().flatten().chain(&node.outputs);
        tensors.for_each(|&tensor| touch(tensor, id.index()));
    }
    for &output in &subgraph.outputs {
        touch(output, end);
    }
    let mut lifetimes = Vec::new();
    for (i, (tensor, span)) in subgraph.tensors.iter().zip(spans).enumerate() {
        let id = TensorId::new(i);
        let Some((first, last)) = span.filter(|_| !graph.is_constant(tensor)) else {
            continue;
        };
        let (first, last) = if tensor.is_variable {
            (0, end)
        } else {
            (first, last)
        };
        let bytes = tensor.byte_len().ok_or_else(|| GraphError::Overflow {
            place: Place::tensor(subgraph, id),
        })?;
        lifetimes.push(Lifetime {
            tensor: id,
            bytes,
            first,
            last,
        });
    }
    Ok(lifetimes)
}
