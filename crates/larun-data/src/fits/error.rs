//! What can be wrong with a FITS file.

use std::path::{Path, PathBuf};

/// What is wrong with which file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", file.display())]
pub struct FitsError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub fault: Box<FitsFault>,
}

impl FitsError {
    pub(crate) fn new(file: &Path, fault: FitsFault) -> Self {
        Self {
            file: file.to_owned(),
            fault: Box::new(fault),
        }
    }
}

/// What is wrong with a FITS file. Units count from 0, the primary one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FitsFault {
    /// The file could not be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file does not begin as a FITS file does.
    #[error("not a FITS file: it must begin with the keyword SIMPLE")]
    NotFits,
    /// A header has no END.
    #[error("the header of unit {unit} has no END: the file is cut off or damaged")]
    NoEnd {
        /// The unit.
        unit: usize,
    },
    /// The file ends before the data of a unit do.
    #[error(
        "truncated: the data of unit {unit} ({name:?}) should have {expected} bytes and have {found}; download the file again"
    )]
    Truncated {
        /// The unit.
        unit: usize,
        /// Its name.
        name: String,
        /// The bytes that the header asks for.
        expected: usize,
        /// The bytes that are there.
        found: usize,
    },
    /// A keyword is missing or has a value that it cannot have.
    #[error("unit {unit}: the keyword {keyword} is {found}, expected {expected}")]
    Keyword {
        /// The unit.
        unit: usize,
        /// The keyword.
        keyword: String,
        /// The value, or `missing`.
        found: String,
        /// The values that would do.
        expected: &'static str,
    },
    /// There is no such unit.
    #[error("there is not {wanted}: the file has {}", found.join(", "))]
    NoUnit {
        /// What was looked for.
        wanted: String,
        /// The units that are there.
        found: Vec<String>,
    },
    /// A table has no column of that name.
    #[error("table {table:?} has no column {column:?}: it has {}", found.join(", "))]
    NoColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The columns that are there.
        found: Vec<String>,
    },
    /// A column is of a form that is not read here.
    #[error("column {column:?} of table {table:?} has the form {found:?}, expected {expected}")]
    ColumnForm {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its `TFORM`.
        found: String,
        /// The forms that would do.
        expected: &'static str,
    },
    /// A column is in other units than it must be.
    #[error("column {column:?} of table {table:?} is in {found:?}, expected {expected}")]
    Unit {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its unit.
        found: String,
        /// The units that would do.
        expected: &'static str,
    },
    /// A column has nothing that is a number.
    #[error(
        "column {column:?} of table {table:?} has no usable value: all {rows} rows are NaN, null or flagged"
    )]
    AllMissing {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The rows.
        rows: usize,
    },
    /// An image has another number of axes than is asked for, or no pixel that is a number.
    #[error("unit {unit}: the image has the axes {axes:?} (NAXIS1 first), expected {expected}")]
    ImageAxes {
        /// The unit.
        unit: usize,
        /// The axes.
        axes: Vec<usize>,
        /// The axes that would do.
        expected: String,
    },
    /// An image has no pixel that is a number.
    #[error("the image has no usable pixel: all are NaN or blank")]
    BlankImage,
}
