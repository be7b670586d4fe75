//! Everything that can be wrong with data, for programs that read several kinds.

use crate::clean::CleanError;
use crate::csv::CsvError;
use crate::dataset::DatasetError;
use crate::fits::FitsError;
use crate::npy::NpyError;
use crate::npz::NpzError;

/// What is wrong with which file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A FITS file.
    #[error(transparent)]
    Fits(#[from] FitsError),
    /// A CSV file.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// A dataset.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A `.npy` file.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// A `.npz` file.
    #[error(transparent)]
    Npz(#[from] NpzError),
    /// A file whose data cannot be cleaned as asked.
    #[error("{file}: {source}")]
    Clean {
        /// The file.
        file: String,
        /// Why.
        source: CleanError,
    },
    /// A choice that does not suit the data.
    #[error("{0}")]
    Usage(String),
}
