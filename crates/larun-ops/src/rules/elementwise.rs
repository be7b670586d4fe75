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
