//! Why a file cannot be turned into a graph, and where in it.

use core::fmt;

use crate::view::ViewError;

/// A file that cannot be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{place}{kind}")]
pub struct ReadError {
    place: Place,
    #[source]
    kind: ReadErrorKind,
}

impl ReadError {
    /// Where it was found.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What was wrong.
    pub fn kind(&self) -> &ReadErrorKind {
        &self.kind
    }
}

/// What was wrong with a file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadErrorKind {
    /// The file is damaged, or not one of this format.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The number of a tensor is negative where one must be.
    #[error("{what} is tensor {number}, which cannot be")]
    Absent {
        /// What the number is of, such as `output 0`.
        what: String,
        /// The number.
        number: i32,
    },
    /// A field that came into the format later.
    #[error(
        "field {id} of {table} came into the format after this version of LARUN; reading the \
         model would lose it, so use a newer version"
    )]
    NewerField {
        /// The table.
        table: &'static str,
        /// The field.
        id: usize,
    },
    /// A table of options or of quantisation that came into the format later.
    #[error(
        "{union} holds table {number}, which came into the format after this version of LARUN; \
         reading the model would lose it, so use a newer version"
    )]
    NewerTable {
        /// The union.
        union: &'static str,
        /// The table's number there.
        number: u8,
    },
    /// Tables or vectors of the file are used so often that what they give would dwarf the file.
    #[error(
        "its parts overlap so often that reading it would take more than {limit} bytes, many \
         times its size: the file is damaged or made to exhaust memory"
    )]
    Overlap {
        /// What may be read of a file of this size.
        limit: usize,
    },
}

/// Where in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// What belongs to no subgraph.
    Model,
    /// A subgraph itself.
    Subgraph(usize),
    /// A tensor.
    Tensor {
        /// The number of its subgraph.
        subgraph: usize,
        /// Its number there.
        index: usize,
        /// Its name, where that can be read.
        name: String,
    },
    /// An operator.
    Operator {
        /// The number of its subgraph.
        subgraph: usize,
        /// Its number there.
        index: usize,
        /// What it is, where that can be read.
        name: String,
    },
}

impl Place {
    /// The error with this place.
    pub(super) fn error(self, kind: ReadErrorKind) -> ReadError {
        ReadError { place: self, kind }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model => Ok(()),
            Self::Subgraph(index) => write!(f, "subgraph {index}: "),
            Self::Tensor {
                subgraph,
                index,
                name,
            } => write!(f, "subgraph {subgraph}, tensor {index} (`{name}`): "),
            Self::Operator {
                subgraph,
                index,
                name,
            } => write!(f, "subgraph {subgraph}, operator {index} ({name}): "),
        }
    }
}
