//! The last touches to an imported graph.

use larun_graph::ops::{Op, OpKind, ReducerOptions};
use larun_graph::{Graph, NodeOp, TensorId};

/// Drops what nothing reads, and lets reductions leave axes out where a reshape would do it after them.
pub(crate) fn tidy(graph: &mut Graph) {
    while drop_unread(graph) {}
    reductions_without_axes(graph);
    while drop_unread(graph) {}
}

/// Removes nodes whose outputs nothing reads; whether there were any.
fn drop_unread(graph: &mut Graph) -> bool {
    let Some(subgraph) = graph.main_mut() else {
        return false;
    };
    let mut read = vec![false; subgraph.tensors.len()];
    let used = subgraph
        .nodes
        .iter()
        .flat_map(|n| n.inputs.iter().flatten())
        .chain(&subgraph.outputs);
    for id in used {
        if let Some(slot) = read.get_mut(id.index()) {
            *slot = true;
        }
    }
    let before = subgraph.nodes.len();
    subgraph.nodes.retain(|node| {
        node.outputs
            .iter()
            .any(|t| read.get(t.index()) == Some(&true))
    });
    subgraph.nodes.len() < before
}

/// `[N, 1, 1, C]` from a mean, reshaped to `[N, C]`, is the mean without its axes.
fn reductions_without_axes(graph: &mut Graph) {
    let Some(subgraph) = graph.main_mut() else {
        return;
    };
    let (producers, consumers) = (subgraph.producers(), subgraph.consumers());
    for index in 0..subgraph.nodes.len() {
        let Some(node) = subgraph
            .nodes
            .get(index)
            .filter(|n| n.kind() == Some(OpKind::Reshape))
        else {
            continue;
        };
        let (Some(input), Some(&output)) = (node.input(0), node.outputs.first()) else {
            continue;
        };
        let only = consumers.get(input.index()).is_some_and(|c| c.len() == 1)
            && !subgraph.outputs.contains(&input);
        let Some(producer) = producers
            .get(input.index())
            .copied()
            .flatten()
            .filter(|_| only)
        else {
            continue;
        };
        let sizes = |id: TensorId| {
            subgraph
                .tensor(id)
                .map(|t| t.shape.dims().to_vec())
                .unwrap_or_default()
        };
        let Some(reduction) = subgraph.node(producer) else {
            continue;
        };
        let axes = reduction
            .input(1)
            .and_then(|t| subgraph.tensor(t))
            .map_or(0, |t| t.shape.elements().unwrap_or(0));
        let (own, wanted) = (sizes(input), sizes(output));
        // The axes reduced are those of size 1 that go: as many as there are fewer, and nothing else moves.
        let fits = own.len() == wanted.len() + axes
            && own
                .iter()
                .filter(|&&d| d != 1)
                .eq(wanted.iter().filter(|&&d| d != 1))
            && wanted.first() == own.first()
            && wanted.last() == own.last()
            && wanted.len() == 2;
        if !fits {
            continue;
        }
        let options = ReducerOptions { keep_dims: false };
        let op = match reduction.known() {
            Some(Op::Mean(_)) => Op::Mean(options),
            Some(Op::ReduceMax(_)) => Op::ReduceMax(options),
            Some(Op::Sum(_)) => Op::Sum(options),
            _ => continue,
        };
        if let Some(reduction) = subgraph.nodes.get_mut(producer.index()) {
            reduction.op = NodeOp::Known(op);
            reduction.outputs = vec![output];
        }
        if let Some(reshape) = subgraph.nodes.get_mut(index) {
            reshape.outputs = vec![input];
            reshape.inputs.clear();
        }
    }
    subgraph
        .nodes
        .retain(|node| !(node.kind() == Some(OpKind::Reshape) && node.inputs.is_empty()));
}

/// Gives the outputs the names of the file.
pub(crate) fn name_outputs(graph: &mut Graph, names: &[&str]) {
    let Some(subgraph) = graph.main_mut() else {
        return;
    };
    for (id, name) in subgraph.outputs.clone().into_iter().zip(names) {
        if subgraph.inputs.contains(&id) {
            continue;
        }
        if let Some(tensor) = subgraph.tensor_mut(id) {
            (*name).clone_into(&mut tensor.name);
        }
    }
}
