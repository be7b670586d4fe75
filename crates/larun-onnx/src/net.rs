//! The graph that grows: nodes with inferred shapes, constants, and data moved where a view asks for it.

use std::collections::HashMap;

use larun_graph::ops::{ElementType, Op, ReshapeOptions, Shape, TransposeOptions};
use larun_graph::{Buffer, Element, Graph, Node, NodeId, Subgraph, Tensor, TensorId};

use crate::constant::Constant;
use crate::error::Refusal;
use crate::view::{Slot, View};

/// A graph of one subgraph under construction.
pub(crate) struct Net {
    graph: Graph,
    subgraph: Subgraph,
    /// Tensors that are others under another shape or order, so that none is made twice.
    moved: HashMap<(TensorId, Move), TensorId>,
    /// Names that are taken.
    names: HashMap<String, usize>,
    /// What the nodes that are made now are called.
    scope: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Move {
    Reshape(Vec<usize>),
    Transpose(Vec<usize>),
}

impl Net {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            graph: Graph {
                buffers: vec![Buffer::default()],
                ..Graph::default()
            },
            subgraph: Subgraph {
                name: Some(name.to_owned()),
                debug_metadata: -1,
                ..Subgraph::default()
            },
            moved: HashMap::new(),
            names: HashMap::new(),
            scope: String::new(),
        }
    }

    /// From here on nodes and constants are called `scope`, with a number where that is taken.
    pub(crate) fn enter(&mut self, scope: &str) {
        scope.clone_into(&mut self.scope);
    }

    /// The graph with its outputs.
    pub(crate) fn finish(mut self, outputs: &[TensorId]) -> Graph {
        self.subgraph.outputs = outputs.to_vec();
        self.graph.subgraphs.push(self.subgraph);
        self.graph
    }

    /// An input of the graph.
    pub(crate) fn input(
        &mut self,
        name: &str,
        dims: &[usize],
        element: ElementType,
    ) -> Result<TensorId, Refusal> {
        self.enter(name);
        let id = self.tensor("", dims, element)?;
        self.subgraph.inputs.push(id);
        Ok(id)
    }

    /// A tensor kept between inferences, zero at first.
    pub(crate) fn state(&mut self, what: &str, dims: &[usize]) -> Result<TensorId, Refusal> {
        let id = self.tensor(what, dims, ElementType::Float32)?;
        if let Some(tensor) = self.subgraph.tensor_mut(id) {
            tensor.is_variable = true;
        }
        Ok(id)
    }

    /// A constant of real numbers.
    pub(crate) fn floats(
        &mut self,
        what: &str,
        dims: &[usize],
        values: &[f32],
    ) -> Result<TensorId, Refusal> {
        self.values(what, dims, values)
    }

    /// A constant list of INT32, a parameter of an operator.
    pub(crate) fn ints(&mut self, what: &str, values: &[usize]) -> Result<TensorId, Refusal> {
        let values = values
            .iter()
            .map(|&v| to_i32(v))
            .collect::<Result<Vec<_>, _>>()?;
        self.values(what, &[values.len()], &values)
    }

    /// A constant of INT32 of any shape.
    pub(crate) fn signed(
        &mut self,
        what: &str,
        dims: &[usize],
        values: &[i32],
    ) -> Result<TensorId, Refusal> {
        self.values(what, dims, values)
    }

    /// A constant of the file as it is: real numbers as FLOAT32, integers as INT32.
    pub(crate) fn constant(
        &mut self,
        what: &str,
        constant: &Constant,
    ) -> Result<TensorId, Refusal> {
        let dims = constant.dims().to_vec();
        match constant {
            Constant::Float(array) => {
                let values: Vec<f32> = array.iter().copied().collect();
                self.values(what, &dims, &values)
            }
            Constant::Int(array) => {
                let values = array
                    .iter()
                    .map(|&v| {
                        i32::try_from(v)
                            .map_err(|_| format!("the constant {v} needs more than 32 bits"))
                    })
                    .collect::<Result<Vec<i32>, _>>()?;
                self.values(what, &dims, &values)
            }
        }
    }

    fn values<T: Element>(
        &mut self,
        what: &str,
        dims: &[usize],
        values: &[T],
    ) -> Result<TensorId, Refusal> {
        let id = self.tensor(what, dims, T::TYPE)?;
        let mut bytes = Vec::with_capacity(size_of_val(values));
        for &value in values {
            value.push_bytes(&mut bytes);
        }
        let buffer = self.graph.add_buffer(bytes);
        if let Some(tensor) = self.subgraph.tensor_mut(id) {
            tensor.buffer = buffer;
        }
        Ok(id)
    }

    fn tensor(
        &mut self,
        what: &str,
        dims: &[usize],
        element_type: ElementType,
    ) -> Result<TensorId, Refusal> {
        let name = match what {
            "" => self.scope.clone(),
            what => format!("{}/{what}", self.scope),
        };
        let taken = self.names.entry(name.clone()).or_default();
        *taken += 1;
        let name = match *taken {
            1 => name,
            count => format!("{name}_{}", count - 1),
        };
        let shape = Shape::new(dims)
            .ok_or_else(|| format!("a tensor of shape {dims:?} has too many axes"))?;
        Ok(self.subgraph.add_tensor(Tensor {
            name,
            shape,
            element_type,
            ..Tensor::default()
        }))
    }

    /// The shape that a tensor is stored in.
    pub(crate) fn dims(&self, id: TensorId) -> Vec<usize> {
        self.subgraph
            .tensor(id)
            .map_or_else(Vec::new, |t| t.shape.dims().to_vec())
    }

    pub(crate) fn element_type(&self, id: TensorId) -> ElementType {
        self.subgraph
            .tensor(id)
            .map_or(ElementType::Float32, |t| t.element_type)
    }

    /// A node with one output of the first activation's element type.
    pub(crate) fn node(&mut self, op: Op, inputs: &[TensorId]) -> Result<TensorId, Refusal> {
        let element_type = inputs
            .first()
            .map_or(ElementType::Float32, |&t| self.element_type(t));
        self.node_of(op, inputs, element_type)
    }

    /// A node with one output of a given element type.
    pub(crate) fn node_of(
        &mut self,
        op: Op,
        inputs: &[TensorId],
        element_type: ElementType,
    ) -> Result<TensorId, Refusal> {
        let inputs: Vec<_> = inputs.iter().copied().map(Some).collect();
        let outputs = self.push(op, inputs, 1, element_type, None)?;
        outputs
            .first()
            .copied()
            .ok_or_else(|| "a node without output".to_owned())
    }

    /// A node with several outputs.
    pub(crate) fn node_with_outputs(
        &mut self,
        op: Op,
        inputs: &[TensorId],
        count: usize,
        element_type: ElementType,
    ) -> Result<Vec<TensorId>, Refusal> {
        let inputs = inputs.iter().copied().map(Some).collect();
        self.push(op, inputs, count, element_type, None)
    }

    /// A node whose operands may be absent and whose output has a shape that is not inferred.
    pub(crate) fn node_of_shape(
        &mut self,
        op: Op,
        inputs: Vec<Option<TensorId>>,
        dims: &[usize],
    ) -> Result<TensorId, Refusal> {
        let outputs = self.push(op, inputs, 1, ElementType::Float32, Some(dims))?;
        outputs
            .first()
            .copied()
            .ok_or_else(|| "a node without output".to_owned())
    }

    fn push(
        &mut self,
        op: Op,
        inputs: Vec<Option<TensorId>>,
        count: usize,
        element_type: ElementType,
        dims: Option<&[usize]>,
    ) -> Result<Vec<TensorId>, Refusal> {
        let outputs = (0..count)
            .map(|_| self.tensor("", dims.unwrap_or(&[]), element_type))
            .collect::<Result<Vec<_>, _>>()?;
        let node = Node {
            inputs,
            ..Node::new(op, &[], &outputs)
        };
        self.subgraph.nodes.push(node);
        let id = NodeId::new(self.subgraph.nodes.len() - 1);
        for (i, &output) in outputs.iter().enumerate() {
            let inferred = self
                .graph
                .inferred_shape(&self.subgraph, id, i)
                .map_err(|e| e.to_string())?;
            if let (Some(shape), None, Some(tensor)) =
                (inferred, dims, self.subgraph.tensor_mut(output))
            {
                if shape.dims().contains(&0) {
                    return Err(format!(
                        "its output has the shape {shape}, which holds nothing"
                    ));
                }
                tensor.shape = shape;
            }
        }
        Ok(outputs)
    }

    // ------------------------------------------------------------ moving data

    /// The tensor under another shape.
    pub(crate) fn reshape(&mut self, id: TensorId, dims: &[usize]) -> Result<TensorId, Refusal> {
        if self.dims(id) == dims {
            return Ok(id);
        }
        let key = (id, Move::Reshape(dims.to_vec()));
        if let Some(&known) = self.moved.get(&key) {
            return Ok(known);
        }
        let new_shape = dims
            .iter()
            .map(|&d| to_i32(d))
            .collect::<Result<Vec<_>, _>>()?;
        let shape = self.signed("shape", &[dims.len()], &new_shape)?;
        let new_shape = larun_graph::ops::IntList::new(&new_shape)
            .ok_or_else(|| format!("a tensor of shape {dims:?} has too many axes"))?;
        let output = self.node(Op::Reshape(ReshapeOptions { new_shape }), &[id, shape])?;
        self.moved.insert(key, output);
        Ok(output)
    }

    /// The tensor with its axes in another order.
    fn transpose(&mut self, id: TensorId, permutation: &[usize]) -> Result<TensorId, Refusal> {
        if permutation.iter().copied().eq(0..permutation.len()) {
            return Ok(id);
        }
        let key = (id, Move::Transpose(permutation.to_vec()));
        if let Some(&known) = self.moved.get(&key) {
            return Ok(known);
        }
        let order = self.ints("permutation", permutation)?;
        let output = self.node(Op::Transpose(TransposeOptions {}), &[id, order])?;
        self.moved.insert(key, output);
        Ok(output)
    }

    /// The tensor stored as `slots` say, its shape one size a slot. Every axis larger than 1 must have its slot.
    pub(crate) fn arrange(&mut self, view: &View, slots: &[Slot]) -> Result<TensorId, Refusal> {
        let dims: Vec<usize> = slots
            .iter()
            .map(|slot| slot.map_or(1, |axis| view.dim(axis)))
            .collect();
        let sequence = view.sequence(slots);
        if sequence.len() != view.runs().len() {
            return Err("an axis larger than 1 was left out".to_owned());
        }
        if sequence.iter().copied().eq(0..sequence.len()) {
            return self.reshape(view.tensor, &dims);
        }
        let (runs, permutation) = coalesced(view.runs(), &sequence);
        let split = self.reshape(view.tensor, &runs)?;
        let moved = self.transpose(split, &permutation)?;
        self.reshape(moved, &dims)
    }

    /// The tensor as the file has it.
    pub(crate) fn as_in_file(&mut self, view: &View) -> Result<TensorId, Refusal> {
        let slots: Vec<Slot> = (0..view.rank()).map(Some).collect();
        self.arrange(view, &slots)
    }

    /// The view, and a tensor that has one axis for each of its runs, and perhaps some of size 1.
    pub(crate) fn one_axis_a_run(&mut self, view: &View) -> Result<TensorId, Refusal> {
        let dims = self.dims(view.tensor);
        match dims
            .iter()
            .copied()
            .filter(|&d| d != 1)
            .eq(view.runs().iter().copied())
        {
            true => Ok(view.tensor),
            false => self.reshape(view.tensor, view.runs()),
        }
    }

    /// The order in which a value is best worked on: as it lies, or as near to that as one slot for every axis of the file
    /// allows.
    pub(crate) fn slots_of(&self, view: &View) -> Vec<Slot> {
        let (rank, stored) = (view.rank(), self.dims(view.tensor).len());
        let in_file: Vec<Slot> = (0..rank).map(Some).collect();
        let candidates: &[&[Slot]] = match (rank, stored) {
            (4, _) => &[&crate::view::IMAGE, &in_file],
            (3, 4) => &[&crate::view::SIGNAL, &in_file, &[Some(0), Some(2), Some(1)]],
            (3, _) => &[&in_file, &[Some(0), Some(2), Some(1)]],
            (5, _) => &[&[Some(0), Some(2), Some(3), Some(4), Some(1)], &in_file],
            _ => &[&in_file],
        };
        if let Some(slots) = candidates.iter().find(|slots| view.lies_in(slots)) {
            return slots.to_vec();
        }
        // By where each axis begins; an axis that lies in several places is gathered at the first of them.
        let mut axes: Vec<usize> = (0..rank).collect();
        axes.sort_by_key(|&axis| view.axis(axis).iter().min().map_or(0, |&run| run + 1));
        axes.into_iter().map(Some).collect()
    }
}

/// Runs that stay neighbours in the order `sequence` joined, and the order of what is left.
fn coalesced(runs: &[usize], sequence: &[usize]) -> (Vec<usize>, Vec<usize>) {
    // Where in the new order a group of neighbours begins, by its first run.
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for &run in sequence {
        match groups.last_mut() {
            Some(group) if group.last().is_some_and(|&last| last + 1 == run) => group.push(run),
            _ => groups.push(vec![run]),
        }
    }
    let mut by_place: Vec<usize> = (0..groups.len()).collect();
    by_place.sort_by_key(|&g| groups.get(g).and_then(|group| group.first().copied()));
    let size = |g: &usize| {
        let group = groups.get(*g).map_or(&[][..], Vec::as_slice);
        group.iter().filter_map(|&run| runs.get(run)).product()
    };
    let sizes = by_place.iter().map(size).collect();
    let permutation = (0..groups.len())
        .map(|g| {
            by_place
                .iter()
                .position(|&place| place == g)
                .unwrap_or_default()
        })
        .collect();
    (sizes, permutation)
}

/// A size as the file format stores it.
pub(crate) fn to_i32(size: usize) -> Result<i32, Refusal> {
    i32::try_from(size).map_err(|_| format!("the size {size} does not fit 32 bits"))
}

#[cfg(test)]
mod tests {
    use super::coalesced;

    #[test]
    fn channels_to_the_back_move_two_groups() {
        // C, H, W stored; wanted H, W, C.
        assert_eq!(coalesced(&[8, 5, 6], &[1, 2, 0]), (vec![8, 30], vec![1, 0]));
    }

    #[test]
    fn heads_of_attention() {
        // T, H, D stored; wanted H, T, D.
        assert_eq!(
            coalesced(&[7, 2, 4], &[1, 0, 2]),
            (vec![7, 2, 4], vec![1, 0, 2])
        );
    }
}
