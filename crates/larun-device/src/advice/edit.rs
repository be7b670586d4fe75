//! Changes of shape that a graph is put through: constants keep their sizes right, values do not matter.

use larun_graph::{Graph, NodeId, TensorId};
use larun_ops::Shape;

/// The shape of a tensor of the main subgraph.
pub(super) fn shape(graph: &Graph, tensor: TensorId) -> Option<Shape> {
    Some(graph.main()?.tensor(tensor)?.shape)
}

/// Sets the shape of a tensor; a constant gets a buffer of its own with as many zeros as it then needs.
pub(super) fn set_shape(graph: &mut Graph, tensor: TensorId, dims: &[usize]) -> Option<()> {
    let shape = Shape::new(dims)?;
    let of_main = graph.main()?.tensor(tensor)?;
    let constant = graph.is_constant(of_main);
    let bytes = of_main.element_type.byte_len(shape.elements()?)?;
    // What is asked for is smaller than what there is: no file makes this grow.
    let bytes = bytes.min(graph.data(of_main).len().max(1));
    let buffer = constant.then(|| graph.add_buffer(vec![0; bytes]));
    let of_main = graph.main_mut()?.tensor_mut(tensor)?;
    of_main.shape = shape;
    if let Some(buffer) = buffer {
        of_main.buffer = buffer;
    }
    Some(())
}

/// Sets the shapes of a node's outputs from its operands. `None` where they do not go together.
pub(super) fn infer(graph: &mut Graph, node: NodeId) -> Option<()> {
    let subgraph = graph.main()?;
    let outputs = subgraph.node(node)?.outputs.clone();
    for (index, output) in outputs.into_iter().enumerate() {
        let subgraph = graph.main()?;
        if let Some(shape) = graph.inferred_shape(subgraph, node, index).ok()? {
            graph.main_mut()?.tensor_mut(output)?.shape = shape;
        }
    }
    Some(())
}
