//! Operators that pick slices by their numbers.

use super::{Operands, ShapeError, shape};
use crate::Shape;
use crate::options::{GatherNdOptions, GatherOptions, NoOptions};
use crate::shape::axis_of;

/// Slices along an axis: `input[..axis]`, the indices behind the shared axes, `input[axis + 1..]`.
pub(crate) fn gather(
    options: &GatherOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let (input, indices) = (shape(operands, 0)?, shape(operands, 1)?);
    let (axis, shared) = options.axes(&input, &indices)?;
    let mut output = Shape::SCALAR;
    let outer = input.dims().iter().take(axis);
    let picked = indices.dims().iter().skip(shared);
    let inner = input.dims().iter().skip(axis + 1);
    for &dim in outer.chain(picked).chain(inner) {
        output.push(dim).ok_or(ShapeError::TooManyDimensions)?;
    }
    Ok(output)
}

impl GatherOptions {
    /// The axis of the slices, and how many leading axes input and indices share, counted from the start.
    ///
    /// # Errors
    /// When there are no such axes, or the shared ones differ.
    pub fn axes(&self, input: &Shape, indices: &Shape) -> Result<(usize, usize), ShapeError> {
        let outside = |what, value| ShapeError::Option { what, value };
        let axis = input
            .axis(self.axis)
            .ok_or(outside("the axis is outside the shape", self.axis))?;
        // As many as there are is a number too, so one more than an axis.
        let shared = match self.batch_dims {
            count @ 0.. => axis_of(count, indices.rank() + 1),
            below => indices.axis(below),
        };
        let shared = shared.filter(|&shared| shared <= axis).ok_or(outside(
            "the number of axes that input and indices share",
            self.batch_dims,
        ))?;
        let pairs = input.dims().iter().zip(indices.dims());
        for (&expected, &found) in pairs.take(shared) {
            if expected != found {
                return Err(ShapeError::Mismatch {
                    what: "an axis that input and indices share",
                    expected,
                    found,
                });
            }
        }
        Ok((axis, shared))
    }
}

/// Slices by positions along the leading axes: the innermost axis of the indices holds one position.
pub(crate) fn gather_nd(
    _: &GatherNdOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let (input, indices) = (shape(operands, 0)?, shape(operands, 1)?);
    let (&named, outer) = indices.dims().split_last().ok_or(ShapeError::Rank {
        index: 1,
        expected: 1,
        found: 0,
    })?;
    let inner = input.dims().get(named..).ok_or(ShapeError::Mismatch {
        what: "axes that a position names, of those of the input",
        expected: input.rank(),
        found: named,
    })?;
    let mut output = Shape::SCALAR;
    for &dim in outer.iter().chain(inner) {
        output.push(dim).ok_or(ShapeError::TooManyDimensions)?;
    }
    Ok(output)
}

/// Rows of a table.
pub(crate) fn embedding_lookup(
    _: &NoOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let (ids, mut output) = (shape(operands, 0)?, shape(operands, 1)?);
    let &[count] = ids.dims() else {
        let (index, expected, found) = (0, 1, ids.rank());
        return Err(ShapeError::Rank {
            index,
            expected,
            found,
        });
    };
    let rows = output.dims_mut().first_mut().ok_or(ShapeError::Rank {
        index: 1,
        expected: 2,
        found: 0,
    })?;
    *rows = count;
    Ok(output)
}
