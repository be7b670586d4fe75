//! Shape inference: a node's operands seen by the operator table's rules.

use larun_ops::{IntList, Operands, Shape, ShapeError};

use crate::error::{GraphError, Place};
use crate::graph::{Graph, Node, Subgraph};
use crate::ids::NodeId;

/// The operands of a node.
pub(crate) struct NodeOperands<'g> {
    pub(crate) graph: &'g Graph,
    pub(crate) subgraph: &'g Subgraph,
    pub(crate) node: &'g Node,
}

impl Operands for NodeOperands<'_> {
    fn count(&self) -> usize {
        self.node.inputs.len()
    }

    fn shape(&self, index: usize) -> Option<Shape> {
        Some(self.subgraph.tensor(self.node.input(index)?)?.shape)
    }

    fn ints(&self, index: usize) -> Option<IntList> {
        let tensor = self.subgraph.tensor(self.node.input(index)?)?;
        self.graph.int_list(tensor)
    }
}

impl Graph {
    /// The shape of output `output` of a node, or `None` where it does not follow from shapes and
    /// constants alone (or the operator is opaque).
    ///
    /// # Errors
    /// When the operands do not fit the operator.
    pub fn inferred_shape(
        &self,
        subgraph: &Subgraph,
        id: NodeId,
        output: usize,
    ) -> Result<Option<Shape>, GraphError> {
        let Some((node, op)) = subgraph.node(id).and_then(|n| Some((n, n.known()?))) else {
            return Ok(None);
        };
        let operands = NodeOperands {
            graph: self,
            subgraph,
            node,
        };
        match op.infer_shape(&operands, output) {
            Ok(shape) => Ok(Some(shape)),
            Err(ShapeError::Unknown { .. }) => Ok(None),
            Err(source) => Err(GraphError::Shape {
                place: Place::node(subgraph, id),
                source,
            }),
        }
    }

    /// Sets the shape of every computed tensor of subgraph 0 from its operands, in order of the
    /// nodes: what a pass calls after it changed a shape upstream.
    ///
    /// # Errors
    /// When the operands of a node do not fit its operator.
    pub fn infer_shapes(&mut self) -> Result<(), GraphError> {
        let nodes = self.main().ok_or(GraphError::NoSubgraph)?.nodes.len();
        for id in (0..nodes).map(NodeId::new) {
            self.infer_node(id)?;
        }
        Ok(())
    }

    fn infer_node(&mut self, id: NodeId) -> Result<(), GraphError> {
        let subgraph = self.main().ok_or(GraphError::NoSubgraph)?;
        let outputs = subgraph.node(id).map_or(&[][..], |n| &n.outputs).to_vec();
        for (i, output) in outputs.into_iter().enumerate() {
            let subgraph = self.main().ok_or(GraphError::NoSubgraph)?;
            let inferred = self.inferred_shape(subgraph, id, i)?;
            let tensor = self.main_mut().and_then(|s| s.tensor_mut(output));
            if let (Some(shape), Some(tensor)) = (inferred, tensor) {
                tensor.shape = shape;
            }
        }
        Ok(())
    }
}
