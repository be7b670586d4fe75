//! What can be wrong with a teacher or its pupil.

use larun_graph::GraphError;
use larun_train::TrainError;

/// A distillation that cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DistillError {
    /// The teacher cannot be run as a float network.
    #[error(
        "the teacher cannot be run: {0}; a quantised model cannot teach, take the float one it was made from"
    )]
    Teacher(#[source] TrainError),
    /// A graph does not hold together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Teacher and student do not fit.
    #[error("teacher and student do not fit: {0}")]
    Mismatch(String),
    /// A setting out of its range.
    #[error("distillation setting `{name}`: {problem}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What is wrong, and what is allowed.
        problem: &'static str,
    },
}
