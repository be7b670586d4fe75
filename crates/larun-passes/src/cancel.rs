//! Moves that undo each other: pairs of TRANSPOSE, of shape changes, and of DEQUANTIZE and QUANTIZE.

use larun_graph::ops::{Op, OpKind, ReshapeOptions};
use larun_graph::{Graph, Node, NodeId, Subgraph, Tensor, TensorId};

use crate::cleanup::remove_unused;
use crate::{PassError, edit};

/// Removes what moves values in vain.
///
/// - A TRANSPOSE of a TRANSPOSE becomes one, by the product of both permutations; one that keeps every axis goes.
/// - A change of shape (RESHAPE, SQUEEZE, EXPAND_DIMS) of a change of shape becomes one; one that keeps the shape goes.
/// - QUANTIZE of a DEQUANTIZE with the same parameters goes, and so does a QUANTIZE from parameters to the same.
///
/// All of this leaves every bit of the results as it was. (DEQUANTIZE of a QUANTIZE rounds, and stays.)
///
/// # Errors
/// When the graph is not valid.
pub fn cancel_moves(mut graph: Graph) -> Result<Graph, PassError> {
    graph.validate()?;
    let mut index = 0;
    while index < edit::main(&graph)?.nodes.len() {
        let id = NodeId::new(index);
        match step(&graph, id)? {
            Step::Keep => index += 1,
            // A node that changes is looked at again: three moves in a row become one.
            Step::Reshape { from, to } => reshape(&mut graph, id, from, to)?,
            Step::Transpose {
                from,
                to,
                permutation,
            } => transpose(&mut graph, id, from, to, &permutation)?,
            Step::Drop { output, same } => {
                let subgraph = edit::main_mut(&mut graph)?;
                subgraph.nodes.remove(index);
                for node in &mut subgraph.nodes {
                    let inputs = node.inputs.iter_mut().flatten();
                    inputs
                        .filter(|input| **input == output)
                        .for_each(|input| *input = same);
                }
            }
        }
    }
    drop_unread(&mut graph)?;
    remove_unused(&mut graph);
    graph.validate()?;
    Ok(graph)
}

/// What is to be done with a node.
enum Step {
    Keep,
    /// It becomes a RESHAPE of another tensor.
    Reshape {
        from: TensorId,
        to: TensorId,
    },
    /// It becomes a TRANSPOSE of another tensor.
    Transpose {
        from: TensorId,
        to: TensorId,
        permutation: Vec<i32>,
    },
    /// It goes: `output` is the `same` as another tensor.
    Drop {
        output: TensorId,
        same: TensorId,
    },
}

fn step(graph: &Graph, id: NodeId) -> Result<Step, PassError> {
    let subgraph = edit::main(graph)?;
    let node = edit::node(subgraph, id)?;
    let (Some(input), &[output]) = (node.input(0), node.outputs.as_slice()) else {
        return Ok(Step::Keep);
    };
    let before = producer(subgraph, input);
    let step = match node.kind() {
        Some(OpKind::Transpose) => transpose_step(graph, node, input, output, before),
        Some(kind) if is_view(kind) => view_step(subgraph, input, output, before),
        Some(OpKind::Quantize) => quantize_step(subgraph, input, output, before),
        _ => None,
    };
    Ok(match step {
        // Whoever reads the model's output reads this tensor.
        Some(Step::Drop { output, .. }) if subgraph.outputs.contains(&output) => Step::Keep,
        Some(step) => step,
        None => Step::Keep,
    })
}

/// The node that computes a tensor.
fn producer(subgraph: &Subgraph, id: TensorId) -> Option<&Node> {
    let mut nodes = subgraph.nodes.iter();
    nodes.find(|node| node.outputs.contains(&id))
}

fn transpose_step(
    graph: &Graph,
    node: &Node,
    input: TensorId,
    output: TensorId,
    before: Option<&Node>,
) -> Option<Step> {
    let permutation = graph.values::<i32>(node.input(1)?).ok()?;
    let stays = permutation
        .iter()
        .zip(0..)
        .all(|(&axis, place)| axis == place);
    if stays {
        let same = input;
        return Some(Step::Drop { output, same });
    }
    let before = before.filter(|before| before.kind() == Some(OpKind::Transpose))?;
    let first = graph.values::<i32>(before.input(1)?).ok()?;
    let axis = |&axis: &i32| first.get(usize::try_from(axis).ok()?).copied();
    Some(Step::Transpose {
        from: before.input(0)?,
        to: output,
        permutation: permutation.iter().map(axis).collect::<Option<_>>()?,
    })
}

/// Operators that give the same elements in the same order another shape.
fn is_view(kind: OpKind) -> bool {
    matches!(kind, OpKind::Reshape | OpKind::Squeeze | OpKind::ExpandDims)
}

fn view_step(
    subgraph: &Subgraph,
    input: TensorId,
    output: TensorId,
    before: Option<&Node>,
) -> Option<Step> {
    let tensor = |id| subgraph.tensor(id);
    let same_type = |a: &Tensor, b: &Tensor| {
        a.element_type == b.element_type && a.quantization == b.quantization
    };
    if tensor(input)?.shape == tensor(output)?.shape && same_type(tensor(input)?, tensor(output)?) {
        let same = input;
        return Some(Step::Drop { output, same });
    }
    let before = before.filter(|before| before.kind().is_some_and(is_view))?;
    let from = before.input(0)?;
    let alike = same_type(tensor(from)?, tensor(output)?) && new_shape(tensor(output)?).is_some();
    alike.then_some(Step::Reshape { from, to: output })
}

fn quantize_step(
    subgraph: &Subgraph,
    input: TensorId,
    output: TensorId,
    before: Option<&Node>,
) -> Option<Step> {
    let tensor = |id| subgraph.tensor(id);
    let same = |a: TensorId, b: TensorId| {
        let (a, b) = (tensor(a)?, tensor(b)?);
        let parameters = |t: &Tensor| t.quantization.as_ref().and_then(|q| q.as_per_tensor());
        let equal = a.element_type == b.element_type && parameters(a) == parameters(b);
        Some(equal && parameters(a).is_some())
    };
    if same(input, output)? {
        let same = input;
        return Some(Step::Drop { output, same });
    }
    let before = before.filter(|before| before.kind() == Some(OpKind::Dequantize))?;
    let from = before.input(0)?;
    same(from, output)?.then_some(Step::Drop { output, same: from })
}

/// What RESHAPE is told to give a tensor its shape: -1 for a dimension that the file leaves open. `None` where that
/// cannot be said.
fn new_shape(tensor: &Tensor) -> Option<Vec<i32>> {
    let open = tensor
        .shape_signature
        .iter()
        .filter(|&&dim| dim < 0)
        .count();
    let dims: Vec<i32> = match open {
        0 => {
            let dims = tensor.shape.dims().iter();
            dims.map(|&dim| i32::try_from(dim).ok())
                .collect::<Option<_>>()?
        }
        1 => tensor.shape_signature.clone(),
        _ => return None,
    };
    (!dims.is_empty()).then_some(dims)
}

/// Makes node `id` a RESHAPE.
fn reshape(graph: &mut Graph, id: NodeId, from: TensorId, to: TensorId) -> Result<(), PassError> {
    let tensor = edit::tensor(edit::main(graph)?, to)?;
    let name = format!("{}/shape", tensor.name);
    let dims = new_shape(tensor).unwrap_or_default();
    let shape = edit::add_constant(graph, &name, &[dims.len()], &dims)?;
    let op = Op::Reshape(ReshapeOptions::default());
    *edit::node_mut(edit::main_mut(graph)?, id)? = Node::new(op, &[from, shape], &[to]);
    Ok(())
}

/// Makes node `id` a TRANSPOSE.
fn transpose(
    graph: &mut Graph,
    id: NodeId,
    from: TensorId,
    to: TensorId,
    permutation: &[i32],
) -> Result<(), PassError> {
    let name = format!("{}/permutation", edit::tensor(edit::main(graph)?, to)?.name);
    let axes = edit::add_constant(graph, &name, &[permutation.len()], permutation)?;
    let old = edit::node(edit::main(graph)?, id)?;
    let node = Node {
        inputs: vec![Some(from), Some(axes)],
        ..old.clone()
    };
    *edit::node_mut(edit::main_mut(graph)?, id)? = node;
    Ok(())
}

/// Removes moves whose result nothing reads any more.
fn drop_unread(graph: &mut Graph) -> Result<(), PassError> {
    loop {
        let subgraph = edit::main_mut(graph)?;
        let consumers = subgraph.consumers();
        let outputs = subgraph.outputs.clone();
        let read = |id: &TensorId| {
            outputs.contains(id) || consumers.get(id.index()).is_some_and(|c| !c.is_empty())
        };
        let is_move =
            |kind| is_view(kind) || matches!(kind, OpKind::Transpose | OpKind::Dequantize);
        let before = subgraph.nodes.len();
        subgraph
            .nodes
            .retain(|node| !node.kind().is_some_and(is_move) || node.outputs.iter().any(read));
        if subgraph.nodes.len() == before {
            return Ok(());
        }
    }
}
