//! A trial: one network, its cost, and how well it does.

use larun::data::dataset::{Dataset, Split};
use larun::device::{Board, Budget};
use larun::evaluate::classify;
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

impl Setting<'_> {
    /// Random numbers of a trial: those of one say nothing of another.
    #[must_use]
    pub fn random(&self, index: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(index);
        random
    }

    /// The network that trial `index` draws: a function of space, seed and index alone.
    #[must_use]
    pub fn drawn(&self, index: u64) -> Architecture {
        self.space.draw(&mut self.random(index))
    }

    /// Does a trial of the network that it draws.
    ///
    /// # Errors
    /// When the network cannot be built or trained.
    pub fn trial(&self, index: u64) -> Result<Trial, SearchError> {
        self.trial_of(index, self.drawn(index), self.training.epochs)
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
        let data = self.data;
        let train = data.indices(Split::Train);
        let count = CALIBRATION.min(train.len());
        let spread = (0..count).filter_map(|i| train.get(i * train.len() / count));
        let samples: Vec<&[f32]> = spread.map(|&sample| data.sample(sample)).collect();
        let classes = data.class_names.len();
        let graph = architecture.build(&data.sample_shape, classes, self.seed)?;
        let few = samples.get(..samples.len().min(4)).unwrap_or_default();
        let cost = Cost::of(graph.clone(), few, &self.board)?;
        let exceeded = cost.exceeded(&self.board, &self.budget);
        let mut trial = Trial {
            seed: self.seed,
            index,
            epochs,
            architecture,
            cost,
            exceeded,
            accuracy: None,
        };
        if trial.exceeded.is_empty() {
            let validation = data.indices(Split::Validation);
            let config = TrainConfig {
                seed: self.seed,
                epochs,
                checkpoint: None,
                ..self.training.clone()
            };
            let training = samples_of(data, &train, &validation);
            let trained = Trainer::new(&graph, training, config)?.run(&mut ())?;
            let (model, _) = int8(trained.graph, &samples)?;
            trial.accuracy = Some(classify(&model, data, &validation)?.accuracy);
        }
        Ok(trial)
    }
}
