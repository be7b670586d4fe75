//! Goes through a graph and ties the channels of each node's operands.

use larun_graph::ops::{ElementType, Role, Shape};
use larun_graph::{Graph, Node, NodeId, Place, Subgraph, TensorId};

use super::atoms::{Atoms, Axis, Blocker, Sets};
use super::rules;
use crate::PruneError;
use crate::values::main;

/// Why a rule cannot follow channels through a node.
pub(crate) type Blocked = &'static str;

/// A graph whose channels are being traced.
pub(crate) struct Tracer<'g> {
    pub(crate) graph: &'g Graph,
    pub(crate) subgraph: &'g Subgraph,
    pub(crate) atoms: Atoms,
    /// The axis of the channels of each value, once known.
    axes: Vec<Option<usize>>,
}

/// The sets of indices that can only be removed together.
pub(crate) fn trace(graph: &Graph) -> Result<Sets, PruneError> {
    graph.validate()?;
    let subgraph = main(graph)?;
    let mut tracer = Tracer {
        graph,
        subgraph,
        atoms: Atoms::default(),
        axes: vec![None; subgraph.tensors.len()],
    };
    for &input in &subgraph.inputs {
        tracer.keep_port(input, "it is an input of the model");
    }
    let variables = subgraph.tensors.iter().enumerate();
    for (index, _) in variables.filter(|(_, tensor)| tensor.is_variable) {
        tracer.keep_port(
            TensorId::new(index),
            "it keeps its value between inferences",
        );
    }
    for (id, node) in subgraph.iter_nodes() {
        if tracer.moves_kept(node) {
            continue;
        }
        if let Err(reason) = rules::follow(&mut tracer, node) {
            tracer.block(id, node, reason);
        }
    }
    for &output in &subgraph.outputs {
        tracer.keep_port(output, "it is an output of the model");
    }
    Ok(tracer.atoms.sets())
}

impl Tracer<'_> {
    pub(crate) fn shape(&self, id: TensorId) -> Shape {
        self.subgraph
            .tensor(id)
            .map(|t| t.shape)
            .unwrap_or_default()
    }

    pub(crate) fn is_constant(&self, id: TensorId) -> bool {
        self.subgraph
            .tensor(id)
            .is_some_and(|t| self.graph.is_constant(t))
    }

    /// The axis of a value's channels. One that no rule has given yet is the innermost, and its channels stay.
    pub(crate) fn axis(&mut self, id: TensorId) -> Result<Axis, Blocked> {
        if let Some(axis) = self.axes.get(id.index()).copied().flatten() {
            return Ok((id, axis));
        }
        let last = self.shape(id).rank().checked_sub(1);
        let axis = last.ok_or("it computes with a single value")?;
        let axis = self.give_axis(id, axis)?;
        let blocker = self.port_blocker(id, "nothing that can be pruned computes it");
        self.atoms.freeze_tensor(id, blocker);
        Ok(axis)
    }

    /// Gives a value its axis of channels.
    pub(crate) fn give_axis(&mut self, id: TensorId, axis: usize) -> Result<Axis, Blocked> {
        let slot = self
            .axes
            .get_mut(id.index())
            .ok_or("it names a tensor that does not exist")?;
        match *slot {
            Some(found) if found != axis => {
                return Err("its operands have their channels along different axes");
            }
            _ => *slot = Some(axis),
        }
        self.label((id, axis))
    }

    /// Labels an axis of any tensor.
    pub(crate) fn label(&mut self, axis: Axis) -> Result<Axis, Blocked> {
        let shape = self.shape(axis.0);
        match self.atoms.label(axis, &shape) {
            true => Ok(axis),
            false => Err("an operand lacks the axis of the channels"),
        }
    }

    pub(crate) fn size(&self, axis: Axis) -> usize {
        self.shape(axis.0).dims().get(axis.1).copied().unwrap_or(0)
    }

    /// Ties two axes index by index.
    pub(crate) fn tie(&mut self, a: Axis, b: Axis) -> Result<(), Blocked> {
        let (a, b) = (self.label(a)?, self.label(b)?);
        if self.size(a) != self.size(b) {
            return Err("its operands have different numbers of channels");
        }
        for index in 0..self.size(a) {
            self.atoms.tie((a, index), (b, index));
        }
        Ok(())
    }

    /// Ties pairs of indices of two axes.
    pub(crate) fn tie_pairs(
        &mut self,
        a: Axis,
        b: Axis,
        pairs: &[(usize, usize)],
    ) -> Result<(), Blocked> {
        let (a, b) = (self.label(a)?, self.label(b)?);
        pairs
            .iter()
            .for_each(|&(i, j)| self.atoms.tie((a, i), (b, j)));
        Ok(())
    }

    /// A value and the axis of its channels, an output that takes the same axis, tied.
    pub(crate) fn pass(&mut self, input: TensorId, output: TensorId) -> Result<(), Blocked> {
        let from = self.axis(input)?;
        let to = self.give_axis(output, from.1)?;
        self.tie(from, to)
    }

    /// The integers of a constant operand.
    pub(crate) fn ints(&self, node: &Node, operand: usize) -> Result<Vec<i64>, Blocked> {
        const UNKNOWN: Blocked = "its shape depends on computed values";
        let id = node.input(operand).ok_or(UNKNOWN)?;
        ints_of(self.graph, self.subgraph, id).ok_or(UNKNOWN)
    }

    /// Whether a node without weights computes only from values whose channels stay. Its results then stay too, and their channels
    /// are taken to be innermost again, whatever the node moved: an input may be brought into NHWC first.
    fn moves_kept(&mut self, node: &Node) -> bool {
        let has_weights = node.kind().is_some_and(|kind| {
            let operands = kind.info().inputs.iter();
            operands
                .clone()
                .any(|operand| matches!(operand.role, Role::Weights { .. }))
        });
        let mut values = node
            .inputs
            .iter()
            .flatten()
            .filter(|&&id| !self.is_constant(id));
        let kept = |id: &TensorId| self.atoms.whole(*id);
        let reasons: Option<Vec<usize>> = values.by_ref().map(kept).collect();
        let Some(&blocker) = reasons.as_ref().and_then(|reasons| reasons.first()) else {
            return false;
        };
        if has_weights {
            return false;
        }
        for &output in &node.outputs {
            if let Some(last) = self.shape(output).rank().checked_sub(1) {
                let _ = self.give_axis(output, last);
            }
            self.atoms.freeze_tensor(output, blocker);
        }
        true
    }

    fn block(&mut self, id: NodeId, node: &Node, reason: Blocked) {
        let place = Place::node(self.subgraph, id).to_string();
        let blocker = self.atoms.blocker(Blocker {
            node: Some(id),
            place,
            reason,
        });
        for &tensor in node.inputs.iter().flatten() {
            if !self.is_constant(tensor) {
                // A scalar has no channels to keep.
                let _ = self.axis(tensor);
            }
            self.atoms.freeze_tensor(tensor, blocker);
        }
        for &tensor in &node.outputs {
            self.atoms.freeze_tensor(tensor, blocker);
            let last = self.shape(tensor).rank().saturating_sub(1);
            let known = self.axes.get(tensor.index()).copied().flatten();
            let _ = self.give_axis(tensor, known.unwrap_or(last));
        }
    }

    fn keep_port(&mut self, id: TensorId, reason: Blocked) {
        let blocker = self.port_blocker(id, reason);
        let known = self.axes.get(id.index()).copied().flatten();
        let last = self.shape(id).rank().saturating_sub(1);
        let _ = self.give_axis(id, known.unwrap_or(last));
        self.atoms.freeze_tensor(id, blocker);
    }

    fn port_blocker(&mut self, id: TensorId, reason: Blocked) -> usize {
        let place = Place::tensor(self.subgraph, id).to_string();
        self.atoms.blocker(Blocker {
            node: None,
            place,
            reason,
        })
    }
}

/// The values of a constant of INT32 or INT64.
pub(crate) fn ints_of(graph: &Graph, subgraph: &Subgraph, id: TensorId) -> Option<Vec<i64>> {
    match subgraph.tensor(id)?.element_type {
        ElementType::Int32 => {
            let values = graph.values_of::<i32>(subgraph, id).ok()?;
            Some(values.into_iter().map(i64::from).collect())
        }
        ElementType::Int64 => graph.values_of::<i64>(subgraph, id).ok(),
        _ => None,
    }
}
