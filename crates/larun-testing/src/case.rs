//! A test case: a model, inputs, and the outputs that it must give.

use larun_ops::ElementType;

use crate::tolerance::Tolerance;

/// A model with inputs and the outputs expected of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is called.
    pub name: String,
    /// The operator it is about, or the group of models it belongs to.
    pub group: String,
    /// Element types in short, such as `int8`.
    pub dtype: String,
    /// The `.tflite` file.
    pub model: Vec<u8>,
    /// Inputs and expected outputs.
    pub sets: Vec<Set>,
    /// How close outputs of real numbers must be.
    pub tolerance: Tolerance,
    /// Whether the sets are one sequence for one interpreter.
    pub stateful: bool,
    /// Whether state is cleared before every set.
    pub reset_each: bool,
    /// How many sets at the start have unspecified outputs.
    pub warmup: usize,
    /// The output that says whether the others are specified.
    pub valid_output: Option<usize>,
}

/// One inference.
#[derive(Clone, Debug)]
pub struct Set {
    /// In order of the subgraph's inputs.
    pub inputs: Vec<Tensor>,
    /// In order of the subgraph's outputs.
    pub outputs: Vec<Tensor>,
}

/// The value of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// What its elements are.
    pub element_type: ElementType,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its elements, little endian.
    pub bytes: Vec<u8>,
}
