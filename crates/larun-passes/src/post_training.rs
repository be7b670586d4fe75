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
/// Samples of a large model that layers are corrected on by default, for the time that it takes.
const FEW: usize = 32;
/// A model of more multiplications than this is large.
const LARGE_MACS: u64 = 1_000_000;
/// Fewer samples than this are too few to judge ways by: the plain one is taken.
const LEAST_JUDGED: usize = 8;
/// Parts of the samples, each judged by what was fitted to the others.
const FOLDS: usize = 4;
/// Multiplications of a weight in each sample, above which a model has many positions.
const MANY_POSITIONS: u64 = 32;

/// How much is done for the quality of the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// Ranges, rounding to the nearest, nothing else: what other converters do.
    Plain,
    /// Bias correction, where it helps.
    #[default]
    Default,
    /// Several ways (channels equalised or not, extremes or the ranges of least error, weights rounded to the nearest or for
    /// the least error of the outputs), all with bias correction; the one is taken whose outputs are nearest to the float
    /// model's on samples that it was not fitted to.
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
        false => ways(&graph, options)?,
    };
    let (judged, count) = (FOLDS * ways.len(), samples.len());
    let mut tell = |step: usize, seen: usize| progress(step * count + seen, (judged + 1) * count);
    let way = best_way(&graph, samples, options, &ways, &mut tell)?;
    let mut run = Run::new(samples, options);
    let mut found = run.quantize(&graph, way, |seen| tell(judged, seen))?;
    if ways.len() > 1 {
        found.sqnr_db = Some(run.measure(&graph, &found.quantized.graph)?);
    }
    tell(judged, count);
    Ok(found)
}

/// The way whose outputs are nearest to the float model's, on samples that it was not fitted to.
///
/// Every part of the samples is judged by what was fitted to the others ([`FOLDS`]-fold cross-validation): a method that only
/// learns its samples by heart does not win.
fn best_way(
    graph: &Graph,
    samples: &[Vec<&[f32]>],
    options: &PostTraining,
    ways: &[Way],
    progress: &mut impl FnMut(usize, usize),
) -> Result<Way, PassError> {
    let first = ways.first().copied();
    let first = first.unwrap_or_else(|| Way::plain(options));
    if ways.len() < 2 || samples.len() < LEAST_JUDGED {
        return Ok(first);
    }
    let mut expected = Outputs::new();
    let mut found = vec![Outputs::new(); ways.len()];
    for fold in 0..FOLDS {
        let part = |judged: bool| -> Vec<_> {
            let samples = samples.iter().enumerate();
            let chosen = samples.filter(|(index, _)| (index % FOLDS == fold) == judged);
            chosen.map(|(_, sample)| sample.clone()).collect()
        };
        let (fitted, judged) = (part(false), part(true));
        expected.extend(outputs(graph, &judged)?);
        let mut run = Run::new(&fitted, options);
        for (index, (way, found)) in ways.iter().zip(&mut found).enumerate() {
            let step = fold * ways.len() + index;
            let fit = run.quantize(graph, *way, |seen| progress(step, seen))?;
            found.extend(outputs(&fit.quantized.graph, &judged)?);
        }
    }
    let mut best = (first, f64::NEG_INFINITY);
    for (&way, found) in ways.iter().zip(&found) {
        let nearness = nearness_db(&expected, found);
        if nearness > best.1 {
            best = (way, nearness);
        }
    }
    Ok(best.0)
}

/// The mean of two figures in decibels: signal to noise over all samples, which the worst few decide, and the mean of each
/// sample's own, which is that of the typical one.
fn nearness_db(expected: &Outputs, found: &Outputs) -> f64 {
    let each = expected.chunks(1).zip(found.chunks(1));
    let sum: f64 = each.map(|(expected, found)| sqnr_db(expected, found)).sum();
    (sqnr_db(expected, found) + sum / expected.len().max(1) as f64) / 2.0
}

/// One way to quantise.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Way {
    equalize: bool,
    observer: ObserverKind,
    rounding: Option<RoundingMethod>,
    correct: bool,
}

/// The ways to choose from, the simplest first.
fn ways(graph: &Graph, options: &PostTraining) -> Result<Vec<Way>, PassError> {
    let plain = Way::plain(options);
    let corrected = Way {
        correct: true,
        ..plain
    };
    let integer = options.quantize.scheme.needs_calibration();
    Ok(match options.effort {
        _ if !integer => vec![plain],
        Effort::Plain => vec![plain],
        // The mean error of a layer is known well from many positions; no sample is needed to judge that.
        Effort::Default if sees_many_positions(graph)? => vec![corrected],
        Effort::Default => vec![plain, corrected],
        Effort::Best => {
            let mut observers = vec![options.observer];
            if options.observer != ObserverKind::LeastSquares {
                observers.push(ObserverKind::LeastSquares);
            }
            let mut ways = vec![plain];
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
            ways
        }
    })
}

/// Whether a weight meets many values in each sample, as in convolutions: means over some samples are known well then.
fn sees_many_positions(graph: &Graph) -> Result<bool, PassError> {
    let stats = graph.stats()?;
    Ok(stats.macs > MANY_POSITIONS.saturating_mul(stats.parameters))
}

/// How many samples layers are corrected on and ways compared on.
fn enough(
    graph: &Graph,
    samples: &[Vec<&[f32]>],
    options: &PostTraining,
) -> Result<usize, PassError> {
    let all = samples.len();
    Ok(match options.effort {
        Effort::Plain | Effort::Default if graph.stats()?.macs > LARGE_MACS => all.min(FEW),
        _ => all,
    })
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

impl<'r> Run<'r> {
    fn new(samples: &'r [Vec<&'r [f32]>], options: &'r PostTraining) -> Self {
        Self {
            samples,
            options,
            reference: None,
            equalized: None,
            calibrations: Vec::new(),
        }
    }

    /// Quantises in one way.
    fn quantize(
        &mut self,
        graph: &Graph,
        way: Way,
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
            let held = enough(graph, self.samples, self.options)?.min(MOST_HELD);
            let reconstruction = Reconstruction {
                rounding: way.rounding,
                keep_biases: !way.correct,
            };
            let held = self.samples.get(..held).unwrap_or_default();
            quantized.graph =
                reconstruct(&float, quantized.graph, held, &reconstruction, |_, _| ())?;
        }
        Ok(PostTrained {
            quantized,
            float,
            calibration,
            ways: way.name(),
            sqnr_db: None,
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
        let count = enough(float, self.samples, self.options)?;
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
