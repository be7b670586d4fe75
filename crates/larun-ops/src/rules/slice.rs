//! Operators that take parts of their input.

use super::{Operands, ShapeError, axis_operand, ints, positive, shape};
use crate::options::{
    SliceOptions, SplitOptions, SplitVOptions, StridedSliceOptions, UnpackOptions,
};
use crate::{Shape, Slicing};

/// `size` elements from `begin` on, along each axis.
pub(crate) fn slice(
    _: &SliceOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let input = shape(operands, 0)?;
    let (begin, size) = (ints(operands, 1)?, ints(operands, 2)?);
    Slicing::of_sizes(&input, &begin, &size).map(|slicing| slicing.output())
}

/// The elements between `begin` and `end`, `strides` apart.
pub(crate) fn strided_slice(
    options: &StridedSliceOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let input = shape(operands, 0)?;
    let [begin, end, strides] = [ints(operands, 1)?, ints(operands, 2)?, ints(operands, 3)?];
    Slicing::of_strides(options, &input, &begin, &end, &strides).map(|slicing| slicing.output())
}

/// Equal parts along an axis.
pub(crate) fn split(
    options: &SplitOptions,
    operands: &dyn Operands,
    output: usize,
) -> Result<Shape, ShapeError> {
    let mut part = shape(operands, 1)?;
    let axis = axis_operand(operands, 0, &part)?;
    let parts = positive("the number of parts", options.num_splits)?;
    if output >= parts {
        return Err(ShapeError::NoSuchOutput { output });
    }
    if let Some(dim) = part.dims_mut().get_mut(axis) {
        let whole = *dim;
        *dim = whole / parts;
        if *dim * parts != whole {
            return Err(ShapeError::Mismatch {
                what: "elements of the axis that is split into equal parts",
                expected: *dim * parts,
                found: whole,
            });
        }
    }
    Ok(part)
}

/// Parts of given sizes along an axis; one of -1 is what the others leave.
pub(crate) fn split_v(
    options: &SplitVOptions,
    operands: &dyn Operands,
    output: usize,
) -> Result<Shape, ShapeError> {
    let mut part = shape(operands, 0)?;
    let axis = axis_operand(operands, 2, &part)?;
    let sizes = ints(operands, 1)?;
    let parts = positive("the number of parts", options.num_splits)?;
    if sizes.len() != parts {
        return Err(ShapeError::Mismatch {
            what: "sizes of parts",
            expected: parts,
            found: sizes.len(),
        });
    }
    let &size = sizes
        .get(output)
        .ok_or(ShapeError::NoSuchOutput { output })?;
    if let Some(dim) = part.dims_mut().get_mut(axis) {
        let rest = rest(&sizes, *dim)?;
        *dim = usize::try_from(size).unwrap_or(rest);
    }
    Ok(part)
}

/// What the sizes leave of an axis of `whole` to the one that is -1.
fn rest(sizes: &[i32], whole: usize) -> Result<usize, ShapeError> {
    let (mut sum, mut open) = (0usize, false);
    for &size in sizes {
        match usize::try_from(size) {
            Ok(size) => sum = sum.checked_add(size).ok_or(ShapeError::Overflow)?,
            Err(_) if size == -1 && !open => open = true,
            Err(_) => {
                return Err(ShapeError::Option {
                    what: "the size of a part",
                    value: size,
                });
            }
        }
    }
    match whole.checked_sub(sum) {
        Some(rest) if open || rest == 0 => Ok(rest),
        _ => Err(ShapeError::Mismatch {
            what: "elements of all parts, of the axis that is split",
            expected: whole,
            found: sum,
        }),
    }
}

/// Slices along an axis, which is dropped.
pub(crate) fn unpack(
    options: &UnpackOptions,
    operands: &dyn Operands,
    output: usize,
) -> Result<Shape, ShapeError> {
    let input = shape(operands, 0)?;
    let outside = ShapeError::Option {
        what: "the axis is outside the shape",
        value: options.axis,
    };
    let axis = input.axis(options.axis).ok_or(outside)?;
    let parts = usize::try_from(options.num).unwrap_or(0);
    let mut part = Shape::SCALAR;
    for (i, &dim) in input.dims().iter().enumerate() {
        if i != axis {
            part.push(dim).ok_or(ShapeError::TooManyDimensions)?;
        } else if dim != parts {
            return Err(ShapeError::Mismatch {
                what: "slices along the axis",
                expected: dim,
                found: parts,
            });
        }
    }
    if output >= parts {
        return Err(ShapeError::NoSuchOutput { output });
    }
    Ok(part)
}
