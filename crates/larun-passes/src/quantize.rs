//! Full-integer quantisation to INT8 after training.
//!
//! The rules are those of TensorFlow Lite's INT8 specification, read from the operator table: activations
//! asymmetric with one scale a tensor, weights symmetric with one scale an output channel, biases INT32 with the
//! scale of input times weights, fixed outputs for LOGISTIC and SOFTMAX, and one set of parameters where an
//! operator only moves values.

use std::collections::HashMap;

use larun_graph::ops::{
    DequantizeOptions, ElementType, Op, OpKind, OutputQuantization,
    QuantizeOptions as QuantizeOpOptions, Role,
};
use larun_graph::{
    Graph, GraphError, Node, NodeId, NodeOp, Place, Quantization, Subgraph, Tensor, TensorId,
};
use larun_quant::weights::{QuantizedWeights, quantize_per_channel};
use larun_quant::{Affine, ChannelAxis, MinMax, Observer, QuantError, bias};

use crate::cleanup::remove_unused;
use crate::groups::Groups;
use crate::{Calibration, PassError, edit};

/// What inputs and outputs of the quantised model are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Border {
    /// INT8: nothing is left in floating point.
    #[default]
    Integer,
    /// FLOAT32, with QUANTIZE behind every input and DEQUANTIZE before every output.
    Float,
}

/// How the weights of dense layers are scaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DenseWeights {
    /// One scale for the whole matrix. Runtimes from before 2024, Arduino's library among them, read only the
    /// first of several scales and compute nonsense without saying so.
    #[default]
    PerTensor,
    /// One scale for every output, as the current specification allows.
    PerChannel,
}

/// Choices of [`quantize_int8`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuantizeOptions {
    /// What inputs and outputs are.
    pub border: Border,
    /// How dense layers are scaled.
    pub dense: DenseWeights,
}

/// Quantises a float graph to INT8, with the ranges that calibration saw.
///
/// Fold batch normalisation and fuse activations before calibrating: every tensor left costs a rounding.
///
/// # Errors
/// When the graph is quantised already, holds an operator that cannot be, or a tensor was not calibrated.
pub fn quantize_int8(
    mut graph: Graph,
    calibration: &Calibration,
    options: &QuantizeOptions,
) -> Result<Graph, PassError> {
    graph.validate()?;
    check_float(&graph)?;
    let mut ranges = value_ranges(&graph, calibration)?;
    let groups = group(&mut graph, &mut ranges)?;
    let parameters = choose_parameters(&graph, &ranges, groups)?;
    quantize_constants(&mut graph, &parameters, options)?;
    quantize_values(&mut graph, &parameters)?;
    if options.border == Border::Float {
        add_float_border(&mut graph)?;
    }
    remove_unused(&mut graph);
    graph.validate()?;
    Ok(graph)
}

/// Every operator can be quantised, and none is yet.
pub(crate) fn check_float(graph: &Graph) -> Result<(), PassError> {
    let subgraph = edit::main(graph)?;
    for (i, tensor) in subgraph.tensors.iter().enumerate() {
        let found = tensor.element_type;
        if matches!(
            found,
            ElementType::Int8 | ElementType::UInt8 | ElementType::Int16 | ElementType::Int4
        ) {
            let place = Place::tensor(subgraph, TensorId::new(i));
            return Err(PassError::AlreadyQuantized { place, found });
        }
    }
    for (id, node) in subgraph.iter_nodes() {
        let reason = match node.kind() {
            None => "the operator table does not know it",
            Some(OpKind::Quantize | OpKind::Dequantize) => "the model is quantised in part already",
            Some(kind) if kind.info().code.is_none() => {
                "it exists during training only; fold it first"
            }
            Some(kind) if !has_integer_form(kind) => "quantising it is not supported yet",
            Some(_) => continue,
        };
        let place = Place::node(subgraph, id);
        return Err(PassError::NotQuantizable { place, reason });
    }
    Ok(())
}

/// Whether an operator computes on quantised activations by the table's rules alone: it keeps no state, runs no
/// subgraph and gives quantised outputs.
fn has_integer_form(kind: OpKind) -> bool {
    let info = kind.info();
    let keeps_state = info.inputs.iter().any(|input| input.role == Role::State);
    !keeps_state && info.quantization != OutputQuantization::Unquantized
}

/// The role of input `index` of a node.
fn role(node: &Node, index: usize) -> Option<Role> {
    Some(node.kind()?.info().input(index)?.role)
}

/// Inputs of a node that are activations in floating point, constants among them.
fn activation_inputs<'g>(
    subgraph: &'g Subgraph,
    node: &'g Node,
) -> impl Iterator<Item = TensorId> + 'g {
    let inputs = node.inputs.iter().enumerate();
    let activations = inputs.filter(|(i, _)| role(node, *i) == Some(Role::Activation));
    let tensors = activations.filter_map(|(_, input)| *input);
    tensors.filter(|&id| is_float(subgraph, id))
}

fn is_float(subgraph: &Subgraph, id: TensorId) -> bool {
    subgraph
        .tensor(id)
        .is_some_and(|t| t.element_type == ElementType::Float32)
}

/// The range of every activation: as calibrated, or that of a constant's values.
fn value_ranges(
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

fn set<T>(slots: &mut [T], index: usize, value: T) {
    if let Some(slot) = slots.get_mut(index) {
        *slot = value;
    }
}

/// Tensors by shared parameters, and the groups whose parameters the specification fixes.
struct Sharing {
    groups: Groups,
    fixed: HashMap<usize, Affine>,
}

/// Joins tensors that must share parameters. Where a fixed tensor would have to share, as LOGISTIC into
/// CONCATENATION does, a QUANTIZE is put between.
fn group(graph: &mut Graph, ranges: &mut Vec<Option<(f32, f32)>>) -> Result<Sharing, PassError> {
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

fn rule(node: &Node) -> Option<OutputQuantization> {
    node.kind().map(|kind| kind.info().quantization)
}

/// Joins the inputs and outputs of operators that only move values, and notes fixed outputs.
fn join_moves(subgraph: &Subgraph) -> Sharing {
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
fn separate_fixed(
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
fn requantized(subgraph: &mut Subgraph, from: TensorId) -> Result<TensorId, PassError> {
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
fn choose_parameters(
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

/// Every floating-point activation of a subgraph.
fn activations(subgraph: &Subgraph) -> Vec<TensorId> {
    let of_nodes = subgraph.nodes.iter().flat_map(|node| {
        let outputs = node.outputs.iter().copied();
        activation_inputs(subgraph, node).chain(outputs)
    });
    let ports = subgraph.inputs.iter().chain(&subgraph.outputs).copied();
    let mut all: Vec<_> = of_nodes
        .chain(ports)
        .filter(|&id| is_float(subgraph, id))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Gives every node quantised weights and biases of its own, and its INT8 version.
fn quantize_constants(
    graph: &mut Graph,
    parameters: &[Option<Affine>],
    options: &QuantizeOptions,
) -> Result<(), PassError> {
    for index in 0..edit::main(graph)?.nodes.len() {
        let id = NodeId::new(index);
        let node = edit::node(edit::main(graph)?, id)?.clone();
        if let Some(Role::Weights { channel_axis }) = role(&node, 1) {
            let layer = Layer::new(edit::main(graph)?, id, &node, parameters)?;
            let per_channel = node.kind() != Some(OpKind::FullyConnected)
                || options.dense == DenseWeights::PerChannel;
            let axis = per_channel.then_some(usize::from(channel_axis));
            let inputs = layer.quantize(graph, axis)?;
            edit::node_mut(edit::main_mut(graph)?, id)?.inputs = inputs;
        }
        if let Some(kind) = node.kind() {
            edit::node_mut(edit::main_mut(graph)?, id)?.version = kind.info().int8_version;
        }
    }
    Ok(())
}

/// A node with weights: what is known of it before its constants are quantised.
struct Layer<'n> {
    place: Place,
    node: &'n Node,
    input: TensorId,
    weights: TensorId,
    input_scale: f32,
    name: String,
}

impl<'n> Layer<'n> {
    fn new(
        subgraph: &Subgraph,
        id: NodeId,
        node: &'n Node,
        parameters: &[Option<Affine>],
    ) -> Result<Self, PassError> {
        let operand = |index, name| {
            node.input(index)
                .ok_or_else(|| PassError::missing_operand(subgraph, id, name))
        };
        let (input, weights) = (operand(0, "input")?, operand(1, "weights")?);
        let input_affine = parameters.get(input.index()).copied().flatten();
        let place = Place::node(subgraph, id);
        let output = edit::output(subgraph, id)?;
        Ok(Self {
            input_scale: input_affine
                .ok_or_else(|| PassError::NotCalibrated {
                    place: Place::tensor(subgraph, input),
                })?
                .scale,
            name: edit::tensor(subgraph, output)?.name.clone(),
            place,
            node,
            input,
            weights,
        })
    }

    /// Quantised copies of the weights and the bias (zeros where there was none: some runtimes demand one).
    fn quantize(
        &self,
        graph: &mut Graph,
        axis: Option<usize>,
    ) -> Result<Vec<Option<TensorId>>, PassError> {
        let tensor = edit::tensor(edit::main(graph)?, self.weights)?;
        if !graph.is_constant(tensor) {
            let (place, reason) = (self.place.clone(), "its weights are not constant");
            return Err(PassError::NotQuantizable { place, reason });
        }
        let shape = tensor.shape;
        let channels = self.channels(graph)?;
        let biases = match self.node.input(2) {
            Some(bias) => graph.values::<f32>(bias)?,
            None => vec![0.0; channels],
        };
        let weights = graph.values::<f32>(self.weights)?;
        let at_weights = |source| self.at(self.weights, graph, source);
        let scaled = match axis {
            Some(axis) => ChannelAxis::new(shape.dims(), axis).map_err(at_weights)?,
            None => ChannelAxis::new(&[1, weights.len()], 0).map_err(at_weights)?,
        };
        let quantized =
            quantize_weights(&weights, scaled, &biases, self.input_scale).map_err(at_weights)?;
        let at_bias = |source| self.at(self.node.input(2).unwrap_or(self.weights), graph, source);
        let biases =
            bias::quantize_to_vec(&biases, self.input_scale, &quantized.scales).map_err(at_bias)?;

        let weights = edit::add_copy(graph, self.weights, &quantized.values)?;
        let bias_id = edit::add_constant(graph, &self.bias_name(graph), &[channels], &biases)?;
        let bias_scales = quantized
            .scales
            .iter()
            .map(|&scale| bias::scale(self.input_scale, scale))
            .collect();
        set_quantization(graph, weights, quantized.scales, axis.unwrap_or(0))?;
        set_quantization(graph, bias_id, bias_scales, 0)?;
        Ok(vec![Some(self.input), Some(weights), Some(bias_id)])
    }

    /// How many output channels the layer has.
    fn channels(&self, graph: &Graph) -> Result<usize, PassError> {
        let subgraph = edit::main(graph)?;
        let output = self.node.outputs.first();
        let output = output.and_then(|&id| subgraph.tensor(id));
        Ok(output.map_or(0, |tensor| tensor.shape.last()))
    }

    fn bias_name(&self, graph: &Graph) -> String {
        let bias = self.node.input(2).and_then(|id| graph.main()?.tensor(id));
        bias.map_or_else(
            || format!("{}/bias", self.name),
            |tensor| tensor.name.clone(),
        )
    }

    fn at(&self, id: TensorId, graph: &Graph, source: QuantError) -> PassError {
        match graph.main() {
            Some(subgraph) => at_tensor(subgraph, id, source),
            None => PassError::Graph(GraphError::NoSubgraph),
        }
    }
}

/// Weights with scales that also let every bias fit INT32: a channel of tiny weights beside a large bias gets a
/// coarser scale than its weights alone would need.
fn quantize_weights(
    weights: &[f32],
    axis: ChannelAxis,
    biases: &[f32],
    input_scale: f32,
) -> Result<QuantizedWeights, QuantError> {
    let mut quantized = QuantizedWeights::per_channel(weights, axis)?;
    let channels = quantized.scales.len();
    let mut widened = false;
    for (index, &bias) in biases.iter().enumerate() {
        let least = bias::smallest_weight_scale(bias, input_scale);
        if let Some(scale) = quantized.scales.get_mut(index % channels.max(1))
            && *scale < least
        {
            *scale = least;
            widened = true;
        }
    }
    if widened {
        quantize_per_channel(weights, axis, &quantized.scales, &mut quantized.values)?;
    }
    Ok(quantized)
}

fn set_quantization(
    graph: &mut Graph,
    id: TensorId,
    scales: Vec<f32>,
    axis: usize,
) -> Result<(), PassError> {
    if let Some(tensor) = edit::main_mut(graph)?.tensor_mut(id) {
        tensor.quantization = Some(Quantization::per_channel(scales, axis as i32));
    }
    Ok(())
}

/// Gives every activation its parameters, and constants among them their integers.
fn quantize_values(graph: &mut Graph, parameters: &[Option<Affine>]) -> Result<(), PassError> {
    for (index, affine) in parameters.iter().enumerate() {
        let (id, Some(affine)) = (TensorId::new(index), *affine) else {
            continue;
        };
        let subgraph = edit::main(graph)?;
        if graph.is_constant(edit::tensor(subgraph, id)?) {
            let values = graph.values::<f32>(id)?;
            let integers = affine.quantize_to_vec_i8(&values);
            let integers = integers.map_err(|source| at_tensor(subgraph, id, source))?;
            graph.set_values(id, &integers)?;
        }
        if let Some(tensor) = edit::main_mut(graph)?.tensor_mut(id) {
            tensor.element_type = ElementType::Int8;
            tensor.quantization = Some(Quantization::per_tensor(affine));
        }
    }
    Ok(())
}

/// Puts QUANTIZE behind the inputs and DEQUANTIZE before the outputs. The float tensors take over the names.
fn add_float_border(graph: &mut Graph) -> Result<(), PassError> {
    let subgraph = edit::main_mut(graph)?;
    let mut moved = HashMap::new();
    let mut entry = Vec::new();
    for port in 0..subgraph.inputs.len() {
        let inner = subgraph.inputs[port];
        if let Some(outer) = float_twin(subgraph, inner) {
            subgraph.inputs[port] = outer;
            moved.insert(inner, outer);
            entry.push(border_node(
                Op::Quantize(QuantizeOpOptions {}),
                outer,
                inner,
            ));
        }
    }
    for port in 0..subgraph.outputs.len() {
        let inner = subgraph.outputs[port];
        if let Some(outer) = float_twin(subgraph, inner) {
            subgraph.outputs[port] = outer;
            moved.entry(inner).or_insert(outer);
            subgraph.nodes.push(border_node(
                Op::Dequantize(DequantizeOptions {}),
                inner,
                outer,
            ));
        }
    }
    subgraph.nodes.splice(0..0, entry);
    let signatures = graph
        .signatures
        .iter_mut()
        .filter(|s| s.subgraph.index() == 0);
    for port in signatures.flat_map(|s| s.inputs.iter_mut().chain(&mut s.outputs)) {
        port.tensor = moved.get(&port.tensor).copied().unwrap_or(port.tensor);
    }
    Ok(())
}

/// A float tensor with the name and shape of an INT8 one, which is renamed.
fn float_twin(subgraph: &mut Subgraph, inner: TensorId) -> Option<TensorId> {
    let tensor = subgraph
        .tensor_mut(inner)
        .filter(|t| t.element_type == ElementType::Int8)?;
    let twin = Tensor {
        element_type: ElementType::Float32,
        quantization: None,
        ..tensor.clone()
    };
    tensor.name.push_str("/int8");
    Some(subgraph.add_tensor(twin))
}

fn border_node(op: Op, from: TensorId, to: TensorId) -> Node {
    Node {
        version: op.kind().info().int8_version,
        op: NodeOp::Known(op),
        ..Node::new(op, &[from], &[to])
    }
}

fn at_tensor(subgraph: &Subgraph, id: TensorId, source: QuantError) -> PassError {
    PassError::Quantization {
        place: Place::tensor(subgraph, id),
        source,
    }
}
