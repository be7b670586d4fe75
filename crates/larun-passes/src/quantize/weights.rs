//! Weights made integers: scales, rounding, and how the integers are stored.

use larun_graph::ops::{DequantizeOptions, ElementType, Op, OpKind, Shape};
use larun_graph::{Graph, GraphError, Node, NodeOp, OpaqueOp, Quantization, Tensor, TensorId};
use larun_quant::packing::Packing;
use larun_quant::weights::QuantizedWeights;
use larun_quant::{ChannelAxis, IntegerRange, QuantError, binary};

use super::at_tensor;
use super::rounder::{RealWeights, WeightRounder};
use super::scheme::{Granularity, LayerScheme, Weights};
use crate::{PassError, edit};

/// The weights of one node, about to be quantised.
pub(crate) struct Request<'r> {
    /// The node's result.
    pub(crate) output: TensorId,
    /// Which input of the node they are.
    pub(crate) operand: usize,
    /// The real weights.
    pub(crate) weights: TensorId,
    /// The axis of the output channels.
    pub(crate) channel_axis: u8,
    pub(crate) layer: LayerScheme,
    pub(crate) rounder: &'r dyn WeightRounder,
}

/// Weights as integers.
pub(crate) struct Quantized {
    pub(crate) integers: Vec<i8>,
    pub(crate) scales: Vec<f32>,
    /// The axis of the scales.
    pub(crate) axis: usize,
}

impl Request<'_> {
    /// Quantises the weights. `least` holds the smallest scale that each output channel may have; none where any serves.
    pub(crate) fn quantize(&self, graph: &Graph, least: &[f32]) -> Result<Quantized, PassError> {
        let subgraph = edit::main(graph)?;
        let shape = edit::tensor(subgraph, self.weights)?.shape;
        let values = graph.values::<f32>(self.weights)?;
        let at = |source| at_tensor(subgraph, self.weights, source);
        let (axis, channels) = match self.layer.granularity {
            Some(Granularity::PerTensor) => (0, Ok(ChannelAxis::whole(values.len()))),
            _ => {
                let axis = usize::from(self.channel_axis);
                (axis, ChannelAxis::new(shape.dims(), axis))
            }
        };
        let channels = channels.map_err(at)?;
        let integers = self.integers();
        let mut found = match self.layer.weights {
            Weights::Binary => binary::quantize(&values, channels),
            _ => QuantizedWeights::quantize(
                &values,
                channels,
                integers,
                self.layer.algorithm.method(),
            ),
        }
        .map_err(at)?;
        let dims = shape.dims();
        let given = self
            .rounder
            .scales(&self.real(&values, dims, channels, &found.scales));
        let replaced = given.filter(|given| given.len() == found.scales.len());
        let is_replaced = replaced.is_some();
        if let Some(scales) = replaced {
            found.scales = scales;
        }
        if widen(&mut found.scales, least) || is_replaced {
            found = round(&values, channels, found.scales, self.layer.weights).map_err(at)?;
        }
        let rounded = self
            .rounder
            .round(&self.real(&values, dims, channels, &found.scales))?;
        Ok(Quantized {
            integers: rounded.unwrap_or(found.values),
            scales: found.scales,
            axis,
        })
    }

    /// The weights as a rounder sees them.
    fn real<'w>(
        &self,
        values: &'w [f32],
        shape: &'w [usize],
        axis: ChannelAxis,
        scales: &'w [f32],
    ) -> RealWeights<'w> {
        RealWeights {
            output: self.output,
            operand: self.operand,
            values,
            shape,
            axis,
            scales,
            integers: self.integers(),
        }
    }

    /// The integers that a weight may become.
    fn integers(&self) -> IntegerRange {
        let integers = self.layer.weights.integers();
        integers.unwrap_or(IntegerRange::INT8_NARROW)
    }

    fn at(&self, graph: &Graph, source: QuantError) -> PassError {
        match graph.main() {
            Some(subgraph) => at_tensor(subgraph, self.weights, source),
            None => GraphError::NoSubgraph.into(),
        }
    }

    /// Adds the tensor that an integer or hybrid kernel reads, and the node that unpacks it where there must be one.
    pub(crate) fn store(
        &self,
        graph: &mut Graph,
        quantized: Quantized,
        nodes: &mut Vec<Node>,
    ) -> Result<TensorId, PassError> {
        let real = edit::tensor(edit::main(graph)?, self.weights)?.clone();
        let Quantized {
            integers,
            scales,
            axis,
        } = quantized;
        let axis = i32::try_from(axis).unwrap_or_default();
        let tensor = Tensor {
            quantization: Some(Quantization::per_channel(scales, axis)),
            element_type: ElementType::Int8,
            buffer: Default::default(),
            ..real
        };
        match self.layer.weights {
            Weights::Int4 => {
                let packed = Packing::Int4.pack_to_vec(&integers);
                let packed = packed.map_err(|source| self.at(graph, source))?;
                let tensor = Tensor {
                    element_type: ElementType::Int4,
                    ..tensor
                };
                add_with_bytes(graph, tensor, packed)
            }
            Weights::Binary => add_encoded(graph, tensor, &integers, nodes),
            _ => add_with_bytes(graph, tensor, integers.iter().map(|&w| w as u8).collect()),
        }
    }
}

/// Adds a constant by its bytes.
pub(crate) fn add_with_bytes(
    graph: &mut Graph,
    tensor: Tensor,
    bytes: Vec<u8>,
) -> Result<TensorId, PassError> {
    let buffer = graph.add_buffer(bytes);
    Ok(edit::main_mut(graph)?.add_tensor(Tensor { buffer, ..tensor }))
}

/// Adds the real tensor behind a DEQUANTIZE of `from`, called as `name` says.
pub(crate) fn dequantize(
    graph: &mut Graph,
    from: TensorId,
    nodes: &mut Vec<Node>,
) -> Result<TensorId, PassError> {
    let subgraph = edit::main_mut(graph)?;
    let stored = edit::tensor(subgraph, from)?;
    let version = match (stored.element_type, &stored.quantization) {
        (ElementType::Int4, _) => 6,
        (_, Some(quantization)) if quantization.scale.len() > 1 => 5,
        (ElementType::Float16 | ElementType::Int16, _) => 3,
        _ => 2,
    };
    let real = Tensor {
        name: format!("{}/float32", stored.name),
        element_type: ElementType::Float32,
        quantization: None,
        buffer: Default::default(),
        is_variable: false,
        ..stored.clone()
    };
    let to = subgraph.add_tensor(real);
    nodes.push(Node {
        version,
        ..Node::new(Op::Dequantize(DequantizeOptions {}), &[from], &[to])
    });
    Ok(to)
}

/// Raises scales that are below the least of a channel of theirs; whether there was one.
fn widen(scales: &mut [f32], least: &[f32]) -> bool {
    let groups = scales.len().max(1);
    let mut widened = false;
    for (channel, &least) in least.iter().enumerate() {
        if let Some(scale) = scales.get_mut(channel % groups)
            && *scale < least
        {
            *scale = least;
            widened = true;
        }
    }
    widened
}

/// The weights rounded to the nearest with given scales.
fn round(
    values: &[f32],
    channels: ChannelAxis,
    scales: Vec<f32>,
    weights: Weights,
) -> Result<QuantizedWeights, QuantError> {
    match weights.integers() {
        Some(integers) if weights != Weights::Binary => {
            QuantizedWeights::with_scales(values, channels, scales, integers)
        }
        _ => Ok(QuantizedWeights {
            scales,
            ..binary::quantize(values, channels)?
        }),
    }
}

/// The code of custom operators.
const CUSTOM: i32 = 32;

/// Adds a tensor of -1 and 1 as one bit an element, behind TFLM's operator that decodes it by table.
///
/// The description is that of the operator: kind 0 (by table), version 1, code version 1, one bit a code, two values a channel,
/// then each channel's values. The most significant bit of a byte comes first.
fn add_encoded(
    graph: &mut Graph,
    decoded: Tensor,
    integers: &[i8],
    nodes: &mut Vec<Node>,
) -> Result<TensorId, PassError> {
    let channels = decoded.quantization.as_ref().map_or(1, |q| q.scale.len());
    let bit = |byte: u8, &integer: &i8| byte << 1 | u8::from(integer > 0);
    let byte = |run: &[i8]| run.iter().fold(0, bit) << (8 - run.len());
    let encoded: Vec<u8> = integers.chunks(8).map(byte).collect();
    let mut description = vec![0, 1, 0, 0, 1, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for _ in 0..channels {
        description.extend([-1i8 as u8, 1]);
    }
    let part = |name: &str, bytes: &[u8]| Tensor {
        name: format!("{}/{name}", decoded.name),
        shape: Shape::new(&[bytes.len()]).unwrap_or_default(),
        element_type: ElementType::UInt8,
        ..Tensor::default()
    };
    let (encoded_tensor, description_tensor) =
        (part("encoded", &encoded), part("description", &description));
    let encoded = add_with_bytes(graph, encoded_tensor, encoded)?;
    let description = add_with_bytes(graph, description_tensor, description)?;
    let output = edit::main_mut(graph)?.add_tensor(decoded);
    // Files hold it as a custom operator, which graphs keep as they find it.
    let decode = OpaqueOp {
        code: CUSTOM,
        custom_code: Some(OpKind::Decode.info().name.to_owned()),
        ..OpaqueOp::default()
    };
    nodes.push(Node {
        op: NodeOp::Opaque(Box::new(decode)),
        version: 1,
        inputs: vec![Some(encoded), Some(description)],
        outputs: vec![output],
        debug_metadata: -1,
        ..Node::default()
    });
    Ok(output)
}
