//! What may take part in a training: masks, clusters, schedules of pruning, losses of distillation.

use core::fmt;

use larun_graph::TensorId;

use crate::{Executor, Parameter, TrainError};

/// Takes part in a training. Several callbacks combine: each hook is called for all of them, in the order in which they were
/// added, so that a mask added last has the last word on the weights.
///
/// In every step the hooks run in this order: [`augment`](Self::augment) for each sample,
/// [`before_step`](Self::before_step), the forward pass, [`loss`](Self::loss), the backward pass,
/// [`gradients`](Self::gradients), the optimiser, [`after_step`](Self::after_step).
///
/// A training that is resumed must give the same bytes as one that was never stopped: whatever a callback does is a function of
/// its settings, of what the hooks are told, and of its [`state`](Self::state), which checkpoints hold.
///
/// A mask that keeps pruned weights at zero:
///
/// ```
/// use larun_train::{Callback, Step, TrainError};
///
/// /// Keeps every weight at zero that was zero when training began.
/// #[derive(Debug, Default)]
/// struct KeepZeros {
///     masks: Vec<Vec<f32>>,
/// }
///
/// impl Callback for KeepZeros {
///     fn name(&self) -> &'static str {
///         "keep zeros"
///     }
///
///     fn before_step(&mut self, step: &Step<'_>) -> Result<(), TrainError> {
///         if self.masks.is_empty() {
///             let mask = |values: Vec<f32>| values.iter().map(|&w| f32::from(u8::from(w != 0.0))).collect();
///             self.masks = step.parameters.iter().map(|p| mask(p.values())).collect();
///         }
///         Ok(())
///     }
///
///     fn after_step(&mut self, step: &Step<'_>) -> Result<(), TrainError> {
///         for (parameter, mask) in step.parameters.iter().zip(&self.masks) {
///             parameter.update(|values| values.iter_mut().zip(mask).for_each(|(w, m)| *w *= m))?;
///         }
///         Ok(())
///     }
///
///     fn state(&self) -> Vec<Vec<f32>> {
///         self.masks.clone()
///     }
///
///     fn restore(&mut self, state: Vec<Vec<f32>>) -> Result<(), String> {
///         self.masks = state;
///         Ok(())
///     }
/// }
/// ```
pub trait Callback: fmt::Debug {
    /// A name for messages.
    fn name(&self) -> &'static str;

    /// All settings as text: a checkpoint is resumed only with the same.
    fn settings(&self) -> String {
        String::new()
    }

    /// Changes the values of training sample number `sample` for `epoch`, counted from 0: as a function of these numbers, the
    /// settings and the values alone. `seed` is that of the training.
    fn augment(&mut self, seed: u64, epoch: usize, sample: usize, values: &mut [f32]) {
        let _ = (seed, epoch, sample, values);
    }

    /// Before a batch runs. Parameters can be changed by [`Parameter::update`].
    ///
    /// # Errors
    /// Whatever makes it impossible to go on.
    fn before_step(&mut self, step: &Step<'_>) -> Result<(), TrainError> {
        let _ = step;
        Ok(())
    }

    /// What the task's own loss counts beside that of this callback; the factors of several callbacks multiply.
    fn task_weight(&self) -> f32 {
        1.0
    }

    /// Adds to the loss: returns the value of the additional term and gives its gradient to `seeds`.
    ///
    /// # Errors
    /// Whatever makes it impossible to go on.
    fn loss(&mut self, batch: &Batch<'_>, seeds: &mut Seeds) -> Result<f32, TrainError> {
        let _ = (batch, seeds);
        Ok(0.0)
    }

    /// Sees the gradient of every parameter, in the order of `step.parameters`, and may change it, before the optimiser does.
    ///
    /// # Errors
    /// Whatever makes it impossible to go on.
    fn gradients(&mut self, step: &Step<'_>, gradients: &mut [Vec<f32>]) -> Result<(), TrainError> {
        let _ = (step, gradients);
        Ok(())
    }

    /// After the optimiser's step. Parameters can be changed by [`Parameter::update`].
    ///
    /// # Errors
    /// Whatever makes it impossible to go on.
    fn after_step(&mut self, step: &Step<'_>) -> Result<(), TrainError> {
        let _ = step;
        Ok(())
    }

    /// Whether the network is already of the kind that the training is to give. Until all callbacks say so no epoch counts as
    /// the best, and patience is not lost: weights from before the last pruning are no result.
    fn is_settled(&self) -> bool {
        true
    }

    /// What must be kept in a checkpoint beside the settings.
    fn state(&self) -> Vec<Vec<f32>> {
        Vec::new()
    }

    /// Takes back what [`state`](Self::state) gave.
    ///
    /// # Errors
    /// What is wrong with it, where it cannot be this callback's.
    fn restore(&mut self, state: Vec<Vec<f32>>) -> Result<(), String> {
        match state.len() {
            0 => Ok(()),
            found => Err(format!("{found} values for a callback that keeps none")),
        }
    }
}

impl<C: Callback + ?Sized> Callback for &mut C {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn settings(&self) -> String {
        (**self).settings()
    }

    fn augment(&mut self, seed: u64, epoch: usize, sample: usize, values: &mut [f32]) {
        (**self).augment(seed, epoch, sample, values);
    }

    fn before_step(&mut self, step: &Step<'_>) -> Result<(), TrainError> {
        (**self).before_step(step)
    }

    fn task_weight(&self) -> f32 {
        (**self).task_weight()
    }

    fn loss(&mut self, batch: &Batch<'_>, seeds: &mut Seeds) -> Result<f32, TrainError> {
        (**self).loss(batch, seeds)
    }

    fn gradients(&mut self, step: &Step<'_>, gradients: &mut [Vec<f32>]) -> Result<(), TrainError> {
        (**self).gradients(step, gradients)
    }

    fn after_step(&mut self, step: &Step<'_>) -> Result<(), TrainError> {
        (**self).after_step(step)
    }

    fn is_settled(&self) -> bool {
        (**self).is_settled()
    }

    fn state(&self) -> Vec<Vec<f32>> {
        (**self).state()
    }

    fn restore(&mut self, state: Vec<Vec<f32>>) -> Result<(), String> {
        (**self).restore(state)
    }
}

/// Where a training stands.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Step<'a> {
    /// Steps that were taken before this one.
    pub step: u64,
    /// The most steps that the training takes.
    pub steps: u64,
    /// The epoch, from 0.
    pub epoch: usize,
    /// The most epochs.
    pub epochs: usize,
    /// The batch of the epoch, from 0.
    pub batch: usize,
    /// Batches in an epoch.
    pub batches: usize,
    /// The learning rate of the step.
    pub learning_rate: f32,
    /// The trained constants.
    pub parameters: &'a [Parameter],
}

/// A batch after its forward pass.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Batch<'a> {
    /// Where the training stands.
    pub step: Step<'a>,
    /// The numbers of the samples.
    pub samples: &'a [usize],
    /// The samples as the network saw them, one after the other, augmentation included.
    pub inputs: &'a [f32],
    /// The class of each sample; none where there are no classes.
    pub labels: &'a [u32],
    /// The tensor of the scores before a final SOFTMAX or LOGISTIC; the output of the network where there is none.
    pub logits: TensorId,
    /// The network; [`Executor::value`] gives the value of any tensor.
    pub executor: &'a Executor,
}

/// Gradients of the loss with respect to tensors of the graph, from which the backward pass starts.
#[derive(Debug, Default)]
pub struct Seeds(Vec<(TensorId, Vec<f32>)>);

impl Seeds {
    /// Adds a gradient to those that a tensor has: one value for each that [`Executor::value`] gives.
    pub fn add(&mut self, tensor: TensorId, gradient: Vec<f32>) {
        self.0.push((tensor, gradient));
    }

    /// The gradients, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (TensorId, &[f32])> {
        self.0
            .iter()
            .map(|(tensor, gradient)| (*tensor, gradient.as_slice()))
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
