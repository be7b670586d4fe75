//! Why a graph cannot be written.

/// A graph that no file can hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// An operator that exists during training only.
    #[error(
        "subgraph {subgraph}, operator {index}: {name} exists during training only and has no \
         number in the format; fold it into its neighbour first"
    )]
    TrainingOnly {
        /// The number of the subgraph.
        subgraph: usize,
        /// The number of the operator there.
        index: usize,
        /// The operator.
        name: &'static str,
    },
    /// Opaque options or quantisation that are not what they should be: a table of the format.
    #[error("{place}: its {what} are not table {number} of the format as a flatbuffer of its own")]
    Opaque {
        /// The operator or tensor.
        place: String,
        /// `options`, or `quantisation details`.
        what: &'static str,
        /// The number of the table.
        number: u8,
    },
    /// A number that does not fit the field it goes in.
    #[error("{what} {number} does not fit the format, which allows up to {limit}")]
    TooLarge {
        /// What the number is.
        what: &'static str,
        /// The number.
        number: u64,
        /// What the format allows.
        limit: u64,
    },
    /// A file of 2 GB or more.
    #[error("the model takes about {bytes} bytes, and a flatbuffer ends before 2 GB")]
    FileTooLarge {
        /// What it would take.
        bytes: usize,
    },
}
