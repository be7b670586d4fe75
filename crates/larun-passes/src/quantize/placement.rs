//! Where the converter will quantise, seen from the graph that is trained: for quantisation-aware training, which computes there
//! what the integers will make of the values.

use std::collections::HashMap;

use larun_graph::{Graph, Node, NodeId, Subgraph, TensorId};
use larun_quant::weights::ScaleMethod;
use larun_quant::{Affine, IntegerRange};

use super::check::{is_real_constant, weight_inputs};
use super::decide::{Decision, decide};
use super::scheme::{Activations, Algorithm, Granularity, LayerScheme};
use super::values::Values;
use super::{QuantizeOptions, QuantizedGraph, RealWeights, WeightRounder, check_float, quantize};
use crate::{Calibration, PassError, edit, simplify};

/// A tensor that is computed in integers, or a form of one that is converted for its readers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlacedValue {
    /// The tensor in the graph that is trained; `None` for one that only the simplified graph has.
    pub tensor: Option<TensorId>,
    /// The tensor in the simplified graph, by which ranges are named.
    pub simplified: TensorId,
    /// The type.
    pub activations: Activations,
    /// Whether the tensor is computed in this form; any other is converted from it.
    pub is_home: bool,
    /// Whether the tensor is a constant.
    pub is_constant: bool,
    /// Where the parameters do not follow from a range.
    pub is_fixed: bool,
    /// Nodes of the graph that is trained which read this form, each with the number of the input; none for a home, which all
    /// read.
    pub readers: Vec<(NodeId, usize)>,
}

impl PlacedValue {
    /// The integers of the type.
    pub const fn integers(&self) -> IntegerRange {
        match self.activations {
            Activations::Int16 => IntegerRange::INT16,
            _ => IntegerRange::INT8,
        }
    }
}

/// Weights that become integers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlacedWeights {
    /// The weights in the graph that is trained.
    pub tensor: TensorId,
    /// The layer's result in the simplified graph, and which of its inputs the weights are: these name the weights there.
    pub layer: (TensorId, usize),
    /// The axis of the output channels.
    pub channel_axis: usize,
    /// Whether every output channel has a scale of its own.
    pub per_channel: bool,
    /// The integers.
    pub integers: IntegerRange,
    /// How the converter finds the scales.
    pub algorithm: Algorithm,
}

impl PlacedWeights {
    /// How the converter finds the scales.
    pub const fn method(&self) -> ScaleMethod {
        self.algorithm.method()
    }
}

/// Where the converter will quantise a graph: its own decisions, values and groups of equal parameters, with the tensors of the graph
/// that is trained, in which batch normalisation is not folded yet.
#[derive(Clone, Debug)]
pub struct Placement {
    options: QuantizeOptions,
    simplified: Graph,
    decisions: Vec<Decision>,
    values: Vec<PlacedValue>,
    weights: Vec<PlacedWeights>,
}

impl Placement {
    /// The placement for a float graph.
    ///
    /// # Errors
    /// When the graph is not valid, is quantised already, or holds an operator that cannot be quantised as `options` want.
    pub fn new(graph: &Graph, options: &QuantizeOptions) -> Result<Self, PassError> {
        let simplified = simplify(numbered(graph)?)?;
        check_float(&simplified)?;
        let decisions = decide(&simplified, options)?;
        let values = Values::new(
            &simplified,
            &anything(&simplified)?,
            &decisions,
            options.border,
        )?;
        let seen = Seen::new(graph, &simplified)?;
        Ok(Self {
            options: options.clone(),
            values: seen.values(&values),
            weights: seen.weights(&decisions),
            decisions,
            simplified: restored(simplified, graph)?,
        })
    }

    /// The graph that is quantised in the end, with the weights from before the training.
    pub const fn simplified(&self) -> &Graph {
        &self.simplified
    }

    /// What is computed in integers.
    pub fn values(&self) -> &[PlacedValue] {
        &self.values
    }

    /// The weights that become integers.
    pub fn weights(&self) -> &[PlacedWeights] {
        &self.weights
    }

    /// The parameters of each of the [`values`](Self::values), given ranges by tensors of the simplified graph: what the converter
    /// makes of them, equal where an operator wants them equal.
    ///
    /// # Errors
    /// When a range is missing.
    pub fn affines(&self, ranges: &Calibration) -> Result<Vec<Affine>, PassError> {
        let border = self.options.border;
        let values = Values::new(&self.simplified, ranges, &self.decisions, border)?;
        Ok(values.all().iter().map(|value| value.affine).collect())
    }

    /// Quantises the graph after its training, with the ranges that were trained, and with given scales for some of the
    /// [`weights`](Self::weights), by number.
    ///
    /// # Errors
    /// As [`quantize`], and when `trained` is not the graph of [`new`](Self::new) with other values of its constants.
    pub fn convert(
        &self,
        trained: &Graph,
        ranges: &Calibration,
        scales: &HashMap<usize, Vec<f32>>,
    ) -> Result<(Graph, QuantizedGraph), PassError> {
        let simplified = restored(simplify(numbered(trained)?)?, trained)?;
        let given = self.weights.iter().enumerate();
        let scales =
            given.filter_map(|(index, weights)| Some((weights.layer, scales.get(&index)?.clone())));
        let rounder = GivenScales(scales.collect());
        let quantized = quantize(simplified.clone(), ranges, &self.options, &rounder)?;
        Ok((simplified, quantized))
    }
}

/// Scales that a training has learnt.
struct GivenScales(HashMap<(TensorId, usize), Vec<f32>>);

impl WeightRounder for GivenScales {
    fn round(&self, _: &RealWeights<'_>) -> Result<Option<Vec<i8>>, PassError> {
        Ok(None)
    }

    fn scales(&self, weights: &RealWeights<'_>) -> Option<Vec<f32>> {
        self.0.get(&(weights.output, weights.operand)).cloned()
    }
}

/// What stands around the number of a tensor while a graph is simplified: no name holds it.
const MARK: char = '\u{1}';

/// The graph with the number of each tensor for its name, by which it is found again.
fn numbered(graph: &Graph) -> Result<Graph, PassError> {
    graph.validate()?;
    let mut graph = graph.clone();
    for (index, tensor) in edit::main_mut(&mut graph)?.tensors.iter_mut().enumerate() {
        tensor.name = format!("{MARK}{index}{MARK}");
    }
    Ok(graph)
}

/// The number in a name, and what was added to it.
fn number(name: &str) -> Option<(TensorId, &str)> {
    let (number, rest) = name.strip_prefix(MARK)?.split_once(MARK)?;
    Some((TensorId::new(number.parse().ok()?), rest))
}

/// The graph with the names of `original` again.
fn restored(mut graph: Graph, original: &Graph) -> Result<Graph, PassError> {
    let names = edit::main(original)?;
    for tensor in &mut edit::main_mut(&mut graph)?.tensors {
        if let Some((id, rest)) = number(&tensor.name) {
            let name = names.tensor(id).map_or("", |tensor| tensor.name.as_str());
            tensor.name = format!("{name}{rest}");
        }
    }
    Ok(graph)
}

/// A range for every tensor: which one does not matter to how values are laid out.
fn anything(graph: &Graph) -> Result<Calibration, PassError> {
    let mut ranges = Calibration::default();
    let subgraph = edit::main(graph)?;
    for index in 0..subgraph.tensors.len() {
        let id = TensorId::new(index);
        ranges
            .set_range(id, -1.0, 1.0)
            .map_err(|source| super::at_tensor(subgraph, id, source))?;
    }
    Ok(ranges)
}

/// The simplified graph seen from the one that is trained.
struct Seen<'g> {
    graph: &'g Graph,
    trained: &'g Subgraph,
    simplified_graph: &'g Graph,
    simplified: &'g Subgraph,
    producers: Vec<Option<NodeId>>,
}

impl<'g> Seen<'g> {
    fn new(graph: &'g Graph, simplified: &'g Graph) -> Result<Self, PassError> {
        let trained = edit::main(graph)?;
        Ok(Self {
            graph,
            trained,
            simplified_graph: simplified,
            simplified: edit::main(simplified)?,
            producers: trained.producers(),
        })
    }

    /// The tensor that is trained, `None` for one that was made in simplifying.
    fn original(&self, simplified: TensorId) -> Option<TensorId> {
        let name = &self.simplified.tensor(simplified)?.name;
        match number(name)? {
            (id, "") => Some(id),
            _ => None,
        }
    }

    fn values(&self, values: &Values) -> Vec<PlacedValue> {
        let homes: HashMap<usize, TensorId> = values.home_numbers().collect();
        let all = values.all().iter().enumerate();
        let placed = all.map(|(at, value)| {
            let is_home = homes.contains_key(&at);
            let readers = values
                .readers(at)
                .filter(|_| !is_home)
                .flat_map(|(node, _)| self.reader(node, value.tensor));
            PlacedValue {
                tensor: self.original(value.tensor),
                simplified: value.tensor,
                activations: value.activations,
                is_home,
                is_constant: is_real_constant(self.simplified_graph, self.simplified, value.tensor),
                is_fixed: values.is_fixed(at),
                readers: readers.collect(),
            }
        });
        placed.collect()
    }

    /// The node that is trained, and its input, by which node `id` of the simplified graph reads `tensor`: the one that computes
    /// the same result, or the nearest before it.
    fn reader(&self, id: NodeId, tensor: TensorId) -> Option<(NodeId, usize)> {
        let tensor = self.original(tensor)?;
        let output = *self.simplified.node(id)?.outputs.first()?;
        let mut at = self.original(output)?;
        // As many steps as there are nodes are enough.
        for _ in 0..=self.trained.nodes.len() {
            let producer = *self.producers.get(at.index())?.as_ref()?;
            let node = self.trained.node(producer)?;
            if let Some(input) = node.inputs.iter().position(|&input| input == Some(tensor)) {
                return Some((producer, input));
            }
            at = node.input(0)?;
        }
        None
    }

    fn weights(&self, decisions: &[Decision]) -> Vec<PlacedWeights> {
        let nodes = self.simplified.iter_nodes();
        let placed = nodes.flat_map(|(id, node)| {
            let scheme = decisions
                .get(id.index())
                .map_or(LayerScheme::FLOAT, |decision| decision.scheme);
            weight_inputs(node)
                .filter_map(|(operand, axis, tensor)| {
                    self.weights_of(node, scheme, (operand, axis, tensor))
                })
                .collect::<Vec<_>>()
        });
        placed.collect()
    }

    fn weights_of(
        &self,
        node: &Node,
        scheme: LayerScheme,
        (operand, axis, tensor): (usize, u8, TensorId),
    ) -> Option<PlacedWeights> {
        let integers = scheme.weights.integers()?;
        let original = self.original(tensor)?;
        let is_constant = is_real_constant(self.graph, self.trained, original);
        is_constant.then_some(PlacedWeights {
            tensor: original,
            layer: (*node.outputs.first()?, operand),
            channel_axis: usize::from(axis),
            per_channel: scheme.granularity != Some(Granularity::PerTensor),
            integers,
            algorithm: scheme.algorithm,
        })
    }
}
