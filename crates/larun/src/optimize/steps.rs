//! The steps that make the model: training, pruning, quantising, training for the integers.

use std::path::{Path, PathBuf};
use std::time::Instant;

use larun_distill::logits::Hinton;
use larun_distill::{Distiller, Teacher};
use larun_graph::Graph;
use larun_passes::{Placement, fold_constants, quantize_int8};
use larun_prune::{Evidence, Importance, Keep, MagnitudePruning, PruneError, apply_masks};
use larun_train::{CheckpointConfig, Schedule, Stop, TrainConfig, Trainer};
use larun_zoo::dataset::Dataset;

use super::{
    CHECKPOINT, OptimizeRequest, PRUNING_CHECKPOINT, Progress, QAT_CHECKPOINT, QatRequest,
};
use crate::Error;
use crate::prune::tune::{self, Tuning};
use crate::prune::{Constraints, Goal, Kept, Measure, int8_bytes, prune_channels, seed_sparsity};
use crate::quantize::prepare;
use crate::report::{PruningReport, TrainingReport};
use crate::training::{Splits, calibrate};

/// A step that went to its end, or was stopped with its checkpoint written.
pub(super) enum Step<T> {
    Finished(Box<T>),
    Interrupted(PathBuf),
}

impl<T> Step<T> {
    fn finished(result: T) -> Result<Self, Error> {
        Ok(Self::Finished(Box::new(result)))
    }
}

/// Trains the network, where epochs are asked for.
pub(super) fn train(
    request: &OptimizeRequest,
    graph: Graph,
    data: &Dataset,
    progress: &mut dyn Progress,
) -> Result<Step<(Graph, Option<TrainingReport>)>, Error> {
    if request.training.epochs == 0 {
        return Step::finished((graph, None));
    }
    progress.stage("training");
    let splits = Splits::of(data);
    let checkpoint = request.out.join(CHECKPOINT);
    let config = TrainConfig {
        checkpoint: Some(CheckpointConfig {
            path: checkpoint.clone(),
            every: None,
        }),
        ..request.training.clone()
    };
    let mut trainer = Trainer::new(&graph, splits.samples(data), config)?;
    if request.resume {
        if !checkpoint.exists() {
            return Err(Error::Usage(format!(
                "{}: there is no checkpoint to resume from; leave out --resume to start anew",
                checkpoint.display()
            )));
        }
        trainer.resume(&checkpoint)?;
    }
    make_folder(&request.out)?;
    let started = Instant::now();
    let outcome = trainer.run(progress.training())?;
    if outcome.stop == Stop::Interrupted {
        return Ok(Step::Interrupted(checkpoint));
    }
    let seconds = started.elapsed().as_secs_f64();
    let report = TrainingReport::new(&request.training, outcome.best, outcome.history, seconds);
    Step::finished((outcome.graph, Some(report)))
}

fn make_folder(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(Error::io(folder))
}

/// What was pruned, with what is known of it.
pub(super) struct Pruned {
    /// The graph after it.
    pub(super) graph: Graph,
    /// How it went.
    pub(super) report: PruningReport,
    /// The training after it, where there was one.
    pub(super) training: Option<TrainingReport>,
}

/// Removes channels where the float model is larger than four times the target, so many that the INT8 file shrinks by
/// [`seed_sparsity`], and trains what is left. Where layers cannot lose so many, single weights go.
///
/// `None` where nothing has to go.
pub(super) fn prune(
    request: &OptimizeRequest,
    graph: &Graph,
    data: &Dataset,
    progress: &mut dyn Progress,
) -> Result<Step<Option<Pruned>>, Error> {
    let float_bytes = larun_tflite::write(&prepare(graph.clone())?)?.len() as u64;
    let sparsity = seed_sparsity(float_bytes, request.target_bytes()).filter(|_| request.prune);
    let Some(sparsity) = sparsity else {
        return Step::finished(None);
    };
    progress.stage("pruning");
    let before = graph.stats()?;
    let budget = (int8_bytes(graph)? as f64 * (1.0 - f64::from(sparsity))) as u64;
    let goal = Goal::Within(Measure::FileBytes, budget);
    let (importance, evidence) = (Importance::L1, Evidence::default());
    let mut masks = Vec::new();
    let mut pruned = graph.clone();
    match prune_channels(graph, goal, importance, &evidence, Keep::default()) {
        Ok((smaller, _)) => pruned = smaller,
        Err(Error::Prune(PruneError::Budget { .. })) => {
            masks = MagnitudePruning::default().masks(graph, sparsity)?;
            apply_masks(&mut pruned, &masks)?;
        }
        Err(error) => return Err(error),
    }
    let by_channels = masks.is_empty();
    progress.stage("fine-tuning");
    let checkpoint = request.out.join(PRUNING_CHECKPOINT);
    let tuning = Tuning {
        config: &request.training,
        epochs: request.fine_tune_epochs,
        checkpoint: checkpoint.clone(),
        resume: request.resume,
    };
    let constraints = Constraints {
        masks,
        ..Constraints::default()
    };
    let Some(tuned) = tune::train(pruned, &tuning, data, &constraints, progress)? else {
        return Ok(Step::Interrupted(checkpoint));
    };
    let after = tuned.graph.stats()?;
    let report = PruningReport {
        sparsity,
        by_channels,
        fine_tune_epochs: request.fine_tune_epochs,
        parameters_before: before.parameters,
        parameters_after: after.parameters,
        macs_before: before.macs,
        macs_after: after.macs,
    };
    Step::finished(Some(Pruned {
        graph: tuned.graph,
        report,
        training: tuned.training,
    }))
}

/// Quantises after training: the float graph as it is written, and the quantised one.
pub(super) fn quantize(
    request: &OptimizeRequest,
    graph: Graph,
    data: &Dataset,
    progress: &mut dyn Progress,
) -> Result<(Graph, Graph), Error> {
    let graph = prepare(graph)?;
    progress.stage("calibrating");
    let ranges = calibrate(&graph, data, request.calibration_samples, progress)?;
    let quantized = quantize_int8(graph.clone(), &ranges, &request.quantization)?;
    Ok((graph, quantized))
}

/// What training for the integers makes.
pub(super) struct ForIntegers {
    /// The float graph of the weights that were trained.
    pub(super) float: Graph,
    /// The quantised one.
    pub(super) quantized: Graph,
    /// What the weights before this training give when they are quantised.
    pub(super) untrained: Graph,
    /// The training.
    pub(super) training: TrainingReport,
}

/// Trains the float network on for the integers that it will compute with, as the pupil of itself.
pub(super) fn train_integers(
    request: &OptimizeRequest,
    qat: &QatRequest,
    graph: Graph,
    data: &Dataset,
    progress: &mut dyn Progress,
) -> Result<Step<ForIntegers>, Error> {
    progress.stage("calibrating");
    let graph = fold_constants(graph)?;
    let placement = Placement::new(&graph, &request.quantization)?;
    let ranges = calibrate(
        placement.simplified(),
        data,
        request.calibration_samples,
        progress,
    )?;
    let simplified = placement.simplified().clone();
    let untrained = quantize_int8(simplified, &ranges, &request.quantization)?;
    progress.stage("training for integers");
    let splits = Splits::of(data);
    let checkpoint = request.out.join(QAT_CHECKPOINT);
    let settings = TrainConfig {
        epochs: qat.epochs,
        learning_rate: qat.learning_rate,
        schedule: Schedule::Cosine {
            least: qat.learning_rate.min(1e-5),
        },
        ..request.training.clone()
    };
    let config = TrainConfig {
        checkpoint: Some(CheckpointConfig {
            path: checkpoint.clone(),
            every: None,
        }),
        ..settings.clone()
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
    let kept = Kept {
        zeros: true,
        clusters: false,
    };
    trainer.add_callback(Box::new(Constraints::of(&graph, kept)?));
    if request.resume && checkpoint.exists() {
        trainer.resume(&checkpoint)?;
    }
    make_folder(&request.out)?;
    let started = Instant::now();
    let outcome = trainer.run(progress.training())?;
    if outcome.stop == Stop::Interrupted {
        return Ok(Step::Interrupted(checkpoint));
    }
    let seconds = started.elapsed().as_secs_f64();
    let (float, quantized) = trainer.convert()?;
    Step::finished(ForIntegers {
        float,
        quantized: quantized.graph,
        untrained,
        training: TrainingReport::new(&settings, outcome.best, outcome.history, seconds),
    })
}
