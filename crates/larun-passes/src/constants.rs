//! What can be computed before the first inference is.

use larun_graph::ops::{OpKind, Role};
use larun_graph::{Graph, NodeId, Subgraph};

use crate::cleanup::remove_unused;
use crate::stage::Stage;
use crate::{PassError, edit};

/// A result may have this many bytes more than the constants it is made of.
const MOST_GROWTH: usize = 1024;
/// How many times larger than its constants a result may be: DEQUANTIZE of INT8 is.
const MOST_TIMES: usize = 4;

/// Replaces every node that reads nothing but constants by what the interpreter's kernel computes from them, and
/// SHAPE by the shape.
///
/// The model thereby runs at the shapes that its file states: dimensions that the file leaves open are fixed where a
/// SHAPE was replaced. Nodes stay that would make the file much larger (a FILL of many elements), that keep state, that
/// run subgraphs, or whose result the caller reads.
///
/// # Errors
/// When the graph is not valid.
pub fn fold_constants(mut graph: Graph) -> Result<Graph, PassError> {
    graph.validate()?;
    let mut shapes_fixed = false;
    let mut index = 0;
    while index < edit::main(&graph)?.nodes.len() {
        let id = NodeId::new(index);
        let folded = if is_shape(edit::main(&graph)?, id) {
            shapes_fixed = true;
            fold_shape(&graph, id)?
        } else {
            fold(&graph, id)?
        };
        match folded {
            Some(values) => replace(&mut graph, id, values)?,
            None => index += 1,
        }
    }
    if shapes_fixed {
        let tensors = graph.subgraphs.iter_mut().flat_map(|s| &mut s.tensors);
        tensors.for_each(|tensor| tensor.shape_signature.clear());
    }
    remove_unused(&mut graph);
    graph.validate()?;
    Ok(graph)
}

fn is_shape(subgraph: &Subgraph, id: NodeId) -> bool {
    let Some(node) = subgraph.node(id) else {
        return false;
    };
    let read = |output| subgraph.outputs.contains(output);
    node.kind() == Some(OpKind::Shape) && !node.outputs.iter().any(read)
}

/// The dimensions of the input, in the output's type.
fn fold_shape(graph: &Graph, id: NodeId) -> Result<Option<Vec<Vec<u8>>>, PassError> {
    let stage = Stage::new(graph, id)?;
    let subgraph = edit::main(graph)?;
    let size = |&input: &_| {
        let bytes = edit::tensor(subgraph, input)?.byte_len();
        Ok::<_, PassError>(vec![0; bytes.unwrap_or(0)])
    };
    // The kernel reads the shape, not the values.
    let values = stage.inputs.iter().map(size);
    let values = values.collect::<Result<Vec<_>, _>>()?;
    let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    Ok(Some(stage.run(&values)?))
}

/// What a node computes from constants alone, `None` for one that stays.
fn fold(graph: &Graph, id: NodeId) -> Result<Option<Vec<Vec<u8>>>, PassError> {
    let subgraph = edit::main(graph)?;
    let node = edit::node(subgraph, id)?;
    let Some(info) = node.kind().map(OpKind::info) else {
        return Ok(None);
    };
    let keeps_state = info.inputs.iter().any(|input| input.role == Role::State);
    let given = || node.inputs.iter().flatten();
    let constant = |id: &_| {
        let tensor = subgraph.tensor(*id);
        tensor.is_some_and(|tensor| graph.is_constant(tensor) && !tensor.is_variable)
    };
    let computed = given().count() > 0 && given().all(constant);
    let read = node
        .outputs
        .iter()
        .any(|output| subgraph.outputs.contains(output));
    if keeps_state || !computed || read || info.code.is_none() {
        return Ok(None);
    }
    let bytes = |id: &_| subgraph.tensor(*id).and_then(larun_graph::Tensor::byte_len);
    let from: usize = given().filter_map(bytes).sum();
    let to = node.outputs.iter().map(bytes).sum::<Option<usize>>();
    let most = from.saturating_mul(MOST_TIMES).max(from + MOST_GROWTH);
    if to.is_none_or(|to| to > most) {
        return Ok(None);
    }
    // What the interpreter does not compute alone, an operator that runs subgraphs among others, stays.
    let Ok(stage) = Stage::new(graph, id) else {
        return Ok(None);
    };
    Ok(stage.run(&[]).ok())
}

/// Makes the outputs of a node constants, and removes it.
fn replace(graph: &mut Graph, id: NodeId, values: Vec<Vec<u8>>) -> Result<(), PassError> {
    let outputs = edit::node(edit::main(graph)?, id)?.outputs.clone();
    for (output, bytes) in outputs.into_iter().zip(values) {
        let buffer = graph.add_buffer(bytes);
        if let Some(tensor) = edit::main_mut(graph)?.tensor_mut(output) {
            tensor.buffer = buffer;
        }
    }
    edit::main_mut(graph)?.nodes.remove(id.index());
    Ok(())
}
