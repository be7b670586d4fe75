//! What can go wrong in a search.

use std::path::PathBuf;

/// Why a search stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// Building, training, quantising or running a network failed.
    #[error(transparent)]
    Larun(#[from] larun::Error),
    /// The store of trials cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The store holds trials of another search.
    #[error("{path}, line {line}: {problem}; give another file, or remove this one to start anew")]
    Store {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// Choices that do not go together.
    #[error("{0}")]
    Usage(String),
}

/// Any error of the lower floors, as the facade has it.
macro_rules! through_larun {
    ($($error:ty),+ $(,)?) => {$(
        impl From<$error> for SearchError {
            fn from(error: $error) -> Self {
                Self::Larun(error.into())
            }
        }
    )+};
}

through_larun!(
    larun::graph::GraphError,
    larun::passes::PassError,
    larun::train::TrainError,
    larun::distill::DistillError,
    larun::tflite::WriteError,
);
