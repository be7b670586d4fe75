//! Topological order of nodes.

use crate::error::{GraphError, Place};
use crate::graph::Subgraph;
use crate::ids::NodeId;

impl Subgraph {
    /// The nodes in an order in which every value is computed before it is read; among those
    /// that could come next, the one that stands first in the subgraph.
    ///
    /// # Errors
    /// When the nodes depend on each other in a circle.
    pub fn topological_order(&self) -> Result<Vec<NodeId>, GraphError> {
        let producers = self.producers();
        let consumers = self.consumers();
        let mut waiting: Vec<usize> = self
            .nodes
            .iter()
            .map(|node| {
                let inputs = node.inputs.iter().flatten();
                inputs
                    .filter(|t| producers.get(t.index()).is_some_and(Option::is_some))
                    .count()
            })
            .collect();
        let mut ready: std::collections::BTreeSet<NodeId> = waiting
            .iter()
            .enumerate()
            .filter(|&(_, &count)| count == 0)
            .map(|(i, _)| NodeId::new(i))
            .collect();
        let mut order = Vec::with_capacity(self.nodes.len());
        while let Some(id) = ready.pop_first() {
            order.push(id);
            let outputs = self.node(id).map_or(&[][..], |n| &n.outputs);
            let readers = outputs
                .iter()
                .filter(|t| producers.get(t.index()) == Some(&Some(id)))
                .flat_map(|t| consumers.get(t.index()).into_iter().flatten());
            for reader in readers {
                if let Some(count) = waiting.get_mut(reader.index()) {
                    *count -= 1;
                    if *count == 0 {
                        ready.insert(*reader);
                    }
                }
            }
        }
        match waiting.iter().position(|&count| count > 0) {
            None => Ok(order),
            Some(stuck) => Err(GraphError::Cycle {
                place: Place::node(self, NodeId::new(stuck)),
            }),
        }
    }

    /// Puts the nodes into topological order.
    ///
    /// # Errors
    /// As [`Subgraph::topological_order`]; the nodes then stay as they are.
    pub fn sort_topologically(&mut self) -> Result<(), GraphError> {
        let order = self.topological_order()?;
        let mut nodes: Vec<_> = core::mem::take(&mut self.nodes)
            .into_iter()
            .map(Some)
            .collect();
        self.nodes = order
            .into_iter()
            .filter_map(|id| nodes.get_mut(id.index())?.take())
            .collect();
        Ok(())
    }
}
