//! The samples of a training, borrowed.

use crate::TrainError;

/// Labelled samples and their splits.
#[derive(Clone, Copy, Debug)]
pub struct TrainingData<'a> {
    /// The samples one after the other, each as the graph's input.
    pub x: &'a [f32],
    /// Values of one sample.
    pub sample_len: usize,
    /// The class of each sample.
    pub y: &'a [u32],
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
    pub(super) fn check(&self, sample_len: usize, classes: usize) -> Result<(), TrainError> {
        for (name, split) in [("training", self.train), ("validation", self.validation)] {
            self.check_split(sample_len, name, split, classes)?;
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

    fn check_sizes(&self, sample_len: usize) -> Result<(), TrainError> {
        let wrong = |problem| Err(TrainError::Data(problem));
        if self.sample_len != sample_len {
            return wrong(format!(
                "a sample has {} values, the graph's input takes {sample_len}",
                self.sample_len
            ));
        }
        if self.y.len().checked_mul(sample_len) != Some(self.x.len()) {
            return wrong(format!(
                "{} values make no {} samples of {sample_len}, one for each label",
                self.x.len(),
                self.y.len()
            ));
        }
        Ok(())
    }

    /// Checks the samples of one split.
    pub(super) fn check_split(
        &self,
        sample_len: usize,
        name: &str,
        split: &[usize],
        classes: usize,
    ) -> Result<(), TrainError> {
        self.check_sizes(sample_len)?;
        let wrong = |problem| Err(TrainError::Data(problem));
        if split.is_empty() {
            return wrong(format!("the {name} split is empty"));
        }
        for &index in split {
            let Some(&label) = self.y.get(index) else {
                let count = self.y.len();
                return wrong(format!("the {name} split names sample {index} of {count}"));
            };
            if label as usize >= classes {
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
        }
        Ok(())
    }
}
