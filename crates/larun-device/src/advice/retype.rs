//! The graph with other element types, its values left aside.

use larun_graph::{Graph, TensorId};
use larun_ops::{ElementType, Role};

/// Activations and weights INT8, biases INT32. `None` for a graph that has no real values.
pub(super) fn to_int8(graph: &Graph) -> Option<Graph> {
    let mut changed = graph.clone();
    let biases = operands(graph, |role| matches!(role, Role::Bias));
    let mut any = false;
    for index in 0..graph.main()?.tensors.len() {
        let id = TensorId::new(index);
        if graph.main()?.tensor(id)?.element_type != ElementType::Float32 {
            continue;
        }
        any = true;
        let to = match biases.contains(&id) {
            true => ElementType::Int32,
            false => ElementType::Int8,
        };
        retype(&mut changed, id, to)?;
    }
    any.then_some(changed)
}

/// The weights of convolutions and dense layers INT4 where they are INT8. `None` where there are none.
pub(super) fn weights_to_int4(graph: &Graph) -> Option<Graph> {
    let mut changed = graph.clone();
    let mut any = false;
    for id in operands(graph, |role| matches!(role, Role::Weights { .. })) {
        let tensor = graph.main()?.tensor(id)?;
        if tensor.element_type == ElementType::Int8 && graph.is_constant(tensor) {
            retype(&mut changed, id, ElementType::Int4)?;
            any = true;
        }
    }
    any.then_some(changed)
}

/// The tensors that some node of the main subgraph has for such an operand, each once.
fn operands(graph: &Graph, wanted: fn(Role) -> bool) -> Vec<TensorId> {
    let nodes = graph.main().map_or(&[][..], |subgraph| &subgraph.nodes);
    let mut found = Vec::new();
    for node in nodes {
        let Some(info) = node.kind().map(larun_ops::OpKind::info) else {
            continue;
        };
        for (index, input) in node.inputs.iter().enumerate() {
            let role = info.input(index).map(|operand| operand.role);
            if let (Some(role), Some(id)) = (role, input)
                && wanted(role)
                && !found.contains(id)
            {
                found.push(*id);
            }
        }
    }
    found
}

fn retype(graph: &mut Graph, id: TensorId, to: ElementType) -> Option<()> {
    let tensor = graph.main()?.tensor(id)?;
    let buffer = match graph.is_constant(tensor) {
        true => {
            let bytes = to.byte_len(tensor.shape.elements()?)?;
            Some(bytes.min(graph.data(tensor).len()))
        }
        false => None,
    };
    let buffer = buffer.map(|bytes| graph.add_buffer(vec![0; bytes]));
    let tensor = graph.main_mut()?.tensor_mut(id)?;
    tensor.element_type = to;
    if let Some(buffer) = buffer {
        tensor.buffer = buffer;
    }
    Some(())
}
