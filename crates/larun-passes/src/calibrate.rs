//! Calibration: the ranges of all values, seen while the interpreter runs the float model.

use std::collections::HashMap;

use larun_graph::{Graph, TensorId};
use larun_quant::{AnyObserver, IntegerRange, MinMax, Observer, ObserverKind, QuantError};
use rayon::prelude::*;

use crate::PassError;
use crate::float_run::{Accumulate, FloatRun};
use crate::quantize::check_float;
use crate::states::{Probe, probes};

/// The range of every value of a graph, by tensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    ranges: Vec<Option<MinMax>>,
    samples: usize,
}

impl Calibration {
    /// Smallest and largest value of a tensor, `None` for one that was not seen.
    pub fn range(&self, tensor: TensorId) -> Option<(f32, f32)> {
        self.ranges.get(tensor.index())?.as_ref()?.bounds()
    }

    /// Sets the range of a tensor, whatever was seen.
    ///
    /// # Errors
    /// When a bound is not finite.
    pub fn set_range(&mut self, tensor: TensorId, min: f32, max: f32) -> Result<(), QuantError> {
        let range = MinMax::of(&[min, max])?;
        if tensor.index() >= self.ranges.len() {
            self.ranges.resize(tensor.index() + 1, None);
        }
        if let Some(slot) = self.ranges.get_mut(tensor.index()) {
            *slot = Some(range);
        }
        Ok(())
    }

    /// How many samples were seen.
    pub fn samples(&self) -> usize {
        self.samples
    }
}

/// Runs the float model over samples, several at a time, and notes ranges. Memory does not grow with the number of
/// samples, and the result does not depend on the number of threads.
pub struct Calibrator {
    run: FloatRun,
    empty: Ranges,
    ranges: Ranges,
}

impl Calibrator {
    /// A calibrator of a float graph.
    ///
    /// # Errors
    /// When the graph is quantised already, holds an operator that cannot be, or the interpreter cannot run it.
    pub fn new(graph: &Graph) -> Result<Self, PassError> {
        Self::with_observer(graph, ObserverKind::MinMax, IntegerRange::INT8)
    }

    /// A calibrator whose ranges are those of an observer, for activations that become `integers`. States that nodes keep
    /// have their extremes noted.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when a parameter of the observer is out of its domain.
    pub fn with_observer(
        graph: &Graph,
        kind: ObserverKind,
        integers: IntegerRange,
    ) -> Result<Self, PassError> {
        graph.validate()?;
        check_float(graph)?;
        let observer = kind.observer(integers).map_err(PassError::Observer)?;
        let empty = Ranges::of(graph, observer)?;
        Ok(Self {
            run: FloatRun::new(graph)?,
            ranges: empty.clone(),
            empty,
        })
    }

    /// Runs samples, each one slice of values per input of the model. Each begins with the model's state cleared,
    /// unless the model keeps one (SVDF, LSTM, resource variables): then all are one sequence, as for TensorFlow's calibrator.
    ///
    /// # Errors
    /// When a sample does not fit the model's inputs, or a value is not finite: the error names the tensor.
    pub fn observe<'s>(
        &mut self,
        samples: impl IntoIterator<Item = Vec<&'s [f32]>>,
    ) -> Result<(), PassError> {
        self.observe_with_progress(samples, |_| ())
    }

    /// As [`observe`](Self::observe); `progress` is told how many samples were run in all.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    pub fn observe_with_progress<'s>(
        &mut self,
        samples: impl IntoIterator<Item = Vec<&'s [f32]>>,
        progress: impl FnMut(usize),
    ) -> Result<(), PassError> {
        self.run
            .run(samples, &self.empty, &mut self.ranges, progress)
    }

    /// The ranges of what several calibrators of one graph have seen, as if one had seen the samples of each in turn.
    ///
    /// # Errors
    /// When no sample was observed.
    pub(crate) fn merged<'c>(
        parts: impl IntoIterator<Item = &'c Self>,
    ) -> Result<Calibration, PassError> {
        let mut parts = parts.into_iter();
        let first = parts.next().ok_or(PassError::NoSamples)?;
        let (mut ranges, mut samples) = (first.ranges.clone(), first.run.samples());
        for part in parts {
            ranges.merge(part.ranges.clone());
            samples += part.run.samples();
        }
        match samples {
            0 => Err(PassError::NoSamples),
            _ => Ok(Calibration {
                ranges: ranges.chosen(),
                samples,
            }),
        }
    }

    /// The ranges.
    ///
    /// # Errors
    /// When no sample was observed.
    pub fn finish(self) -> Result<Calibration, PassError> {
        match self.run.samples() {
            0 => Err(PassError::NoSamples),
            samples => Ok(Calibration {
                ranges: self.ranges.chosen(),
                samples,
            }),
        }
    }
}

/// The extremes of every tensor, and of the states that nodes keep.
#[derive(Clone)]
struct Ranges {
    /// An observer that has seen nothing.
    fresh: AnyObserver,
    ranges: Vec<Option<AnyObserver>>,
    states: Vec<Option<MinMax>>,
    /// Nodes whose states are followed, each with its output.
    probes: Vec<(Probe, TensorId)>,
    /// What goes into those nodes.
    kept: HashMap<usize, Vec<f32>>,
}

impl Ranges {
    /// For a graph of which nothing was seen.
    fn of(graph: &Graph, fresh: AnyObserver) -> Result<Self, PassError> {
        let subgraph = crate::edit::main(graph)?;
        let with_output = |probe: Probe| {
            let output = crate::edit::output(subgraph, probe.node)?;
            Ok::<_, PassError>((probe, output))
        };
        Ok(Self {
            fresh,
            ranges: vec![None; subgraph.tensors.len()],
            states: vec![None; subgraph.tensors.len()],
            probes: probes(graph)?
                .into_iter()
                .map(with_output)
                .collect::<Result<_, _>>()?,
            kept: HashMap::new(),
        })
    }

    fn observe(&mut self, tensor: usize, values: &[f32]) -> Result<(), QuantError> {
        let Some(range) = self.ranges.get_mut(tensor) else {
            return Ok(());
        };
        range
            .get_or_insert_with(|| self.fresh.clone())
            .observe(values)
    }

    /// The ranges to quantise.
    fn chosen(&self) -> Vec<Option<MinMax>> {
        let bounds = |(range, state): (&Option<AnyObserver>, &Option<MinMax>)| {
            let (min, max) = match (range, state) {
                (Some(range), _) => range.bounds()?,
                (None, state) => state.as_ref()?.bounds()?,
            };
            MinMax::of(&[min, max]).ok()
        };
        self.ranges
            .par_iter()
            .zip(&self.states)
            .map(bounds)
            .collect()
    }

    /// Notes the states of the nodes that gave `output`.
    fn observe_states(&mut self, tensor: usize, output: &[f32]) -> Result<(), QuantError> {
        for index in 0..self.probes.len() {
            let Some((probe, of)) = self.probes.get_mut(index) else {
                break;
            };
            if of.index() != tensor {
                continue;
            }
            if let Some(input) = self.kept.get(&probe.input.index()) {
                let (state, states) = (probe.state, probe.follow(input, output));
                if let Some(range) = self.states.get_mut(state.index()) {
                    range.get_or_insert_default().observe(&states)?;
                }
            }
        }
        Ok(())
    }
}

impl Accumulate for Ranges {
    fn begin_sample(&mut self) {
        self.probes.iter_mut().for_each(|(probe, _)| probe.reset());
    }

    fn note(&mut self, tensor: usize, values: &[f32]) -> Result<(), QuantError> {
        self.observe(tensor, values)?;
        let is_read = |(probe, _): &(Probe, TensorId)| probe.input.index() == tensor;
        if self.probes.iter().any(is_read) {
            self.kept.insert(tensor, values.to_vec());
        }
        self.observe_states(tensor, values)
    }

    fn merge(&mut self, later: Self) {
        for (range, later) in self.ranges.iter_mut().zip(later.ranges) {
            match (range, later) {
                (Some(range), Some(later)) => {
                    range.merge(later);
                }
                (range, Some(later)) => *range = Some(later),
                (_, None) => {}
            }
        }
        for (range, later) in self.states.iter_mut().zip(later.states) {
            if let Some(later) = later {
                *range = Some(range.unwrap_or_default().union(later));
            }
        }
    }

    fn is_ordered(&self) -> bool {
        matches!(self.fresh, AnyObserver::MovingAverage(_))
    }
}
