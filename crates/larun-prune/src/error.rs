//! Why weights cannot be pruned, clustered or stored.

use larun_graph::{GraphError, Place};

/// Why weights cannot be pruned, clustered or stored.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PruneError {
    /// The graph does not hold together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A share of weights or channels outside `0 <= s < 1`.
    #[error("the sparsity {found} is not a share in 0 <= s < 1")]
    Sparsity {
        /// What was given.
        found: f32,
    },
    /// A pattern that no tensor can have.
    #[error("the pattern {pattern} is impossible: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why.
        reason: &'static str,
    },
    /// Values that do not fill their shape.
    #[error("{what}: {found} values, expected {expected}")]
    Length {
        /// Which values.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A number that is not finite among weights.
    #[error(
        "{what} holds a number that is not finite; the training has diverged or the file is damaged"
    )]
    NotFinite {
        /// Which values.
        what: &'static str,
    },
    /// A measure of importance that needs data which was not given.
    #[error("the importance `{importance}` needs {needs}")]
    Importance {
        /// The measure.
        importance: &'static str,
        /// What was not given.
        needs: &'static str,
    },
    /// A number of clusters outside 1 to 65536.
    #[error("{found} clusters: give 1 to 65536")]
    Clusters {
        /// What was given.
        found: usize,
    },
    /// A tensor whose elements cannot be cut.
    #[error(
        "{place} has elements of type {found}, whose channels cannot be removed; prune the float model and quantise it then"
    )]
    Element {
        /// The tensor.
        place: Place,
        /// Its element type.
        found: larun_graph::ops::ElementType,
    },
    /// A layer would lose all its channels.
    #[error("group {group} would keep no channel; keep at least one")]
    EmptyGroup {
        /// The number of the group.
        group: usize,
    },
    /// A selection that does not belong to the graph.
    #[error("the selection names channel {channel} of group {group}, which does not exist")]
    Selection {
        /// The number of the group.
        group: usize,
        /// The channel.
        channel: usize,
    },
    /// No choice of channels is within the budget.
    #[error(
        "the budget of {budget} {unit} cannot be met: with one step of channels left in every layer that can be cut it is still {least}{hint}"
    )]
    Budget {
        /// What was asked for.
        budget: u64,
        /// Bytes, MACs.
        unit: &'static str,
        /// The least that is possible.
        least: u64,
        /// What stood in the way, or nothing.
        hint: String,
    },
    /// Stored weights that do not decode.
    #[error("{place}: {reason}")]
    Storage {
        /// The tensor.
        place: Place,
        /// Why.
        reason: String,
    },
    /// What a closure of the caller's said.
    #[error("{0}")]
    Measure(String),
}
