//! Where a quantised graph loses what its float graph knows, and what helps.

use core::fmt;
use std::borrow::Cow;

use larun_graph::{Graph, NodeId, Tensor};
use larun_quant::measure::ErrorMeter;

use crate::lockstep::{Frontier, decode, extremes};
use crate::reconstruct::Reference;
use crate::{PassError, edit};

/// Below this signal to noise, in decibels, a layer's values are no use.
const COLLAPSED_DB: f64 = 10.0;
/// Above this signal to noise, in decibels, a layer needs no advice, whatever its range is like.
const POOR_DB: f64 = 20.0;
/// A channel this many times larger than the middle one is an outlier.
const OUTLIER: f32 = 8.0;
/// A range this many times the root mean square leaves most integers unused.
const WIDE: f64 = 16.0;
/// A larger part of the values than this at the end of the range was cut off.
const CUT_OFF: f64 = 0.01;

/// What is found of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// The values that both graphs compute under the same name, in the order in which they are computed.
    pub layers: Vec<LayerDiagnosis>,
    /// Which of them is the first to collapse: its signal to noise is below 10 dB.
    pub collapse: Option<usize>,
}

/// What is found of one value.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerDiagnosis {
    /// The tensor's name.
    pub name: String,
    /// The operator that computes it.
    pub op: String,
    /// Signal to quantisation noise over the samples, in decibels; infinite where nothing differs.
    pub sqnr_db: f64,
    /// What is wrong with it, if its signal to noise is below 20 dB, or that of all its channels but a much larger one, and
    /// its values show why.
    pub advice: Option<Advice>,
}

/// What is wrong with the range of a value, and what helps.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Advice {
    /// One channel is much larger than the others, which share its scale.
    OutlierChannel {
        /// Which, along the innermost axis.
        channel: usize,
        /// How many times larger than the middle one.
        times: f32,
    },
    /// A few values are far beyond all others.
    RangeTooWide {
        /// The range as a multiple of the root mean square.
        times: f64,
    },
    /// Many values are beyond the range.
    RangeTooNarrow {
        /// The part of the values that are cut off.
        part: f64,
    },
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutlierChannel { channel, times } => write!(
                f,
                "channel {channel} is {times:.0} times larger than most: equalise channels (--optimize), or leave more bits to this layer"
            ),
            Self::RangeTooWide { times } => write!(
                f,
                "the range is {times:.0} times the typical value: let the observer cut off (--observer mse or percentile)"
            ),
            Self::RangeTooNarrow { part } => write!(
                f,
                "{:.1} % of the values are beyond the range: calibrate with more samples like the real inputs, or with min-max",
                100.0 * part
            ),
        }
    }
}

/// Runs both graphs over samples, each one slice of values an input, and compares them value by value.
///
/// Values correspond by the names of their tensors. Memory grows with the number of samples: some tens are enough.
///
/// # Errors
/// When a sample does not fit the graphs, or a node cannot be run alone.
pub fn diagnose(
    float: &Graph,
    quantized: &Graph,
    samples: &[Vec<&[f32]>],
) -> Result<Diagnosis, PassError> {
    let mut reference = Reference::new(float, samples)?;
    let mut frontier = Frontier::new(quantized, samples)?;
    let subgraph = edit::main(quantized)?;
    let mut layers = Vec::new();
    for (index, node) in subgraph.nodes.iter().enumerate() {
        let id = NodeId::new(index);
        let (outputs, results) = frontier.compute(quantized, id)?;
        for (output, bytes) in outputs.into_iter().zip(results) {
            let tensor = edit::tensor(subgraph, output)?;
            let found: Option<Vec<_>> = bytes.iter().map(|bytes| decode(tensor, bytes)).collect();
            let expected = reference.at(&tensor.name)?;
            let expected = expected.map(|values| values.into_iter().map(Cow::into_owned).collect());
            if let (Some(found), Some::<Vec<_>>(expected)) = (found, expected) {
                let sqnr_db = sqnr_db(&expected, &found);
                layers.push(LayerDiagnosis {
                    name: tensor.name.clone(),
                    op: node.op_name(),
                    sqnr_db,
                    advice: match sqnr_db < POOR_DB {
                        true => advice(tensor, &expected),
                        false => outlier(tensor, &expected, &found),
                    },
                });
            }
        }
        frontier.advance(quantized, id)?;
    }
    let collapse = layers.iter().position(|layer| layer.sqnr_db < COLLAPSED_DB);
    Ok(Diagnosis { layers, collapse })
}

fn sqnr_db(expected: &[Vec<f32>], found: &[Vec<f32>]) -> f64 {
    let mut meter = ErrorMeter::new();
    for (expected, found) in expected.iter().zip(found) {
        if meter.add(expected, found).is_err() {
            return f64::NEG_INFINITY;
        }
    }
    meter
        .measures()
        .map_or(f64::INFINITY, |measures| measures.sqnr_db)
}

/// What the real values of a tensor and its range say.
fn advice(tensor: &Tensor, values: &[Vec<f32>]) -> Option<Advice> {
    let (least, most) = extremes(tensor)?;
    let all = || values.iter().flatten().copied();
    let count = all().count().max(1) as f64;
    // Half a step beyond the ends still rounds to them.
    let margin = (most - least) / 510.0;
    let beyond = all()
        .filter(|&x| x < least - margin || x > most + margin)
        .count() as f64;
    if beyond / count > CUT_OFF {
        let part = beyond / count;
        return Some(Advice::RangeTooNarrow { part });
    }
    if let Some((channel, times)) = largest_channel(tensor, values) {
        return Some(Advice::OutlierChannel { channel, times });
    }
    let square: f64 = all().map(|x| f64::from(x) * f64::from(x)).sum::<f64>() / count;
    let range = f64::from(most.max(-least));
    (square > 0.0 && range > WIDE * square.sqrt()).then(|| Advice::RangeTooWide {
        times: range / square.sqrt(),
    })
}

/// The channel that is much larger than the middle one, and how many times.
fn largest_channel(tensor: &Tensor, values: &[Vec<f32>]) -> Option<(usize, f32)> {
    let channels = tensor.shape.last().max(1);
    let mut magnitudes = vec![0.0f32; channels];
    for row in values.iter().flat_map(|sample| sample.chunks(channels)) {
        for (magnitude, value) in magnitudes.iter_mut().zip(row) {
            *magnitude = magnitude.max(value.abs());
        }
    }
    let mut sorted = magnitudes.clone();
    sorted.sort_by(f32::total_cmp);
    let middle = sorted.get(channels / 2).copied().unwrap_or(0.0);
    let largest = magnitudes.iter().enumerate();
    let (channel, &magnitude) = largest.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let is_outlier = channels > 2 && middle > 0.0 && magnitude > OUTLIER * middle;
    is_outlier.then(|| (channel, magnitude / middle))
}

/// A channel so large that it hides how little is left of the others: without it the signal to noise is poor.
fn outlier(tensor: &Tensor, expected: &[Vec<f32>], found: &[Vec<f32>]) -> Option<Advice> {
    extremes(tensor)?;
    let (channel, times) = largest_channel(tensor, expected)?;
    let channels = tensor.shape.last().max(1);
    let others = |values: &[Vec<f32>]| -> Vec<Vec<f32>> {
        let others = |values: &Vec<f32>| {
            let values = values.iter().enumerate();
            let values = values.filter(|(at, _)| at % channels != channel);
            values.map(|(_, &value)| value).collect()
        };
        values.iter().map(others).collect()
    };
    let hidden = sqnr_db(&others(expected), &others(found)) < POOR_DB;
    hidden.then_some(Advice::OutlierChannel { channel, times })
}
