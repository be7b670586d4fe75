//! What of a graph is float still, and what its operands are for.

use larun_graph::ops::{ElementType, OpKind, OutputQuantization, Role};
use larun_graph::{Graph, Node, Place, Subgraph, TensorId};

use crate::{PassError, edit};

/// Nothing is quantised yet, and nothing is left that exists during training only.
pub(crate) fn check_float(graph: &Graph) -> Result<(), PassError> {
    let subgraph = edit::main(graph)?;
    for (i, tensor) in subgraph.tensors.iter().enumerate() {
        let quantization = tensor.quantization.as_ref();
        if quantization.is_some_and(|q| !q.is_trivial()) {
            let (place, found) = (
                Place::tensor(subgraph, TensorId::new(i)),
                tensor.element_type,
            );
            return Err(PassError::AlreadyQuantized { place, found });
        }
    }
    for (id, node) in subgraph.iter_nodes() {
        let reason = match node.kind() {
            Some(OpKind::Quantize | OpKind::Dequantize) => "the model is quantised in part already",
            Some(kind) if kind.info().code.is_none() && !kind.info().is_custom => {
                "it exists during training only; fold it first"
            }
            _ => continue,
        };
        let place = Place::node(subgraph, id);
        return Err(PassError::NotQuantizable { place, reason });
    }
    Ok(())
}

/// The role of input `index` of a node.
pub(crate) fn role(node: &Node, index: usize) -> Option<Role> {
    Some(node.kind()?.info().input(index)?.role)
}

/// How the outputs of a node are quantised.
pub(crate) fn rule(node: &Node) -> Option<OutputQuantization> {
    node.kind().map(|kind| kind.info().quantization)
}

/// Whether an integer node reads input `index` with scale and zero point as it does its activations.
fn is_value(node: &Node, index: usize) -> bool {
    match (role(node, index), node.kind()) {
        (Some(Role::Activation), _) => true,
        (Some(Role::Scale), Some(OpKind::Prelu)) => true,
        // Rows of the table are outputs as they stand.
        (Some(Role::Weights { .. }), Some(OpKind::EmbeddingLookup)) => true,
        _ => false,
    }
}

/// Real inputs of a node, by operand, that an integer node takes as integers with a scale: constants among them, weights and
/// biases not.
pub(crate) fn value_inputs<'g>(
    subgraph: &'g Subgraph,
    node: &'g Node,
) -> impl Iterator<Item = (usize, TensorId)> + 'g {
    let inputs = node.inputs.iter().enumerate();
    let values = inputs.filter(|(i, _)| is_value(node, *i));
    let tensors = values.filter_map(|(i, input)| Some((i, (*input)?)));
    tensors.filter(|&(_, id)| is_float(subgraph, id))
}

/// Inputs of a node that are weights, by operand.
pub(crate) fn weight_inputs(node: &Node) -> impl Iterator<Item = (usize, u8, TensorId)> + '_ {
    let inputs = node.inputs.iter().enumerate();
    inputs.filter_map(|(i, input)| match role(node, i)? {
        Role::Weights { channel_axis } => Some((i, channel_axis, (*input)?)),
        _ => None,
    })
}

/// Whether the operator keeps something from one inference to the next in variable tensors.
pub(crate) fn keeps_state(node: &Node) -> bool {
    let inputs = node.kind().map_or(&[][..], |kind| kind.info().inputs);
    inputs.iter().any(|input| input.role == Role::State)
}

pub(crate) fn is_float(subgraph: &Subgraph, id: TensorId) -> bool {
    subgraph
        .tensor(id)
        .is_some_and(|t| t.element_type == ElementType::Float32)
}

/// Whether a tensor is a constant of real numbers.
pub(crate) fn is_real_constant(graph: &Graph, subgraph: &Subgraph, id: TensorId) -> bool {
    let tensor = subgraph.tensor(id);
    tensor.is_some_and(|t| t.element_type == ElementType::Float32 && graph.is_constant(t))
}
