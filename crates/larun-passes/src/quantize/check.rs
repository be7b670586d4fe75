//! What of a graph is float still and can be quantised.

use larun_graph::ops::{ElementType, OpKind, OutputQuantization, Role};
use larun_graph::{Graph, Node, Place, Subgraph, TensorId};

use crate::{PassError, edit};

/// Every operator can be quantised, and none is yet.
pub(crate) fn check_float(graph: &Graph) -> Result<(), PassError> {
    let subgraph = edit::main(graph)?;
    for (i, tensor) in subgraph.tensors.iter().enumerate() {
        let found = tensor.element_type;
        if matches!(
            found,
            ElementType::Int8 | ElementType::UInt8 | ElementType::Int16 | ElementType::Int4
        ) {
            let place = Place::tensor(subgraph, TensorId::new(i));
            return Err(PassError::AlreadyQuantized { place, found });
        }
    }
    for (id, node) in subgraph.iter_nodes() {
        let reason = match node.kind() {
            None => "the operator table does not know it",
            Some(OpKind::Quantize | OpKind::Dequantize) => "the model is quantised in part already",
            Some(kind) if kind.info().code.is_none() => {
                "it exists during training only; fold it first"
            }
            Some(kind) if !has_integer_form(kind) => "quantising it is not supported yet",
            Some(_) => continue,
        };
        let place = Place::node(subgraph, id);
        return Err(PassError::NotQuantizable { place, reason });
    }
    Ok(())
}

/// Whether an operator computes on quantised activations by the table's rules alone: it keeps no state, runs no
/// subgraph and gives quantised outputs.
pub(crate) fn has_integer_form(kind: OpKind) -> bool {
    let info = kind.info();
    let keeps_state = info.inputs.iter().any(|input| input.role == Role::State);
    !keeps_state && info.quantization != OutputQuantization::Unquantized
}

/// The role of input `index` of a node.
pub(crate) fn role(node: &Node, index: usize) -> Option<Role> {
    Some(node.kind()?.info().input(index)?.role)
}

/// Inputs of a node that are activations in floating point, constants among them.
pub(crate) fn activation_inputs<'g>(
    subgraph: &'g Subgraph,
    node: &'g Node,
) -> impl Iterator<Item = TensorId> + 'g {
    let inputs = node.inputs.iter().enumerate();
    let activations = inputs.filter(|(i, _)| role(node, *i) == Some(Role::Activation));
    let tensors = activations.filter_map(|(_, input)| *input);
    tensors.filter(|&id| is_float(subgraph, id))
}

pub(crate) fn is_float(subgraph: &Subgraph, id: TensorId) -> bool {
    subgraph
        .tensor(id)
        .is_some_and(|t| t.element_type == ElementType::Float32)
}

pub(crate) fn rule(node: &Node) -> Option<OutputQuantization> {
    node.kind().map(|kind| kind.info().quantization)
}

/// Every floating-point activation of a subgraph.
pub(crate) fn activations(subgraph: &Subgraph) -> Vec<TensorId> {
    let of_nodes = subgraph.nodes.iter().flat_map(|node| {
        let outputs = node.outputs.iter().copied();
        activation_inputs(subgraph, node).chain(outputs)
    });
    let ports = subgraph.inputs.iter().chain(&subgraph.outputs).copied();
    let mut all: Vec<_> = of_nodes
        .chain(ports)
        .filter(|&id| is_float(subgraph, id))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}
