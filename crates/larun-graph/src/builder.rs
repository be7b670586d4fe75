//! Building a graph node by node, shapes inferred on the way.

use larun_ops::{ElementType, Op, Shape};

use crate::constant::Element;
use crate::error::{GraphError, Place};
use crate::graph::{Graph, Node, Subgraph, Tensor};
use crate::ids::{NodeId, TensorId};

/// Makes a graph of one subgraph.
#[derive(Clone, Debug)]
pub struct GraphBuilder {
    graph: Graph,
    subgraph: Subgraph,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        let mut graph = Graph::default();
        graph.buffers.push(crate::Buffer::default());
        Self {
            graph,
            subgraph: Subgraph {
                name: Some(name.to_owned()),
                debug_metadata: -1,
                ..Subgraph::default()
            },
        }
    }

    /// Adds an input of the graph.
    ///
    /// # Errors
    /// When there are more dimensions than a [`Shape`] holds.
    pub fn input(
        &mut self,
        name: &str,
        shape: &[usize],
        element_type: ElementType,
    ) -> Result<TensorId, GraphError> {
        let tensor = self.named(name, shape, element_type)?;
        let id = self.subgraph.add_tensor(tensor);
        self.subgraph.inputs.push(id);
        Ok(id)
    }

    /// Adds a constant.
    ///
    /// # Errors
    /// When the values do not fill the shape.
    pub fn constant<T: Element>(
        &mut self,
        name: &str,
        shape: &[usize],
        values: &[T],
    ) -> Result<TensorId, GraphError> {
        let tensor = self.named(name, shape, T::TYPE)?;
        let expected = tensor.shape.elements();
        let tensor = self.graph.add_constant(tensor, values);
        let id = self.subgraph.add_tensor(tensor);
        if expected != Some(values.len()) {
            return Err(GraphError::ConstantSize {
                place: Place::tensor(&self.subgraph, id),
                expected,
                found: values.len(),
            });
        }
        Ok(id)
    }

    /// Adds a node with one output of the element type of its first input.
    ///
    /// # Errors
    /// When the operands do not fit the operator.
    pub fn node(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[TensorId],
    ) -> Result<TensorId, GraphError> {
        let first = inputs.first().and_then(|&t| self.subgraph.tensor(t));
        let element_type = first.map_or(ElementType::Float32, |t| t.element_type);
        let output = self.subgraph.add_tensor(Tensor {
            name: name.to_owned(),
            element_type,
            ..Tensor::default()
        });
        self.subgraph.nodes.push(Node::new(op, inputs, &[output]));
        let id = NodeId::new(self.subgraph.nodes.len() - 1);
        let shape = self.graph.inferred_shape(&self.subgraph, id, 0)?;
        if let (Some(shape), Some(tensor)) = (shape, self.subgraph.tensor_mut(output)) {
            tensor.shape = shape;
        }
        Ok(output)
    }

    /// The shape of a tensor made so far.
    pub fn shape(&self, tensor: TensorId) -> Option<Shape> {
        Some(self.subgraph.tensor(tensor)?.shape)
    }

    /// Makes a tensor an output of the graph.
    pub fn output(&mut self, tensor: TensorId) {
        self.subgraph.outputs.push(tensor);
    }

    /// The graph, validated.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn finish(self) -> Result<Graph, GraphError> {
        let Self {
            mut graph,
            subgraph,
        } = self;
        graph.subgraphs.push(subgraph);
        graph.validate()?;
        Ok(graph)
    }

    fn named(
        &self,
        name: &str,
        shape: &[usize],
        element_type: ElementType,
    ) -> Result<Tensor, GraphError> {
        let tensor = Tensor {
            name: name.to_owned(),
            element_type,
            ..Tensor::default()
        };
        match Shape::new(shape) {
            Some(shape) => Ok(Tensor { shape, ..tensor }),
            None => Err(GraphError::Overflow {
                place: Place::Tensor {
                    index: self.subgraph.tensors.len() as u32,
                    name: tensor.name,
                },
            }),
        }
    }
}
