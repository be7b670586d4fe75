//! The loop: shuffled mini-batches, Adam, validation, early stopping, checkpoints.

use core::ops::ControlFlow;
use std::path::Path;

use larun_graph::{Graph, Place};

pub use augment::Augmentation;
pub use config::{AdamConfig, CheckpointConfig, Monitor, Schedule, TrainConfig};
pub use data::TrainingData;
pub use metrics::{Confusion, EpochMetrics, Scores};
pub use observer::{BatchEvent, Observer};

use crate::checkpoint::{self, Fingerprint};
use crate::{Executor, TrainError};
use adam::Adam;
use classifier::Classifier;
use metrics::Tally;
use state::State;

pub(crate) mod adam;
pub(crate) mod state;

mod augment;
mod classifier;
mod config;
mod data;
mod metrics;
mod observer;
mod order;

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
        }
    }

    fn restore(&self, executor: &mut Executor) -> Result<(), TrainError> {
        for (parameter, values) in executor.parameters().iter().zip(&self.parameters) {
            parameter.update(|own| own.copy_from_slice(values))?;
        }
        for (index, values) in self.statistics.iter().enumerate() {
            executor.set_statistic(index, values)?;
        }
        Ok(())
    }

    fn write_to(&self, executor: &Executor, graph: &mut Graph) -> Result<(), TrainError> {
        for (parameter, values) in executor.parameters().iter().zip(&self.parameters) {
            graph.set_values(parameter.tensor(), values)?;
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
    pub(crate) adam: Adam,
}

/// Trains a classifier.
#[derive(Debug)]
pub struct Trainer<'d> {
    graph: Graph,
    data: TrainingData<'d>,
    config: TrainConfig,
    fingerprint: Fingerprint,
    classifier: Classifier,
    adam: Adam,
    state: State,
    best: Option<Snapshot>,
}

impl<'d> Trainer<'d> {
    /// Prepares the training of a float graph with one input and the output `[1, classes]`.
    ///
    /// A SOFTMAX at the end is left out of the loss, which works on logits.
    ///
    /// # Errors
    /// When a setting is out of range, the graph cannot be trained, or the data do not suit it: wrong sizes, an
    /// empty split, a single class, values that are no numbers.
    pub fn new(
        graph: &Graph,
        data: TrainingData<'d>,
        config: TrainConfig,
    ) -> Result<Self, TrainError> {
        config.check()?;
        let classifier = Classifier::new(graph)?;
        let sample_len = classifier.executor.input_len(0).unwrap_or(0);
        data.check(sample_len, classifier.classes)?;
        if classifier.executor.parameters().is_empty() {
            return Err(classifier.refuse("nothing before it has weights to train"));
        }
        Ok(Self {
            fingerprint: Fingerprint::new(graph, &data, &config),
            adam: Adam::new(classifier.executor.parameters()),
            state: State::new(classifier.classes),
            best: None,
            graph: graph.clone(),
            data,
            config,
            classifier,
        })
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
            adam,
        } = checkpoint::read(path, &self.fingerprint, &self.classifier.executor)?;
        current.restore(&mut self.classifier.executor)?;
        self.state = state;
        self.best = best;
        self.adam = adam;
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
                executor: &self.classifier.executor,
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
            problem,
            learning_rate: self.state.learning_rate(&self.config, self.batches()),
            place,
        }
    }

    fn run_batch(&mut self, samples: &[usize], batches: usize) -> Result<f32, TrainError> {
        let Self {
            classifier,
            adam,
            state,
            config,
            data,
            ..
        } = self;
        let learning_rate = state.learning_rate(config, batches);
        let (seed, epoch, channels) = (config.seed, state.epoch, classifier.channels);
        let augment = |sample, values: &mut [f32]| {
            let augmentation = config.augmentation;
            augmentation.apply(seed, epoch, sample, channels, values);
        };
        let loss = classifier.train_batch(data, samples, &mut state.tally, augment)?;
        if !loss.is_finite() {
            let place = classifier.culprit();
            return Err(self.diverged(self.state.batch + 1, format!("the loss is {loss}"), place));
        }
        state.step += 1;
        state.batch += 1;
        let executor = &classifier.executor;
        adam.step(
            config.adam,
            learning_rate,
            state.step,
            executor.parameters(),
            executor.gradients(),
        )?;
        Ok(loss)
    }

    fn finish_epoch(
        &mut self,
        order: &[usize],
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        self.measure_moments(order)?;
        let (validation, _) = self.classifier.evaluate(&self.data, self.data.validation)?;
        if !validation.loss.is_finite() {
            let problem = format!("the validation loss is {}", validation.loss);
            return Err(self.diverged(self.state.batch, problem, self.classifier.culprit()));
        }
        let tally = core::mem::replace(&mut self.state.tally, Tally::new(self.classifier.classes));
        let metrics = EpochMetrics {
            epoch: self.state.epoch + 1,
            learning_rate: self.state.learning_rate(&self.config, self.batches()),
            train: tally.scores(),
            validation,
        };
        let is_best = self.state.finish_epoch(metrics, &self.config);
        if is_best {
            self.best = Some(Snapshot::of(&self.classifier.executor));
        }
        observer.epoch_finished(&metrics, is_best);
        self.write_checkpoint(observer)
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
        self.classifier
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
        if let Some(place) = self.classifier.lost_parameter() {
            return Err(self.diverged(self.state.batch, "weights are lost".to_owned(), place));
        }
        let executor = &self.classifier.executor;
        let progress = Progress {
            state: self.state.clone(),
            current: Snapshot::of(executor),
            best: self.best.clone(),
            adam: self.adam.clone(),
        };
        checkpoint::write(path, &self.fingerprint, executor, &progress)?;
        observer.checkpoint_written(path);
        Ok(())
    }

    fn outcome(&self, stop: Stop) -> Result<Outcome, TrainError> {
        let executor = &self.classifier.executor;
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
    let mut classifier = Classifier::new(graph)?;
    let sample_len = classifier.executor.input_len(0).unwrap_or(0);
    data.check_split(sample_len, "evaluated", samples, classifier.classes)?;
    classifier.evaluate(data, samples)
}
