//! Bias correction: the mean error that rounding leaves in each channel, taken back by its bias.

use larun_graph::ops::{Activation, ElementType, Op};
use larun_graph::{Graph, NodeId, Tensor, TensorId};
use rayon::prelude::*;

use crate::channels::bias_operand;
use crate::lockstep::{decode, extremes};
use crate::{PassError, edit};

/// A node with integer weights and a bias.
pub(crate) struct BiasedLayer {
    pub(crate) output: TensorId,
    bias: TensorId,
    activation: Activation,
    /// The real value of one step of each channel's bias.
    scales: Vec<f32>,
}

impl BiasedLayer {
    pub(crate) fn of(graph: &Graph, id: NodeId) -> Result<Option<Self>, PassError> {
        let subgraph = edit::main(graph)?;
        let node = edit::node(subgraph, id)?;
        let bias = bias_operand(node).and_then(|operand| node.input(operand));
        let Some((bias, &output)) = bias.zip(node.outputs.first()) else {
            return Ok(None);
        };
        let tensor = edit::tensor(subgraph, bias)?;
        let integer = matches!(tensor.element_type, ElementType::Int32 | ElementType::Int64);
        let scales = tensor.quantization.as_ref().map(|q| q.scale.clone());
        let usable = |scales: &Vec<f32>| integer && !scales.is_empty() && graph.is_constant(tensor);
        let activation = node.known().and_then(Op::activation).unwrap_or_default();
        Ok(scales.filter(usable).map(|scales| Self {
            output,
            bias,
            activation,
            scales,
        }))
    }

    /// Adds to the bias the mean of `expected`, the real outputs, less `found`, the layer's own; a piece for each sample.
    pub(crate) fn correct(
        &self,
        graph: &mut Graph,
        expected: &[impl AsRef<[f32]> + Sync],
        found: &[Vec<u8>],
    ) -> Result<(), PassError> {
        let subgraph = edit::main(graph)?;
        let output = edit::tensor(subgraph, self.output)?;
        let errors = mean_errors(output, self.activation, expected, found);
        let steps = errors.iter().zip(self.scales.iter().cycle());
        let steps = steps.map(|(error, &scale)| (error / f64::from(scale)).round());
        if edit::tensor(subgraph, self.bias)?.element_type == ElementType::Int64 {
            let old = graph.values::<i64>(self.bias)?.into_iter().zip(steps);
            let new: Vec<i64> = old
                .map(|(bias, step)| bias.saturating_add(step as i64))
                .collect();
            return Ok(graph.set_values(self.bias, &new)?);
        }
        let old = graph.values::<i32>(self.bias)?.into_iter().zip(steps);
        let new: Vec<i32> = old
            .map(|(bias, step)| bias.saturating_add(step as i32))
            .collect();
        Ok(graph.set_values(self.bias, &new)?)
    }
}

/// Mean of what is expected less what was found, channel by channel, over the values that nothing cut off: the bias
/// does not move the others.
fn mean_errors<T: AsRef<[f32]> + Sync>(
    tensor: &Tensor,
    activation: Activation,
    expected: &[T],
    found: &[Vec<u8>],
) -> Vec<f64> {
    let channels = tensor.shape.last().max(1);
    let ends = ends(tensor, activation);
    let of_sample = |(expected, bytes): (&T, &Vec<u8>)| {
        let found = decode(tensor, bytes).unwrap_or_default();
        sample_errors(channels, ends, expected.as_ref(), &found)
    };
    let samples: Vec<Vec<Errors>> = expected.par_iter().zip(found).map(of_sample).collect();
    let of_channel = |channel: usize| {
        let errors = samples.iter().filter_map(|sample| sample.get(channel));
        certain_mean(errors.copied())
    };
    (0..channels).map(of_channel).collect()
}

/// The errors of one channel in one sample.
#[derive(Clone, Copy, Default)]
struct Errors {
    sum: f64,
    count: f64,
}

fn sample_errors(
    channels: usize,
    (least, most): (f32, f32),
    expected: &[f32],
    found: &[f32],
) -> Vec<Errors> {
    let mut errors = vec![Errors::default(); channels];
    for (expected, found) in expected.chunks(channels).zip(found.chunks(channels)) {
        for ((&expected, &found), errors) in expected.iter().zip(found).zip(&mut errors) {
            // Without a branch, which values near a bound would mislead.
            let free = (found > least) & (found < most) & (expected > least) & (expected < most);
            let error = f64::from(expected) - f64::from(found);
            errors.sum += if free { error } else { 0.0 };
            errors.count += f64::from(u8::from(free));
        }
    }
    errors
}

/// The mean of errors, 0 where it is less than its own standard error and so may well be chance.
///
/// Values of one sample are not independent; the variance is that of the samples' sums about the mean.
fn certain_mean(samples: impl Iterator<Item = Errors> + Clone) -> f64 {
    let sum: f64 = samples.clone().map(|errors| errors.sum).sum();
    let count: f64 = samples.clone().map(|errors| errors.count).sum();
    let seen = samples.clone().filter(|errors| errors.count > 0.0).count() as f64;
    if seen < 2.0 {
        return 0.0;
    }
    let mean = sum / count;
    let spread = samples.map(|errors| (errors.sum - mean * errors.count).powi(2));
    let variance = spread.sum::<f64>() / (count * count) * seen / (seen - 1.0);
    match mean * mean > variance {
        true => mean,
        false => 0.0,
    }
}

/// The values at which a layer's outputs are cut off: by their type, or by the activation.
fn ends(tensor: &Tensor, activation: Activation) -> (f32, f32) {
    let (least, most) = extremes(tensor).unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
    match activation {
        Activation::Relu => (least.max(0.0), most),
        Activation::Relu6 => (least.max(0.0), most.min(6.0)),
        Activation::ReluN1To1 => (least.max(-1.0), most.min(1.0)),
        _ => (least, most),
    }
}
