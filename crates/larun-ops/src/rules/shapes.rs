//! Operators whose output has a shape that an operand says, and operators that compute shapes.

use super::{Operands, ShapeError, ints, nhwc, positive, shape, shaped};
use crate::options::{BroadcastToOptions, FillOptions, NoOptions, ShapeOptions, TransposeOptions};
use crate::{IntList, Shape};

/// Axes in another order: axis `i` of the output is axis `permutation[i]` of the input.
pub(crate) fn transpose(
    _: &TransposeOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let input = shape(operands, 0)?;
    let permutation = ints(operands, 1)?;
    if permutation.len() != input.rank() {
        return Err(ShapeError::Mismatch {
            what: "values of the permutation",
            expected: input.rank(),
            found: permutation.len(),
        });
    }
    let (mut output, mut taken) = (Shape::SCALAR, 0u32);
    for &from in permutation.iter() {
        let axis = input.axis(from).filter(|&axis| taken & (1 << axis) == 0);
        let axis = axis.ok_or(ShapeError::Option {
            what: "an axis of the permutation is outside the shape or comes twice",
            value: from,
        })?;
        taken |= 1 << axis;
        let dim = input.dims().get(axis).copied().unwrap_or(1);
        output.push(dim).ok_or(ShapeError::TooManyDimensions)?;
    }
    Ok(output)
}

/// The shape asked for, to whose inner axes those of the input stretch.
pub(crate) fn broadcast_to(
    _: &BroadcastToOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let (input, output) = (shape(operands, 0)?, asked(&ints(operands, 1)?)?);
    if input.rank() > output.rank() {
        return Err(ShapeError::Rank {
            index: 0,
            expected: output.rank(),
            found: input.rank(),
        });
    }
    let pairs = input.dims().iter().rev().zip(output.dims().iter().rev());
    for (&found, &expected) in pairs {
        if found != expected && found != 1 {
            return Err(ShapeError::Mismatch {
                what: "a dimension to stretch",
                expected,
                found,
            });
        }
    }
    Ok(output)
}

/// The shape asked for.
pub(crate) fn fill(
    _: &FillOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    asked(&ints(operands, 0)?)
}

fn asked(dims: &IntList) -> Result<Shape, ShapeError> {
    let mut output = Shape::SCALAR;
    for &dim in dims.iter() {
        let dim = usize::try_from(dim).map_err(|_| ShapeError::Option {
            what: "a dimension of the shape asked for",
            value: dim,
        })?;
        output.push(dim).ok_or(ShapeError::TooManyDimensions)?;
    }
    Ok(output)
}

/// One number for each dimension of the input.
pub(crate) fn shape_of(
    _: &ShapeOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    shaped(&[shape(operands, 0)?.rank()])
}

/// One number for each dimension that two shapes broadcast to.
pub(crate) fn broadcast_args(
    _: &NoOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let mut rank = 0;
    for index in 0..2 {
        let of = shape(operands, index)?;
        let &[dims] = of.dims() else {
            let (expected, found) = (1, of.rank());
            return Err(ShapeError::Rank {
                index,
                expected,
                found,
            });
        };
        rank = rank.max(dims);
    }
    shaped(&[rank])
}

/// Images of the height and width that the second input says.
pub(crate) fn resize<O>(
    _: &O,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let [batch, _, _, channels] = nhwc(operands, 0)?;
    let size = ints(operands, 1)?;
    let &[height, width] = size.as_slice() else {
        return Err(ShapeError::Mismatch {
            what: "values of the size",
            expected: 2,
            found: size.len(),
        });
    };
    let dim = |size| positive("the size of an image", size);
    shaped(&[batch, dim(height)?, dim(width)?, channels])
}
