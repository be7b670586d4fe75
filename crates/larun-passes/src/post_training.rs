//! Post-training quantisation as a whole: from a float graph and samples to the quantised graph.

use larun_graph::Graph;
use larun_graph::ops::OpKind;
use larun_quant::rounding::{Descent, RoundingMethod};
use larun_quant::{IntegerRange, ObserverKind};

use crate::evaluate::{Outputs, outputs, sqnr_db};
use crate::float_run::is_streaming;
use crate::quantize::{Activations, QuantizedGraph, RoundToNearest, quantize};
use crate::{
    Calibration, Calibrator, ChannelStatistics, PassError, QuantizeOptions, Reconstruction,
    cancel_moves, equalize_channels, fold_batch_norm, fold_constants, fuse_activations,
    global_pools_to_means, negations_to_products, reconstruct,
};

/// Samples that layers are corrected on, at most: their inner values are held in memory.
const MOST_HELD: usize = 128;
/// Samples of a large model that are enough by default: its layers have many positions in each.
const FEW: usize = 32;
/// A model of more multiplications than this is large.
const LARGE_MACS: u64 = 1_000_000;

/// How much is done for the quality of the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// Ranges, rounding to the nearest, nothing else: what other converters do.
    Plain,
    /// Bias correction, where it helps on the samples.
    #[default]
    Default,
    /// Several ways (channels equalised or not, extremes or the ranges of least error, weights rounded to the nearest or for
    /// the least error of the outputs), all with bias correction; the one is taken whose outputs are nearest to the float
    /// model's on the samples.
    Best,
}

/// How a graph is quantised after training.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PostTraining {
    /// What layers become.
    pub quantize: QuantizeOptions,
    /// How ranges follow from what was seen; with [`Effort::Best`], one of the ways that are tried.
    pub observer: ObserverKind,
    /// How much is done for quality.
    pub effort: Effort,
}

/// What post-training quantisation gave.
#[derive(Clone, Debug)]
pub struct PostTrained {
    /// The quantised graph, and what became of each node of `float`.
    pub quantized: QuantizedGraph,
    /// The float graph that it follows, node by node and by the names of tensors.
    pub float: Graph,
    /// The ranges.
    pub calibration: Calibration,
    /// What was done for quality, in short.
    pub ways: String,
    /// Signal to quantisation noise of the outputs on the samples, in decibels, where it was measured.
    pub sqnr_db: Option<f64>,
}

/// Puts a float graph into the form that quantises best, which computes the same: batch normalisation folded, activations
/// fused, constants computed, moves that undo each other removed, negations and global
/// average pools in forms that quantise.
///
/// # Errors
/// When the graph does not hold together.
pub fn simplify(graph: Graph) -> Result<Graph, PassError> {
    let graph = fuse_activations(fold_batch_norm(graph)?)?;
    let graph = negations_to_products(fold_constants(graph)?)?;
    global_pools_to_means(cancel_moves(graph)?)
}

/// Quantises a float graph with samples, each one slice of values an input.
///
/// `progress` is told how many of how many steps are done. The result is the same at any number of threads.
///
/// # Errors
/// As [`simplify`], [`Calibrator`] and [`quantize`]; when there is no sample and the scheme needs some.
pub fn quantize_after_training(
    graph: Graph,
    samples: &[Vec<&[f32]>],
    options: &PostTraining,
    mut progress: impl FnMut(usize, usize),
) -> Result<PostTrained, PassError> {
    let graph = simplify(graph)?;
    let ways = match is_streaming(&graph) {
        // Samples are one stream, which layers cannot be corrected on.
        true => vec![Way::plain(options)],
        false => ways(options),
    };
    let steps = ways.len() * samples.len().max(1);
    let mut run = Run {
        samples,
        options,
        reference: None,
        equalized: None,
        calibrations: Vec::new(),
    };
    let mut best: Option<PostTrained> = None;
    for (index, way) in ways.iter().enumerate() {
        let tell = |seen: usize| progress(index * samples.len() + seen, steps);
        let found = run.quantize(&graph, *way, ways.len() > 1, tell)?;
        if best
            .as_ref()
            .is_none_or(|best| found.sqnr_db > best.sqnr_db)
        {
            best = Some(found);
        }
    }
    progress(steps, steps);
    best.ok_or(PassError::NoSamples)
}

/// One way to quantise.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Way {
    equalize: bool,
    observer: ObserverKind,
    rounding: Option<RoundingMethod>,
    correct: bool,
}

fn ways(options: &PostTraining) -> Vec<Way> {
    let plain = Way::plain(options);
    let corrected = Way {
        correct: true,
        ..plain
    };
    let integer = options.quantize.scheme.needs_calibration();
    match options.effort {
        _ if !integer => vec![plain],
        Effort::Plain => vec![plain],
        Effort::Default => vec![corrected, plain],
        Effort::Best => {
            let mut observers = vec![options.observer];
            if options.observer != ObserverKind::LeastSquares {
                observers.push(ObserverKind::LeastSquares);
            }
            let mut ways = Vec::new();
            for equalize in [false, true] {
                for &observer in &observers {
                    for rounding in [None, Some(RoundingMethod::Descent(Descent::default()))] {
                        ways.push(Way {
                            equalize,
                            observer,
                            rounding,
                            correct: true,
                        });
                    }
                }
            }
            ways.push(plain);
            ways
        }
    }
}

impl Way {
    /// Ranges, rounding to the nearest, nothing else.
    fn plain(options: &PostTraining) -> Self {
        Self {
            equalize: false,
            observer: options.observer,
            rounding: None,
            correct: false,
        }
    }

    fn name(&self) -> String {
        let parts = [
            self.equalize.then(|| "channels equalised".to_owned()),
            (self.observer != ObserverKind::MinMax).then(|| format!("ranges by {}", self.observer)),
            self.rounding
                .map(|_| "weights rounded for the least error".to_owned()),
            self.correct.then(|| "biases corrected".to_owned()),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        match parts.is_empty() {
            true => "as is".to_owned(),
            false => parts.join(", "),
        }
    }
}

/// Whether each node's results follow from its inputs alone: it runs no subgraph and shares no variable.
fn runs_node_by_node(graph: &Graph) -> bool {
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

/// What the ways share.
struct Run<'r> {
    samples: &'r [Vec<&'r [f32]>],
    options: &'r PostTraining,
    /// The float graph's outputs.
    reference: Option<Outputs>,
    /// The float graph, its channels equalised.
    equalized: Option<Graph>,
    /// The ranges by whether channels were equalised, and by observer.
    calibrations: Vec<((bool, ObserverKind), Calibration)>,
}

impl Run<'_> {
    /// Quantises in one way; measures where there are others.
    fn quantize(
        &mut self,
        graph: &Graph,
        way: Way,
        measure: bool,
        progress: impl FnMut(usize),
    ) -> Result<PostTrained, PassError> {
        let float = match way.equalize {
            true => self.equalize(graph)?,
            false => graph.clone(),
        };
        let calibration = self.calibrate(&float, way, progress)?;
        let mut quantized = quantize(
            float.clone(),
            &calibration,
            &self.options.quantize,
            &RoundToNearest,
        )?;
        if (way.correct || way.rounding.is_some()) && runs_node_by_node(&quantized.graph) {
            let held = self.enough(graph)?.min(MOST_HELD);
            let reconstruction = Reconstruction {
                rounding: way.rounding,
                keep_biases: !way.correct,
            };
            let held = self.samples.get(..held).unwrap_or_default();
            quantized.graph =
                reconstruct(&float, quantized.graph, held, &reconstruction, |_, _| ())?;
        }
        let sqnr_db = match measure {
            true => Some(self.measure(graph, &quantized.graph)?),
            false => None,
        };
        Ok(PostTrained {
            quantized,
            float,
            calibration,
            ways: way.name(),
            sqnr_db,
        })
    }

    /// How many samples layers are corrected on and ways compared on.
    fn enough(&self, graph: &Graph) -> Result<usize, PassError> {
        let large = graph.stats()?.macs > LARGE_MACS;
        let all = self.samples.len();
        Ok(match self.options.effort {
            Effort::Plain | Effort::Default if large => all.min(FEW),
            _ => all,
        })
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
        float: &Graph,
        way: Way,
        progress: impl FnMut(usize),
    ) -> Result<Calibration, PassError> {
        let key = (way.equalize, way.observer);
        if let Some((_, known)) = self.calibrations.iter().find(|(of, _)| *of == key) {
            return Ok(known.clone());
        }
        let scheme = self.options.quantize.scheme;
        if !scheme.needs_calibration() {
            return Ok(Calibration::default());
        }
        let integers = match scheme.layer().activations {
            Activations::Int16 => IntegerRange::INT16,
            _ => IntegerRange::INT8,
        };
        let mut calibrator = Calibrator::with_observer(float, way.observer, integers)?;
        calibrator.observe_with_progress(self.samples.iter().cloned(), progress)?;
        let calibration = calibrator.finish()?;
        self.calibrations.push((key, calibration.clone()));
        Ok(calibration)
    }

    /// Signal to noise on as many samples as are enough.
    fn measure(&mut self, float: &Graph, quantized: &Graph) -> Result<f64, PassError> {
        let count = self.enough(float)?;
        let samples = self.samples.get(..count).unwrap_or_default();
        if self.reference.is_none() {
            self.reference = Some(outputs(float, samples)?);
        }
        let found = outputs(quantized, samples)?;
        Ok(self
            .reference
            .as_ref()
            .map_or(0.0, |expected| sqnr_db(expected, &found)))
    }
}
