//! A training as lines of JSON, one an event, for programs that draw or watch.

use core::ops::ControlFlow;
use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::observer::{BatchEvent, Observer};
use super::{EpochMetrics, Scores};

/// Writes a line of JSON for every event of a training and passes the event on.
///
/// ```json
/// {"event":"step","epoch":1,"batch":1,"batches":6,"loss":1.21}
/// {"event":"epoch","epoch":1,"learning_rate":0.01,"best":true,"train":{"loss":1.0,...},"validation":{...}}
/// {"event":"checkpoint","path":"training.safetensors"}
/// ```
///
/// A line that cannot be written is lost; the training goes on. [`JsonLog::error`] says what happened.
pub struct JsonLog<'o, W: Write> {
    writer: W,
    next: &'o mut dyn Observer,
    error: Option<std::io::Error>,
}

impl<W: Write> core::fmt::Debug for JsonLog<'_, W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("JsonLog")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    Step {
        epoch: usize,
        batch: usize,
        batches: usize,
        loss: f32,
    },
    Epoch {
        epoch: usize,
        learning_rate: f32,
        best: bool,
        train: &'a Scores,
        validation: &'a Scores,
    },
    Checkpoint {
        path: &'a Path,
    },
}

impl<'o, W: Write> JsonLog<'o, W> {
    /// Writes to `writer` and passes every event on to `next`.
    pub fn new(writer: W, next: &'o mut dyn Observer) -> Self {
        Self {
            writer,
            next,
            error: None,
        }
    }

    /// The first error of writing, if any.
    pub fn error(&self) -> Option<&std::io::Error> {
        self.error.as_ref()
    }

    fn line(&mut self, line: &Line<'_>) {
        let written = serde_json::to_string(line)
            .map_err(std::io::Error::other)
            .and_then(|text| writeln!(self.writer, "{text}"));
        if let Err(error) = written {
            self.error.get_or_insert(error);
        }
    }
}

impl<W: Write> Observer for JsonLog<'_, W> {
    fn epoch_started(&mut self, epoch: usize, epochs: usize, batches: usize) {
        self.next.epoch_started(epoch, epochs, batches);
    }

    fn batch_finished(&mut self, event: BatchEvent<'_>) -> ControlFlow<()> {
        self.line(&Line::Step {
            epoch: event.epoch,
            batch: event.batch,
            batches: event.batches,
            loss: event.loss,
        });
        self.next.batch_finished(event)
    }

    fn epoch_finished(&mut self, metrics: &EpochMetrics, is_best: bool) {
        self.line(&Line::Epoch {
            epoch: metrics.epoch,
            learning_rate: metrics.learning_rate,
            best: is_best,
            train: &metrics.train,
            validation: &metrics.validation,
        });
        self.next.epoch_finished(metrics, is_best);
    }

    fn checkpoint_written(&mut self, path: &Path) {
        self.line(&Line::Checkpoint { path });
        self.next.checkpoint_written(path);
    }
}
