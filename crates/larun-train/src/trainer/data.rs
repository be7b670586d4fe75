//! The samples of a training, borrowed.

use crate::TrainError;

/// The sizes that a network and its loss ask of the data.
#[derive(Clone, Copy, Debug)]
pub(super) struct TaskShape {
    /// Values of a sample.
    pub(super) input: usize,
    /// Classes; 0 where labels play no part.
    pub(super) classes: usize,
    /// Outputs of a sample.
    pub(super) target: usize,
    /// Whether the samples themselves are the targets where none are given.
    pub(super) needs_targets: bool,
}

/// Labelled samples and their splits.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrainingData<'a> {
    /// The samples one after the other, each as the graph's input.
    pub x: &'a [f32],
    /// Values of one sample.
    pub sample_len: usize,
    /// The class of each sample; empty where the loss needs none.
    pub y: &'a [u32],
    /// What each class has of each sample, `[samples, classes]`, where classes pass into one another: cross-entropy then asks for these
    /// shares, and accuracy is still that of the classes in `y`. `None` where a sample is all of its class.
    pub soft_labels: Option<&'a [f32]>,
    /// What the outputs are to be, sample by sample, for losses that do not compare with classes; `None` where the classes or the
    /// samples themselves say it.
    pub targets: Option<&'a [f32]>,
    /// Indices of the samples to train on.
    pub train: &'a [usize],
    /// Indices of the samples to validate on.
    pub validation: &'a [usize],
}

impl<'a> TrainingData<'a> {
    /// The values of a sample.
    pub(super) fn sample(&self, index: usize) -> &'a [f32] {
        &self.x[index * self.sample_len..][..self.sample_len]
    }

    /// Checks that there is something to learn.
    pub(super) fn check(&self, shape: &TaskShape) -> Result<(), TrainError> {
        for (name, split) in [("training", self.train), ("validation", self.validation)] {
            self.check_split(shape, name, split)?;
        }
        if shape.classes == 0 {
            return Ok(());
        }
        let first = self.train.first().map(|&index| self.y[index]);
        if self.train.iter().all(|&index| Some(self.y[index]) == first) {
            return Err(TrainError::Data(format!(
                "all samples of the training split have class {}; at least two classes are needed",
                first.unwrap_or(0)
            )));
        }
        Ok(())
    }

    /// The number of samples.
    pub(super) fn count(&self) -> usize {
        self.x.len() / self.sample_len.max(1)
    }

    /// What each of `classes` classes has of a sample, where the data say it.
    pub(super) fn soft_label(&self, index: usize, classes: usize) -> Option<&'a [f32]> {
        self.soft_labels?.get(index * classes..)?.get(..classes)
    }

    /// What the outputs for a sample are to be, where the data say it.
    pub(super) fn target(&self, index: usize) -> Option<&'a [f32]> {
        let targets = self.targets?;
        let length = targets.len() / self.count().max(1);
        targets.get(index * length..)?.get(..length)
    }

    fn check_sizes(&self, shape: &TaskShape) -> Result<(), TrainError> {
        let sample_len = shape.input;
        let wrong = |problem| Err(TrainError::Data(problem));
        if self.sample_len != sample_len {
            return wrong(format!(
                "a sample has {} values, the graph's input takes {sample_len}",
                self.sample_len
            ));
        }
        let labelled = shape.classes > 0 || !self.y.is_empty();
        let samples = if labelled { self.y.len() } else { self.count() };
        if samples.checked_mul(sample_len) != Some(self.x.len()) {
            return wrong(format!(
                "{} values make no {samples} samples of {sample_len}{}",
                self.x.len(),
                if labelled { ", one for each label" } else { "" }
            ));
        }
        if let Some(shares) = self.soft_labels
            && samples.checked_mul(shape.classes) != Some(shares.len())
            && shape.classes > 0
        {
            return wrong(format!(
                "{} soft labels for {samples} samples of {} classes",
                shares.len(),
                shape.classes
            ));
        }
        match (self.targets, shape.target) {
            (Some(targets), output) if Some(targets.len()) != samples.checked_mul(output) => {
                wrong(format!(
                    "{} target values for {samples} samples with {output} outputs each",
                    targets.len()
                ))
            }
            (None, output) if shape.needs_targets && output != sample_len => wrong(format!(
                "without targets a sample of {sample_len} values is to come out as it went in, but the graph has {output} outputs"
            )),
            _ => Ok(()),
        }
    }

    /// Checks the samples of one split.
    pub(super) fn check_split(
        &self,
        shape: &TaskShape,
        name: &str,
        split: &[usize],
    ) -> Result<(), TrainError> {
        self.check_sizes(shape)?;
        let classes = shape.classes;
        let wrong = |problem| Err(TrainError::Data(problem));
        if split.is_empty() {
            return wrong(format!("the {name} split is empty"));
        }
        for &index in split {
            if index >= self.count() {
                let count = self.count();
                return wrong(format!("the {name} split names sample {index} of {count}"));
            }
            let label = self.y.get(index).copied().unwrap_or(0);
            if classes > 0 && label as usize >= classes {
                return wrong(format!(
                    "sample {index} has class {label}, the graph tells {classes} classes apart"
                ));
            }
            if let Some(at) = self.sample(index).iter().position(|x| !x.is_finite()) {
                let value = self.sample(index)[at];
                return wrong(format!(
                    "sample {index} has the value {value} at position {at}"
                ));
            }
            let shares = self.soft_label(index, classes).unwrap_or(&[]);
            if !is_distribution(shares) {
                return wrong(format!(
                    "the soft label of sample {index} is {shares:?}: shares are at least 0 and sum to 1"
                ));
            }
            let target = self.target(index).unwrap_or(&[]);
            if let Some(at) = target.iter().position(|x| !x.is_finite()) {
                let value = target[at];
                return wrong(format!(
                    "the target of sample {index} has the value {value} at position {at}"
                ));
            }
        }
        Ok(())
    }
}

/// Whether shares of classes are at least 0 and sum to 1, to what a few decimals leave; none at all do.
fn is_distribution(shares: &[f32]) -> bool {
    let sum: f32 = shares.iter().sum();
    shares.is_empty() || (shares.iter().all(|&share| share >= 0.0) && (sum - 1.0).abs() < 1e-3)
}
