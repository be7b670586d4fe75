//! Why a pass cannot do its work.

use larun_graph::{GraphError, NodeId, Place, Subgraph};
use larun_quant::QuantError;

/// Why a pass cannot do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassError {
    /// The graph does not hold together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A node lacks an operand that the pass needs.
    #[error("{place} has no {operand}")]
    MissingOperand {
        /// The node.
        place: Place,
        /// The operand.
        operand: &'static str,
    },
    /// An operator that cannot be quantised.
    #[error("{place} cannot be quantised: {reason}")]
    NotQuantizable {
        /// The node.
        place: Place,
        /// Why.
        reason: &'static str,
    },
    /// The graph is quantised already.
    #[error("{place} is {found} already: quantisation starts from a model of FLOAT32 tensors")]
    AlreadyQuantized {
        /// A tensor that is no float.
        place: Place,
        /// Its element type.
        found: larun_graph::ops::ElementType,
    },
    /// A value that calibration did not see.
    #[error("{place} was not seen during calibration; give at least one sample")]
    NotCalibrated {
        /// The tensor.
        place: Place,
    },
    /// A value or constant that cannot be quantised.
    #[error("{place}: {source}")]
    Quantization {
        /// The tensor.
        place: Place,
        /// Why.
        source: QuantError,
    },
    /// An observer that cannot be made.
    #[error("the observer: {0}")]
    Observer(QuantError),
    /// A sample of the wrong size.
    #[error(
        "calibration sample {index} has {found} values for input `{name}`, expected {expected}"
    )]
    SampleSize {
        /// Which sample.
        index: usize,
        /// The input.
        name: String,
        /// How many values the input takes.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// A value that is no element of an integer input.
    #[error(
        "calibration sample {index} has {value} for input `{name}`, which takes {element_type}: give whole numbers within its range"
    )]
    SampleElement {
        /// Which sample.
        index: usize,
        /// The input.
        name: String,
        /// The type of its elements.
        element_type: larun_graph::ops::ElementType,
        /// The value.
        value: f32,
    },
    /// A sample without values for every input of the model.
    #[error("calibration sample {index} has {found} inputs, the model has {expected}")]
    SampleInputs {
        /// Which sample.
        index: usize,
        /// How many inputs the model has.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// There was nothing to calibrate with.
    #[error(
        "the calibration set is empty; give some samples that are like the model's real inputs"
    )]
    NoSamples,
    /// No choice of precisions is within the bounds.
    #[error("no mixed precision is within the budget: {0}")]
    Budget(String),
    /// The graph cannot be written as a model.
    #[error("the float model cannot be written: {0}")]
    Write(#[from] larun_tflite::WriteError),
    /// The interpreter cannot run the float model.
    #[error("the float model cannot be run for calibration: {0}")]
    Interpreter(String),
}

impl PassError {
    pub(crate) fn missing_operand(subgraph: &Subgraph, id: NodeId, operand: &'static str) -> Self {
        Self::MissingOperand {
            place: Place::node(subgraph, id),
            operand,
        }
    }
}
