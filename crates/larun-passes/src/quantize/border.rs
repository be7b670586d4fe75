//! Inputs and outputs in floating point around an integer model.

use std::collections::HashMap;

use larun_graph::ops::{DequantizeOptions, ElementType, Op, QuantizeOptions as QuantizeOpOptions};
use larun_graph::{Graph, Node, NodeOp, Subgraph, Tensor, TensorId};

use crate::{PassError, edit};

/// Puts QUANTIZE behind the inputs and DEQUANTIZE before the outputs. The float tensors take over the names.
pub(crate) fn add_float_border(graph: &mut Graph) -> Result<(), PassError> {
    let subgraph = edit::main_mut(graph)?;
    let mut moved = HashMap::new();
    let mut entry = Vec::new();
    for port in 0..subgraph.inputs.len() {
        let inner = subgraph.inputs[port];
        if let Some(outer) = float_twin(subgraph, inner) {
            subgraph.inputs[port] = outer;
            moved.insert(inner, outer);
            entry.push(border_node(
                Op::Quantize(QuantizeOpOptions {}),
                outer,
                inner,
            ));
        }
    }
    for port in 0..subgraph.outputs.len() {
        let inner = subgraph.outputs[port];
        if let Some(outer) = float_twin(subgraph, inner) {
            subgraph.outputs[port] = outer;
            moved.entry(inner).or_insert(outer);
            subgraph.nodes.push(border_node(
                Op::Dequantize(DequantizeOptions {}),
                inner,
                outer,
            ));
        }
    }
    subgraph.nodes.splice(0..0, entry);
    let signatures = graph
        .signatures
        .iter_mut()
        .filter(|s| s.subgraph.index() == 0);
    for port in signatures.flat_map(|s| s.inputs.iter_mut().chain(&mut s.outputs)) {
        port.tensor = moved.get(&port.tensor).copied().unwrap_or(port.tensor);
    }
    Ok(())
}

/// A float tensor with the name and shape of an INT8 one, which is renamed.
pub(crate) fn float_twin(subgraph: &mut Subgraph, inner: TensorId) -> Option<TensorId> {
    let tensor = subgraph
        .tensor_mut(inner)
        .filter(|t| t.element_type == ElementType::Int8)?;
    let twin = Tensor {
        element_type: ElementType::Float32,
        quantization: None,
        ..tensor.clone()
    };
    tensor.name.push_str("/int8");
    Some(subgraph.add_tensor(twin))
}

pub(crate) fn border_node(op: Op, from: TensorId, to: TensorId) -> Node {
    Node {
        version: op.kind().info().int8_version,
        op: NodeOp::Known(op),
        ..Node::new(op, &[from], &[to])
    }
}
