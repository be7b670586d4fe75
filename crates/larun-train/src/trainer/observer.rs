//! What a training tells while it runs.

use core::ops::ControlFlow;
use std::path::Path;

use super::EpochMetrics;
use crate::Executor;

/// A step has been taken.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BatchEvent<'a> {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The most epochs.
    pub epochs: usize,
    /// The batch of the epoch, from 1.
    pub batch: usize,
    /// Batches in an epoch.
    pub batches: usize,
    /// Loss of the batch, in nats.
    pub loss: f32,
    /// The network after the step; its parameters can be changed, as by a mask that holds some at zero.
    pub executor: &'a Executor,
}

/// Watches a training: progress bars, logs, pruning schedules.
pub trait Observer {
    /// An epoch begins; `batches` steps follow.
    fn epoch_started(&mut self, epoch: usize, epochs: usize, batches: usize) {
        let _ = (epoch, epochs, batches);
    }

    /// A step has been taken. `Break` stops the training, which can go on later from there.
    fn batch_finished(&mut self, event: BatchEvent<'_>) -> ControlFlow<()> {
        let _ = event;
        ControlFlow::Continue(())
    }

    /// An epoch is over; `is_best` says whether its weights are the best so far.
    fn epoch_finished(&mut self, metrics: &EpochMetrics, is_best: bool) {
        let _ = (metrics, is_best);
    }

    /// A checkpoint has been written.
    fn checkpoint_written(&mut self, path: &Path) {
        let _ = path;
    }
}

/// Watches nothing.
impl Observer for () {}
