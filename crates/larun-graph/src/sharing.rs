//! Which values can take the memory of another: results computed in place, and views of the same bytes.

use crate::graph::{Graph, Node, Subgraph, Tensor};
use crate::ids::TensorId;
use crate::ops::InPlace;

/// For each tensor of a subgraph, the tensor whose memory it takes; itself where that is its own.
///
/// The result of an operator that leaves its bytes as they are (RESHAPE and the like) takes its input's memory. With `in_place`, so does
/// that of an element-wise operator which is the last to read one of its inputs, where shape and element size agree: the rows of the
/// operator table say which operators are. An addition after a convolution takes over the residual or the convolution's result, say.
/// Constants, variables and absent inputs are left alone, and a result that the subgraph gives out is never computed over.
pub fn shared_memory(graph: &Graph, subgraph: &Subgraph, in_place: bool) -> Vec<TensorId> {
    let ids = (0..subgraph.tensors.len()).map(TensorId::new);
    let mut owners: Vec<TensorId> = ids.collect();
    // The last node that touches each owner's memory.
    let mut last = last_uses(subgraph);
    for (index, node) in subgraph.nodes.iter().enumerate() {
        let Some(&output) = node.outputs.first() else {
            continue;
        };
        let Some(owner) = source(graph, subgraph, node, index, &owners, &last, in_place) else {
            continue;
        };
        let until = last.get(output.index()).copied().unwrap_or(index);
        if let (Some(slot), Some(end)) =
            (owners.get_mut(output.index()), last.get_mut(owner.index()))
        {
            *slot = owner;
            *end = until.max(*end);
        }
    }
    owners
}

/// The owner of the memory that a node's result can take.
fn source(
    graph: &Graph,
    subgraph: &Subgraph,
    node: &Node,
    index: usize,
    owners: &[TensorId],
    last: &[usize],
    in_place: bool,
) -> Option<TensorId> {
    let output = subgraph.tensor(*node.outputs.first()?)?;
    let usable = |id: TensorId| {
        let tensor = subgraph.tensor(id)?;
        let is_value = !graph.is_constant(tensor) && !tensor.is_variable && !output.is_variable;
        (is_value && tensor.byte_len().is_some()).then_some(tensor)
    };
    let owner_of = |id: TensorId| owners.get(id.index()).copied();
    match node.kind()?.info().in_place {
        InPlace::Never => None,
        InPlace::View => {
            let input = node.input(0)?;
            (usable(input)?.byte_len() == output.byte_len()).then(|| owner_of(input))?
        }
        InPlace::Elementwise if in_place && node.outputs.len() == 1 => {
            node.inputs.iter().flatten().find_map(|&input| {
                let owner = owner_of(input)?;
                let fits = same_elements(usable(input)?, output);
                let done = *last.get(owner.index())? <= index;
                // Another operand in the same memory must be read in step.
                let in_step = node.inputs.iter().flatten().all(|&other| {
                    owner_of(other) != Some(owner)
                        || subgraph
                            .tensor(other)
                            .is_some_and(|other| same_elements(other, output))
                });
                (fits && done && in_step).then_some(owner)
            })
        }
        InPlace::Elementwise => None,
    }
}

fn same_elements(a: &Tensor, b: &Tensor) -> bool {
    let size = |tensor: &Tensor| tensor.element_type.bits();
    a.shape == b.shape && size(a) == size(b)
}

/// The last node that reads or writes each tensor; past the end for what the subgraph gives out.
fn last_uses(subgraph: &Subgraph) -> Vec<usize> {
    let mut last = vec![0; subgraph.tensors.len()];
    for (index, node) in subgraph.nodes.iter().enumerate() {
        for tensor in node.inputs.iter().flatten().chain(&node.outputs) {
            if let Some(slot) = last.get_mut(tensor.index()) {
                *slot = index;
            }
        }
    }
    for output in &subgraph.outputs {
        if let Some(slot) = last.get_mut(output.index()) {
            *slot = usize::MAX;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::shared_memory;
    use crate::ops::{AddOptions, ElementType, NoOptions, Op, ReshapeOptions};
    use crate::{Graph, GraphBuilder, TensorId};

    /// `y = relu(x); v = reshape(y); s = x' + y` with what is given out chosen.
    fn residual(give_out_y: bool) -> (Graph, [TensorId; 5]) {
        let mut net = GraphBuilder::new("residual");
        let x = net.input("x", &[1, 2, 2, 4], ElementType::Int8).unwrap();
        let y = net.node("y", Op::Relu(NoOptions {}), &[x]).unwrap();
        let shape = net.constant("shape", &[2], &[1i32, 16]).unwrap();
        let v = net
            .node("v", Op::Reshape(ReshapeOptions::default()), &[y, shape])
            .unwrap();
        let s = net
            .node("s", Op::Add(AddOptions::default()), &[x, y])
            .unwrap();
        let w = net.node("w", Op::Relu(NoOptions {}), &[v]).unwrap();
        net.output(s);
        net.output(w);
        if give_out_y {
            net.output(y);
        }
        (net.finish().unwrap(), [x, y, v, s, w])
    }

    #[test]
    fn results_take_the_memory_of_what_is_read_last() {
        let (graph, [x, y, v, s, w]) = residual(false);
        let main = graph.main().unwrap();
        let owner =
            |in_place: bool, id: TensorId| shared_memory(&graph, main, in_place)[id.index()];
        assert_eq!([x, y, v, s, w].map(|id| owner(false, id)), [x, y, y, s, w]);
        // `x` is still read when `y` is computed; `s` takes its memory; `w` that of `v`, which is `y`'s.
        assert_eq!([x, y, v, s, w].map(|id| owner(true, id)), [x, y, y, x, y]);
    }

    #[test]
    fn what_is_given_out_is_not_written_over() {
        let (graph, [_, y, v, _, w]) = residual(true);
        let owners = shared_memory(&graph, graph.main().unwrap(), true);
        assert_eq!([v, w].map(|id| owners[id.index()]), [y, w]);
    }
}
