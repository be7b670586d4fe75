//! Post-training quantisation as a whole: from a float graph and samples to the quantised graph.

use larun_graph::Graph;
use larun_quant::ObserverKind;
use larun_quant::rounding::{Descent, RoundingMethod};

use crate::evaluate::{Outputs, outputs, sqnr_db};
use crate::float_run::is_streaming;
use crate::quantize::QuantizedGraph;
use crate::{
    Calibration, PassError, QuantizeOptions, cancel_moves, fold_batch_norm, fold_constants,
    fuse_activations, global_pools_to_means, negations_to_products,
};

mod run;
mod shared;

use run::Run;
use shared::{Shared, chosen};

/// Samples of a large model that layers are corrected on by default, for the time that it takes.
const FEW: usize = 32;
/// A model of more multiplications than this is large.
const LARGE_MACS: u64 = 1_000_000;
/// Fewer samples than this are too few to judge ways by: the plain one is taken.
const LEAST_JUDGED: usize = 8;
/// Parts of the samples, each judged by what was fitted to the others.
const FOLDS: usize = 4;
/// A sample's outputs that are nearer than this, in decibels, count as so near.
const MOST_DB: f64 = 120.0;
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
    /// model's on samples that it was not fitted to, where it is ahead of bias correction alone by more than chance.
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
/// As [`simplify`], [`Calibrator`](crate::Calibrator) and [`quantize`](crate::quantize); when there is no sample and the scheme needs some.
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
    let mut shared = Shared::new(&graph, samples, options);
    let way = best_way(&mut shared, &ways, &mut tell)?;
    let mut run = Run::new((0..count).collect(), shared.samples, options);
    let mut found = run.quantize(&mut shared, way, |seen| tell(judged, seen))?;
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
    shared: &mut Shared<'_>,
    ways: &[Way],
    progress: &mut impl FnMut(usize, usize),
) -> Result<Way, PassError> {
    let (samples, options) = (shared.samples, shared.options);
    let first = ways.first().copied();
    let first = first.unwrap_or_else(|| Way::plain(options));
    if ways.len() < 2 || samples.len() < LEAST_JUDGED {
        return Ok(first);
    }
    shared.prepare_folds()?;
    let mut expected = Outputs::new();
    let mut found = vec![Outputs::new(); ways.len()];
    for fold in 0..FOLDS {
        let part = |judged: bool| -> Vec<usize> {
            let indices = 0..samples.len();
            indices
                .filter(|index| (index % FOLDS == fold) == judged)
                .collect()
        };
        expected.extend(shared.outputs(&part(true))?);
        let judged = chosen(samples, &part(true));
        let mut run = Run::new(part(false), samples, options);
        run.fold = Some(fold);
        for (index, (way, found)) in ways.iter().zip(&mut found).enumerate() {
            let step = fold * ways.len() + index;
            let fit = run.quantize(shared, *way, |seen| progress(step, seen))?;
            found.extend(outputs(&fit.quantized.graph, &judged)?);
        }
    }
    let judged: Vec<Judged> = found.iter().map(|f| Judged::new(&expected, f)).collect();
    let usual = match options.effort {
        Effort::Best => ways.iter().position(|&way| way == Way::corrected(options)),
        Effort::Plain | Effort::Default => None,
    };
    let chosen = chosen_way(&judged, usual.unwrap_or(0));
    Ok(ways.get(chosen).copied().unwrap_or(first))
}

/// The best of the ways that are better than the usual one by more than chance, or the usual one.
///
/// Ways that are nearly alike come out in any order on a few samples, and the one on top is then no better on others: a way must be
/// ahead by the standard error of the difference, sample by sample (the one-standard-error rule of Breiman et al. 1984).
fn chosen_way(judged: &[Judged], usual: usize) -> usize {
    let Some(incumbent) = judged.get(usual) else {
        return usual;
    };
    let better = judged
        .iter()
        .enumerate()
        .filter(|(_, way)| way.beats(incumbent));
    let best = better.max_by(|a, b| a.1.nearness_db.total_cmp(&b.1.nearness_db));
    best.map_or(usual, |(index, _)| index)
}

/// How near a way's outputs come to the float model's.
struct Judged {
    /// The mean of two figures in decibels: signal to noise over all samples, which the worst few decide, and the mean of each
    /// sample's own, which is that of the typical one.
    nearness_db: f64,
    /// Signal to noise of each sample, in decibels.
    each_db: Vec<f64>,
}

impl Judged {
    fn new(expected: &Outputs, found: &Outputs) -> Self {
        let pairs = expected.chunks(1).zip(found.chunks(1));
        // Outputs that are equal have no noise at all, which no mean would survive.
        let each = pairs.map(|(expected, found)| sqnr_db(expected, found).min(MOST_DB));
        let each_db: Vec<f64> = each.collect();
        let typical = each_db.iter().sum::<f64>() / each_db.len().max(1) as f64;
        Self {
            nearness_db: (sqnr_db(expected, found).min(MOST_DB) + typical) / 2.0,
            each_db,
        }
    }

    /// Whether it is nearer than `other` by more than chance.
    fn beats(&self, other: &Self) -> bool {
        let count = self.each_db.len().max(1) as f64;
        let pairs = self.each_db.iter().zip(&other.each_db);
        let differences: Vec<f64> = pairs.map(|(own, other)| own - other).collect();
        let mean = differences.iter().sum::<f64>() / count;
        let squares = differences.iter().map(|d| (d - mean) * (d - mean));
        let error = (squares.sum::<f64>() / (count - 1.0).max(1.0) / count).sqrt();
        mean > error && self.nearness_db > other.nearness_db
    }
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
    let corrected = Way::corrected(options);
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

    /// The same with the mean error of each layer taken off its biases.
    fn corrected(options: &PostTraining) -> Self {
        Self {
            correct: true,
            ..Self::plain(options)
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
