//! Why a model cannot be imported.

use larun_graph::GraphError;

/// A model that cannot become a graph.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The file cannot be read: what the system says.
    #[error("{0}")]
    File(String),
    /// The bytes are no ONNX model.
    #[error("this is no ONNX model: {0}")]
    Decode(String),
    /// A model without a graph.
    #[error("the ONNX model has no graph")]
    NoGraph,
    /// A version of the operators that is too old.
    #[error(
        "the model uses version {found} of ONNX's operators, {minimum} and later are read: export it again with a later opset"
    )]
    Opset {
        /// The version of the file.
        found: i64,
        /// The oldest that is read.
        minimum: i64,
    },
    /// Operators that have no counterpart here.
    #[error("no counterpart for {}: {hint}", .operators.join(", "))]
    UnknownOperators {
        /// Each with its node, number and version, such as `TopK (node 12 '/head/TopK', opset 17)`.
        operators: Vec<String>,
        /// What to do.
        hint: &'static str,
    },
    /// A node that asks for what cannot be expressed.
    #[error("node {index} '{name}' ({op}, opset {opset}): {reason}")]
    Node {
        /// Its position in the file.
        index: usize,
        /// Its name.
        name: String,
        /// Its operator.
        op: String,
        /// The version of the operators.
        opset: i64,
        /// What is not possible, and what to do.
        reason: String,
    },
    /// A constant that cannot be read.
    #[error("constant '{name}': {reason}")]
    Constant {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// An input whose shape is not known.
    #[error("input '{input}', axis {axis}: {reason}")]
    Input {
        /// Its name.
        input: String,
        /// The axis.
        axis: usize,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The graph that would come out does not hold together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Weights that do not fit the graph.
    #[error("weights '{name}': {reason}")]
    Weights {
        /// Their name in the file.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

/// A reason for refusing a node; the importer adds which node it is.
pub(crate) type Refusal = String;
