//! Operator versions: what the format asks of a writer when operands change their types.

use larun_ops::ElementType;

use crate::graph::{Graph, Node, Subgraph};

impl Graph {
    /// Raises the version of every operator whose operands ask for a higher one than it has. A pass
    /// that changes element types calls this at its end; versions read from a file are otherwise
    /// kept, for files are written that say less than they should, and runtimes take them.
    pub fn raise_versions(&mut self) {
        for subgraph in &mut self.subgraphs {
            let nodes = subgraph.nodes.iter();
            let needed: Vec<i32> = nodes.map(|node| needed_version(node, subgraph)).collect();
            for (node, needed) in subgraph.nodes.iter_mut().zip(needed) {
                node.version = node.version.max(needed);
            }
        }
    }
}

/// The version that a node's operands ask for; its own for an operator that the table lacks.
fn needed_version(node: &Node, subgraph: &Subgraph) -> i32 {
    let Some(kind) = node.kind() else {
        return node.version;
    };
    let input = node.input(0).and_then(|id| subgraph.tensor(id));
    match input.map(|tensor| tensor.element_type) {
        Some(ElementType::Int8) => kind.info().int8_version,
        _ => 1,
    }
}
