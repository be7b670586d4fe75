//! Everything that can go wrong in the pipeline, with what to do about it.

use std::path::{Path, PathBuf};

/// Why the pipeline stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not a model, or a damaged one.
    #[error("{path} is not a readable .tflite model: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: larun_tflite::ReadError,
    },
    /// An ONNX model cannot be imported.
    #[error("{path}: {source}")]
    Import {
        /// The file.
        path: PathBuf,
        /// Why.
        source: larun_onnx::OnnxError,
    },
    /// A model does not hold together.
    #[error("{path}: {source}")]
    InvalidModel {
        /// The file.
        path: PathBuf,
        /// Why.
        source: larun_graph::GraphError,
    },
    /// The interpreter cannot load a model.
    #[error("{path}: {reason}")]
    Load {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The interpreter failed, or was given what the model does not take.
    #[error("{path}: {reason}")]
    Run {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A graph cannot be written as a model.
    #[error(transparent)]
    Write(#[from] larun_tflite::WriteError),
    /// A graph does not hold together.
    #[error(transparent)]
    Graph(#[from] larun_graph::GraphError),
    /// Folding, calibrating or quantising failed.
    #[error(transparent)]
    Pass(#[from] larun_passes::PassError),
    /// A change of training samples that there is not.
    #[error(transparent)]
    Augmentation(#[from] larun_train::AugmentationError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] larun_train::TrainError),
    /// A network cannot learn from another.
    #[error(transparent)]
    Distill(#[from] larun_distill::DistillError),
    /// Weights or channels cannot be pruned, clustered or stored.
    #[error(transparent)]
    Prune(#[from] larun_prune::PruneError),
    /// Data cannot be read or used.
    #[error(transparent)]
    Data(#[from] larun_data::DataError),
    /// A dataset cannot be used.
    #[error(transparent)]
    Dataset(#[from] larun_zoo::dataset::DatasetError),
    /// An array file cannot be read or written.
    #[error(transparent)]
    Npy(#[from] larun_zoo::npy::NpyError),
    /// There is no network of that name, or it does not suit the data.
    #[error(transparent)]
    Network(#[from] larun_zoo::networks::NetworkError),
    /// There is no network of that name.
    #[error(transparent)]
    UnknownNetwork(#[from] larun_zoo::networks::UnknownNetwork),
    /// A source file cannot be generated.
    #[error(transparent)]
    Codegen(#[from] larun_codegen::CodegenError),
    /// The page of a report cannot be made.
    #[error("report.html: {0}")]
    Page(#[from] minijinja::Error),
    /// A memory plan cannot be made.
    #[error("the memory plan: {0}")]
    Plan(#[from] larun_arena::PlanError),
    /// A planning problem cannot be read.
    #[error("{path}: {source}")]
    Csv {
        /// The file.
        path: PathBuf,
        /// Why.
        source: larun_arena::csv::CsvError,
    },
    /// Choices that do not go together, or inputs that do not fit the model.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// An error of the file system at `path`.
    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
