//! The weights and biases of one node, for the kernel that is to run it.

use larun_graph::ops::{Op, OpKind};
use larun_graph::{Graph, Node, NodeOp, Quantization, TensorId};
use larun_quant::{Affine, bias};

use super::check::{is_real_constant, role, weight_inputs};
use super::decide::is_bias;
use super::scheme::{Activations, LayerScheme, Weights};
use super::weights::{Request, dequantize};
use super::{WeightRounder, at_tensor};
use crate::{PassError, edit};

/// A node with weights.
pub(crate) struct Layer<'n> {
    pub(crate) node: &'n Node,
    pub(crate) scheme: LayerScheme,
    pub(crate) rounder: &'n dyn WeightRounder,
}

impl Layer<'_> {
    pub(crate) fn request(
        &self,
        operand: usize,
        channel_axis: u8,
        weights: TensorId,
    ) -> Option<Request<'_>> {
        Some(Request {
            output: *self.node.outputs.first()?,
            operand,
            weights,
            channel_axis,
            layer: self.scheme,
            rounder: self.rounder,
        })
    }

    /// Gives `new` integer weights, and a bias in units of the accumulator: zeros where there was none, which some runtimes
    /// demand. `input` holds the parameters of the layer's input.
    pub(crate) fn integer(
        &self,
        graph: &mut Graph,
        input: Affine,
        new: &mut Node,
        nodes: &mut Vec<Node>,
    ) -> Result<(), PassError> {
        let Some((operand, axis, weights)) = weight_inputs(self.node).next() else {
            return Ok(());
        };
        let Some(request) = self.request(operand, axis, weights) else {
            return Ok(());
        };
        let bias_operand = (0..).find(|&i| role(self.node, i).is_none_or(|r| is_bias(Some(r))));
        let bias_operand = bias_operand.unwrap_or(2);
        let real_bias = self.node.input(bias_operand);
        let biases = match real_bias {
            Some(bias) => graph.values::<f32>(bias)?,
            None => vec![0.0; self.channels(graph)?],
        };
        let wide = self.scheme.activations == Activations::Int16;
        let least = biases.iter().map(|&bias| match wide {
            true => bias::smallest_weight_scale_wide(bias, input.scale),
            false => bias::smallest_weight_scale(bias, input.scale),
        });
        let quantized = request.quantize(graph, &least.collect::<Vec<_>>())?;
        let scales = quantized.scales.clone();
        let weights = request.store(graph, quantized, nodes)?;
        let bias = self.bias(graph, real_bias, &biases, input.scale, &scales)?;
        set_input(new, operand, weights);
        set_input(new, bias_operand, bias);
        Ok(())
    }

    fn bias(
        &self,
        graph: &mut Graph,
        real: Option<TensorId>,
        values: &[f32],
        input_scale: f32,
        scales: &[f32],
    ) -> Result<TensorId, PassError> {
        let subgraph = edit::main(graph)?;
        let output = self.node.outputs.first().copied().unwrap_or_default();
        let place = real.unwrap_or(output);
        let name = match real {
            Some(bias) => edit::tensor(subgraph, bias)?.name.clone(),
            None => format!("{}/bias", edit::tensor(subgraph, output)?.name),
        };
        let at = |source| at_tensor(subgraph, place, source);
        let id = match self.scheme.activations {
            Activations::Int16 => {
                let wide = bias::quantize_wide_to_vec(values, input_scale, scales).map_err(at)?;
                edit::add_constant(graph, &name, &[values.len()], &wide)?
            }
            _ => {
                let narrow = bias::quantize_to_vec(values, input_scale, scales).map_err(at)?;
                edit::add_constant(graph, &name, &[values.len()], &narrow)?
            }
        };
        let scales = scales.iter().map(|&scale| bias::scale(input_scale, scale));
        let quantization = Quantization::per_channel(scales.collect(), 0);
        if let Some(tensor) = edit::main_mut(graph)?.tensor_mut(id) {
            tensor.quantization = Some(quantization);
        }
        Ok(id)
    }

    /// How many output channels the layer has.
    fn channels(&self, graph: &Graph) -> Result<usize, PassError> {
        let subgraph = edit::main(graph)?;
        let output = self.node.outputs.first();
        let output = output.and_then(|&id| subgraph.tensor(id));
        Ok(output.map_or(0, |tensor| tensor.shape.last()))
    }

    /// Gives `new` integer weights that its hybrid kernel reads, or real ones behind a DEQUANTIZE.
    pub(crate) fn real(
        &self,
        graph: &mut Graph,
        stored: &mut StoredWeights,
        new: &mut Node,
        nodes: &mut Vec<Node>,
    ) -> Result<(), PassError> {
        if self.scheme.weights == Weights::Float16 {
            return self.half(graph, stored, new, nodes);
        }
        for (operand, axis, weights) in weight_inputs(self.node) {
            let Some(request) = self.request(operand, axis, weights) else {
                continue;
            };
            let id = match stored.get(weights, &self.scheme) {
                Some(id) => id,
                None => {
                    let quantized = request.quantize(graph, &[])?;
                    let id = request.store(graph, quantized, nodes)?;
                    let id = match self.scheme.dequantize {
                        true => dequantize(graph, id, nodes)?,
                        false => id,
                    };
                    stored.put(weights, &self.scheme, id);
                    id
                }
            };
            set_input(new, operand, id);
        }
        if !self.scheme.dequantize {
            hybrid_version(graph, new)?;
        }
        Ok(())
    }

    /// Every real constant in half precision.
    fn half(
        &self,
        graph: &mut Graph,
        stored: &mut StoredWeights,
        new: &mut Node,
        nodes: &mut Vec<Node>,
    ) -> Result<(), PassError> {
        for operand in 0..self.node.inputs.len() {
            let subgraph = edit::main(graph)?;
            let Some(real) = self
                .node
                .input(operand)
                .filter(|&id| is_real_constant(graph, subgraph, id))
            else {
                continue;
            };
            let id = match stored.get(real, &self.scheme) {
                Some(id) => id,
                None => {
                    let half = super::half::store(graph, real)?;
                    let id = dequantize(graph, half, nodes)?;
                    stored.put(real, &self.scheme, id);
                    id
                }
            };
            set_input(new, operand, id);
        }
        Ok(())
    }
}

/// Weights that were quantised for another node: nodes that share real weights share these too.
#[derive(Default)]
pub(crate) struct StoredWeights(Vec<(TensorId, LayerScheme, TensorId)>);

impl StoredWeights {
    fn get(&self, real: TensorId, scheme: &LayerScheme) -> Option<TensorId> {
        let found = self.0.iter().find(|(r, s, _)| *r == real && s == scheme);
        found.map(|&(_, _, id)| id)
    }

    fn put(&mut self, real: TensorId, scheme: &LayerScheme, id: TensorId) {
        self.0.push((real, *scheme, id));
    }
}

/// Sets an input, absent ones before it if need be.
pub(crate) fn set_input(node: &mut Node, index: usize, id: TensorId) {
    if node.inputs.len() <= index {
        node.inputs.resize(index + 1, None);
    }
    if let Some(slot) = node.inputs.get_mut(index) {
        *slot = Some(id);
    }
}

/// The version and the options of a layer that quantises its input while it runs.
fn hybrid_version(graph: &Graph, node: &mut Node) -> Result<(), PassError> {
    let subgraph = edit::main(graph)?;
    let weights = weight_inputs(node).next().map(|(_, _, id)| id);
    let weights = weights.and_then(|id| subgraph.tensor(id));
    let scales = weights
        .and_then(|t| t.quantization.as_ref())
        .map_or(0, |q| q.scale.len());
    let NodeOp::Known(op) = &mut node.op else {
        return Ok(());
    };
    // Zero points lose nothing where inputs are all positive, as they are behind a RELU.
    match op {
        Op::FullyConnected(options) => options.asymmetric_quantize_inputs = true,
        Op::UnidirectionalSequenceLstm(options) => options.asymmetric_quantize_inputs = true,
        Op::Svdf(options) => options.asymmetric_quantize_inputs = true,
        _ => {}
    }
    let least = match (op.kind(), scales > 1) {
        (OpKind::Conv2D, true) => 5,
        (OpKind::Conv2D, false) => 2,
        (OpKind::DepthwiseConv2D, true) => 6,
        (OpKind::DepthwiseConv2D, false) => 4,
        (OpKind::FullyConnected, true) => 12,
        (OpKind::FullyConnected, false) => 9,
        (OpKind::EmbeddingLookup, true) => 4,
        (OpKind::UnidirectionalSequenceLstm, _) => 3,
        (OpKind::Svdf, _) => 4,
        _ => 1,
    };
    node.version = node.version.max(least);
    Ok(())
}
