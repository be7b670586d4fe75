//! What is computed of the float graph once for all ways and all folds.

use larun_graph::{Graph, TensorId};
use larun_quant::{IntegerRange, ObserverKind};

use super::{FOLDS, PostTraining};
use crate::evaluate::{Outputs, outputs};
use crate::float_run::keeps_state;
use crate::quantize::Activations;
use crate::reconstruct::{Known, known_values};
use crate::{Calibration, Calibrator, PassError};

/// Bytes of float values that are kept to correct biases after, at most.
const MOST_KNOWN: usize = 16 << 20;

/// The samples with these numbers.
pub(super) fn chosen<'s>(samples: &[Vec<&'s [f32]>], indices: &[usize]) -> Vec<Vec<&'s [f32]>> {
    let samples = indices.iter().filter_map(|&index| samples.get(index));
    samples.cloned().collect()
}

/// The float graph, and what is known of it.
pub(super) struct Shared<'s> {
    pub(super) graph: &'s Graph,
    pub(super) samples: &'s [Vec<&'s [f32]>],
    pub(super) options: &'s PostTraining,
    /// By observer, a calibrator of every fold's samples.
    parts: Vec<(ObserverKind, Vec<Calibrator>)>,
    /// Whether folds are judged: only then are there parts.
    has_folds: bool,
    /// The values that biases are corrected after, where they are few.
    pub(super) known: Option<Known>,
}

impl<'s> Shared<'s> {
    pub(super) fn new(
        graph: &'s Graph,
        samples: &'s [Vec<&'s [f32]>],
        options: &'s PostTraining,
    ) -> Self {
        Self {
            graph,
            samples,
            options,
            parts: Vec::new(),
            has_folds: false,
            known: None,
        }
    }

    /// Computes what more than one fold needs.
    pub(super) fn prepare_folds(&mut self) -> Result<(), PassError> {
        self.has_folds = true;
        if super::run::runs_node_by_node(self.graph) {
            self.known = known_values(self.graph, self.samples, MOST_KNOWN)?;
        }
        Ok(())
    }

    /// The float graph's outputs for some of the samples.
    pub(super) fn outputs(&self, indices: &[usize]) -> Result<Outputs, PassError> {
        let known = |index: usize| -> Option<Vec<Vec<f32>>> {
            let main = self.graph.main()?;
            let value = |&id: &TensorId| {
                let name = &main.tensor(id)?.name;
                self.known.as_ref()?.get(name)?.get(index).cloned()
            };
            main.outputs.iter().map(value).collect()
        };
        match indices.iter().map(|&index| known(index)).collect() {
            Some(known) => Ok(known),
            None => outputs(self.graph, &chosen(self.samples, indices)),
        }
    }

    /// The ranges over all samples but those of a fold; `None` where they do not follow from those of the folds, because
    /// samples must be seen in order.
    pub(super) fn calibration(
        &mut self,
        observer: ObserverKind,
        fold: Option<usize>,
    ) -> Result<Option<Calibration>, PassError> {
        let ordered = matches!(observer, ObserverKind::MovingAverage(_));
        let whole_sequence = fold.is_none() && keeps_state(self.graph);
        if !self.has_folds || ordered || whole_sequence {
            return Ok(None);
        }
        if !self.parts.iter().any(|(of, _)| *of == observer) {
            let parts = (0..FOLDS).map(|fold| self.calibrate_fold(observer, fold));
            let parts = parts.collect::<Result<_, _>>()?;
            self.parts.push((observer, parts));
        }
        let parts = self.parts.iter().find(|(of, _)| *of == observer);
        let parts = parts.map_or(&[][..], |(_, parts)| parts).iter().enumerate();
        let others = parts.filter(|(index, _)| Some(*index) != fold);
        Calibrator::merged(others.map(|(_, part)| part)).map(Some)
    }

    fn calibrate_fold(&self, observer: ObserverKind, fold: usize) -> Result<Calibrator, PassError> {
        let samples = self.samples.iter().enumerate();
        let samples = samples.filter(|(index, _)| index % FOLDS == fold);
        let mut part = Calibrator::with_observer(self.graph, observer, self.integers())?;
        part.observe(samples.map(|(_, sample)| sample.clone()))?;
        Ok(part)
    }

    /// What activations become.
    pub(super) fn integers(&self) -> IntegerRange {
        match self.options.quantize.scheme.layer().activations {
            Activations::Int16 => IntegerRange::INT16,
            _ => IntegerRange::INT8,
        }
    }
}
