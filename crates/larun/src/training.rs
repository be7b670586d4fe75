//! Training by itself: a network of the zoo or a model file, in real numbers or for integers, with or without teachers.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Instant;

use larun_distill::logits::{Decoupled, Hinton, Published};
use larun_distill::{Distiller, Teacher};
use larun_graph::Graph;
use larun_passes::{Calibration, Calibrator, Placement, QuantizeOptions, fold_constants, simplify};
use larun_train::{
    CheckpointConfig, JsonLog, Loss, QatConfig, Scores, Stop, TrainConfig, Trainer, TrainingData,
    evaluate_loss,
};
use larun_zoo::dataset::{Dataset, Split};
use serde::Serialize;

use crate::evaluate::{Classification, classify, real_output, set_input};
use crate::optimize::{Progress, Source, dataset, network, spread};
use crate::prune::{Constraints, Kept};
use crate::report::{DatasetReport, TrainingReport};
use crate::{Error, Model, files};

/// What [`train`] is asked to do.
#[derive(Clone, Debug)]
pub struct TrainRequest {
    /// The network.
    pub source: Source,
    /// Labelled samples (`.npz`); simulated light curves where there are none.
    pub data: Option<PathBuf>,
    /// Simulated samples of each class.
    pub samples_per_class: usize,
    /// How to train. The checkpoint is set by [`train`].
    pub training: TrainConfig,
    /// Train for integers.
    pub integers: Option<Integers>,
    /// Learn from other networks.
    pub distillation: Option<Distillation>,
    /// What of pruned and clustered weights lasts.
    pub kept: Kept,
    /// Go on from the checkpoint beside the output.
    pub resume: bool,
    /// The model to write.
    pub out: PathBuf,
}

/// Training for integers.
#[derive(Clone, Debug)]
pub struct Integers {
    /// How the model is quantised in the end.
    pub quantization: QuantizeOptions,
    /// How ranges and scales are found.
    pub config: QatConfig,
    /// Training samples from which the ranges to begin with are seen.
    pub calibration_samples: usize,
}

/// What a student learns of its teachers' answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lesson {
    /// Hinton's loss on logits.
    Hinton,
    /// The formula on probabilities that guides print.
    Published,
    /// Decoupled targets, beside the whole loss of the task.
    Decoupled,
}

/// Learning from other networks.
#[derive(Clone, Debug)]
pub struct Distillation {
    /// The teachers' files.
    pub teachers: Vec<PathBuf>,
    /// What is learnt.
    pub lesson: Lesson,
    /// The temperature.
    pub temperature: f32,
    /// The share of the task's own loss; of decoupled targets, the weight of the label.
    pub alpha: f32,
}

/// What [`train`] comes to.
#[derive(Debug)]
pub enum Outcome {
    /// All files are written.
    Finished(Box<TrainReport>),
    /// The observer stopped the training; the checkpoint is written and `resume` goes on from it.
    Interrupted {
        /// The checkpoint.
        checkpoint: PathBuf,
    },
}

/// The result of a training. Accuracies were measured on the test split.
#[derive(Clone, Debug, Serialize)]
pub struct TrainReport {
    /// The network's name.
    pub network: String,
    /// The data.
    pub dataset: DatasetReport,
    /// The training.
    pub training: TrainingReport,
    /// The network before this training, on the test split; for a network of the zoo, with the weights that were drawn.
    pub before: Scores,
    /// The trained network on the test split, by the arithmetic of the training.
    pub after: Scores,
    /// The written model on the test split, run by the interpreter; `null` where outputs are no classes.
    pub model: Option<Classification>,
    /// The share of test samples for which the integer model gives the class that the training's arithmetic gives; `null` in real
    /// numbers.
    pub agreement: Option<f64>,
    /// Teachers.
    pub teachers: usize,
    /// The written model.
    pub file: PathBuf,
    /// Its bytes.
    pub file_bytes: u64,
    /// Bytes of the arena that the interpreter needs.
    pub arena_bytes: u64,
    /// One line of JSON for every step and epoch.
    pub log: PathBuf,
}

/// Where the checkpoint of a training lies whose model is `out`.
pub fn checkpoint_of(out: &Path) -> PathBuf {
    with_suffix(out, ".checkpoint")
}

/// Where the log of a training lies whose model is `out`.
pub fn log_of(out: &Path) -> PathBuf {
    with_suffix(out, ".log.jsonl")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Trains, measures on the test split and writes the model, the log beside it, and with integers the float model of the same
/// weights too.
///
/// # Errors
/// When data, network or teachers cannot be used, training fails, or a file cannot be written.
pub fn train(request: &TrainRequest, progress: &mut dyn Progress) -> Result<Outcome, Error> {
    progress.stage("reading data");
    let data = dataset(
        request.data.as_deref(),
        request.samples_per_class,
        request.training.seed,
    )?;
    let graph = network(&request.source, &data, request.training.seed)?;
    let graph = fold_constants(graph)?;
    let splits = Splits::of(&data);
    let samples = splits.samples(&data);
    let loss = request.training.loss;
    let checkpoint = checkpoint_of(&request.out);
    let config = TrainConfig {
        checkpoint: Some(CheckpointConfig {
            path: checkpoint.clone(),
            every: Some(CHECKPOINT_STEPS),
        }),
        ..request.training.clone()
    };
    let (before, _) = evaluate_loss(&graph, &samples, &splits.test, loss)?;
    let mut trainer = match &request.integers {
        None => Trainer::new(&graph, samples, config)?,
        Some(integers) => {
            progress.stage("calibrating");
            let placement = Placement::new(&graph, &integers.quantization)?;
            let ranges = calibrate(
                placement.simplified(),
                &data,
                integers.calibration_samples,
                progress,
            )?;
            let qat = integers.config;
            Trainer::quantization_aware(&graph, samples, config, &placement, &ranges, qat)?
        }
    };
    let mut teachers = 0;
    if let Some(distillation) = &request.distillation {
        teachers = distillation.teachers.len();
        trainer.add_callback(Box::new(distiller(distillation)?));
    }
    // Last, so that what it keeps is kept.
    trainer.add_callback(Box::new(Constraints::of(&graph, request.kept)?));
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
    progress.stage("training");
    let log = log_of(&request.out);
    let mut options = File::options();
    options.create(true).write(true);
    options.append(request.resume).truncate(!request.resume);
    let file = options.open(&log).map_err(Error::io(&log))?;
    let started = Instant::now();
    let outcome = {
        let mut observer = JsonLog::new(BufWriter::new(file), progress.training());
        trainer.run(&mut observer)?
    };
    if outcome.stop == Stop::Interrupted {
        return Ok(Outcome::Interrupted { checkpoint });
    }
    let seconds = started.elapsed().as_secs_f64();
    progress.stage("validating");
    let (after, _) = trainer.evaluate_best(&splits.test)?;
    let (graph, float) = match &request.integers {
        None => (simplify(outcome.graph)?, None),
        Some(_) => {
            let (float, quantized) = trainer.convert()?;
            (quantized.graph, Some(float))
        }
    };
    let bytes = larun_tflite::write(&graph)?;
    let model = Model::new(&request.out, &bytes);
    let classes = match loss {
        Loss::CrossEntropy => Some(classify(&model, &data, &splits.test)?),
        Loss::BinaryCrossEntropy | Loss::MeanSquaredError => None,
    };
    let agreement = match (&request.integers, loss) {
        (Some(_), Loss::CrossEntropy) => {
            let answers = trainer.outputs_of_best(&splits.test)?;
            Some(agreement(&model, &data, &splits.test, &answers)?)
        }
        _ => None,
    };
    progress.stage("writing files");
    let mut batch = files::Batch::default();
    batch.add(&request.out, &bytes)?;
    if let Some(float) = float {
        let path = float_of(&request.out);
        batch.add(&path, &larun_tflite::write(&float)?)?;
    }
    batch.commit()?;
    // A finished training has nothing to go on with.
    std::fs::remove_file(&checkpoint).map_err(Error::io(&checkpoint))?;
    let mut arena = model.arena()?;
    let arena_bytes = model.interpreter(&mut arena)?.arena_bytes() as u64;
    Ok(Outcome::Finished(Box::new(TrainReport {
        network: request.source.name(),
        dataset: DatasetReport::new(&data, request.data.is_none()),
        training: TrainingReport::new(&request.training, outcome.best, outcome.history, seconds),
        before,
        after,
        model: classes,
        agreement,
        teachers,
        file_bytes: bytes.len() as u64,
        arena_bytes,
        file: request.out.clone(),
        log,
    })))
}

/// Steps between two checkpoints.
const CHECKPOINT_STEPS: usize = 100;

/// The float model beside an integer one.
fn float_of(out: &Path) -> PathBuf {
    let stem = out
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    out.with_file_name(format!("{stem}_float.tflite"))
}

fn make_folder(out: &Path) -> Result<(), Error> {
    match out.parent() {
        Some(folder) if folder != Path::new("") => {
            std::fs::create_dir_all(folder).map_err(Error::io(folder))
        }
        _ => Ok(()),
    }
}

/// The splits of a dataset.
pub(crate) struct Splits {
    train: Vec<usize>,
    validation: Vec<usize>,
    pub(crate) test: Vec<usize>,
}

impl Splits {
    pub(crate) fn of(data: &Dataset) -> Self {
        Self {
            train: data.indices(Split::Train),
            validation: data.indices(Split::Validation),
            test: data.indices(Split::Test),
        }
    }

    pub(crate) fn samples<'d>(&'d self, data: &'d Dataset) -> TrainingData<'d> {
        samples_of(data, &self.train, &self.validation)
    }
}

/// The ranges of a float graph's values, seen on training samples.
pub(crate) fn calibrate(
    graph: &Graph,
    data: &Dataset,
    count: usize,
    progress: &mut dyn Progress,
) -> Result<Calibration, Error> {
    let train = data.indices(Split::Train);
    let samples = spread(&train, count);
    let mut calibrator = Calibrator::new(graph)?;
    calibrator.observe(samples.iter().enumerate().map(|(done, &index)| {
        progress.samples(done + 1, samples.len());
        vec![data.sample(index)]
    }))?;
    Ok(calibrator.finish()?)
}

/// The callback that brings teachers in.
fn distiller(distillation: &Distillation) -> Result<Distiller, Error> {
    let teachers = distillation.teachers.iter().map(|path| {
        let graph = fold_constants(Model::open(path)?.graph()?)?;
        Ok::<_, Error>(Teacher::new(&graph)?)
    });
    let teachers = teachers.collect::<Result<Vec<_>, _>>()?;
    let Distillation {
        temperature, alpha, ..
    } = *distillation;
    if !(temperature > 0.0 && temperature.is_finite()) {
        return Err(Error::Usage("a temperature must be above 0".to_owned()));
    }
    Ok(match distillation.lesson {
        Lesson::Hinton => Distiller::new(teachers, Hinton { temperature }, alpha)?,
        Lesson::Published => Distiller::new(teachers, Published { temperature }, alpha)?,
        Lesson::Decoupled => {
            let loss = Decoupled {
                temperature,
                target: 1.0,
                others: 8.0,
            };
            Distiller::weighted(teachers, loss, alpha, 1.0 - alpha)?
        }
    })
}

/// The share of samples for which a model's class is that of given outputs.
fn agreement(
    model: &Model,
    data: &Dataset,
    samples: &[usize],
    outputs: &[f32],
) -> Result<f64, Error> {
    let mut arena = model.arena()?;
    let mut interpreter = model.interpreter(&mut arena)?;
    let width = outputs.len() / samples.len().max(1);
    let mut alike = 0;
    for (&index, expected) in samples.iter().zip(outputs.chunks_exact(width.max(1))) {
        set_input(model, &mut interpreter, 0, data.sample(index))?;
        interpreter.invoke().map_err(|e| model.run_error(e))?;
        let found = real_output(model, &interpreter, 0)?;
        alike += usize::from(greatest(&found) == greatest(expected));
    }
    Ok(alike as f64 / samples.len().max(1) as f64)
}

/// The first of the greatest.
fn greatest(scores: &[f32]) -> usize {
    let mut best = 0;
    for (index, score) in scores.iter().enumerate() {
        if scores.get(best).is_none_or(|found| score > found) {
            best = index;
        }
    }
    best
}

/// A dataset's samples and classes for the trainer, with the indices to train and to validate on.
#[must_use]
pub fn samples_of<'a>(
    data: &'a Dataset,
    train: &'a [usize],
    validation: &'a [usize],
) -> TrainingData<'a> {
    TrainingData {
        x: &data.x,
        sample_len: data.sample_len(),
        y: &data.y,
        soft_labels: (!data.soft_labels.is_empty()).then_some(data.soft_labels.as_slice()),
        train,
        validation,
        ..TrainingData::default()
    }
}
