//! What a graph costs: multiply-accumulates, parameters and bytes, by operator.

use larun_ops::Role;

use crate::error::GraphError;
use crate::graph::{Graph, Node, Subgraph};
use crate::ids::{NodeId, TensorId};
use crate::infer::NodeOperands;

/// The cost of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStats {
    /// The node.
    pub node: NodeId,
    /// The operator's name.
    pub op: String,
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// Trained values that no earlier node uses.
    pub parameters: u64,
    /// Bytes of constants that no earlier node uses.
    pub constant_bytes: u64,
    /// Bytes of its outputs.
    pub output_bytes: u64,
}

/// The cost of a subgraph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphStats {
    /// Node by node.
    pub nodes: Vec<NodeStats>,
    /// Multiply-accumulate operations of one inference.
    pub macs: u64,
    /// Trained values.
    pub parameters: u64,
    /// Bytes of constants.
    pub constant_bytes: u64,
}

impl Graph {
    /// Costs of subgraph 0. Constants that several nodes share count once.
    ///
    /// # Errors
    /// When there is no subgraph.
    pub fn stats(&self) -> Result<GraphStats, GraphError> {
        let subgraph = self.main().ok_or(GraphError::NoSubgraph)?;
        let mut counted = vec![false; self.buffers.len()];
        let nodes: Vec<_> = subgraph
            .iter_nodes()
            .map(|(id, node)| self.node_stats(subgraph, id, node, &mut counted))
            .collect();
        Ok(GraphStats {
            macs: nodes.iter().fold(0, |n, s| n.saturating_add(s.macs)),
            parameters: nodes.iter().map(|s| s.parameters).sum(),
            constant_bytes: nodes.iter().map(|s| s.constant_bytes).sum(),
            nodes,
        })
    }

    fn node_stats(
        &self,
        subgraph: &Subgraph,
        id: NodeId,
        node: &Node,
        counted: &mut [bool],
    ) -> NodeStats {
        let (mut parameters, mut constant_bytes) = (0, 0);
        for (i, input) in node.inputs.iter().enumerate() {
            let Some(tensor) = input.and_then(|t| subgraph.tensor(t)) else {
                continue;
            };
            let first_use = counted
                .get_mut(tensor.buffer.index())
                .is_some_and(|seen| !core::mem::replace(seen, true));
            if first_use {
                constant_bytes += self.data(tensor).len() as u64;
                if self.is_constant(tensor) && is_trained(node, i) {
                    parameters += tensor.shape.elements().unwrap_or(0) as u64;
                }
            }
        }
        NodeStats {
            node: id,
            op: node.op_name(),
            macs: self.node_macs(subgraph, node),
            parameters,
            constant_bytes,
            output_bytes: node.outputs.iter().map(|&t| bytes(subgraph, t)).sum(),
        }
    }

    /// Multiply-accumulates of a node, 0 for an operator that the table lacks.
    fn node_macs(&self, subgraph: &Subgraph, node: &Node) -> u64 {
        let output = node.outputs.first().and_then(|&t| subgraph.tensor(t));
        let operands = NodeOperands {
            graph: self,
            subgraph,
            node,
        };
        match (node.known(), output) {
            (Some(op), Some(output)) => op.macs(&operands, &output.shape),
            _ => 0,
        }
    }
}

/// Whether a constant at an input is a parameter of the model: anything but integers that shape
/// the computation.
fn is_trained(node: &Node, input: usize) -> bool {
    let role = node
        .kind()
        .and_then(|kind| kind.info().input(input))
        .map(|o| o.role);
    !matches!(role, Some(Role::Parameter))
}

fn bytes(subgraph: &Subgraph, tensor: TensorId) -> u64 {
    let tensor = subgraph.tensor(tensor);
    tensor.and_then(crate::Tensor::byte_len).unwrap_or(0) as u64
}
