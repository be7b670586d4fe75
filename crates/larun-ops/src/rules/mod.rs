//! Shape rules: what the operands of an operator say about its output.

mod blocks;
mod elementwise;
mod error;
mod gather;
mod layout;
pub(crate) mod macs;
mod matmul;
mod reduce;
mod shapes;
mod slice;
mod window;

pub use error::ShapeError;

pub(crate) use blocks::{batch_to_space, depth_to_space, space_to_batch, space_to_depth};
pub(crate) use elementwise::{broadcast, same, select, select_v2};
pub(crate) use gather::{embedding_lookup, gather, gather_nd};
pub(crate) use layout::{concatenation, expand_dims, pack, pad, reshape, squeeze};
pub(crate) use matmul::batch_matmul;
pub(crate) use reduce::{reduce, without_axis};
pub(crate) use shapes::{broadcast_args, broadcast_to, fill, resize, shape_of, transpose};
pub(crate) use slice::{slice, split, split_v, strided_slice, unpack};
pub(crate) use window::{conv2d, depthwise_conv2d, fully_connected, pool2d, transpose_conv};

use crate::{IntList, Shape};

/// What a shape rule may ask of a node.
pub trait Operands {
    /// The number of inputs, absent ones included.
    fn count(&self) -> usize;

    /// The shape of input `index`, or `None` when it is absent.
    fn shape(&self, index: usize) -> Option<Shape>;

    /// The values of input `index` where it is a constant of integers, or `None`.
    fn ints(&self, index: usize) -> Option<IntList>;
}

/// No rule: the shape depends on values or subgraphs, and the file's is taken.
pub(crate) fn given<O>(
    _: &O,
    _operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    Err(ShapeError::Unknown { index: 0 })
}

/// The shape of a required input.
fn shape(operands: &dyn Operands, index: usize) -> Result<Shape, ShapeError> {
    operands
        .shape(index)
        .ok_or(ShapeError::MissingInput { index })
}

/// The `[N, H, W, C]` shape of a required input.
fn nhwc(operands: &dyn Operands, index: usize) -> Result<[usize; 4], ShapeError> {
    let shape = shape(operands, index)?;
    shape.nhwc().ok_or(ShapeError::Rank {
        index,
        expected: 4,
        found: shape.rank(),
    })
}

/// The constant integers of a required input.
fn ints(operands: &dyn Operands, index: usize) -> Result<IntList, ShapeError> {
    shape(operands, index)?;
    operands.ints(index).ok_or(ShapeError::Unknown { index })
}

/// A shape of these dimensions.
fn shaped(dims: &[usize]) -> Result<Shape, ShapeError> {
    Shape::new(dims).ok_or(ShapeError::TooManyDimensions)
}

/// An axis of `shape` that a constant input names by its one value.
fn axis_operand(operands: &dyn Operands, index: usize, shape: &Shape) -> Result<usize, ShapeError> {
    let list = ints(operands, index)?;
    let &[axis] = list.as_slice() else {
        return Err(ShapeError::Mismatch {
            what: "values of the axis",
            expected: 1,
            found: list.len(),
        });
    };
    shape.axis(axis).ok_or(ShapeError::Option {
        what: "the axis is outside the shape",
        value: axis,
    })
}

/// A size that must be above 0.
fn positive(what: &'static str, value: i32) -> Result<usize, ShapeError> {
    let size = usize::try_from(value).ok().filter(|&size| size > 0);
    size.ok_or(ShapeError::Option { what, value })
}
