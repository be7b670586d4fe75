//! What is measured: loss, accuracy, macro F1, confusion, area under the curve.

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
    /// The mean of the loss; of cross-entropy, in nats.
    pub loss: f64,
    /// Share of right answers; 0 where there are no classes.
    pub accuracy: f64,
    /// Macro F1; 0 where there are no classes.
    pub macro_f1: f64,
    /// The area under the receiver operating characteristic: the mean over the classes, each against the others. Without classes,
    /// that of the error of a sample as a sign that its label is not 0. `None` where it was not measured or only one label occurs.
    #[serde(default)]
    pub auc: Option<f64>,
}

/// Loss and answers of a split, gathered batch by batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) confusion: Confusion,
    /// Loss times samples.
    loss: f64,
    #[serde(default)]
    samples: u64,
    /// Scores by which samples are ranked, one a class, and the labels; `None` where they are not kept.
    #[serde(skip)]
    ranking: Option<Ranking>,
}

/// Scores by which samples are ranked.
#[derive(Clone, Debug, Default, PartialEq)]
struct Ranking {
    scores: Vec<f32>,
    labels: Vec<u32>,
}

impl Tally {
    pub(super) fn new(classes: usize) -> Self {
        Self {
            confusion: Confusion::new(classes),
            loss: 0.0,
            samples: 0,
            ranking: None,
        }
    }

    /// One that keeps all scores, for the area under the curve.
    pub(super) fn ranked(classes: usize) -> Self {
        Self {
            ranking: Some(Ranking::default()),
            ..Self::new(classes)
        }
    }

    pub(super) fn add_loss(&mut self, loss: f32, samples: usize) {
        self.loss += f64::from(loss) * samples as f64;
        self.samples += samples as u64;
    }

    /// Counts answers; `scores` are probabilities or logits, one a class.
    pub(super) fn add_answers(&mut self, scores: &[f32], labels: &[u32]) {
        self.confusion.add_batch(scores, labels.iter().copied());
        self.rank(scores, labels);
    }

    /// Keeps scores for the area under the curve.
    pub(super) fn rank(&mut self, scores: &[f32], labels: &[u32]) {
        if let Some(ranking) = &mut self.ranking {
            ranking.scores.extend_from_slice(scores);
            ranking.labels.extend_from_slice(labels);
        }
    }

    pub(super) fn scores(&self) -> Scores {
        Scores {
            loss: self.loss / self.samples.max(1) as f64,
            accuracy: self.confusion.accuracy(),
            macro_f1: self.confusion.macro_f1(),
            auc: self.ranking.as_ref().and_then(Ranking::auc),
        }
    }
}

impl Ranking {
    /// The mean over the scores of a sample of the area under the curve of each: of score `k` for label `k`, of a single score for
    /// any label but 0.
    fn auc(&self) -> Option<f64> {
        let width = self.scores.len() / self.labels.len().max(1);
        let areas: Vec<f64> = (0..width)
            .filter_map(|class| {
                let scores = self.scores.iter().skip(class).step_by(width).copied();
                let is_positive = |&label: &u32| match width {
                    1 => label != 0,
                    _ => label as usize == class,
                };
                roc_auc(scores.zip(self.labels.iter().map(is_positive)))
            })
            .collect();
        (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / areas.len() as f64)
    }
}

/// The area under the receiver operating characteristic of scores, of which each comes with whether its sample is positive: the
/// probability that a positive sample scores above a negative one, where equal scores count half (Mann and Whitney 1947).
///
/// `None` where all samples are positive, or none is, or a score is no number.
pub fn roc_auc(scores: impl IntoIterator<Item = (f32, bool)>) -> Option<f64> {
    let mut all: Vec<(f32, bool)> = scores.into_iter().collect();
    if all.iter().any(|(score, _)| score.is_nan()) {
        return None;
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut pairs) = (0u64, 0.0);
    for tied in all.chunk_by(|a, b| a.0 == b.0) {
        let positive = tied.iter().filter(|(_, positive)| *positive).count() as u64;
        let negative = tied.len() as u64 - positive;
        pairs += positive as f64 * (below as f64 + negative as f64 / 2.0);
        below += negative;
    }
    let positive = all.len() as u64 - below;
    (positive > 0 && below > 0).then(|| pairs / (positive as f64 * below as f64))
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

#[cfg(test)]
mod tests {
    use super::{Tally, roc_auc};

    #[test]
    fn area_under_the_curve() {
        let of = |scores: &[(f32, bool)]| roc_auc(scores.iter().copied());
        let (t, f) = (true, false);
        assert_eq!(of(&[(0.1, f), (0.4, f), (0.35, t), (0.8, t)]), Some(0.75));
        assert_eq!(of(&[(0.5, f), (0.5, t)]), Some(0.5));
        assert_eq!(of(&[(1.0, t), (0.0, f), (-0.0, t)]), Some(0.75));
        assert_eq!(of(&[(1.0, t)]), None);
        assert_eq!(of(&[(f32::NAN, t), (0.0, f)]), None);
    }

    #[test]
    fn areas_of_classes_are_averaged() {
        let mut tally = Tally::ranked(3);
        tally.add_answers(&[0.8, 0.1, 0.1, 0.2, 0.7, 0.1, 0.5, 0.3, 0.2], &[0, 1, 0]);
        // Class 2 does not occur; the others are told apart without error.
        assert_eq!(tally.scores().auc, Some(1.0));
        tally.add_answers(&[0.9, 0.1, 0.0], &[1]);
        // Class 0: the positives beat one negative, not the other. Class 1: a tie and a win, a loss and a win.
        assert_eq!(tally.scores().auc, Some((0.5 + 0.625) / 2.0));
    }
}
