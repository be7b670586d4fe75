//! What nothing uses is removed: tensors and buffers.

use larun_graph::{Buffer, BufferId, Graph, Subgraph, TensorId};

/// Drops tensors that no node, port or signature names, and buffers that no tensor or metadata names. Ids change, order does not.
pub fn remove_unused(graph: &mut Graph) {
    if !numbers_tensors(graph) {
        for index in 0..graph.subgraphs.len() {
            remove_unused_tensors(graph, index);
        }
    }
    remove_unused_buffers(graph);
}

/// Metadata that names tensors by number: they must stay where they are.
const NUMBERING: [&str; 2] = [MEMORY_PLAN, "COMPRESSION_METADATA"];

/// The name of the metadata that says where each tensor lies in the arena.
pub(crate) const MEMORY_PLAN: &str = "OfflineMemoryAllocation";

fn numbers_tensors(graph: &Graph) -> bool {
    let mut names = graph.metadata.iter().filter_map(|m| m.name.as_deref());
    names.any(|name| NUMBERING.contains(&name)) || !graph.metadata_buffers.is_empty()
}

fn remove_unused_tensors(graph: &mut Graph, index: usize) {
    let Some(subgraph) = graph.subgraphs.get_mut(index) else {
        return;
    };
    let mut used = vec![false; subgraph.tensors.len()];
    for_each_tensor_id(subgraph, |id| mark(&mut used, id.index()));
    let ports = graph
        .signatures
        .iter_mut()
        .filter(|signature| signature.subgraph.index() == index)
        .flat_map(|signature| signature.inputs.iter_mut().chain(&mut signature.outputs));
    let ports: Vec<_> = ports.map(|port| &mut port.tensor).collect();
    ports.iter().for_each(|id| mark(&mut used, id.index()));

    let renumbered = renumber(&used);
    let mut keep = used.iter();
    subgraph.tensors.retain(|_| keep.next() == Some(&true));
    let rename = |id: &mut TensorId| *id = TensorId::new(new_index(&renumbered, id.index()));
    for_each_tensor_id(subgraph, rename);
    ports.into_iter().for_each(rename);
}

/// Visits every place in a subgraph that names a tensor.
fn for_each_tensor_id(subgraph: &mut Subgraph, mut visit: impl FnMut(&mut TensorId)) {
    for node in &mut subgraph.nodes {
        let inputs = node
            .inputs
            .iter_mut()
            .chain(&mut node.intermediates)
            .flatten();
        inputs.chain(&mut node.outputs).for_each(&mut visit);
    }
    let ports = subgraph.inputs.iter_mut().chain(&mut subgraph.outputs);
    ports.for_each(visit);
}

fn remove_unused_buffers(graph: &mut Graph) {
    let mut used = vec![false; graph.buffers.len()];
    mark(&mut used, 0);
    let named = |graph: &Graph| {
        let tensors = graph.subgraphs.iter().flat_map(|s| &s.tensors);
        let tensors = tensors.map(|tensor| tensor.buffer.index());
        let metadata = graph
            .metadata
            .iter()
            .map(|metadata| metadata.buffer.index());
        let legacy = graph
            .metadata_buffers
            .iter()
            .filter_map(|&buffer| usize::try_from(buffer).ok());
        tensors.chain(metadata).chain(legacy).collect::<Vec<_>>()
    };
    named(graph)
        .into_iter()
        .for_each(|index| mark(&mut used, index));

    let renumbered = renumber(&used);
    let mut keep = used.iter();
    graph
        .buffers
        .retain(|_: &Buffer| keep.next() == Some(&true));
    let tensors = graph.subgraphs.iter_mut().flat_map(|s| &mut s.tensors);
    let buffers = tensors.map(|tensor| &mut tensor.buffer).chain(
        graph
            .metadata
            .iter_mut()
            .map(|metadata| &mut metadata.buffer),
    );
    for buffer in buffers {
        *buffer = BufferId::new(new_index(&renumbered, buffer.index()));
    }
    for buffer in &mut graph.metadata_buffers {
        if let Ok(index) = usize::try_from(*buffer) {
            *buffer = new_index(&renumbered, index) as i32;
        }
    }
}

fn mark(used: &mut [bool], index: usize) {
    if let Some(slot) = used.get_mut(index) {
        *slot = true;
    }
}

/// For each old index, how many used ones stand before it.
fn renumber(used: &[bool]) -> Vec<usize> {
    let mut next = 0;
    let count = |&used: &bool| {
        let index = next;
        next += usize::from(used);
        index
    };
    used.iter().map(count).collect()
}

fn new_index(renumbered: &[usize], index: usize) -> usize {
    renumbered.get(index).copied().unwrap_or(index)
}
