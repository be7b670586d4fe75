//! The loop: shuffled mini-batches, callbacks, an optimiser, validation, early stopping, checkpoints.

use core::ops::ControlFlow;
use std::path::Path;

use larun_graph::{Graph, Place};
use larun_passes::{Calibration, Placement, QuantizedGraph};

pub use augment::{Augmentation, AugmentationError};
pub use callback::{Batch, Callback, Seeds, Step};
pub use config::{CheckpointConfig, Loss, Monitor, TrainConfig};
pub use data::TrainingData;
pub use log::JsonLog;
pub use metrics::{Confusion, EpochMetrics, Scores, roc_auc};
pub use observer::{BatchEvent, Observer};
pub use optimizer::{AdamConfig, Optimizer, OptimizerConfig};
pub use schedule::Schedule;

use crate::checkpoint::{self, Fingerprint};
use crate::{Executor, ParameterKind, QatConfig, TrainError};
use average::Average;
use metrics::Tally;
use state::State;
use task::{LossSettings, StepNumbers, Task};

pub(crate) mod state;

mod augment;
pub(crate) mod average;
mod callback;
mod config;
mod data;
mod log;
mod metrics;
mod observer;
mod optimizer;
mod order;
mod schedule;
mod task;

/// Why a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// All epochs were trained.
    Finished,
    /// The validation split did not get better for too long.
    Early,
    /// The observer asked for it; the training can go on.
    Interrupted,
}

/// What a training gave.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The graph with the weights of the best epoch.
    pub graph: Graph,
    /// The figures of the best epoch; `None` where none came to its end.
    pub best: Option<EpochMetrics>,
    /// The figures of every epoch.
    pub history: Vec<EpochMetrics>,
    /// Why it ended.
    pub stop: Stop,
}

/// Weights and running averages at one point of a training.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) parameters: Vec<Vec<f32>>,
    pub(crate) statistics: Vec<Vec<f32>>,
    /// Ranges of the values that become integers.
    pub(crate) ranges: Vec<Vec<f32>>,
}

impl Snapshot {
    pub(crate) fn of(executor: &Executor) -> Self {
        Self {
            parameters: executor
                .parameters()
                .iter()
                .map(crate::Parameter::values)
                .collect(),
            statistics: executor
                .statistics()
                .iter()
                .map(|s| s.values.clone())
                .collect(),
            ranges: executor.ranges(),
        }
    }

    fn restore(&self, executor: &mut Executor) -> Result<(), TrainError> {
        average::put_back(executor, &self.parameters)?;
        for (index, values) in self.statistics.iter().enumerate() {
            executor.set_statistic(index, values)?;
        }
        executor.set_ranges(&self.ranges)
    }

    fn write_to(&self, executor: &Executor, graph: &mut Graph) -> Result<(), TrainError> {
        for (parameter, values) in executor.parameters().iter().zip(&self.parameters) {
            if parameter.kind() == ParameterKind::Constant {
                graph.set_values(parameter.tensor(), values)?;
            }
        }
        for (statistic, values) in executor.statistics().iter().zip(&self.statistics) {
            graph.set_values(statistic.tensor, values)?;
        }
        Ok(())
    }
}

/// Everything that a training needs to go on.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) state: State,
    pub(crate) current: Snapshot,
    pub(crate) best: Option<Snapshot>,
    pub(crate) average: Average,
    pub(crate) optimizer: Optimizer,
    /// The state of each callback.
    pub(crate) callbacks: Vec<Vec<Vec<f32>>>,
}

/// Trains a network.
#[derive(Debug)]
pub struct Trainer<'d> {
    graph: Graph,
    data: TrainingData<'d>,
    config: TrainConfig,
    fingerprint: Fingerprint,
    task: Task,
    optimizer: Optimizer,
    state: State,
    best: Option<Snapshot>,
    average: Average,
    callbacks: Vec<Box<dyn Callback + 'd>>,
}

impl<'d> Trainer<'d> {
    /// Prepares the training of a float graph with one input and one output; that of a classifier is `[1, classes]`.
    ///
    /// A SOFTMAX at the end is left out of cross-entropy, which works on logits, as is a LOGISTIC of binary cross-entropy.
    ///
    /// # Errors
    /// When a setting is out of range, the graph cannot be trained, or the data do not suit it: wrong sizes, an
    /// empty split, a single class, values that are no numbers.
    pub fn new(
        graph: &Graph,
        data: TrainingData<'d>,
        config: TrainConfig,
    ) -> Result<Self, TrainError> {
        Self::with_executor(graph, Executor::new(graph)?, data, config)
    }

    /// As [`new`](Self::new), for the integers that the graph will compute with: see [`Executor::quantization_aware`].
    ///
    /// # Errors
    /// As [`new`](Self::new), and when a range is missing.
    pub fn quantization_aware(
        graph: &Graph,
        data: TrainingData<'d>,
        config: TrainConfig,
        placement: &Placement,
        ranges: &Calibration,
        qat: QatConfig,
    ) -> Result<Self, TrainError> {
        let executor = Executor::quantization_aware(graph, placement, ranges, qat)?;
        let settings = format!("{qat:?} {:?} {:?}", placement.weights(), executor.ranges());
        let mut trainer = Self::with_executor(graph, executor, data, config)?;
        trainer.fingerprint.add_callback("integers", &settings);
        Ok(trainer)
    }

    fn with_executor(
        graph: &Graph,
        executor: Executor,
        data: TrainingData<'d>,
        config: TrainConfig,
    ) -> Result<Self, TrainError> {
        config.check()?;
        let task = Task::with_executor(graph, executor, LossSettings::from(&config))?;
        data.check(&task.shape(data.targets.is_some()))?;
        if task.executor.parameters().is_empty() {
            return Err(task.refuse("nothing before it has weights to train"));
        }
        let lengths = task.executor.parameters().iter().map(crate::Parameter::len);
        Ok(Self {
            fingerprint: Fingerprint::new(graph, &data, &config),
            optimizer: Optimizer::new(lengths),
            state: State::new(task.confusion_classes()),
            best: None,
            average: Average::default(),
            graph: graph.clone(),
            data,
            config,
            task,
            callbacks: Vec::new(),
        })
    }

    /// Lets a callback take part. Callbacks are called in the order in which they are added; `Box::new(&mut callback)` keeps
    /// one for the time after the training.
    ///
    /// Add them before [`resume`](Self::resume): a checkpoint belongs to the same callbacks with the same settings.
    pub fn add_callback(&mut self, callback: Box<dyn Callback + 'd>) {
        self.fingerprint
            .add_callback(callback.name(), &callback.settings());
        self.callbacks.push(callback);
    }

    /// Quantises the network of the best epoch, or as it stands where there is none, with the ranges and scales that were trained
    /// with it. Gives the simplified float graph and the quantised one.
    ///
    /// # Errors
    /// Those of the converter, and when the training was not [for integers](Self::quantization_aware).
    pub fn convert(&mut self) -> Result<(Graph, QuantizedGraph), TrainError> {
        let graph = self.graph.clone();
        self.with_best(|task| task.executor.convert(&graph))
    }

    /// Figures of the best epoch's network, or of the network as it stands where there is none, on some samples of the data.
    ///
    /// # Errors
    /// When a sample does not suit the network.
    pub fn evaluate_best(&mut self, samples: &[usize]) -> Result<(Scores, Confusion), TrainError> {
        let shape = self.task.shape(self.data.targets.is_some());
        self.data.check_split(&shape, "evaluated", samples)?;
        let data = self.data;
        self.with_best(|task| task.evaluate(&data, samples))
    }

    /// The outputs of the best epoch's network for some samples, one after the other.
    ///
    /// # Errors
    /// When a sample does not suit the network.
    pub fn outputs_of_best(&mut self, samples: &[usize]) -> Result<Vec<f32>, TrainError> {
        let shape = self.task.shape(self.data.targets.is_some());
        self.data.check_split(&shape, "evaluated", samples)?;
        let data = self.data;
        self.with_best(|task| task.outputs(&data, samples))
    }

    /// Calls `f` with the network of the best epoch, and puts things back.
    fn with_best<R>(
        &mut self,
        f: impl FnOnce(&mut Task) -> Result<R, TrainError>,
    ) -> Result<R, TrainError> {
        let before = Snapshot::of(&self.task.executor);
        if let Some(best) = &self.best {
            best.restore(&mut self.task.executor)?;
        }
        let result = f(&mut self.task);
        before.restore(&mut self.task.executor)?;
        result
    }

    /// The network as it stands, for those who want to look at its parameters before the training.
    pub fn executor(&self) -> &Executor {
        &self.task.executor
    }

    /// Goes on from a checkpoint of the same graph, data and settings; the result is the same, bit for bit,
    /// as that of a training that was never stopped.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or belongs to another training.
    pub fn resume(&mut self, path: &Path) -> Result<(), TrainError> {
        let Progress {
            state,
            current,
            best,
            average,
            optimizer,
            callbacks,
        } = checkpoint::read(path, &self.fingerprint, &self.task.executor)?;
        for (callback, state) in self.callbacks.iter_mut().zip(callbacks) {
            let name = callback.name();
            callback
                .restore(state)
                .map_err(|problem| TrainError::Checkpoint {
                    path: path.to_owned(),
                    problem: format!("the state of `{name}` is not to be used: {problem}"),
                })?;
        }
        current.restore(&mut self.task.executor)?;
        self.state = state;
        self.best = best;
        self.average = average;
        self.optimizer = optimizer;
        Ok(())
    }

    /// Trains to the end, or until the observer breaks. Called again, it goes on.
    ///
    /// # Errors
    /// When the loss is no number, or a checkpoint cannot be written.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        loop {
            if self.state.epoch == self.config.epochs {
                return self.outcome(Stop::Finished);
            }
            if self.state.has_lost_patience(&self.config) {
                return self.outcome(Stop::Early);
            }
            if self.run_epoch(observer)?.is_break() {
                self.write_checkpoint(observer)?;
                return self.outcome(Stop::Interrupted);
            }
        }
    }

    /// Epochs that are over.
    pub fn epochs_done(&self) -> usize {
        self.state.epoch
    }

    fn run_epoch(&mut self, observer: &mut dyn Observer) -> Result<ControlFlow<()>, TrainError> {
        let order = order::shuffled(self.data.train, self.config.seed, self.state.epoch);
        let batches = self.batches();
        observer.epoch_started(self.state.epoch + 1, self.config.epochs, batches);
        for samples in order.chunks(self.config.batch_size).skip(self.state.batch) {
            let loss = self.run_batch(samples, batches)?;
            let event = BatchEvent {
                epoch: self.state.epoch + 1,
                epochs: self.config.epochs,
                batch: self.state.batch,
                batches,
                loss,
                executor: &self.task.executor,
            };
            if observer.batch_finished(event).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            self.write_checkpoint_when_due(batches, observer)?;
        }
        self.finish_epoch(&order, observer)?;
        Ok(ControlFlow::Continue(()))
    }

    fn batches(&self) -> usize {
        self.data.train.len().div_ceil(self.config.batch_size)
    }

    fn diverged(&self, batch: usize, problem: String, place: Place) -> TrainError {
        TrainError::Diverged {
            epoch: self.state.epoch + 1,
            batch,
            step: self.state.step,
            problem,
            learning_rate: self.state.learning_rate(&self.config, self.batches()),
            place,
        }
    }

    fn run_batch(&mut self, samples: &[usize], batches: usize) -> Result<f32, TrainError> {
        let Self {
            task,
            optimizer,
            state,
            config,
            data,
            callbacks,
            average,
            ..
        } = self;
        let step = StepNumbers {
            step: state.step,
            epoch: state.epoch,
            epochs: config.epochs,
            batch: state.batch,
            batches,
            learning_rate: state.learning_rate(config, batches),
        };
        let augmentation = (config.augmentation, config.seed);
        let loss = task.train_batch(
            data,
            samples,
            &mut state.tally,
            step,
            augmentation,
            callbacks,
        )?;
        if !loss.is_finite() {
            let place = task.culprit();
            return Err(self.diverged(self.state.batch + 1, format!("the loss is {loss}"), place));
        }
        task.executor.penalise_thresholds();
        task.change_gradients(step, callbacks)?;
        state.step += 1;
        state.batch += 1;
        let executor = &task.executor;
        optimizer.step(
            config.optimizer,
            step.learning_rate,
            state.step,
            executor.parameters(),
            executor.gradients(),
        )?;
        for callback in callbacks.iter_mut() {
            callback.after_step(&step.of(executor))?;
        }
        if config.weight_average > 0.0 {
            let settled = callbacks.iter().all(|callback| callback.is_settled());
            average.add(
                executor.parameters(),
                state.step,
                config.weight_average,
                settled,
            );
        }
        Ok(loss)
    }

    fn finish_epoch(
        &mut self,
        order: &[usize],
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let weights = match self.average.is_empty() {
            true => None,
            false => Some(self.average.swap_into(&self.task.executor)?),
        };
        let judged = self.judge_epoch(order, observer);
        if let Some(weights) = weights {
            average::put_back(&self.task.executor, &weights)?;
        }
        judged?;
        self.write_checkpoint(observer)
    }

    /// Measures the network as it stands on the validation split, and keeps it where it is the best.
    fn judge_epoch(
        &mut self,
        order: &[usize],
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        self.measure_moments(order)?;
        let (validation, _) = self.task.evaluate(&self.data, self.data.validation)?;
        if !validation.loss.is_finite() {
            let problem = format!("the validation loss is {}", validation.loss);
            return Err(self.diverged(self.state.batch, problem, self.task.culprit()));
        }
        let tally = core::mem::replace(
            &mut self.state.tally,
            Tally::new(self.task.confusion_classes()),
        );
        let metrics = EpochMetrics {
            epoch: self.state.epoch + 1,
            learning_rate: self.state.learning_rate(&self.config, self.batches()),
            train: tally.scores(),
            validation,
        };
        let is_settled = self.callbacks.iter().all(|callback| callback.is_settled());
        let is_best = self.state.finish_epoch(metrics, &self.config, is_settled);
        if is_best {
            self.best = Some(Snapshot::of(&self.task.executor));
        }
        observer.epoch_finished(&metrics, is_best);
        Ok(())
    }

    /// Measures the moments of batch normalisation anew. Only whole batches take part where there is one, as
    /// all of them count alike.
    fn measure_moments(&mut self, order: &[usize]) -> Result<(), TrainError> {
        let batch = self.config.batch_size;
        let most = order
            .len()
            .min(self.config.measured_batches.saturating_mul(batch));
        let samples = if most < batch {
            most
        } else {
            most - most % batch
        };
        self.task
            .measure(&self.data, order[..samples].chunks(batch))
    }

    fn write_checkpoint_when_due(
        &self,
        batches: usize,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let every = self
            .config
            .checkpoint
            .as_ref()
            .and_then(|checkpoint| checkpoint.every);
        match every {
            // The last batch is followed by the checkpoint of the epoch.
            Some(every)
                if self.state.batch < batches && self.state.batch.is_multiple_of(every.max(1)) =>
            {
                self.write_checkpoint(observer)
            }
            _ => Ok(()),
        }
    }

    fn write_checkpoint(&self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let Some(CheckpointConfig { path, .. }) = &self.config.checkpoint else {
            return Ok(());
        };
        // A checkpoint from which no training can go on must not replace one from which it can.
        if let Some(place) = self.task.lost_parameter() {
            return Err(self.diverged(self.state.batch, "weights are lost".to_owned(), place));
        }
        let executor = &self.task.executor;
        let progress = Progress {
            state: self.state.clone(),
            current: Snapshot::of(executor),
            best: self.best.clone(),
            average: self.average.clone(),
            optimizer: self.optimizer.clone(),
            callbacks: self.callbacks.iter().map(|c| c.state()).collect(),
        };
        checkpoint::write(path, &self.fingerprint, executor, &progress)?;
        observer.checkpoint_written(path);
        Ok(())
    }

    fn outcome(&self, stop: Stop) -> Result<Outcome, TrainError> {
        let executor = &self.task.executor;
        let mut graph = self.graph.clone();
        match &self.best {
            Some(best) => best.write_to(executor, &mut graph)?,
            None => executor.write_to(&mut graph)?,
        }
        Ok(Outcome {
            graph,
            best: self.state.best().copied(),
            history: self.state.history.clone(),
            stop,
        })
    }
}

/// Loss, accuracy and confusion of a float classifier on some samples of `data`.
///
/// # Errors
/// When the graph is no classifier or the samples do not suit it.
pub fn evaluate(
    graph: &Graph,
    data: &TrainingData<'_>,
    samples: &[usize],
) -> Result<(Scores, Confusion), TrainError> {
    evaluate_loss(graph, data, samples, Loss::CrossEntropy)
}

/// As [`evaluate`], of a network with any loss.
///
/// # Errors
/// When the graph does not suit the loss or the samples do not suit the graph.
pub fn evaluate_loss(
    graph: &Graph,
    data: &TrainingData<'_>,
    samples: &[usize],
    loss: Loss,
) -> Result<(Scores, Confusion), TrainError> {
    let config = TrainConfig {
        loss,
        ..TrainConfig::default()
    };
    let mut task = Task::new(graph, LossSettings::from(&config))?;
    data.check_split(&task.shape(data.targets.is_some()), "evaluated", samples)?;
    task.evaluate(data, samples)
}
