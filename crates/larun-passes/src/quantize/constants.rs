//! Weights, biases and constant activations made integers.

use larun_graph::ops::{ElementType, OpKind, Role};
use larun_graph::{Graph, GraphError, Node, NodeId, Place, Quantization, Subgraph, TensorId};
use larun_quant::weights::{QuantizedWeights, quantize_per_channel};
use larun_quant::{Affine, ChannelAxis, IntegerRange, QuantError, bias};

use super::check::role;
use super::rounder::{RealWeights, WeightRounder};
use super::{DenseWeights, QuantizeOptions, at_tensor};
use crate::{PassError, edit};

/// Gives every node quantised weights and biases of its own, and its INT8 version.
pub(crate) fn quantize_constants(
    graph: &mut Graph,
    parameters: &[Option<Affine>],
    options: &QuantizeOptions,
    rounder: &dyn WeightRounder,
) -> Result<(), PassError> {
    for index in 0..edit::main(graph)?.nodes.len() {
        let id = NodeId::new(index);
        let node = edit::node(edit::main(graph)?, id)?.clone();
        if let Some(Role::Weights { channel_axis }) = role(&node, 1) {
            let layer = Layer::new(edit::main(graph)?, id, &node, parameters)?;
            let per_channel = node.kind() != Some(OpKind::FullyConnected)
                || options.dense == DenseWeights::PerChannel;
            let axis = per_channel.then_some(usize::from(channel_axis));
            let inputs = layer.quantize(graph, axis, rounder)?;
            edit::node_mut(edit::main_mut(graph)?, id)?.inputs = inputs;
        }
        if let Some(kind) = node.kind() {
            edit::node_mut(edit::main_mut(graph)?, id)?.version = kind.info().int8_version;
        }
    }
    Ok(())
}

/// A node with weights: what is known of it before its constants are quantised.
pub(crate) struct Layer<'n> {
    place: Place,
    node: &'n Node,
    input: TensorId,
    output: TensorId,
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
            output,
            weights,
        })
    }

    /// Quantised copies of the weights and the bias (zeros where there was none: some runtimes demand one).
    fn quantize(
        &self,
        graph: &mut Graph,
        axis: Option<usize>,
        rounder: &dyn WeightRounder,
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
        let mut quantized =
            quantize_weights(&weights, scaled, &biases, self.input_scale).map_err(at_weights)?;
        let rounded = rounder.round(&RealWeights {
            output: self.output,
            operand: 1,
            values: &weights,
            shape: shape.dims(),
            axis: scaled,
            scales: &quantized.scales,
            integers: IntegerRange::INT8_NARROW,
        })?;
        if let Some(rounded) = rounded {
            quantized.values = rounded;
        }
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
pub(crate) fn quantize_weights(
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

pub(crate) fn set_quantization(
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
pub(crate) fn quantize_values(
    graph: &mut Graph,
    parameters: &[Option<Affine>],
) -> Result<(), PassError> {
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
