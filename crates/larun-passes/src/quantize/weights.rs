//! Weights made integers: scales, rounding, and how the integers are stored.

use larun_graph::ops::{DequantizeOptions, ElementType, NoOptions, Op, Shape};
use larun_graph::{Graph, Node, Quantization, Tensor, TensorId};
use larun_quant::weights::{QuantizedWeights, quantize_per_channel};
use larun_quant::{Affine, ChannelAxis, IntegerRange, QuantError};

use super::at_tensor;
use super::rounder::{RealWeights, WeightRounder};
use super::scheme::{Algorithm, Granularity, LayerScheme, Weights};
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
    /// Quantises the weights. `least` names the smallest scale that a channel may have.
    pub(crate) fn quantize(
        &self,
        graph: &Graph,
        least: impl Fn(usize) -> f32,
    ) -> Result<Quantized, PassError> {
        let subgraph = edit::main(graph)?;
        let shape = edit::tensor(subgraph, self.weights)?.shape;
        let values = graph.values::<f32>(self.weights)?;
        let at = |source| at_tensor(subgraph, self.weights, source);
        let (axis, channels) = match self.layer.granularity {
            Some(Granularity::PerTensor) => (0, ChannelAxis::new(&[1, values.len()], 0)),
            _ => {
                let axis = usize::from(self.channel_axis);
                (axis, ChannelAxis::new(shape.dims(), axis))
            }
        };
        let channels = channels.map_err(at)?;
        let integers = self
            .layer
            .weights
            .integers()
            .unwrap_or(IntegerRange::INT8_NARROW);
        let mut found = match self.layer.weights {
            Weights::Binary => binary(&values, channels),
            _ => symmetric(&values, channels, integers, self.layer.algorithm),
        }
        .map_err(at)?;
        if widen(
            &mut found.scales,
            values.len() / channels.inner().max(1),
            least,
        ) {
            found.values =
                round(&values, channels, &found.scales, self.layer.weights).map_err(at)?;
        }
        let rounded = self.rounder.round(&RealWeights {
            output: self.output,
            operand: self.operand,
            values: &values,
            shape: shape.dims(),
            axis: channels,
            scales: &found.scales,
            integers,
        })?;
        Ok(Quantized {
            integers: rounded.unwrap_or(found.values),
            scales: found.scales,
            axis,
        })
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
                let packed = pack_nibbles(&integers);
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

/// Symmetric integers and their scales.
fn symmetric(
    values: &[f32],
    channels: ChannelAxis,
    integers: IntegerRange,
    algorithm: Algorithm,
) -> Result<QuantizedWeights, QuantError> {
    let mut quantized = QuantizedWeights::per_channel(values, channels)?;
    if integers == IntegerRange::INT8_NARROW && algorithm == Algorithm::MinMax {
        return Ok(quantized);
    }
    for (channel, scale) in quantized.scales.iter_mut().enumerate() {
        let widest = *scale * IntegerRange::INT8_NARROW.max as f32;
        let by_range = Affine::symmetric(-widest, widest, integers)?.scale;
        *scale = match algorithm {
            Algorithm::MinMax => by_range,
            Algorithm::MeanSquaredError => {
                let of_channel = channel_values(values, channels, channel);
                least_squared_error(&of_channel, by_range, integers)
            }
        };
    }
    quantized.values = round_to(values, channels, &quantized.scales, integers)?;
    Ok(quantized)
}

/// The values of one channel.
fn channel_values(values: &[f32], channels: ChannelAxis, channel: usize) -> Vec<f32> {
    let runs = values.chunks(channels.inner().max(1));
    let own = runs
        .enumerate()
        .filter(|(run, _)| run % channels.channels().max(1) == channel);
    own.flat_map(|(_, run)| run.iter().copied()).collect()
}

/// The scale, at most `widest`, at which rounding and clipping together do least harm.
fn least_squared_error(values: &[f32], widest: f32, integers: IntegerRange) -> f32 {
    let error = |scale: f32| {
        let affine = Affine::new(scale, 0);
        let terms = values.iter().map(|&value| {
            let rounded = affine.dequantize(affine.quantize(value, integers));
            f64::from(value - rounded).powi(2)
        });
        terms.sum::<f64>()
    };
    // Finer steps do not lower the error by more than a hundredth.
    let candidates = (30..=100).map(|percent| widest * percent as f32 / 100.0);
    let candidates = candidates.filter(|scale| scale.is_normal());
    candidates
        .map(|scale| (error(scale), scale))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(widest, |(_, scale)| scale)
}

/// A sign a weight, and the mean magnitude of its channel: the binary weights with the least squared error (Rastegari et al. 2016,
/// equation 6).
fn binary(values: &[f32], channels: ChannelAxis) -> Result<QuantizedWeights, QuantError> {
    // Finds what is not finite.
    let mut quantized = QuantizedWeights::per_channel(values, channels)?;
    for (channel, scale) in quantized.scales.iter_mut().enumerate() {
        let of_channel = channel_values(values, channels, channel);
        let sum: f64 = of_channel.iter().map(|value| f64::from(value.abs())).sum();
        let mean = sum / of_channel.len().max(1) as f64;
        *scale = (mean as f32).max(f32::MIN_POSITIVE);
    }
    quantized.values = signs(values);
    Ok(quantized)
}

fn signs(values: &[f32]) -> Vec<i8> {
    values
        .iter()
        .map(|&w| if w < 0.0 { -1 } else { 1 })
        .collect()
}

/// Raises scales that are below their channel's least; whether there was one.
fn widen(scales: &mut [f32], biases: usize, least: impl Fn(usize) -> f32) -> bool {
    let channels = scales.len().max(1);
    let mut widened = false;
    for index in 0..biases.max(channels) {
        let least = least(index);
        if let Some(scale) = scales.get_mut(index % channels)
            && *scale < least
        {
            *scale = least;
            widened = true;
        }
    }
    widened
}

fn round(
    values: &[f32],
    channels: ChannelAxis,
    scales: &[f32],
    weights: Weights,
) -> Result<Vec<i8>, QuantError> {
    match weights.integers() {
        _ if weights == Weights::Binary => Ok(signs(values)),
        None | Some(IntegerRange::INT8_NARROW) => {
            let mut integers = vec![0; values.len()];
            quantize_per_channel(values, channels, scales, &mut integers)?;
            Ok(integers)
        }
        Some(integers) => round_to(values, channels, scales, integers),
    }
}

fn round_to(
    values: &[f32],
    channels: ChannelAxis,
    scales: &[f32],
    integers: IntegerRange,
) -> Result<Vec<i8>, QuantError> {
    let mut rounded = Vec::with_capacity(values.len());
    for (run, values) in values.chunks(channels.inner().max(1)).enumerate() {
        let scale = scales.get(run % channels.channels().max(1)).copied();
        let affine = Affine::new(scale.unwrap_or(1.0), 0);
        rounded.extend(
            values
                .iter()
                .map(|&value| affine.quantize(value, integers) as i8),
        );
    }
    Ok(rounded)
}

/// INT4 as TFLite stores it: two in a byte, the first in the low half.
fn pack_nibbles(integers: &[i8]) -> Vec<u8> {
    let pair = |pair: &[i8]| {
        let [low, high] = [0, 1].map(|i| pair.get(i).copied().unwrap_or(0) as u8 & 15);
        low | high << 4
    };
    integers.chunks(2).map(pair).collect()
}

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
    let decode = Op::Decode(NoOptions {});
    nodes.push(Node::new(decode, &[encoded, description], &[output]));
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nibbles() {
        assert_eq!(pack_nibbles(&[1, -1, 7, -7, 5]), [0xF1, 0x97, 0x05]);
    }

    #[test]
    fn the_best_scale_clips_an_outlier() {
        let mut values: Vec<f32> = (0..1000).map(|i| (i % 15) as f32 - 7.0).collect();
        values.push(20.0);
        let widest = 20.0 / 7.0;
        let found = least_squared_error(&values, widest, IntegerRange::INT4_NARROW);
        assert!((0.9..1.4).contains(&found), "{found}");
    }
}
