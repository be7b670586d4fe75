//! A trial: one network, its cost, and how well it does.

use larun::Model;
use larun::data::dataset::{Dataset, Split};
use larun::device::{Board, Budget};
use larun::distill::logits::Hinton;
use larun::distill::{Distiller, Teacher};
use larun::evaluate::classify;
use larun::graph::Graph;
use larun::train::{TrainConfig, Trainer};
use larun::training::samples_of;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::SearchError;
use crate::cost::{Cost, int8};
use crate::space::{Architecture, Space};

/// Samples that ranges are measured on.
const CALIBRATION: usize = 100;

/// Networks drawn for a trial until one fits; the last is taken in any case, and not trained.
pub(crate) const DRAWS: usize = 100;

/// Float networks that every trial learns from, beside the labels.
#[derive(Clone, Debug)]
pub struct Teaching {
    /// The networks, for the samples and the classes of the search.
    pub teachers: Vec<Graph>,
    /// How much their answers are softened.
    pub temperature: f32,
    /// The share of the labels in the loss, the rest is the teachers'.
    pub alpha: f32,
}

impl Teaching {
    fn distiller(&self) -> Result<Distiller, SearchError> {
        let teachers: Result<Vec<_>, _> = self.teachers.iter().map(Teacher::new).collect();
        let temperature = self.temperature;
        Ok(Distiller::new(
            teachers?,
            Hinton { temperature },
            self.alpha,
        )?)
    }
}

/// What every trial of a search has in common.
#[derive(Clone, Debug)]
pub struct Setting<'d> {
    /// The networks that there are.
    pub space: Space,
    /// The samples; the test split is never looked at.
    pub data: &'d Dataset,
    /// The board.
    pub board: Board,
    /// Limits beside those of the board.
    pub budget: Budget,
    /// How to train; `epochs` is what a trial gets where a strategy does not say.
    pub training: TrainConfig,
    /// Who teaches; `None` where trials learn from the labels alone.
    pub teaching: Option<Teaching>,
    /// Seeds the networks that are drawn, their weights, and the order of samples.
    pub seed: u64,
}

/// One network of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The seed of the search.
    pub seed: u64,
    /// Its number.
    pub index: u64,
    /// The epochs it was given.
    pub epochs: usize,
    /// The network.
    pub architecture: Architecture,
    /// What it takes.
    pub cost: Cost,
    /// The limits that it exceeds; such a network is not trained.
    pub exceeded: Vec<String>,
    /// The accuracy of the INT8 model on the validation split, run by the interpreter; `None` where it was not trained.
    pub accuracy: Option<f64>,
}

/// A network that was trained.
#[derive(Debug)]
pub struct Trained {
    /// In real numbers, to train on for integers.
    pub float: Graph,
    /// Quantised after the training.
    pub int8: Model,
    /// The accuracy of the INT8 model on the validation split.
    pub accuracy: f64,
}

impl Setting<'_> {
    /// Random numbers of a trial: those of one say nothing of another.
    #[must_use]
    pub fn random(&self, index: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(index);
        random
    }

    /// The network that trial `index` draws, a function of space, limits, seed and index alone: the first one that fits, for a network
    /// that does not is known for it before any training.
    ///
    /// # Errors
    /// When a network cannot be built.
    pub fn drawn(&self, index: u64) -> Result<Architecture, SearchError> {
        let mut random = self.random(index);
        let mut network = self.space.draw(&mut random);
        for _ in 1..DRAWS {
            if self.fits(&network)? {
                break;
            }
            network = self.space.draw(&mut random);
        }
        Ok(network)
    }

    /// Whether a network keeps to the limits of board and budget.
    ///
    /// # Errors
    /// When the network cannot be built.
    pub fn fits(&self, architecture: &Architecture) -> Result<bool, SearchError> {
        let cost = self.cost(self.graph(architecture)?)?;
        Ok(cost.exceeded(&self.board, &self.budget).is_empty())
    }

    /// Does a trial of the network that it draws.
    ///
    /// # Errors
    /// When the network cannot be built or trained.
    pub fn trial(&self, index: u64) -> Result<Trial, SearchError> {
        self.trial_of(index, self.drawn(index)?, self.training.epochs)
    }

    /// Does a trial of a network: its cost first, and training only within the budgets.
    ///
    /// # Errors
    /// When the network cannot be built or trained.
    pub fn trial_of(
        &self,
        index: u64,
        architecture: Architecture,
        epochs: usize,
    ) -> Result<Trial, SearchError> {
        let mut trial = self.costed(index, architecture, epochs)?;
        if trial.exceeded.is_empty() {
            let trained = self.trained(&trial.architecture, epochs)?;
            trial.accuracy = Some(trained.accuracy);
        }
        Ok(trial)
    }

    /// A trial before its training: what its network takes.
    ///
    /// # Errors
    /// When the network cannot be built.
    pub fn costed(
        &self,
        index: u64,
        architecture: Architecture,
        epochs: usize,
    ) -> Result<Trial, SearchError> {
        let cost = self.cost(self.graph(&architecture)?)?;
        Ok(Trial {
            seed: self.seed,
            index,
            epochs,
            architecture,
            cost,
            exceeded: cost.exceeded(&self.board, &self.budget),
            accuracy: None,
        })
    }

    fn graph(&self, architecture: &Architecture) -> Result<Graph, SearchError> {
        let classes = self.data.class_names.len();
        architecture.build(&self.data.sample_shape, classes, self.seed)
    }

    fn cost(&self, graph: Graph) -> Result<Cost, SearchError> {
        Cost::of(graph, &self.board)
    }

    /// Training samples to measure ranges on, spread over the split.
    fn samples(&self) -> Vec<&[f32]> {
        let train = self.data.indices(Split::Train);
        let count = CALIBRATION.min(train.len());
        let spread = (0..count).filter_map(|i| train.get(i * train.len() / count));
        spread.map(|&sample| self.data.sample(sample)).collect()
    }

    /// Trains a network without regard to limits, as a trial does.
    ///
    /// # Errors
    /// When the network cannot be built or trained.
    pub fn trained(
        &self,
        architecture: &Architecture,
        epochs: usize,
    ) -> Result<Trained, SearchError> {
        let (graph, data) = (self.graph(architecture)?, self.data);
        let (train, validation) = (data.indices(Split::Train), data.indices(Split::Validation));
        let config = TrainConfig {
            seed: self.seed,
            epochs,
            checkpoint: None,
            ..self.training.clone()
        };
        let mut trainer = Trainer::new(&graph, samples_of(data, &train, &validation), config)?;
        if let Some(teaching) = &self.teaching {
            trainer.add_callback(Box::new(teaching.distiller()?));
        }
        let float = trainer.run(&mut ())?.graph;
        let (int8, _) = int8(float.clone(), &self.samples())?;
        let accuracy = classify(&int8, data, &validation)?.accuracy;
        Ok(Trained {
            float,
            int8,
            accuracy,
        })
    }
}
