//! Operators that move elements without changing them.

use super::{Operands, ShapeError, ints, shape, shaped};
use crate::options::{
    ConcatenationOptions, ExpandDimsOptions, PackOptions, ReshapeOptions, SqueezeOptions,
};
use crate::shape::{axis_of, product};
use crate::{IntList, Shape};

/// Inputs joined along an axis; all other dimensions agree.
pub(crate) fn concatenation(
    options: &ConcatenationOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let mut output = shape(operands, 0)?;
    let axis = output.axis(options.axis).ok_or(ShapeError::Option {
        what: "the axis is outside the shape",
        value: options.axis,
    })?;
    for index in 1..operands.count() {
        append(&mut output, &shape(operands, index)?, axis, index)?;
    }
    Ok(output)
}

fn append(output: &mut Shape, input: &Shape, axis: usize, index: usize) -> Result<(), ShapeError> {
    if input.rank() != output.rank() {
        return Err(ShapeError::Rank {
            index,
            expected: output.rank(),
            found: input.rank(),
        });
    }
    for (i, (dim, &more)) in output.dims_mut().iter_mut().zip(input.dims()).enumerate() {
        if i == axis {
            *dim = dim.checked_add(more).ok_or(ShapeError::Overflow)?;
        } else if *dim != more {
            return Err(ShapeError::Mismatch {
                what: "a dimension of a joined input",
                expected: *dim,
                found: more,
            });
        }
    }
    Ok(())
}

/// The shape asked for by the second input or, without one, by the options.
pub(crate) fn reshape(
    options: &ReshapeOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let elements = shape(operands, 0)?.elements().ok_or(ShapeError::Overflow)?;
    let asked = if operands.shape(1).is_some() {
        ints(operands, 1)?
    } else {
        options.new_shape
    };
    fill_wildcard(&asked, elements)
}

/// Replaces a -1 by what is left of `elements`.
fn fill_wildcard(asked: &IntList, elements: usize) -> Result<Shape, ShapeError> {
    let mut output = Shape::SCALAR;
    let mut wildcard = None;
    for (i, &dim) in asked.iter().enumerate() {
        let dim = match (dim, wildcard) {
            (-1, None) => {
                wildcard = Some(i);
                1
            }
            (0.., _) => dim as usize,
            _ => {
                return Err(ShapeError::Option {
                    what: "a dimension of the shape asked for",
                    value: dim,
                });
            }
        };
        output.push(dim).ok_or(ShapeError::TooManyDimensions)?;
    }
    let known = product(output.dims()).ok_or(ShapeError::Overflow)?;
    if let Some(dim) = wildcard.and_then(|i| output.dims_mut().get_mut(i)) {
        *dim = elements.checked_div(known).unwrap_or(0);
    }
    let found = output.elements().ok_or(ShapeError::Overflow)?;
    if found == elements {
        return Ok(output);
    }
    Err(ShapeError::Mismatch {
        what: "elements after the reshape",
        expected: elements,
        found,
    })
}

/// The input without the named axes of size 1, or without all of them when none is named.
pub(crate) fn squeeze(
    options: &SqueezeOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let input = shape(operands, 0)?;
    let mut dropped = 0u32;
    for &axis in options.squeeze_dims.iter() {
        let at = input
            .axis(axis)
            .filter(|&at| input.dims().get(at) == Some(&1));
        dropped |= 1
            << at.ok_or(ShapeError::Option {
                what: "an axis to squeeze is not of size 1",
                value: axis,
            })?;
    }
    let all = options.squeeze_dims.is_empty();
    let mut output = Shape::SCALAR;
    for (i, &dim) in input.dims().iter().enumerate() {
        if dropped & (1 << i) == 0 && !(all && dim == 1) {
            output.push(dim).ok_or(ShapeError::TooManyDimensions)?;
        }
    }
    Ok(output)
}

/// The input with an axis of size 1 put in.
pub(crate) fn expand_dims(
    _: &ExpandDimsOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let input = shape(operands, 0)?;
    let axis = *ints(operands, 1)?.first().ok_or(ShapeError::Mismatch {
        what: "values of the axis",
        expected: 1,
        found: 0,
    })?;
    with_axis(&input, axis, 1)
}

/// Inputs of one shape, joined along a new axis.
pub(crate) fn pack(
    options: &PackOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let first = shape(operands, 0)?;
    let (count, found) = (operands.count(), options.values_count);
    if usize::try_from(found) != Ok(count) {
        return Err(ShapeError::Option {
            what: "the number of values is not that of the inputs",
            value: found,
        });
    }
    for index in 1..count {
        let other = shape(operands, index)?;
        if other.rank() != first.rank() {
            return Err(ShapeError::Rank {
                index,
                expected: first.rank(),
                found: other.rank(),
            });
        }
        let mut pairs = first.dims().iter().zip(other.dims());
        if let Some((&expected, &found)) = pairs.find(|(a, b)| a != b) {
            return Err(ShapeError::Mismatch {
                what: "a dimension of a packed input",
                expected,
                found,
            });
        }
    }
    with_axis(&first, options.axis, count)
}

/// The shape with an axis of `len` put in.
fn with_axis(input: &Shape, axis: i32, len: usize) -> Result<Shape, ShapeError> {
    let at = axis_of(axis, input.rank() + 1).ok_or(ShapeError::Option {
        what: "the axis is outside the shape",
        value: axis,
    })?;
    let (outer, inner) = input.dims().split_at_checked(at).unwrap_or_default();
    let mut output = Shape::SCALAR;
    for &dim in outer.iter().chain(&[len]).chain(inner) {
        output.push(dim).ok_or(ShapeError::TooManyDimensions)?;
    }
    Ok(output)
}

/// The input with `(before, after)` elements more along each axis.
pub(crate) fn pad<O>(_: &O, operands: &dyn Operands, _output: usize) -> Result<Shape, ShapeError> {
    let mut output = shape(operands, 0)?;
    let paddings = ints(operands, 1)?;
    if paddings.len() != 2 * output.rank() {
        return Err(ShapeError::Mismatch {
            what: "values of the paddings",
            expected: 2 * output.rank(),
            found: paddings.len(),
        });
    }
    for (dim, pair) in output.dims_mut().iter_mut().zip(paddings.chunks_exact(2)) {
        for &side in pair {
            let side = usize::try_from(side).map_err(|_| ShapeError::Option {
                what: "a negative padding",
                value: side,
            })?;
            *dim = dim.checked_add(side).ok_or(ShapeError::Overflow)?;
        }
    }
    shaped(output.dims())
}
