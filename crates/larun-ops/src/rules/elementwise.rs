//! Operators that work element by element.

use super::{Operands, ShapeError, shape, shaped};
use crate::{MAX_RANK, Shape};

/// The output has the shape of the first input.
pub(crate) fn same<O>(_: &O, operands: &dyn Operands, _output: usize) -> Result<Shape, ShapeError> {
    shape(operands, 0)
}

/// Two inputs are stretched along axes where one of them has size 1.
pub(crate) fn broadcast<O>(
    _: &O,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    stretched(&shape(operands, 0)?, &shape(operands, 1)?)
}

/// Three inputs are stretched. Of single values the runtimes let the file say in how many dimensions.
pub(crate) fn select_v2<O>(
    _: &O,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let [condition, a, b] = [0, 1, 2].map(|index| shape(operands, index));
    let (condition, a, b) = (condition?, a?, b?);
    let single = [&condition, &a, &b].map(|input| input.elements() == Some(1));
    if single == [true; 3] && !(condition == a && a == b) {
        return Err(ShapeError::Unknown { index: 0 });
    }
    stretched(&stretched(&condition, &a)?, &b)
}

/// `a` and `b` have one shape. The condition has it too, or is a single value, or has a value for each slice along the
/// first axis.
pub(crate) fn select<O>(
    options: &O,
    operands: &dyn Operands,
    output: usize,
) -> Result<Shape, ShapeError> {
    let (condition, a, b) = (
        shape(operands, 0)?,
        shape(operands, 1)?,
        shape(operands, 2)?,
    );
    let of_slices = condition.rank() == 1 && condition.dims().first() == a.dims().first();
    if a == b && (of_slices || condition.rank() == 0) {
        return Ok(a);
    }
    if a == b && a == condition || a.elements() == Some(1) {
        return select_v2(options, operands, output);
    }
    Err(ShapeError::Mismatch {
        what: "elements of the condition, of which there is one for each element or slice",
        expected: a.elements().unwrap_or(0),
        found: condition.elements().unwrap_or(0),
    })
}

/// The shape to which two are stretched.
pub(super) fn stretched(a: &Shape, b: &Shape) -> Result<Shape, ShapeError> {
    let rank = a.rank().max(b.rank());
    let mut dims = [1; MAX_RANK];
    for (i, dim) in dims.iter_mut().enumerate().take(rank) {
        *dim = stretch(aligned(a, i, rank), aligned(b, i, rank))?;
    }
    shaped(dims.get(..rank).unwrap_or(&[]))
}

/// Dimension `i` of a shape that is aligned at its innermost axis with one of rank `rank`.
fn aligned(shape: &Shape, i: usize, rank: usize) -> usize {
    (i + shape.rank())
        .checked_sub(rank)
        .and_then(|at| shape.dims().get(at).copied())
        .unwrap_or(1)
}

fn stretch(a: usize, b: usize) -> Result<usize, ShapeError> {
    match (a, b) {
        (1, other) | (other, 1) => Ok(other),
        (a, b) if a == b => Ok(a),
        (a, b) => Err(ShapeError::Mismatch {
            what: "dimensions that do not broadcast",
            expected: a,
            found: b,
        }),
    }
}
