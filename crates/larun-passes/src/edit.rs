//! Looking things up in a graph and changing it, with errors in place of panics.

use larun_graph::ops::Shape;
use larun_graph::{Element, Graph, GraphError, Node, NodeId, Place, Subgraph, Tensor, TensorId};

use crate::PassError;

/// The subgraph that passes work on.
pub(crate) fn main(graph: &Graph) -> Result<&Subgraph, GraphError> {
    graph.main().ok_or(GraphError::NoSubgraph)
}

/// The same, to change.
pub(crate) fn main_mut(graph: &mut Graph) -> Result<&mut Subgraph, GraphError> {
    graph.main_mut().ok_or(GraphError::NoSubgraph)
}

pub(crate) fn node(subgraph: &Subgraph, id: NodeId) -> Result<&Node, GraphError> {
    subgraph.node(id).ok_or_else(|| GraphError::OperandCount {
        place: Place::node(subgraph, id),
        what: "nodes",
        found: subgraph.nodes.len(),
    })
}

pub(crate) fn node_mut(subgraph: &mut Subgraph, id: NodeId) -> Result<&mut Node, GraphError> {
    node(subgraph, id)?;
    subgraph
        .nodes
        .get_mut(id.index())
        .ok_or(GraphError::NoSubgraph)
}

pub(crate) fn tensor(subgraph: &Subgraph, id: TensorId) -> Result<&Tensor, GraphError> {
    subgraph.tensor(id).ok_or_else(|| GraphError::NoSuchTensor {
        place: Place::tensor(subgraph, id),
    })
}

/// What a tensor of the main subgraph is called.
pub(crate) fn name(graph: &Graph, id: TensorId) -> Result<&str, GraphError> {
    Ok(tensor(main(graph)?, id)?.name.as_str())
}

/// The first output of a node.
pub(crate) fn output(subgraph: &Subgraph, id: NodeId) -> Result<TensorId, GraphError> {
    let first = node(subgraph, id)?.outputs.first().copied();
    first.ok_or_else(|| GraphError::OperandCount {
        place: Place::node(subgraph, id),
        what: "outputs",
        found: 0,
    })
}

/// Adds a constant to the main subgraph.
pub(crate) fn add_constant<T: Element>(
    graph: &mut Graph,
    name: &str,
    shape: &[usize],
    values: &[T],
) -> Result<TensorId, PassError> {
    let shape = Shape::new(shape).unwrap_or_default();
    let id = main_mut(graph)?.add_tensor(Tensor {
        name: name.to_owned(),
        shape,
        ..Tensor::default()
    });
    graph.set_values(id, values)?;
    Ok(id)
}

/// Adds a constant that is like another but for its values.
pub(crate) fn add_copy<T: Element>(
    graph: &mut Graph,
    like: TensorId,
    values: &[T],
) -> Result<TensorId, PassError> {
    let subgraph = main_mut(graph)?;
    let copy = Tensor {
        buffer: Default::default(),
        ..tensor(subgraph, like)?.clone()
    };
    let id = subgraph.add_tensor(copy);
    graph.set_values(id, values)?;
    Ok(id)
}
