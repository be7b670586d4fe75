//! What is measured: loss, accuracy, macro F1.

use serde::{Deserialize, Serialize};

/// How often each class was taken for which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    classes: usize,
    /// Row: true class. Column: predicted class.
    counts: Vec<u64>,
}

impl Confusion {
    /// No samples yet.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![0; classes * classes],
        }
    }

    /// Counts a sample; classes out of range are not counted.
    pub fn add(&mut self, truth: usize, prediction: usize) {
        if truth < self.classes && prediction < self.classes {
            self.counts[truth * self.classes + prediction] += 1;
        }
    }

    /// Counts the samples whose logits or probabilities are rows of `scores`; the greatest wins, the first of
    /// equals.
    pub fn add_batch(&mut self, scores: &[f32], labels: impl IntoIterator<Item = u32>) {
        for (scores, label) in scores.chunks_exact(self.classes.max(1)).zip(labels) {
            self.add(label as usize, arg_max(scores));
        }
    }

    /// Samples of class `truth` that were taken for `prediction`.
    pub fn count(&self, truth: usize, prediction: usize) -> u64 {
        let index = truth * self.classes + prediction;
        self.counts.get(index).copied().unwrap_or(0)
    }

    /// All samples.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The share of samples that were taken for what they are; 0 without samples.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.classes)
            .map(|class| self.count(class, class))
            .sum();
        right as f64 / self.total().max(1) as f64
    }

    /// The mean over the classes that occur, as truth or as prediction, of the harmonic mean of precision and
    /// recall; 0 without samples.
    pub fn macro_f1(&self) -> f64 {
        let sum = |f: &dyn Fn(usize) -> u64| (0..self.classes).map(f).sum::<u64>();
        let scores: Vec<f64> = (0..self.classes)
            .filter_map(|class| {
                let right = self.count(class, class);
                let all = sum(&|other| self.count(class, other) + self.count(other, class));
                (all > 0).then(|| 2.0 * right as f64 / all as f64)
            })
            .collect();
        scores.iter().sum::<f64>() / scores.len().max(1) as f64
    }
}

/// The index of the greatest score, of the first one where some are equal.
fn arg_max(scores: &[f32]) -> usize {
    let mut best = 0;
    for (index, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = index;
        }
    }
    best
}

/// The figures of one split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Share of right answers.
    pub accuracy: f64,
    /// Macro F1.
    pub macro_f1: f64,
}

/// Loss and answers of a split, gathered batch by batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) confusion: Confusion,
    /// Loss times samples.
    loss: f64,
}

impl Tally {
    pub(super) fn new(classes: usize) -> Self {
        Self {
            confusion: Confusion::new(classes),
            loss: 0.0,
        }
    }

    pub(super) fn add(&mut self, loss: f32, logits: &[f32], labels: &[u32]) {
        self.loss += f64::from(loss) * labels.len() as f64;
        self.confusion.add_batch(logits, labels.iter().copied());
    }

    pub(super) fn scores(&self) -> Scores {
        Scores {
            loss: self.loss / self.confusion.total().max(1) as f64,
            accuracy: self.confusion.accuracy(),
            macro_f1: self.confusion.macro_f1(),
        }
    }
}

/// The figures of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The learning rate.
    pub learning_rate: f32,
    /// The training split, measured while the weights changed.
    pub train: Scores,
    /// The validation split, after the epoch.
    pub validation: Scores,
}
