//! Scale and zero point of every activation: from the specification, from calibration, or shared with neighbours.

use std::collections::HashMap;

use larun_graph::ops::{Op, OutputQuantization, QuantizeOptions as QuantizeOpOptions};
use larun_graph::{Graph, Node, Place, Subgraph, Tensor, TensorId};
use larun_quant::{Affine, MinMax, Observer};

use super::at_tensor;
use super::check::{activation_inputs, activations, rule};
use crate::groups::Groups;
use crate::{Calibration, PassError, edit};

/// The range of every activation: as calibrated, or that of a constant's values.
pub(crate) fn value_ranges(
    graph: &Graph,
    calibration: &Calibration,
) -> Result<Vec<Option<(f32, f32)>>, PassError> {
    let subgraph = edit::main(graph)?;
    let mut ranges: Vec<_> = (0..subgraph.tensors.len())
        .map(|i| calibration.range(TensorId::new(i)))
        .collect();
    for node in &subgraph.nodes {
        for id in activation_inputs(subgraph, node) {
            let tensor = edit::tensor(subgraph, id)?;
            if graph.is_constant(tensor) {
                let values = graph.values::<f32>(id)?;
                let range =
                    MinMax::of(&values).map_err(|source| at_tensor(subgraph, id, source))?;
                set(&mut ranges, id.index(), range.bounds());
            }
        }
    }
    Ok(ranges)
}

pub(crate) fn set<T>(slots: &mut [T], index: usize, value: T) {
    if let Some(slot) = slots.get_mut(index) {
        *slot = value;
    }
}

/// Tensors by shared parameters, and the groups whose parameters the specification fixes.
pub(crate) struct Sharing {
    groups: Groups,
    fixed: HashMap<usize, Affine>,
}

/// Joins tensors that must share parameters. Where a fixed tensor would have to share, as LOGISTIC into
/// CONCATENATION does, a QUANTIZE is put between.
pub(crate) fn group(
    graph: &mut Graph,
    ranges: &mut Vec<Option<(f32, f32)>>,
) -> Result<Sharing, PassError> {
    let mut sharing = join_moves(edit::main(graph)?);
    separate_fixed(
        graph,
        ranges,
        &sharing.fixed_tensors(edit::main(graph)?.tensors.len()),
    )?;
    sharing = join_moves(edit::main(graph)?);
    for node in &edit::main(graph)?.nodes {
        if rule(node) == Some(OutputQuantization::SharedWithInputs)
            && let Some(&output) = node.outputs.first()
        {
            let inputs = activation_inputs(edit::main(graph)?, node);
            inputs.for_each(|input| sharing.groups.join(input.index(), output.index()));
        }
    }
    Ok(sharing)
}

impl Sharing {
    fn fixed_tensors(&mut self, count: usize) -> Vec<Option<Affine>> {
        let groups = &mut self.groups;
        (0..count)
            .map(|tensor| self.fixed.get(&groups.find(tensor)).copied())
            .collect()
    }
}

/// Joins the inputs and outputs of operators that only move values, and notes fixed outputs.
pub(crate) fn join_moves(subgraph: &Subgraph) -> Sharing {
    let mut groups = Groups::new(subgraph.tensors.len());
    for node in &subgraph.nodes {
        let moved = match rule(node) {
            Some(OutputQuantization::SameAsInput) => node.input(0),
            Some(OutputQuantization::SameAs(index)) => node.input(usize::from(index)),
            _ => None,
        };
        if let Some(input) = moved {
            for output in &node.outputs {
                groups.join(input.index(), output.index());
            }
        }
    }
    let mut fixed = HashMap::new();
    for node in &subgraph.nodes {
        if let (Some(OutputQuantization::Fixed { int8, .. }), Some(output)) =
            (rule(node), node.outputs.first())
        {
            fixed.insert(groups.find(output.index()), Affine::new(int8.0, int8.1));
        }
    }
    Sharing { groups, fixed }
}

/// Puts a QUANTIZE before every input of a sharing operator that has fixed parameters.
pub(crate) fn separate_fixed(
    graph: &mut Graph,
    ranges: &mut Vec<Option<(f32, f32)>>,
    fixed: &[Option<Affine>],
) -> Result<(), PassError> {
    let subgraph = edit::main_mut(graph)?;
    let nodes = core::mem::take(&mut subgraph.nodes);
    for mut node in nodes {
        if rule(&node) == Some(OutputQuantization::SharedWithInputs) {
            for input in node.inputs.iter_mut().flatten() {
                if fixed.get(input.index()).is_some_and(Option::is_some) {
                    let range = ranges.get(input.index()).copied().flatten();
                    *input = requantized(subgraph, *input)?;
                    ranges.push(range);
                }
            }
        }
        subgraph.nodes.push(node);
    }
    Ok(())
}

/// A copy of a tensor behind a QUANTIZE node.
pub(crate) fn requantized(subgraph: &mut Subgraph, from: TensorId) -> Result<TensorId, PassError> {
    let source = edit::tensor(subgraph, from)?;
    let copy = Tensor {
        name: format!("{}/requantized", source.name),
        ..source.clone()
    };
    let to = subgraph.add_tensor(copy);
    subgraph.nodes.push(Node::new(
        Op::Quantize(QuantizeOpOptions {}),
        &[from],
        &[to],
    ));
    Ok(to)
}

/// The parameters of every activation: fixed, or from the union of its group's ranges.
pub(crate) fn choose_parameters(
    graph: &Graph,
    ranges: &[Option<(f32, f32)>],
    mut sharing: Sharing,
) -> Result<Vec<Option<Affine>>, PassError> {
    let subgraph = edit::main(graph)?;
    let mut unions: HashMap<usize, MinMax> = HashMap::new();
    for (tensor, range) in ranges.iter().enumerate() {
        if let Some((min, max)) = *range {
            let union = unions.entry(sharing.groups.find(tensor)).or_default();
            let widened = union.observe(&[min, max]);
            widened.map_err(|source| at_tensor(subgraph, TensorId::new(tensor), source))?;
        }
    }
    let mut parameters = vec![None; subgraph.tensors.len()];
    for id in activations(subgraph) {
        let group = sharing.groups.find(id.index());
        let affine = match (
            sharing.fixed.get(&group),
            unions.get(&group).and_then(Observer::bounds),
        ) {
            (Some(&fixed), _) => fixed,
            (None, Some((min, max))) => {
                Affine::from_range(min, max).map_err(|source| at_tensor(subgraph, id, source))?
            }
            (None, None) => {
                let place = Place::tensor(subgraph, id);
                return Err(PassError::NotCalibrated { place });
            }
        };
        set(&mut parameters, id.index(), Some(affine));
    }
    Ok(parameters)
}
