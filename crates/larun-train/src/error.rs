//! What can go wrong in training, and where.

use std::io;
use std::path::PathBuf;

use larun_graph::{GraphError, Place};

use crate::ops::ShapeError;

/// A training that could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The graph does not hold together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A node cannot be executed with gradients.
    #[error("{place} cannot be trained: {reason}")]
    Unsupported {
        /// The node.
        place: Place,
        /// Why.
        reason: String,
    },
    /// The operands of a node do not fit its operator once there are many samples.
    #[error("{place} cannot be trained on a batch: {source}")]
    Shape {
        /// The node.
        place: Place,
        /// Why.
        source: ShapeError,
    },
    /// Values for a graph's input or for a seed of the gradient that do not fit.
    #[error("{what}: expected {expected} values, got {found}")]
    Length {
        /// What was given.
        what: String,
        /// How many values it takes.
        expected: usize,
        /// How many there were.
        found: usize,
    },
    /// A setting outside its range.
    #[error("training setting `{name}`: {problem}")]
    Config {
        /// The setting.
        name: &'static str,
        /// What is wrong, and what is allowed.
        problem: String,
    },
    /// Samples that cannot be trained on.
    #[error("training data: {0}")]
    Data(String),
    /// A loss or weights that are no numbers.
    #[error(
        "the training diverged in epoch {epoch}, batch {batch} (step {step}): {problem}; the first value that is no number comes out of \
         {place}. Try a smaller learning rate than {learning_rate}, a warm-up, or scale the input"
    )]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
        /// The batch, from 1.
        batch: usize,
        /// Steps that were taken.
        step: u64,
        /// What is no number.
        problem: String,
        /// The learning rate.
        learning_rate: f32,
        /// The first node with a value that is no number, the weights that are none, or the graph's output
        /// where only the loss is none.
        place: Place,
    },
    /// A checkpoint that cannot be used.
    #[error("checkpoint {}: {problem}", .path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The converter's refusal, where integers are trained for.
    #[error(transparent)]
    Pass(#[from] larun_passes::PassError),
    /// An error of candle's.
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
}
