//! Activations fused into the operator before them.

use larun_graph::ops::{Activation, OpKind};
use larun_graph::{Graph, NodeId, NodeOp};

use crate::cleanup::remove_unused;
use crate::{PassError, edit};

/// Lets convolutions, dense layers, sums, products and pools apply a RELU or RELU6 that alone reads their result.
///
/// # Errors
/// When the graph is not valid.
pub fn fuse_activations(mut graph: Graph) -> Result<Graph, PassError> {
    graph.validate()?;
    while let Some((producer, activation, fused)) = next_fusion(&graph) {
        let subgraph = edit::main_mut(&mut graph)?;
        let output = edit::output(subgraph, activation)?;
        let node = edit::node_mut(subgraph, producer)?;
        if let NodeOp::Known(op) = &mut node.op
            && let Some(slot) = op.activation_mut()
        {
            *slot = fused;
        }
        node.outputs = vec![output];
        subgraph.nodes.remove(activation.index());
    }
    remove_unused(&mut graph);
    graph.validate()?;
    Ok(graph)
}

/// An operator, the activation node after it, and the fused form.
fn next_fusion(graph: &Graph) -> Option<(NodeId, NodeId, Activation)> {
    let subgraph = graph.main()?;
    let (producers, consumers) = (subgraph.producers(), subgraph.consumers());
    subgraph.iter_nodes().find_map(|(id, node)| {
        let fused = match node.kind()? {
            OpKind::Relu => Activation::Relu,
            OpKind::Relu6 => Activation::Relu6,
            _ => return None,
        };
        let input = node.input(0)?;
        let producer = (*producers.get(input.index())?)?;
        let free = subgraph.node(producer)?.known()?.activation() == Some(Activation::None);
        let alone = consumers.get(input.index())?.len() == 1 && !subgraph.outputs.contains(&input);
        // A real tensor only: once quantised, the range before the activation may differ from that after it.
        let quantization = subgraph.tensor(input)?.quantization.as_ref();
        let real = quantization.is_none_or(larun_graph::Quantization::is_trivial);
        (free && alone && real).then_some((producer, id, fused))
    })
}
