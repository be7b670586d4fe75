//! Reductions over axes.

use super::{Operands, ShapeError, ints, shape};
use crate::Shape;
use crate::options::ReducerOptions;

/// The input without the reduced axes, or with ones in their place.
pub(crate) fn reduce(
    options: &ReducerOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let input = shape(operands, 0)?;
    let mut reduced = 0u32;
    for &axis in ints(operands, 1)?.iter() {
        reduced |= 1
            << input.axis(axis).ok_or(ShapeError::Option {
                what: "an axis is outside the shape",
                value: axis,
            })?;
    }
    let mut output = Shape::SCALAR;
    for (i, &dim) in input.dims().iter().enumerate() {
        let dim = match (reduced & (1 << i) != 0, options.keep_dims) {
            (false, _) => dim,
            (true, true) => 1,
            (true, false) => continue,
        };
        output.push(dim).ok_or(ShapeError::TooManyDimensions)?;
    }
    Ok(output)
}

/// The input without the one axis that input 1 names.
pub(crate) fn without_axis<O>(
    _: &O,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let (input, axes) = (shape(operands, 0)?, ints(operands, 1)?);
    let &[axis] = axes.as_slice() else {
        return Err(ShapeError::Mismatch {
            what: "axes along which to search",
            expected: 1,
            found: axes.as_slice().len(),
        });
    };
    let at = input.axis(axis).ok_or(ShapeError::Option {
        what: "an axis is outside the shape",
        value: axis,
    })?;
    let mut output = Shape::SCALAR;
    for (i, &dim) in input.dims().iter().enumerate() {
        if i != at {
            output.push(dim).ok_or(ShapeError::TooManyDimensions)?;
        }
    }
    Ok(output)
}
