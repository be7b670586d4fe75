//! Where a training stands, apart from the weights.

use serde::{Deserialize, Serialize};

use super::metrics::Tally;
use super::schedule::{Done, Schedule};
use super::{EpochMetrics, Monitor, TrainConfig};

/// Where a training stands, apart from the weights and the optimiser's moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Epochs that are over.
    pub(super) epoch: usize,
    /// Batches of the current epoch that are over.
    pub(super) batch: usize,
    /// Steps taken.
    pub(super) step: u64,
    /// The training split so far in this epoch.
    pub(super) tally: Tally,
    /// The factor by which plateaus have reduced the learning rate.
    reduction: f32,
    /// Smallest validation loss, and epochs since then or since the last reduction.
    plateau: (Option<f64>, usize),
    /// The number of the best epoch in the history.
    best: Option<usize>,
    /// The epochs that are over.
    pub(super) history: Vec<EpochMetrics>,
}

impl State {
    pub(super) fn new(classes: usize) -> Self {
        Self {
            epoch: 0,
            batch: 0,
            step: 0,
            tally: Tally::new(classes),
            reduction: 1.0,
            plateau: (None, 0),
            best: None,
            history: Vec::new(),
        }
    }

    /// The learning rate of the step after `batch` of `batches`.
    pub(super) fn learning_rate(&self, config: &TrainConfig, batches: usize) -> f32 {
        let done = Done {
            steps: (self.epoch * batches + self.batch) as u64,
            steps_per_epoch: batches as u64,
            all_steps: (config.epochs * batches) as u64,
        };
        let rate = config
            .schedule
            .rate(config.learning_rate, done, self.reduction);
        match config.warmup_steps {
            warmup if done.steps < warmup => rate * ((done.steps + 1) as f32 / warmup as f32),
            _ => rate,
        }
    }

    /// Ends an epoch. Returns whether it is the best so far; only a network that is settled can be.
    pub(super) fn finish_epoch(
        &mut self,
        metrics: EpochMetrics,
        config: &TrainConfig,
        is_settled: bool,
    ) -> bool {
        let is_best = is_settled
            && self
                .best()
                .is_none_or(|best| is_better(&metrics, best, config.monitor));
        if is_best {
            self.best = Some(self.history.len());
        }
        self.reduce_on_plateau(metrics.validation.loss, config.schedule);
        self.history.push(metrics);
        self.epoch += 1;
        self.batch = 0;
        is_best
    }

    /// The figures of the best epoch.
    pub(super) fn best(&self) -> Option<&EpochMetrics> {
        self.history.get(self.best?)
    }

    /// Whether the best epoch lies longer back than patience allows.
    pub(super) fn has_lost_patience(&self, config: &TrainConfig) -> bool {
        match (config.patience, self.best()) {
            (Some(patience), Some(best)) => self.epoch - best.epoch >= patience.max(1),
            _ => false,
        }
    }

    fn reduce_on_plateau(&mut self, loss: f64, schedule: Schedule) {
        let (best, waited) = &mut self.plateau;
        if best.is_none_or(|best| loss < best) {
            *best = Some(loss);
            *waited = 0;
            return;
        }
        *waited += 1;
        match schedule {
            Schedule::Plateau {
                factor, patience, ..
            } if *waited >= patience => {
                self.reduction *= factor;
                *waited = 0;
            }
            _ => {}
        }
    }
}

fn is_better(new: &EpochMetrics, old: &EpochMetrics, monitor: Monitor) -> bool {
    let (new, old) = (new.validation, old.validation);
    match monitor {
        Monitor::Loss => new.loss < old.loss,
        Monitor::Accuracy => {
            new.accuracy > old.accuracy || (new.accuracy == old.accuracy && new.loss < old.loss)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::State;
    use crate::{EpochMetrics, Monitor, Schedule, Scores, TrainConfig};

    /// The learning rates of the epochs that follow these validation losses, four batches each.
    fn rates(schedule: Schedule, losses: &[f64]) -> Vec<f32> {
        let config = config(schedule);
        let mut state = State::new(2);
        let mut rates = Vec::new();
        for &loss in losses {
            state.finish_epoch(metrics(state.epoch + 1, loss, 0.5), &config, true);
            rates.push(state.learning_rate(&config, 4));
        }
        rates
    }

    fn config(schedule: Schedule) -> TrainConfig {
        TrainConfig {
            epochs: 4,
            learning_rate: 1.0,
            schedule,
            ..TrainConfig::default()
        }
    }

    fn metrics(epoch: usize, loss: f64, accuracy: f64) -> EpochMetrics {
        let scores = Scores {
            loss,
            accuracy,
            macro_f1: 0.5,
            auc: None,
        };
        EpochMetrics {
            epoch,
            learning_rate: 1.0,
            train: scores,
            validation: scores,
        }
    }

    #[test]
    fn plateaus_reduce_the_rate() {
        let schedule = Schedule::Plateau {
            factor: 0.5,
            patience: 2,
            least: 0.2,
        };
        let losses = [1.0, 1.1, 1.2, 0.9, 0.9, 0.9, 0.9, 0.9];
        let expected = [1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2];
        assert_eq!(rates(schedule, &losses), expected);
    }

    #[test]
    fn a_cosine_falls_from_the_greatest_to_the_least() {
        let rates = rates(Schedule::Cosine { least: 0.2 }, &[1.0; 4]);
        for (rate, expected) in rates.iter().zip([0.8828, 0.6, 0.3172, 0.2]) {
            assert!((rate - expected).abs() < 1e-4, "{rates:?}");
        }
    }

    #[test]
    fn the_best_epoch_is_that_of_the_monitored_figure() {
        for (monitor, best) in [(Monitor::Loss, 2), (Monitor::Accuracy, 3)] {
            let config = TrainConfig {
                monitor,
                patience: Some(1),
                ..config(Schedule::Constant)
            };
            let mut state = State::new(2);
            for (loss, accuracy) in [(1.0, 0.5), (0.5, 0.6), (0.6, 0.7), (0.7, 0.7)] {
                state.finish_epoch(metrics(state.epoch + 1, loss, accuracy), &config, true);
            }
            assert_eq!(state.best().map(|best| best.epoch), Some(best));
            assert!(state.has_lost_patience(&config));
        }
    }
}
