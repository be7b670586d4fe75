//! What the channels of every value are like over samples.

use larun_graph::{Graph, TensorId};
use larun_quant::QuantError;

use crate::PassError;
use crate::float_run::{Accumulate, FloatRun};

/// One channel of a tensor: the innermost index, as in `[N, H, W, C]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelStatistic {
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// Mean.
    pub mean: f64,
    /// Mean of squares.
    pub mean_square: f64,
    /// How many values were seen.
    pub count: u64,
}

impl ChannelStatistic {
    /// The largest magnitude.
    pub fn magnitude(&self) -> f32 {
        self.max.abs().max(self.min.abs())
    }
}

/// The channels of every FLOAT32 value of a graph, by tensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelStatistics {
    tensors: Vec<Vec<ChannelStatistic>>,
    samples: usize,
}

impl ChannelStatistics {
    /// Runs samples, each one slice of values per input of the model, in parallel; memory does not grow with their number.
    ///
    /// # Errors
    /// When the model cannot be run, a sample does not fit its inputs, or there is none.
    pub fn of<'s>(
        graph: &Graph,
        samples: impl IntoIterator<Item = Vec<&'s [f32]>>,
    ) -> Result<Self, PassError> {
        let mut run = FloatRun::new(graph)?;
        let tensors = graph.main().map_or(&[][..], |subgraph| &subgraph.tensors);
        let channels = |tensor: &larun_graph::Tensor| vec![Sums::default(); tensor.shape.last()];
        let empty = AllSums(tensors.iter().map(channels).collect());
        let mut sums = empty.clone();
        run.run(samples, &empty, &mut sums, |_| ())?;
        if run.samples() == 0 {
            return Err(PassError::NoSamples);
        }
        let statistic = |sums: &Vec<Sums>| sums.iter().filter_map(Sums::statistic).collect();
        Ok(Self {
            tensors: sums.0.iter().map(statistic).collect(),
            samples: run.samples(),
        })
    }

    /// The channels of a tensor; empty for a constant and for a tensor that was not seen.
    pub fn channels(&self, tensor: TensorId) -> &[ChannelStatistic] {
        self.tensors.get(tensor.index()).map_or(&[], Vec::as_slice)
    }

    /// How many samples were seen.
    pub fn samples(&self) -> usize {
        self.samples
    }
}

#[derive(Clone, Copy, Debug)]
struct Sums {
    min: f32,
    max: f32,
    count: u64,
    sum: f64,
    squares: f64,
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            count: 0,
            sum: 0.0,
            squares: 0.0,
        }
    }
}

impl Sums {
    fn note(&mut self, value: f32) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.count += 1;
        self.sum += f64::from(value);
        self.squares += f64::from(value) * f64::from(value);
    }

    fn statistic(&self) -> Option<ChannelStatistic> {
        let count = self.count as f64;
        (self.count > 0).then(|| ChannelStatistic {
            min: self.min,
            max: self.max,
            mean: self.sum / count,
            mean_square: self.squares / count,
            count: self.count,
        })
    }
}

#[derive(Clone, Debug)]
struct AllSums(Vec<Vec<Sums>>);

impl Accumulate for AllSums {
    fn note(&mut self, tensor: usize, values: &[f32]) -> Result<(), QuantError> {
        if let Some(channels) = self.0.get_mut(tensor) {
            for row in values.chunks(channels.len().max(1)) {
                let pairs = channels.iter_mut().zip(row);
                pairs.for_each(|(channel, &value)| channel.note(value));
            }
        }
        Ok(())
    }

    fn merge(&mut self, later: Self) {
        let all = self.0.iter_mut().flatten().zip(later.0.iter().flatten());
        for (sums, later) in all {
            sums.min = sums.min.min(later.min);
            sums.max = sums.max.max(later.max);
            sums.count += later.count;
            sums.sum += later.sum;
            sums.squares += later.squares;
        }
    }
}
