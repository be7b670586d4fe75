//! The whole pipeline: data, training, folding, quantisation, validation, files.

use std::path::{Path, PathBuf};
use std::time::Instant;

use larun_device::{Board, Budget, LatencyEstimate};
use larun_distill::logits::Hinton;
use larun_distill::{Distiller, Teacher};
use larun_graph::Graph;
use larun_passes::{Calibrator, Placement, QuantizeOptions, fold_constants, quantize_int8};
use larun_prune::{Evidence, Importance, Keep, MagnitudePruning, PruneError, apply_masks};
use larun_train::{
    Augmentation, CheckpointConfig, EpochMetrics, Observer, QatConfig, Schedule, Stop, TrainConfig,
    Trainer,
};
use larun_zoo::dataset::{Dataset, Split};
use larun_zoo::{networks, simulate};

use crate::card::ModelCard;
use crate::evaluate::{Classification, classify};
use crate::prune::tune::{self, Tuning};
use crate::prune::{Constraints, Goal, Measure, int8_bytes, prune_channels, seed_sparsity};
use crate::quantize::prepare;
use crate::report::{DatasetReport, OptimizeReport, PruningReport, TrainingReport};
use crate::training::samples_of;
use crate::training::{Splits, calibrate};
use crate::{Error, Model, export, files};

/// The name of the checkpoint in the output folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";

/// The name of the checkpoint of the training for integers.
pub const QAT_CHECKPOINT: &str = "checkpoint_qat.safetensors";

/// The name of the checkpoint of the training after pruning.
pub const PRUNING_CHECKPOINT: &str = "pruning.safetensors";

/// What to optimise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A network of the zoo, trained from scratch.
    Zoo(String),
    /// A float model, quantised as it is, or trained further when epochs are asked for.
    Model(PathBuf),
}

impl Source {
    /// What the network is called.
    pub fn name(&self) -> String {
        describe(self).0
    }

    /// The changes of training samples that suit the network: those of the zoo know theirs, a model of the user's is left with none.
    ///
    /// # Errors
    /// When the zoo has no network of that name.
    pub fn suited_augmentation(&self) -> Result<Augmentation, Error> {
        match self {
            Self::Zoo(name) => Ok(networks::find(name)?.augment.parse()?),
            Self::Model(_) => Ok(Augmentation::default()),
        }
    }
}

/// What [`optimize`] is asked to do.
#[derive(Clone, Debug)]
pub struct OptimizeRequest {
    /// The network.
    pub source: Source,
    /// Labelled samples (`.npz`); simulated light curves where there are none.
    pub data: Option<PathBuf>,
    /// Simulated samples of each class.
    pub samples_per_class: usize,
    /// The board that the model is for.
    pub board: Board,
    /// Limits beside those of the board.
    pub budget: Budget,
    /// The most that the file may have, in KB of 1024 bytes; the budget's where unsaid.
    pub target_size_kb: Option<f64>,
    /// How to train. The checkpoint is set by [`optimize`].
    pub training: TrainConfig,
    /// Go on from the checkpoint in the output folder.
    pub resume: bool,
    /// Training samples to calibrate with.
    pub calibration_samples: usize,
    /// How to quantise.
    pub quantization: QuantizeOptions,
    /// Train on for the integers, with the float network as the teacher.
    pub qat: Option<QatRequest>,
    /// What the model is called in generated sources.
    pub name: Option<String>,
    /// Whether channels are removed where the float model is larger than four times the target.
    pub prune: bool,
    /// Epochs of training after pruning.
    pub fine_tune_epochs: usize,
    /// The licence that the model card names.
    pub license: String,
    /// The folder to write to.
    pub out: PathBuf,
}

/// The training for integers after that in real numbers.
#[derive(Clone, Debug)]
pub struct QatRequest {
    /// How to train; seed, batch and augmentation are those of the first training.
    pub epochs: usize,
    /// The greatest learning rate.
    pub learning_rate: f32,
    /// The share of the labels in the loss, the rest is the float network's answers; 1 for the labels alone.
    pub alpha: f32,
    /// How much those answers are softened.
    pub temperature: f32,
    /// How ranges and scales are found.
    pub config: QatConfig,
}

/// Is told how the pipeline goes.
pub trait Progress {
    /// A step begins.
    fn stage(&mut self, name: &str) {
        let _ = name;
    }

    /// So many of so many samples of the step are done.
    fn samples(&mut self, done: usize, total: usize) {
        let _ = (done, total);
    }

    /// Who watches the training.
    fn training(&mut self) -> &mut dyn Observer;
}

/// What [`optimize`] comes to.
#[derive(Debug)]
pub enum Outcome {
    /// All files are written.
    Finished(Box<OptimizeReport>),
    /// The observer stopped the training; the checkpoint is written and `resume` goes on from it.
    Interrupted {
        /// The checkpoint.
        checkpoint: PathBuf,
    },
}

/// Trains, quantises, validates and writes `model.tflite`, `model_float.tflite`, `model.h`, `card.yaml` and
/// `report.json`.
///
/// The accuracy reported is that of the integer model, run by the interpreter on the test split, which nothing before has seen.
///
/// # Errors
/// When the data or the network cannot be used, training fails, or a file cannot be written. Files appear together at the end:
/// an error leaves none of them half-written.
pub fn optimize(request: &OptimizeRequest, progress: &mut dyn Progress) -> Result<Outcome, Error> {
    progress.stage("reading data");
    let seed = request.training.seed;
    let data = dataset(request.data.as_deref(), request.samples_per_class, seed)?;
    let graph = network(&request.source, &data, seed)?;
    let (graph, training) = match train(request, graph, &data, progress)? {
        Trained::Finished(trained) => *trained,
        Trained::Interrupted(checkpoint) => return Ok(Outcome::Interrupted { checkpoint }),
    };
    let (graph, pruning) = match prune(request, graph, &data, progress)? {
        Some(pruned) => pruned,
        None => {
            let checkpoint = request.out.join(PRUNING_CHECKPOINT);
            return Ok(Outcome::Interrupted { checkpoint });
        }
    };
    let (graph, quantized) = match &request.qat {
        Some(qat) => match train_integers(request, qat, graph, &data, progress)? {
            Trained::Finished(pair) => *pair,
            Trained::Interrupted(checkpoint) => return Ok(Outcome::Interrupted { checkpoint }),
        },
        None => {
            let graph = prepare(graph)?;
            progress.stage("calibrating");
            let quantized = quantize(request, graph.clone(), &data, progress)?;
            (graph, quantized)
        }
    };
    let float = model_of(&graph, request, "model_float.tflite")?;
    let int8 = model_of(&quantized, request, "model.tflite")?;

    progress.stage("validating");
    let test = data.indices(Split::Test);
    let float_scores = classify(&float, &data, &test)?;
    let int8_scores = classify(&int8, &data, &test)?;
    let measured = Measured {
        float: &float,
        float_scores,
        int8: &int8,
        int8_scores,
        quantized: &quantized,
    };
    let report = measured.report(request, &data, training, pruning)?;
    progress.stage("writing files");
    write_files(request, &report, &measured)?;
    Ok(Outcome::Finished(Box::new(report)))
}

/// Labelled samples from a file, or simulated ones; every split has some.
pub(crate) fn dataset(
    path: Option<&Path>,
    samples_per_class: usize,
    seed: u64,
) -> Result<Dataset, Error> {
    let data = match path {
        Some(path) => Dataset::load(path, seed)?,
        None => simulate::light_curves(samples_per_class, seed),
    };
    check_splits(&data)?;
    Ok(data)
}

/// Every split is needed: to train, to stop, and to measure.
fn check_splits(data: &Dataset) -> Result<(), Error> {
    for split in Split::ALL {
        if data.indices(split).is_empty() {
            return Err(Error::Usage(format!(
                "{} has no samples in its {split:?} split (0 train, 1 validation, 2 test): each needs some",
                data.name
            )));
        }
    }
    Ok(())
}

/// The network to train.
pub(crate) fn network(source: &Source, data: &Dataset, seed: u64) -> Result<Graph, Error> {
    match source {
        Source::Zoo(name) => {
            let network = networks::find(name)?;
            Ok(network.build(&data.sample_shape, data.class_names.len(), seed)?)
        }
        Source::Model(path) => Model::open(path)?.graph(),
    }
}

/// A training that went to its end, or was stopped with its checkpoint written.
enum Trained<T> {
    Finished(Box<T>),
    Interrupted(PathBuf),
}

fn train(
    request: &OptimizeRequest,
    graph: Graph,
    data: &Dataset,
    progress: &mut dyn Progress,
) -> Result<Trained<(Graph, Option<TrainingReport>)>, Error> {
    if request.training.epochs == 0 {
        return Ok(Trained::Finished(Box::new((graph, None))));
    }
    progress.stage("training");
    let checkpoint = request.out.join(CHECKPOINT);
    let (train, validation) = (data.indices(Split::Train), data.indices(Split::Validation));
    let samples = samples_of(data, &train, &validation);
    let config = TrainConfig {
        checkpoint: Some(CheckpointConfig {
            path: checkpoint.clone(),
            every: None,
        }),
        ..request.training.clone()
    };
    let mut trainer = Trainer::new(&graph, samples, config)?;
    if request.resume {
        if !checkpoint.exists() {
            return Err(Error::Usage(format!(
                "{}: there is no checkpoint to resume from; leave out --resume to start anew",
                checkpoint.display()
            )));
        }
        trainer.resume(&checkpoint)?;
    }
    std::fs::create_dir_all(&request.out).map_err(Error::io(&request.out))?;
    let started = Instant::now();
    let outcome = trainer.run(progress.training())?;
    if outcome.stop == Stop::Interrupted {
        return Ok(Trained::Interrupted(checkpoint));
    }
    let seconds = started.elapsed().as_secs_f64();
    let report = TrainingReport::new(&request.training, outcome.best, outcome.history, seconds);
    Ok(Trained::Finished(Box::new((outcome.graph, Some(report)))))
}

/// Trains the float network on for the integers that it will compute with, as the pupil of itself; the float graph of the weights that
/// were trained, and the quantised one.
fn train_integers(
    request: &OptimizeRequest,
    qat: &QatRequest,
    graph: Graph,
    data: &Dataset,
    progress: &mut dyn Progress,
) -> Result<Trained<(Graph, Graph)>, Error> {
    progress.stage("calibrating");
    let graph = fold_constants(graph)?;
    let placement = Placement::new(&graph, &request.quantization)?;
    let ranges = calibrate(&placement, data, request.calibration_samples, progress)?;
    progress.stage("training for integers");
    let splits = Splits::of(data);
    let checkpoint = request.out.join(QAT_CHECKPOINT);
    let config = TrainConfig {
        epochs: qat.epochs,
        learning_rate: qat.learning_rate,
        schedule: Schedule::Cosine {
            least: qat.learning_rate.min(1e-5),
        },
        checkpoint: Some(CheckpointConfig {
            path: checkpoint.clone(),
            every: None,
        }),
        ..request.training.clone()
    };
    let samples = splits.samples(data);
    let mut trainer =
        Trainer::quantization_aware(&graph, samples, config, &placement, &ranges, qat.config)?;
    if qat.alpha < 1.0 {
        let teacher = Teacher::new(&graph)?;
        let lesson = Hinton {
            temperature: qat.temperature,
        };
        trainer.add_callback(Box::new(Distiller::new(vec![teacher], lesson, qat.alpha)?));
    }
    if request.resume && checkpoint.exists() {
        trainer.resume(&checkpoint)?;
    }
    std::fs::create_dir_all(&request.out).map_err(Error::io(&request.out))?;
    if trainer.run(progress.training())?.stop == Stop::Interrupted {
        return Ok(Trained::Interrupted(checkpoint));
    }
    let (float, quantized) = trainer.convert()?;
    Ok(Trained::Finished(Box::new((float, quantized.graph))))
}

/// The most that the file may have.
fn target_bytes(request: &OptimizeRequest) -> u64 {
    let asked = request
        .target_size_kb
        .map(|target| (target * 1024.0) as u64);
    asked.unwrap_or(request.budget.flash_bytes)
}

/// Removes channels where the float model is larger than four times the target, so many that the INT8 file shrinks by
/// [`seed_sparsity`], and trains what is left. Where layers cannot lose so many, single weights go.
///
/// `None` where the training was stopped.
fn prune(
    request: &OptimizeRequest,
    graph: Graph,
    data: &Dataset,
    progress: &mut dyn Progress,
) -> Result<Option<(Graph, Option<PruningReport>)>, Error> {
    let float_bytes = larun_tflite::write(&prepare(graph.clone())?)?.len() as u64;
    let sparsity = seed_sparsity(float_bytes, target_bytes(request)).filter(|_| request.prune);
    let Some(sparsity) = sparsity else {
        return Ok(Some((graph, None)));
    };
    progress.stage("pruning");
    let before = graph.stats()?;
    let budget = (int8_bytes(&graph)? as f64 * (1.0 - f64::from(sparsity))) as u64;
    let goal = Goal::Within(Measure::FileBytes, budget);
    let (importance, evidence) = (Importance::L1, Evidence::default());
    let mut masks = Vec::new();
    let mut pruned = graph.clone();
    match prune_channels(&graph, goal, importance, &evidence, Keep::default()) {
        Ok((smaller, _)) => pruned = smaller,
        Err(Error::Prune(PruneError::Budget { .. })) => {
            masks = MagnitudePruning::default().masks(&graph, sparsity)?;
            apply_masks(&mut pruned, &masks)?;
        }
        Err(error) => return Err(error),
    }
    let by_channels = masks.is_empty();
    progress.stage("fine-tuning");
    let tuning = Tuning {
        config: &request.training,
        epochs: request.fine_tune_epochs,
        checkpoint: request.out.join(PRUNING_CHECKPOINT),
        resume: request.resume,
    };
    let constraints = Constraints {
        masks,
        ..Constraints::default()
    };
    let Some(tuned) = tune::train(pruned, &tuning, data, &constraints, progress)? else {
        return Ok(None);
    };
    let after = tuned.stats()?;
    let report = PruningReport {
        sparsity,
        by_channels,
        fine_tune_epochs: request.fine_tune_epochs,
        parameters_before: before.parameters,
        parameters_after: after.parameters,
        macs_before: before.macs,
        macs_after: after.macs,
    };
    Ok(Some((tuned, Some(report))))
}

fn quantize(
    request: &OptimizeRequest,
    graph: Graph,
    data: &Dataset,
    progress: &mut dyn Progress,
) -> Result<Graph, Error> {
    let train = data.indices(Split::Train);
    let samples = spread(&train, request.calibration_samples);
    let mut calibrator = Calibrator::new(&graph)?;
    calibrator.observe(samples.iter().enumerate().map(|(done, &index)| {
        progress.samples(done + 1, samples.len());
        vec![data.sample(index)]
    }))?;
    Ok(quantize_int8(
        graph,
        &calibrator.finish()?,
        &request.quantization,
    )?)
}

/// At most `count` of `all`, evenly spaced.
pub(crate) fn spread(all: &[usize], count: usize) -> Vec<usize> {
    let count = count.min(all.len());
    (0..count).map(|i| all[i * all.len() / count]).collect()
}

fn model_of(graph: &Graph, request: &OptimizeRequest, file: &str) -> Result<Model, Error> {
    let bytes = larun_tflite::write(graph)?;
    Ok(Model::new(&request.out.join(file), &bytes))
}

/// Both models and how well they do.
struct Measured<'m> {
    float: &'m Model,
    float_scores: Classification,
    int8: &'m Model,
    int8_scores: Classification,
    quantized: &'m Graph,
}

impl Measured<'_> {
    fn report(
        &self,
        request: &OptimizeRequest,
        data: &Dataset,
        training: Option<TrainingReport>,
        pruning: Option<PruningReport>,
    ) -> Result<OptimizeReport, Error> {
        let stats = self.quantized.stats()?;
        let mut arena = self.int8.arena()?;
        let interpreter = self.int8.interpreter(&mut arena)?;
        let (arena_bytes, file_bytes) = (
            interpreter.arena_bytes() as u64,
            self.int8.bytes().len() as u64,
        );
        let usage = larun_device::Usage {
            flash_bytes: file_bytes,
            ram_bytes: arena_bytes,
            parameters: stats.parameters,
            operations: stats.macs,
        };
        let budget = Budget {
            flash_bytes: target_bytes(request),
            ..request.budget
        };
        let cost = larun_device::cost::estimate(self.quantized, &request.board, Some(arena_bytes))?;
        let latency = LatencyEstimate::new(&cost, &request.board);
        let fit = larun_device::fit(&usage, latency, &request.board, &budget);
        let float_bytes = self.float.bytes().len() as u64;
        let (network, architecture) = describe(&request.source);
        Ok(OptimizeReport {
            larun_version: env!("CARGO_PKG_VERSION").to_owned(),
            network,
            architecture,
            layers: weighted_layers(self.quantized),
            dataset: DatasetReport::new(data, request.data.is_none()),
            training,
            pruning,
            parameters: stats.parameters,
            macs: stats.macs,
            float_bytes,
            int8_bytes: file_bytes,
            compression_ratio: float_bytes as f64 / file_bytes.max(1) as f64,
            arena_bytes,
            activation_bytes: interpreter.activation_bytes() as u64,
            target_bytes: budget.flash_bytes,
            target_met: file_bytes <= budget.flash_bytes,
            float: self.float_scores.clone(),
            int8: self.int8_scores.clone(),
            fits: fit.fits(),
            exceeded: fit.exceeded().map(ToString::to_string).collect(),
            fit,
        })
    }
}

fn describe(source: &Source) -> (String, String) {
    match source {
        Source::Zoo(name) => networks::find(name).map_or_else(
            |_| (name.clone(), String::new()),
            |network| (network.title.to_owned(), network.architecture.to_owned()),
        ),
        Source::Model(path) => (stem(path), "imported".to_owned()),
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(
        || "model".to_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}

/// Layers that have weights.
fn weighted_layers(graph: &Graph) -> usize {
    let nodes = graph.main().map_or(&[][..], |subgraph| &subgraph.nodes);
    let weighted = nodes.iter().filter(|node| {
        let role = node
            .kind()
            .and_then(|kind| kind.info().input(1))
            .map(|operand| operand.role);
        matches!(role, Some(larun_ops::Role::Weights { .. }))
    });
    weighted.count()
}

fn write_files(
    request: &OptimizeRequest,
    report: &OptimizeReport,
    measured: &Measured<'_>,
) -> Result<(), Error> {
    let name = request
        .name
        .clone()
        .unwrap_or_else(|| match &request.source {
            Source::Zoo(name) => format!("{name}_model"),
            Source::Model(path) => stem(path),
        });
    let header = export::c_header(measured.int8, &name)?;
    let card = ModelCard::new(report, &request.license).to_yaml();
    let mut batch = files::Batch::default();
    batch.add(&request.out.join("model.tflite"), measured.int8.bytes())?;
    batch.add(
        &request.out.join("model_float.tflite"),
        measured.float.bytes(),
    )?;
    batch.add(&request.out.join("model.h"), header.as_bytes())?;
    batch.add(&request.out.join("card.yaml"), card.as_bytes())?;
    batch.add(
        &request.out.join("report.json"),
        report.to_json().as_bytes(),
    )?;
    batch.commit()
}

/// The figures of the last epoch, for whoever prints a line of them.
pub fn epoch_line(metrics: &EpochMetrics) -> String {
    format!(
        "loss {:.4}  accuracy {:.1} %  validation loss {:.4}  accuracy {:.1} %",
        metrics.train.loss,
        100.0 * metrics.train.accuracy,
        metrics.validation.loss,
        100.0 * metrics.validation.accuracy
    )
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn calibration_samples_are_spread() {
        let all: Vec<usize> = (10..20).collect();
        assert_eq!(spread(&all, 5), [10, 12, 14, 16, 18]);
        assert_eq!(spread(&all, 100), all);
        assert!(spread(&[], 3).is_empty());
    }
}
