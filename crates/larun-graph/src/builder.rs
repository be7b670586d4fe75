//! Building a graph node by node, shapes inferred on the way.

use larun_ops::{ElementType, Op, Role, Shape};

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

    /// Adds a node with one output of the element type of the first input that is an activation.
    ///
    /// # Errors
    /// When the operands do not fit the operator.
    pub fn node(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[TensorId],
    ) -> Result<TensorId, GraphError> {
        let output = self.output_of(name, op, inputs);
        self.push_node(op, inputs, &[output])?;
        Ok(output)
    }

    /// Adds a node with `count` outputs, `name:0` and so on, of the element type of the first input that is an
    /// activation.
    ///
    /// # Errors
    /// When the operands do not fit the operator.
    pub fn node_with_outputs(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[TensorId],
        count: usize,
    ) -> Result<Vec<TensorId>, GraphError> {
        let output = |i| self.output_of(&format!("{name}:{i}"), op, inputs);
        let outputs: Vec<_> = (0..count).map(output).collect();
        self.push_node(op, inputs, &outputs)?;
        Ok(outputs)
    }

    /// A tensor for an output, its shape still to be inferred.
    fn output_of(&mut self, name: &str, op: Op, inputs: &[TensorId]) -> TensorId {
        let info = op.kind().info();
        let is_activation = |&i: &usize| info.input(i).is_some_and(|o| o.role == Role::Activation);
        let first = (0..inputs.len()).find(is_activation).unwrap_or(0);
        let first = inputs.get(first).and_then(|&t| self.subgraph.tensor(t));
        let element_type = first.map_or(ElementType::Float32, |t| t.element_type);
        self.subgraph.add_tensor(Tensor {
            name: name.to_owned(),
            element_type,
            ..Tensor::default()
        })
    }

    fn push_node(
        &mut self,
        op: Op,
        inputs: &[TensorId],
        outputs: &[TensorId],
    ) -> Result<(), GraphError> {
        self.subgraph.nodes.push(Node::new(op, inputs, outputs));
        let id = NodeId::new(self.subgraph.nodes.len() - 1);
        for (i, &output) in outputs.iter().enumerate() {
            let shape = self.graph.inferred_shape(&self.subgraph, id, i)?;
            if let (Some(shape), Some(tensor)) = (shape, self.subgraph.tensor_mut(output)) {
                tensor.shape = shape;
            }
        }
        Ok(())
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
