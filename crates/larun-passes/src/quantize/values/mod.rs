//! Scale and zero point of every integer activation: from the specification, from calibration, or shared with neighbours.
//!
//! A tensor of the float graph may be wanted in several types: real, INT8, INT16. Each of its integer forms is a *value* here; a
//! constant is one for every operand that reads it. Values that an operator wants alike form a group and get one scale.

mod adjust;

use std::collections::HashMap;

use larun_graph::ops::OutputQuantization;
use larun_graph::{Graph, Node, NodeId, Place, Subgraph, TensorId};
use larun_quant::{Affine, IntegerRange, MinMax, Observer};

use super::check::{is_real_constant, rule, value_inputs};
use super::decide::Decision;
use super::scheme::Activations;
use super::{Border, at_tensor};
use crate::groups::Groups;
use crate::{Calibration, PassError, edit};

/// One integer form of a tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub(crate) tensor: TensorId,
    pub(crate) activations: Activations,
    pub(crate) affine: Affine,
}

/// Which value each operand of each integer node is.
#[derive(Default)]
pub(crate) struct Values {
    values: Vec<Value>,
    inputs: HashMap<(NodeId, usize), usize>,
    /// The integer form in which a tensor is computed, or comes in: the others are converted from it.
    homes: HashMap<TensorId, usize>,
    /// Which values have parameters that no range changes.
    fixed: Vec<bool>,
}

impl Values {
    /// Every value.
    pub(crate) fn all(&self) -> &[Value] {
        &self.values
    }

    /// Whether the parameters of a value are the same whatever its range.
    pub(crate) fn is_fixed(&self, at: usize) -> bool {
        self.fixed.get(at) == Some(&true)
    }

    /// The numbers of values that are the home of their tensor.
    pub(crate) fn home_numbers(&self) -> impl Iterator<Item = (usize, TensorId)> + '_ {
        self.homes.iter().map(|(&tensor, &at)| (at, tensor))
    }

    /// The nodes that read a value, each with the number of the input, in order.
    pub(crate) fn readers(&self, at: usize) -> impl Iterator<Item = (NodeId, usize)> {
        let inputs = self.inputs.iter().filter(|&(_, &value)| value == at);
        let mut readers: Vec<_> = inputs.map(|(&reader, _)| reader).collect();
        readers.sort_unstable();
        readers.into_iter()
    }

    pub(crate) fn new(
        graph: &Graph,
        calibration: &Calibration,
        decisions: &[Decision],
        border: Border,
    ) -> Result<Self, PassError> {
        let subgraph = edit::main(graph)?;
        let mut builder = Builder::new(graph, subgraph, decisions, border);
        builder.collect();
        let groups = builder.group();
        builder.parameters(calibration, groups)
    }

    /// What an integer node reads as input `index`.
    pub(crate) fn input(&self, node: NodeId, index: usize) -> Option<(usize, Value)> {
        let &at = self.inputs.get(&(node, index))?;
        Some((at, *self.values.get(at)?))
    }

    /// The integer form that a tensor is computed in, `None` for one that is computed in real numbers.
    pub(crate) fn home(&self, tensor: TensorId) -> Option<(usize, Value)> {
        let &at = self.homes.get(&tensor)?;
        Some((at, *self.values.get(at)?))
    }

    /// Every tensor that is computed in integers.
    pub(crate) fn homes(&self) -> impl Iterator<Item = Value> + '_ {
        let mut all: Vec<_> = self.homes.values().copied().collect();
        all.sort_unstable();
        all.into_iter()
            .filter_map(|at| self.values.get(at).copied())
    }
}

/// A value whose parameters are not known yet.
#[derive(Clone, Copy)]
struct Draft {
    tensor: TensorId,
    activations: Activations,
}

struct Builder<'g> {
    graph: &'g Graph,
    subgraph: &'g Subgraph,
    decisions: &'g [Decision],
    drafts: Vec<Draft>,
    shared: HashMap<(TensorId, Activations), usize>,
    inputs: HashMap<(NodeId, usize), usize>,
    homes: HashMap<TensorId, Activations>,
}

/// Values by shared parameters, and the groups whose parameters the specification fixes.
struct Sharing {
    groups: Groups,
    fixed: HashMap<usize, Affine>,
}

impl<'g> Builder<'g> {
    fn new(
        graph: &'g Graph,
        subgraph: &'g Subgraph,
        decisions: &'g [Decision],
        border: Border,
    ) -> Self {
        let mut builder = Self {
            graph,
            subgraph,
            decisions,
            drafts: Vec::new(),
            shared: HashMap::new(),
            inputs: HashMap::new(),
            homes: HashMap::new(),
        };
        for (id, node) in subgraph.iter_nodes() {
            for output in real_outputs(subgraph, node) {
                let activations = builder.activations(id);
                if activations.is_integer() {
                    builder.homes.insert(output, activations);
                }
            }
        }
        if border == Border::Integer {
            builder.home_inputs();
        }
        builder
    }

    fn activations(&self, node: NodeId) -> Activations {
        let decision = self.decisions.get(node.index());
        decision.map_or(Activations::Float32, |d| d.scheme.activations)
    }

    /// Lets inputs of the graph come in as the first integer node that reads them wants them.
    fn home_inputs(&mut self) {
        for &input in &self.subgraph.inputs {
            let mut readers = self.subgraph.iter_nodes().filter(|(_, node)| {
                value_inputs(self.subgraph, node).any(|(_, tensor)| tensor == input)
            });
            let wanted = readers.find_map(|(id, _)| {
                let activations = self.activations(id);
                activations.is_integer().then_some(activations)
            });
            if let Some(activations) = wanted {
                self.homes.insert(input, activations);
            }
        }
    }

    /// Drafts a value for every operand of integer nodes, and for what is computed in integers.
    fn collect(&mut self) {
        let mut homes: Vec<_> = self.homes.iter().map(|(&t, &a)| (t, a)).collect();
        homes.sort_unstable();
        for (tensor, activations) in homes {
            self.shared_value(tensor, activations);
        }
        let subgraph = self.subgraph;
        for (id, node) in subgraph.iter_nodes() {
            let activations = self.activations(id);
            if !activations.is_integer() {
                continue;
            }
            for (index, tensor) in value_inputs(subgraph, node) {
                let value = match is_real_constant(self.graph, subgraph, tensor) {
                    true => self.draft(tensor, activations),
                    false => self.shared_value(tensor, activations),
                };
                self.inputs.insert((id, index), value);
            }
        }
    }

    fn draft(&mut self, tensor: TensorId, activations: Activations) -> usize {
        self.drafts.push(Draft {
            tensor,
            activations,
        });
        self.drafts.len() - 1
    }

    fn shared_value(&mut self, tensor: TensorId, activations: Activations) -> usize {
        if let Some(&value) = self.shared.get(&(tensor, activations)) {
            return value;
        }
        let value = self.draft(tensor, activations);
        self.shared.insert((tensor, activations), value);
        value
    }

    fn home(&self, tensor: TensorId) -> Option<usize> {
        let &activations = self.homes.get(&tensor)?;
        self.shared.get(&(tensor, activations)).copied()
    }

    /// Integer nodes with the values of their real outputs.
    fn integer_nodes(&self) -> Vec<(NodeId, &'g Node, Vec<usize>)> {
        let nodes = self.subgraph.iter_nodes();
        let integer = nodes.filter(|(id, _)| self.activations(*id).is_integer());
        let with_outputs = integer.map(|(id, node)| {
            let outputs = real_outputs(self.subgraph, node);
            let outputs = outputs.filter_map(|output| self.home(output)).collect();
            (id, node, outputs)
        });
        with_outputs.collect()
    }

    /// Joins values that must share parameters. Where a fixed value would have to share with others, as LOGISTIC into
    /// CONCATENATION does, the operand becomes a value of its own, behind a QUANTIZE.
    fn group(&mut self) -> Sharing {
        let nodes = self.integer_nodes();
        // Each operand that comes to stand alone is one value more.
        let operands: usize = nodes.iter().map(|(_, node, _)| node.inputs.len()).sum();
        let mut sharing = Sharing {
            groups: Groups::new(self.drafts.len() + operands),
            fixed: HashMap::new(),
        };
        for (id, node, outputs) in &nodes {
            self.join_moved(*id, node, outputs, &mut sharing);
        }
        for (_, node, outputs) in &nodes {
            self.note_fixed(node, outputs, &mut sharing);
        }
        for (id, node, outputs) in &nodes {
            if rule(node) == Some(OutputQuantization::SharedWithInputs) {
                self.join_shared(*id, node, outputs, &mut sharing);
            }
        }
        sharing
    }

    /// An operator that only moves values gives them on as they are.
    fn join_moved(&self, id: NodeId, node: &Node, outputs: &[usize], sharing: &mut Sharing) {
        let moved = match rule(node) {
            Some(OutputQuantization::SameAsInput) => 0,
            Some(OutputQuantization::SameAs(index)) => usize::from(index),
            _ => return,
        };
        if let Some(&input) = self.inputs.get(&(id, moved)) {
            for &output in outputs {
                sharing.groups.join(input, output);
            }
        }
    }

    fn note_fixed(&self, node: &Node, outputs: &[usize], sharing: &mut Sharing) {
        let Some(OutputQuantization::Fixed { int8, int16 }) = rule(node) else {
            return;
        };
        for &output in outputs {
            let draft = self.drafts.get(output);
            let (scale, zero_point) = match draft.map(|draft| draft.activations) {
                Some(Activations::Int16) => int16,
                _ => int8,
            };
            let group = sharing.groups.find(output);
            sharing.fixed.insert(group, Affine::new(scale, zero_point));
        }
    }

    fn join_shared(&mut self, id: NodeId, node: &Node, outputs: &[usize], sharing: &mut Sharing) {
        let operands: Vec<_> = (0..node.inputs.len())
            .filter_map(|index| Some((index, *self.inputs.get(&(id, index))?)))
            .collect();
        let fixed: Vec<_> = operands
            .iter()
            .map(|&(_, value)| sharing.fixed(value))
            .collect();
        let all_alike = fixed
            .iter()
            .all(|f| f.is_some() && Some(f) == fixed.first());
        let mut joined = outputs.to_vec();
        for (&(index, value), fixed) in operands.iter().zip(&fixed) {
            let stands_alone = fixed.is_some() && !all_alike;
            joined.push(match self.drafts.get(value).copied() {
                Some(draft) if stands_alone => {
                    let own = self.draft(draft.tensor, draft.activations);
                    self.inputs.insert((id, index), own);
                    own
                }
                _ => value,
            });
        }
        let shared_parameters = fixed.first().copied().flatten().filter(|_| all_alike);
        for pair in joined.windows(2) {
            if let &[a, b] = pair {
                sharing.groups.join(a, b);
            }
        }
        if let (Some(affine), Some(&first)) = (shared_parameters, joined.first()) {
            let group = sharing.groups.find(first);
            sharing.fixed.insert(group, affine);
        }
    }

    /// The parameters of every value: fixed, or from the union of its group's ranges.
    fn parameters(
        self,
        calibration: &Calibration,
        mut sharing: Sharing,
    ) -> Result<Values, PassError> {
        let mut unions: HashMap<usize, MinMax> = HashMap::new();
        for (value, draft) in self.drafts.iter().enumerate() {
            if sharing.fixed(value).is_some() {
                continue;
            }
            let (min, max) = self.range(draft.tensor, calibration)?;
            let union = unions.entry(sharing.groups.find(value)).or_default();
            let widened = union.observe(&[min, max]);
            widened.map_err(|source| at_tensor(self.subgraph, draft.tensor, source))?;
        }
        let mut values = Vec::with_capacity(self.drafts.len());
        let mut zeros = vec![false; self.drafts.len()];
        for (value, draft) in self.drafts.iter().enumerate() {
            let range = unions.get(&sharing.groups.find(value));
            let (min, max) = range.and_then(Observer::bounds).unwrap_or_default();
            let affine = match (sharing.fixed(value), draft.activations) {
                (Some(fixed), _) => Ok(fixed),
                (None, Activations::Int16) => Affine::symmetric(min, max, IntegerRange::INT16),
                (None, _) => Affine::from_range(min, max),
            };
            if let Some(slot) = zeros.get_mut(value) {
                *slot = sharing.fixed(value).is_none() && min == 0.0 && max == 0.0;
            }
            values.push(Value {
                tensor: draft.tensor,
                activations: draft.activations,
                affine: affine.map_err(|source| at_tensor(self.subgraph, draft.tensor, source))?,
            });
        }
        self.scale_zeros(&mut values, &zeros, &mut sharing);
        self.widen_results(&mut values, &unions, &mut sharing)?;
        let home = |&tensor: &TensorId| Some((tensor, self.home(tensor)?));
        let homes = self.homes.keys().filter_map(home).collect();
        let fixed = (0..values.len())
            .map(|value| sharing.fixed(value).is_some())
            .collect();
        Ok(Values {
            values,
            homes,
            inputs: self.inputs,
            fixed,
        })
    }

    /// The range of a tensor: as calibrated, or that of a constant's values.
    fn range(&self, id: TensorId, calibration: &Calibration) -> Result<(f32, f32), PassError> {
        let bounds = if is_real_constant(self.graph, self.subgraph, id) {
            let values = self.graph.values::<f32>(id)?;
            let range = MinMax::of(&values);
            range
                .map_err(|source| at_tensor(self.subgraph, id, source))?
                .bounds()
        } else {
            calibration.range(id)
        };
        bounds.ok_or_else(|| PassError::NotCalibrated {
            place: Place::tensor(self.subgraph, id),
        })
    }
}

impl Sharing {
    fn fixed(&mut self, value: usize) -> Option<Affine> {
        self.fixed.get(&self.groups.find(value)).copied()
    }
}

/// Real outputs of a node that an integer node computes as integers.
fn real_outputs<'g>(subgraph: &'g Subgraph, node: &'g Node) -> impl Iterator<Item = TensorId> + 'g {
    let quantized = rule(node).is_some_and(|rule| rule != OutputQuantization::Unquantized);
    let outputs = node.outputs.iter().copied();
    outputs.filter(move |&id| quantized && super::check::is_float(subgraph, id))
}
