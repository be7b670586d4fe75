//! Differentiable operators on float tensors: a forward and a backward pass each, written for the CPU.
//!
//! Tensors are row-major and channels come last (`[N, H, W, C]`), as in a graph. Every operator gives
//! the same bits at any number of threads and on any processor: work is cut into parts that depend on
//! shapes alone, sums run in a fixed order, and exponentials come from `libm`.
//!
//! [`candle`] turns any of them into a candle operator, for use on candle's own tape.

use core::fmt;
use std::sync::Arc;

pub use activation::{Clamp, Identity, Logistic};
pub use arithmetic::{Arithmetic, Comparison};
pub use batch_matmul::BatchMatmul;
pub use batch_norm::{BatchNorm, Statistics};
pub use binary::{Add, Mul};
pub use concat::Concatenation;
pub use conv2d::Conv2d;
pub use depthwise::DepthwiseConv2d;
pub use embedding::Embedding;
pub use fake_quantize::{FakeQuantize, FakeQuantizeWeights};
pub use fully_connected::FullyConnected;
pub use loss::{BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy};
pub use lstm::Lstm;
pub use mean::Mean;
pub use moves::Moves;
pub use pad::Pad;
pub use pool::{AveragePool2d, L2Pool2d, MaxPool2d};
pub use reduce::{Reduce, Reduction};
pub use reshape::Reshape;
pub use resize::ResizeBilinear;
pub use rows::{CumSum, L2Normalization, LogSoftmax};
pub use select::{AddN, Select};
pub use softmax::Softmax;
pub use svdf::Svdf;
pub use transpose_conv::TransposeConv;
pub use unary::Unary;
pub use window::Window2d;

pub(crate) use fake_quantize::learnt;
pub(crate) use parallel::accumulate;

pub mod candle;

mod activation;
mod arithmetic;
mod batch_matmul;
mod batch_norm;
mod binary;
mod concat;
mod conv2d;

mod depthwise;
mod embedding;
mod fake_quantize;
mod fully_connected;
mod gemm;
mod lanes;
mod loss;
mod lstm;
mod mean;
mod moves;
mod pad;
mod parallel;
mod pool;
mod reduce;
mod reshape;
mod resize;
mod rows;
mod select;
mod softmax;
mod svdf;
mod transpose_conv;
mod unary;
mod walk;
mod window;

/// A borrowed tensor: its values in row-major order and its dimensions, outermost first.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The values; as many as the product of `shape`.
    pub data: &'a [f32],
    /// The dimensions.
    pub shape: &'a [usize],
}

/// What a backward pass knows of the forward pass that came before it.
#[derive(Clone, Copy, Debug)]
pub struct Tape<'a> {
    /// The inputs.
    pub inputs: &'a [View<'a>],
    /// The output.
    pub output: View<'a>,
    /// What the forward pass kept beside its output.
    pub saved: &'a [f32],
    /// The gradient of the loss with respect to the output.
    pub gradient: &'a [f32],
}

/// An operator with a gradient.
///
/// `forward` and `backward` may only be called with shapes that [`output_shape`](Self::output_shape)
/// has accepted; [`candle::apply`] and [`crate::Executor`] see to that.
pub trait Differentiable: fmt::Debug + Send + Sync {
    /// The name for messages, in the terms of the `.tflite` format.
    fn name(&self) -> &'static str;

    /// The shape of the output.
    ///
    /// # Errors
    /// When the number of inputs or a shape does not suit the operator.
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError>;

    /// Computes every element of `output`. What `backward` needs beside inputs and output goes to `saved`.
    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], saved: &mut Vec<f32>);

    /// Computes the gradient of each input that is asked for; overwrites what is there.
    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]);
}

impl<O: Differentiable + ?Sized> Differentiable for Arc<O> {
    fn name(&self) -> &'static str {
        self.as_ref().name()
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        self.as_ref().output_shape(inputs)
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], saved: &mut Vec<f32>) {
        self.as_ref().forward(inputs, output, saved);
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        self.as_ref().backward(tape, gradients);
    }
}

/// Inputs that an operator cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operator}: {problem}")]
pub struct ShapeError {
    /// The operator, in the terms of the `.tflite` format.
    pub operator: &'static str,
    /// What is wrong with which input.
    pub problem: String,
}

impl ShapeError {
    pub(crate) fn new(operator: &'static str, problem: impl Into<String>) -> Self {
        Self {
            operator,
            problem: problem.into(),
        }
    }
}

/// The inputs as an array, or an error that says how many are wanted.
fn arity<'a, const N: usize>(
    operator: &'static str,
    inputs: &[&'a [usize]],
) -> Result<[&'a [usize]; N], ShapeError> {
    not_empty(operator, inputs)?;
    inputs
        .try_into()
        .map_err(|_| ShapeError::new(operator, format!("takes {N} inputs, got {}", inputs.len())))
}

/// Refuses tensors without elements: there is nothing to learn from them.
fn not_empty(operator: &'static str, inputs: &[&[usize]]) -> Result<(), ShapeError> {
    for (index, shape) in inputs.iter().enumerate() {
        if shape.contains(&0) {
            return Err(ShapeError::new(
                operator,
                format!("input {index} has no elements, its shape is {shape:?}"),
            ));
        }
    }
    Ok(())
}

/// The dimensions of a tensor of rank 4.
fn rank4(operator: &'static str, what: &str, shape: &[usize]) -> Result<[usize; 4], ShapeError> {
    shape.try_into().map_err(|_| {
        ShapeError::new(
            operator,
            format!("{what} must have rank 4, has shape {shape:?}"),
        )
    })
}
