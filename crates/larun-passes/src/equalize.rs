//! Cross-layer equalisation: channels scaled so that neighbouring layers lose less when they are quantised.

use larun_graph::ops::OpKind;
use larun_graph::{Graph, NodeId, TensorId};

use crate::channel_statistics::{ChannelStatistic, ChannelStatistics};
use crate::channels::{Family, bias_operand, families};
use crate::cleanup::remove_unused;
use crate::{PassError, edit};

/// A channel is scaled by at most this much.
const MOST: f32 = 64.0;
/// How often all pairs of layers are gone through; the scales settle earlier.
const SWEEPS: usize = 20;
/// Scales within this of 1 count as settled.
const SETTLED: f32 = 1e-3;

/// Scales channels so that the weights that compute them and those that read them have the same range.
///
/// For weights with one scale a tensor. With `r1` the range of the weights (and of nothing else) that compute channel
/// `i` and `r2` of those that read it, the channel is divided by `s = sqrt(r1 r2) / r2`: both ranges become
/// `sqrt(r1 r2)`, which makes the smallest relative precision of any channel largest (Nagel et al., *Data-Free
/// Quantization Through Weight Equalization and Bias Correction*, ICCV 2019, section 4.1). Scales run through RELU,
/// LEAKY_RELU, pools, paddings with zeros, sums of residual paths and changes of shape; channels that a RELU6 cuts off
/// are left as they are. The graph computes the same but for roundings.
///
/// # Errors
/// When the graph is not valid.
pub fn equalize_weights(mut graph: Graph) -> Result<Graph, PassError> {
    graph.validate()?;
    for _ in 0..SWEEPS {
        let mut largest = 1.0f32;
        for family in families(&graph)? {
            if family.ceiling.is_some() {
                continue;
            }
            let computing = output_ranges(&graph, &family)?;
            let reading = input_ranges(&graph, &family)?;
            let scale = |(&r1, &r2): (&f32, &f32)| match r1 > 0.0 && r2 > 0.0 {
                true => ((r1 / r2).sqrt()).clamp(1.0 / MOST, MOST),
                false => 1.0,
            };
            let scales: Vec<f32> = computing.iter().zip(&reading).map(scale).collect();
            let moved = scales.iter().map(|s| s.max(1.0 / s));
            largest = moved.fold(largest, f32::max);
            apply(&mut graph, &family, &scales)?;
        }
        if largest < 1.0 + SETTLED {
            break;
        }
    }
    remove_unused(&mut graph);
    graph.validate()?;
    Ok(graph)
}

/// Scales channels so that each fills more of its tensor's range, as far as the weights that read them bear it.
///
/// For weights with one scale an output channel, whose range then does not matter, activations with one scale a tensor
/// are what loses most: a channel of small values has few of the 256 steps. A channel is divided by
/// `s_i = (a_i / a)^alpha`, where `a_i` is its largest magnitude and `a` that of all, which for `alpha = 1` makes all
/// ranges equal and moves the differences into the weights that read them (Xiao et al., *SmoothQuant*, ICML 2023,
/// equation 4, here through any [family](crate::ChannelStatistics) of tensors). Of several `alpha` the one of least
/// predicted noise is taken:
///
/// `step(s)^2 sum_i s_i^2 |W_i|^2 + sum_o step_o(s)^2 sum_i E[x_i^2] / s_i^2`,
///
/// the activations' rounding as the next layer's weights pass it on, and the rounding of these weights as the activations
/// pass it on; a twelfth of each. To this comes what is expected to be cut off: a channel that fills the range will be
/// beyond it on unseen data, the more often the fewer values were seen. Channels below a RELU6 are raised no further than leaves a tenth of room above what was
/// seen. Statistics are those of this graph, channel by channel.
///
/// # Errors
/// When the graph is not valid.
pub fn equalize_channels(
    mut graph: Graph,
    statistics: &ChannelStatistics,
) -> Result<Graph, PassError> {
    graph.validate()?;
    for family in families(&graph)? {
        let Some(channels) = Channels::of(&graph, &family, statistics)? else {
            continue;
        };
        if let Some(scales) = channels.best() {
            apply(&mut graph, &family, &scales)?;
        }
    }
    remove_unused(&mut graph);
    graph.validate()?;
    Ok(graph)
}

/// What room a channel that RELU6 would cut off keeps above the largest value seen.
const ROOM: f32 = 1.1;

/// What is known of a family's channels.
struct Channels {
    /// The largest magnitude of each.
    magnitudes: Vec<f32>,
    /// How many values each is known by.
    evidence: f64,
    /// The mean square of each, of the tensor that has the largest.
    squares: Vec<f64>,
    /// For each layer that reads them and each of its output channels, the largest weight of each channel.
    largest: Vec<Vec<f32>>,
    /// The sum of squares of the weights that read each.
    energy: Vec<f64>,
    ceiling: Option<f32>,
}

impl Channels {
    fn of(
        graph: &Graph,
        family: &Family,
        statistics: &ChannelStatistics,
    ) -> Result<Option<Self>, PassError> {
        let count = family.channels;
        let mut magnitudes = vec![0.0f32; count];
        let mut squares = vec![0.0f64; count];
        let mut evidence = f64::INFINITY;
        for &tensor in &family.tensors {
            let seen = statistics.channels(tensor);
            for (index, seen) in seen.iter().enumerate() {
                let channel = index % count;
                raise(&mut magnitudes, channel, ChannelStatistic::magnitude(seen));
                raise(&mut squares, channel, seen.mean_square);
                // Values of one sample are no independent evidence; their square root is a guess between one and all.
                evidence = evidence.min((seen.count as f64 * statistics.samples() as f64).sqrt());
            }
        }
        if magnitudes.iter().all(|&magnitude| magnitude == 0.0) {
            return Ok(None);
        }
        let mut largest = Vec::new();
        let mut energy = vec![0.0f64; count];
        for &consumer in &family.consumers {
            let weights = Weights::read_by(graph, consumer, count)?;
            let mut rows: Vec<Vec<f32>> = vec![vec![0.0; count]; weights.rows()];
            for (row, channel, weight) in weights.iter() {
                if let Some(row) = rows.get_mut(row) {
                    raise(row, channel, weight.abs());
                }
                if let Some(energy) = energy.get_mut(channel) {
                    *energy += f64::from(weight) * f64::from(weight);
                }
            }
            // A filter of one channel keeps its relative precision whatever the scale.
            if !weights.depthwise {
                largest.extend(rows);
            }
        }
        Ok(Some(Self {
            magnitudes,
            evidence: evidence.max(2.0),
            squares,
            largest,
            energy,
            ceiling: family.ceiling,
        }))
    }

    /// The scales of least predicted noise, `None` to leave the channels as they are.
    fn best(&self) -> Option<Vec<f32>> {
        let alphas = (1..=10).map(|tenths| tenths as f32 / 10.0);
        let candidates = alphas.map(|alpha| self.scales(alpha));
        let plain = self.noise(&vec![1.0; self.magnitudes.len()]);
        let scored = candidates.map(|scales| (self.noise(&scales), scales));
        let (noise, best) = scored.min_by(|(a, _), (b, _)| a.total_cmp(b))?;
        (noise < plain).then_some(best)
    }

    fn scales(&self, alpha: f32) -> Vec<f32> {
        let top = self.magnitudes.iter().fold(0.0f32, |top, &m| top.max(m));
        let scale = |&magnitude: &f32| match self.ceiling {
            _ if magnitude == 0.0 => 1.0,
            Some(ceiling) => (ROOM * magnitude / ceiling).min(1.0).powf(alpha),
            None => (magnitude / top).powf(alpha),
        };
        let clamped = |magnitude| scale(magnitude).clamp(1.0 / MOST, MOST);
        self.magnitudes.iter().map(clamped).collect()
    }

    /// The predicted noise of the layers that read the channels, in twelfths.
    fn noise(&self, scales: &[f32]) -> f64 {
        let ranges = self.magnitudes.iter().zip(scales).map(|(m, s)| m / s);
        let step = f64::from(ranges.fold(0.0, f32::max)) / 255.0;
        let energy = self.energy.iter().zip(scales);
        let of_values: f64 = energy.map(|(e, &s)| e * f64::from(s) * f64::from(s)).sum();
        let squares = self.squares.iter().zip(scales);
        let signal: f64 = squares
            .map(|(x, &s)| x / (f64::from(s) * f64::from(s)))
            .sum();
        let row_step = |row: &Vec<f32>| {
            let range = row.iter().zip(scales).map(|(w, s)| w * s);
            f64::from(range.fold(0.0, f32::max)) / 127.0
        };
        let of_weights: f64 = self.largest.iter().map(|row| row_step(row).powi(2)).sum();
        step * step * of_values + of_weights * signal + 12.0 * self.cut_off(scales, step * 255.0)
    }

    /// What is expected beyond the range on unseen data, weighed by the layers that read it.
    ///
    /// Beyond the largest `a` of `n` values a tail that falls by `e` every `b = a / (2 ln n)`, as a normal
    /// distribution's does there, has a mean square of `2 b^2 / n exp(-(limit - a) / b)` over a limit.
    fn cut_off(&self, scales: &[f32], range: f64) -> f64 {
        let channels = self.magnitudes.iter().zip(scales).zip(&self.energy);
        let expected = |((&magnitude, &scale), energy): ((&f32, &f32), &f64)| {
            let decay = f64::from(magnitude) / (2.0 * self.evidence.ln());
            let room = range * f64::from(scale) - f64::from(magnitude);
            match decay > 0.0 {
                true => energy * 2.0 * decay * decay / self.evidence * (-room / decay).exp(),
                false => 0.0,
            }
        };
        channels.map(expected).sum()
    }
}

fn raise<T: PartialOrd>(slots: &mut [T], index: usize, value: T) {
    if let Some(slot) = slots.get_mut(index)
        && value > *slot
    {
        *slot = value;
    }
}

/// The weights of a layer, with the output and input channel of each.
struct Weights {
    tensor: TensorId,
    values: Vec<f32>,
    /// Elements of one output channel, for all but depthwise filters.
    row: usize,
    /// The innermost dimension.
    last: usize,
    channels: usize,
    depthwise: bool,
}

impl Weights {
    /// The weights of a layer that reads `channels` channels.
    fn read_by(graph: &Graph, id: NodeId, channels: usize) -> Result<Self, PassError> {
        let subgraph = edit::main(graph)?;
        let node = edit::node(subgraph, id)?;
        let tensor = node
            .input(1)
            .ok_or_else(|| PassError::missing_operand(subgraph, id, "weights"))?;
        let shape = edit::tensor(subgraph, tensor)?.shape;
        let values = graph.values::<f32>(tensor)?;
        let outputs = shape.dims().first().copied().unwrap_or(1).max(1);
        Ok(Self {
            tensor,
            row: (values.len() / outputs).max(1),
            values,
            last: shape.last().max(1),
            channels: channels.max(1),
            depthwise: node.kind() == Some(OpKind::DepthwiseConv2D),
        })
    }

    fn rows(&self) -> usize {
        match self.depthwise {
            true => self.last,
            false => self.values.len() / self.row,
        }
    }

    /// The input channel of element `index`.
    fn channel(&self, index: usize) -> usize {
        let inner = index % self.last;
        match self.depthwise {
            // Neighbouring filters may read the same channel.
            true => inner / (self.last / self.channels).max(1),
            false => inner % self.channels,
        }
    }

    fn output(&self, index: usize) -> usize {
        match self.depthwise {
            true => index % self.last,
            false => index / self.row,
        }
    }

    /// Output channel, input channel and value of every weight.
    fn iter(&self) -> impl Iterator<Item = (usize, usize, f32)> {
        let all = self.values.iter().enumerate();
        all.map(|(index, &value)| (self.output(index), self.channel(index), value))
    }
}

/// The largest weight that computes each channel.
fn output_ranges(graph: &Graph, family: &Family) -> Result<Vec<f32>, PassError> {
    let mut ranges = vec![0.0; family.channels];
    for &producer in &family.producers {
        let weights = Weights::read_by(graph, producer, 1)?;
        let all = weights.iter();
        all.for_each(|(output, _, weight)| raise(&mut ranges, output, weight.abs()));
    }
    Ok(ranges)
}

/// The largest weight that reads each channel.
fn input_ranges(graph: &Graph, family: &Family) -> Result<Vec<f32>, PassError> {
    let mut ranges = vec![0.0; family.channels];
    for &consumer in &family.consumers {
        let weights = Weights::read_by(graph, consumer, family.channels)?;
        let all = weights.iter();
        all.for_each(|(_, channel, weight)| raise(&mut ranges, channel, weight.abs()));
    }
    Ok(ranges)
}

/// Divides the channels of a family by scales where they are computed, and multiplies where they are read.
fn apply(graph: &mut Graph, family: &Family, scales: &[f32]) -> Result<(), PassError> {
    let scale = |channel: usize| scales.get(channel).copied().unwrap_or(1.0);
    for &producer in &family.producers {
        let weights = Weights::read_by(graph, producer, 1)?;
        let scaled: Vec<f32> = weights
            .iter()
            .map(|(output, _, w)| w / scale(output))
            .collect();
        replace(graph, producer, 1, weights.tensor, &scaled)?;
        let node = edit::node(edit::main(graph)?, producer)?;
        if let Some((operand, bias)) = bias_operand(node).and_then(|at| Some((at, node.input(at)?)))
        {
            let values = graph.values::<f32>(bias)?.into_iter().enumerate();
            let scaled: Vec<f32> = values.map(|(channel, b)| b / scale(channel)).collect();
            replace(graph, producer, operand, bias, &scaled)?;
        }
    }
    for &consumer in &family.consumers {
        let weights = Weights::read_by(graph, consumer, family.channels)?;
        let scaled: Vec<f32> = weights
            .iter()
            .map(|(_, channel, w)| w * scale(channel))
            .collect();
        replace(graph, consumer, 1, weights.tensor, &scaled)?;
    }
    Ok(())
}

/// Gives an operand of a node other values, in a constant of its own: several nodes may share the old one.
fn replace(
    graph: &mut Graph,
    node: NodeId,
    operand: usize,
    old: TensorId,
    values: &[f32],
) -> Result<(), PassError> {
    let new = edit::add_copy(graph, old, values)?;
    let node = edit::node_mut(edit::main_mut(graph)?, node)?;
    if let Some(slot) = node.inputs.get_mut(operand) {
        *slot = Some(new);
    }
    Ok(())
}
