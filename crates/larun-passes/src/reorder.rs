//! The order of operators that needs the least memory at once.

use std::collections::HashMap;

use larun_graph::{Graph, NodeId, Subgraph, TensorId, ops::ElementType};

use crate::cleanup::MEMORY_PLAN;
use crate::{PassError, edit};

/// What reordering did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reordered {
    /// The most bytes of values that lived at once in the order found.
    pub before: u64,
    /// The same in the new order, not above `before`.
    pub after: u64,
    /// Whether all orders were looked at, so that none needs fewer bytes.
    pub exact: bool,
}

/// Sets of executed nodes that are kept for each number of nodes; the best of more than these.
const BEAM: usize = 4096;

/// Puts the main subgraph's nodes into the order in which the fewest bytes live at once.
///
/// Dynamic programming over the sets of nodes that can have run (Liberis and Lane, "Neural networks on microcontrollers: saving memory at
/// inference via operator reordering", arXiv 1910.05110), from the first node on; where there are too many sets, the best few thousand of
/// each size are followed. Nodes that keep state, touch resources or run subgraphs stay in order among themselves. The order stays as
/// it is where nothing is gained; a memory plan in the metadata goes when it changes.
///
/// # Errors
/// When the graph does not hold together.
pub fn reorder_for_memory(mut graph: Graph) -> Result<(Graph, Reordered), PassError> {
    graph.validate()?;
    let problem = Problem::new(&graph, edit::main(&graph)?)?;
    let given: Vec<usize> = (0..problem.needs.len()).collect();
    let before = problem.peak(&given);
    let (order, exact) = problem.search(before);
    let after = order.as_ref().map_or(before, |order| problem.peak(order));
    if let Some(order) = order.filter(|_| after < before) {
        let subgraph = edit::main_mut(&mut graph)?;
        let mut nodes: Vec<_> = core::mem::take(&mut subgraph.nodes)
            .into_iter()
            .map(Some)
            .collect();
        let in_order = order.iter().filter_map(|&node| nodes.get_mut(node)?.take());
        subgraph.nodes = in_order.collect();
        graph
            .metadata
            .retain(|metadata| metadata.name.as_deref() != Some(MEMORY_PLAN));
        graph.validate()?;
    }
    let after = after.min(before);
    Ok((
        graph,
        Reordered {
            before,
            after,
            exact,
        },
    ))
}

/// A set of nodes.
type Set = Vec<u64>;

/// A state on the way: what has run, with the best way there.
#[derive(Clone)]
struct State {
    peak: u64,
    live: u64,
    /// The state before, among those with one node fewer, and the node that ran then.
    from: (usize, usize),
}

/// What lives when, as numbers.
struct Problem {
    /// The values that each node reads, each once, and those it writes.
    reads: Vec<Vec<usize>>,
    writes: Vec<Vec<usize>>,
    /// The nodes that must have run before each.
    needs: Vec<Vec<usize>>,
    bytes: Vec<u64>,
    /// The nodes that read each value.
    readers: Vec<Vec<usize>>,
    /// Values that live to the end.
    kept: Vec<bool>,
    /// Bytes that live from the start.
    at_start: u64,
}

impl Problem {
    fn new(graph: &Graph, subgraph: &Subgraph) -> Result<Self, PassError> {
        let is_value = |id: &TensorId| {
            let tensor = subgraph.tensor(*id);
            tensor.is_some_and(|tensor| !graph.is_constant(tensor) && !tensor.is_variable)
        };
        let values = |ids: Vec<TensorId>| {
            let mut ids: Vec<usize> = ids
                .iter()
                .filter(|id| is_value(id))
                .map(|id| id.index())
                .collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        let inputs =
            |node: &larun_graph::Node| values(node.inputs.iter().flatten().copied().collect());
        let reads: Vec<_> = subgraph.nodes.iter().map(inputs).collect();
        let writes: Vec<_> = subgraph
            .nodes
            .iter()
            .map(|node| values(node.outputs.clone()))
            .collect();
        let bytes: Vec<u64> = subgraph
            .tensors
            .iter()
            .map(|t| t.byte_len().unwrap_or(0) as u64)
            .collect();
        let mut kept = vec![false; bytes.len()];
        for output in subgraph.outputs.iter().filter(|id| is_value(id)) {
            kept[output.index()] = true;
        }
        let mut readers = vec![Vec::new(); bytes.len()];
        for (node, reads) in reads.iter().enumerate() {
            reads.iter().for_each(|&value| readers[value].push(node));
        }
        let at_start = values(subgraph.inputs.clone())
            .iter()
            .map(|&value| bytes[value])
            .sum();
        let needs = needs(subgraph);
        Ok(Self {
            reads,
            writes,
            needs,
            bytes,
            readers,
            kept,
            at_start,
        })
    }

    /// The most bytes that live at once in an order.
    fn peak(&self, order: &[usize]) -> u64 {
        let mut done = self.nothing();
        let (mut live, mut peak) = (self.at_start, self.at_start);
        for &node in order {
            let (during, after) = self.step(&mut done, node, live);
            peak = peak.max(during);
            live = after;
        }
        peak
    }

    fn nothing(&self) -> Set {
        vec![0; self.needs.len().div_ceil(64)]
    }

    /// Runs a node: the bytes that live while it runs, and those after it.
    fn step(&self, done: &mut [u64], node: usize, live: u64) -> (u64, u64) {
        let during = live
            + self.writes[node]
                .iter()
                .map(|&value| self.bytes[value])
                .sum::<u64>();
        done[node / 64] |= 1 << (node % 64);
        let over = |value: &&usize| {
            !self.kept[**value]
                && self.readers[**value]
                    .iter()
                    .all(|&reader| has(done, reader))
        };
        let touched = self.reads[node].iter().chain(&self.writes[node]);
        let freed: u64 = touched.filter(over).map(|&value| self.bytes[value]).sum();
        (during, during.saturating_sub(freed))
    }

    /// An order whose peak is below `limit`, if any was found, and whether all were looked at.
    fn search(&self, limit: u64) -> (Option<Vec<usize>>, bool) {
        let start = State {
            peak: self.at_start,
            live: self.at_start,
            from: (0, 0),
        };
        let mut layers: Vec<Vec<(usize, usize)>> = Vec::new();
        let mut states: Vec<(Set, State)> = vec![(self.nothing(), start)];
        let mut exact = true;
        for _ in 0..self.needs.len() {
            let mut next: HashMap<Set, State> = HashMap::new();
            for (at, (done, state)) in states.iter().enumerate() {
                for node in self.ready(done) {
                    let mut then = done.clone();
                    let (during, live) = self.step(&mut then, node, state.live);
                    let peak = state.peak.max(during);
                    if peak >= limit {
                        continue;
                    }
                    let new = State {
                        peak,
                        live,
                        from: (at, node),
                    };
                    let best = next.entry(then).or_insert_with(|| new.clone());
                    if (new.peak, new.from) < (best.peak, best.from) {
                        *best = new;
                    }
                }
            }
            states = next.into_iter().collect();
            states.sort_unstable_by(|a, b| {
                (a.1.peak, a.1.live, &a.0).cmp(&(b.1.peak, b.1.live, &b.0))
            });
            exact &= states.len() <= BEAM;
            states.truncate(BEAM);
            layers.push(states.iter().map(|(_, state)| state.from).collect());
        }
        let mut order = Vec::with_capacity(layers.len());
        let mut at = 0;
        for layer in layers.iter().rev() {
            let Some(&(before, node)) = layer.get(at) else {
                return (None, exact);
            };
            order.push(node);
            at = before;
        }
        order.reverse();
        (Some(order), exact)
    }

    fn ready(&self, done: &[u64]) -> impl Iterator<Item = usize> + '_ {
        let done = done.to_vec();
        (0..self.needs.len()).filter(move |&node| {
            !has(&done, node) && self.needs[node].iter().all(|&need| has(&done, need))
        })
    }
}

fn has(set: &[u64], node: usize) -> bool {
    set[node / 64] >> (node % 64) & 1 == 1
}

/// The nodes that must run before each: those that compute what it reads, and the one before it of those that do more than compute.
fn needs(subgraph: &Subgraph) -> Vec<Vec<usize>> {
    let producers = subgraph.producers();
    let mut last_effect = None;
    let mut all = Vec::with_capacity(subgraph.nodes.len());
    for (id, node) in subgraph.iter_nodes() {
        let producer = |tensor: &TensorId| producers.get(tensor.index()).copied().flatten();
        let mut needs: Vec<usize> = node
            .inputs
            .iter()
            .flatten()
            .filter_map(producer)
            .map(NodeId::index)
            .collect();
        if has_effect(subgraph, node) {
            needs.extend(last_effect);
            last_effect = Some(id.index());
        }
        needs.sort_unstable();
        needs.dedup();
        all.push(needs);
    }
    all
}

/// Whether a node does more than compute its outputs from its inputs, or may.
fn has_effect(subgraph: &Subgraph, node: &larun_graph::Node) -> bool {
    let touches_state = |id: &TensorId| {
        let tensor = subgraph.tensor(*id);
        tensor.is_none_or(|t| t.is_variable || t.element_type == ElementType::Resource)
    };
    let operands = node.inputs.iter().flatten().chain(&node.outputs);
    let mut operands = operands.chain(node.intermediates.iter().flatten());
    let runs_subgraphs = ["IF", "WHILE", "CALL", "CALL_ONCE"].contains(&node.op_name().as_str());
    node.known().is_none()
        || node.outputs.is_empty()
        || runs_subgraphs
        || operands.any(touches_state)
}
