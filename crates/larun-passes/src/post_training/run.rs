//! One set of samples, and the ways fitted to it.

use larun_graph::Graph;
use larun_graph::ops::OpKind;
use larun_quant::ObserverKind;

use super::shared::{Shared, chosen};
use super::{PostTrained, PostTraining, Way, enough};
use crate::evaluate::{outputs, sqnr_db};
use crate::quantize::{QuantizedGraph, RoundToNearest, quantize};
use crate::reconstruct::{Reference, reconstruct_by};
use crate::{
    Calibration, Calibrator, ChannelStatistics, PassError, Reconstruction, equalize_channels,
};

/// Samples that layers are corrected on, at most: their inner values are held in memory.
const MOST_HELD: usize = 128;

/// Whether each node's results follow from its inputs alone: it runs no subgraph and shares no variable.
pub(super) fn runs_node_by_node(graph: &Graph) -> bool {
    let alone = |node: &larun_graph::Node| {
        let shared = [
            OpKind::VarHandle,
            OpKind::ReadVariable,
            OpKind::AssignVariable,
        ];
        node.kind().is_none_or(|kind| !shared.contains(&kind))
    };
    graph.subgraphs.len() == 1
        && graph
            .main()
            .is_some_and(|main| main.nodes.iter().all(alone))
}

/// What ways share that are fitted to the same samples.
pub(super) struct Run<'r> {
    /// Which samples these are.
    indices: Vec<usize>,
    samples: Vec<Vec<&'r [f32]>>,
    options: &'r PostTraining,
    /// Which fold is left out of them.
    pub(super) fold: Option<usize>,
    /// The float graph, its channels equalised.
    equalized: Option<Graph>,
    /// The ranges by whether channels were equalised, and by observer.
    calibrations: Vec<((bool, ObserverKind), Calibration)>,
    /// The graph of the last such pair, rounded to the nearest.
    nearest: Option<((bool, ObserverKind), QuantizedGraph)>,
}

impl<'r> Run<'r> {
    /// Of the samples with these numbers.
    pub(super) fn new(
        indices: Vec<usize>,
        samples: &[Vec<&'r [f32]>],
        options: &'r PostTraining,
    ) -> Self {
        Self {
            samples: chosen(samples, &indices),
            indices,
            options,
            fold: None,
            equalized: None,
            calibrations: Vec::new(),
            nearest: None,
        }
    }

    /// Quantises in one way.
    pub(super) fn quantize(
        &mut self,
        shared: &mut Shared<'_>,
        way: Way,
        progress: impl FnMut(usize),
    ) -> Result<PostTrained, PassError> {
        let float = match way.equalize {
            true => self.equalize(shared.graph)?,
            false => shared.graph.clone(),
        };
        let calibration = self.calibrate(shared, &float, way, progress)?;
        let mut quantized = self.round_to_nearest(&float, way, &calibration)?;
        if (way.correct || way.rounding.is_some()) && runs_node_by_node(&quantized.graph) {
            let held = enough(&float, &self.samples, self.options)?.min(MOST_HELD);
            let reconstruction = Reconstruction {
                rounding: way.rounding,
                keep_biases: !way.correct,
            };
            let samples = self.samples.get(..held).unwrap_or_default();
            let reference = match &shared.known {
                Some(known) if !way.equalize => {
                    let indices = self.indices.get(..held).unwrap_or_default();
                    Reference::known(&float, known, indices)?
                }
                _ => Reference::new(&float, samples)?,
            };
            let integer = quantized.graph;
            quantized.graph =
                reconstruct_by(reference, integer, samples, &reconstruction, |_, _| ())?;
        }
        Ok(PostTrained {
            quantized,
            float,
            calibration,
            ways: way.name(),
            sqnr_db: None,
        })
    }

    /// What ways that differ in later steps alone begin with.
    fn round_to_nearest(
        &mut self,
        float: &Graph,
        way: Way,
        calibration: &Calibration,
    ) -> Result<QuantizedGraph, PassError> {
        let key = (way.equalize, way.observer);
        if let Some((of, known)) = &self.nearest
            && *of == key
        {
            return Ok(known.clone());
        }
        let options = &self.options.quantize;
        let quantized = quantize(float.clone(), calibration, options, &RoundToNearest)?;
        self.nearest = Some((key, quantized.clone()));
        Ok(quantized)
    }

    fn equalize(&mut self, graph: &Graph) -> Result<Graph, PassError> {
        if let Some(equalized) = &self.equalized {
            return Ok(equalized.clone());
        }
        let statistics = ChannelStatistics::of(graph, self.samples.iter().cloned())?;
        let equalized = equalize_channels(graph.clone(), &statistics)?;
        Ok(self.equalized.insert(equalized).clone())
    }

    fn calibrate(
        &mut self,
        shared: &mut Shared<'_>,
        float: &Graph,
        way: Way,
        progress: impl FnMut(usize),
    ) -> Result<Calibration, PassError> {
        let key = (way.equalize, way.observer);
        if let Some((_, known)) = self.calibrations.iter().find(|(of, _)| *of == key) {
            return Ok(known.clone());
        }
        if !self.options.quantize.scheme.needs_calibration() {
            return Ok(Calibration::default());
        }
        let shares = match way.equalize {
            true => None,
            false => shared.calibration(way.observer, self.fold)?,
        };
        let calibration = match shares {
            Some(calibration) => calibration,
            None => {
                let integers = shared.integers();
                let mut own = Calibrator::with_observer(float, way.observer, integers)?;
                own.observe_with_progress(self.samples.iter().cloned(), progress)?;
                own.finish()?
            }
        };
        self.calibrations.push((key, calibration.clone()));
        Ok(calibration)
    }

    /// Signal to noise on as many samples as are enough.
    pub(super) fn measure(&self, float: &Graph, quantized: &Graph) -> Result<f64, PassError> {
        let count = enough(float, &self.samples, self.options)?;
        let samples = self.samples.get(..count).unwrap_or_default();
        let expected = outputs(float, samples)?;
        Ok(sqnr_db(&expected, &outputs(quantized, samples)?))
    }
}
