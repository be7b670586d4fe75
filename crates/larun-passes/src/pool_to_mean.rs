//! Average pools over whole images as means, whose results have a scale of their own.

use larun_graph::ops::{Activation, Op, OpKind, ReducerOptions};
use larun_graph::{Graph, Node, NodeId, Subgraph};

use crate::{PassError, edit};

/// Replaces every AVERAGE_POOL_2D whose window is the whole image by MEAN over height and width.
///
/// Both compute the same. Quantised, the pool's result must keep its input's scale, though the mean over an image spans a
/// small part of the input's range: few of the 256 integers are used. MEAN may choose its scale.
///
/// # Errors
/// When the graph is not valid.
pub fn global_pools_to_means(mut graph: Graph) -> Result<Graph, PassError> {
    graph.validate()?;
    for index in 0..edit::main(&graph)?.nodes.len() {
        let id = NodeId::new(index);
        let subgraph = edit::main(&graph)?;
        let node = edit::node(subgraph, id)?;
        let Some(input) = node.input(0).filter(|_| is_global(subgraph, node)) else {
            continue;
        };
        let output = edit::output(subgraph, id)?;
        let name = format!("{}/axes", edit::tensor(subgraph, output)?.name);
        let axes = edit::add_constant(&mut graph, &name, &[2], &[1i32, 2])?;
        let op = Op::Mean(ReducerOptions { keep_dims: true });
        let mean = Node::new(op, &[input, axes], &[output]);
        *edit::node_mut(edit::main_mut(&mut graph)?, id)? = mean;
    }
    graph.validate()?;
    Ok(graph)
}

/// Whether a node averages whole images of real numbers, and does nothing else.
fn is_global(subgraph: &Subgraph, node: &Node) -> bool {
    let tensor = |id| subgraph.tensor(id);
    let (Some(input), Some(output)) = (
        node.input(0).and_then(tensor),
        node.outputs.first().and_then(|&id| tensor(id)),
    ) else {
        return false;
    };
    let Some(Op::AveragePool2D(options)) = node.known() else {
        return false;
    };
    let (&[_, height, width, _], &[_, 1, 1, _]) = (input.shape.dims(), output.shape.dims()) else {
        return false;
    };
    let covers = |filter: i32, size: usize| usize::try_from(filter) == Ok(size);
    node.kind() == Some(OpKind::AveragePool2D)
        && options.activation == Activation::None
        && input
            .quantization
            .as_ref()
            .is_none_or(larun_graph::Quantization::is_trivial)
        && covers(options.filter_h, height)
        && covers(options.filter_w, width)
}
