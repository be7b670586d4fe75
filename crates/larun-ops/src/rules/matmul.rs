//! Products of matrices.

use super::elementwise::stretched;
use super::{Operands, ShapeError, shape, shaped};
use crate::Shape;
use crate::options::BatchMatmulOptions;

/// `[..., M, K]` and `[..., K, N]` to `[..., M, N]`, batches stretched where one operand has a single one.
pub(crate) fn batch_matmul(
    options: &BatchMatmulOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let (left, rows, depth) = matrices(operands, 0, options.adj_x)?;
    let (right, found, columns) = matrices(operands, 1, options.adj_y)?;
    if depth != found {
        return Err(ShapeError::Mismatch {
            what: "rows of the right matrices, which must be the columns of the left ones",
            expected: depth,
            found,
        });
    }
    let mut output = stretched(&left, &right)?;
    for dim in [rows, columns] {
        output.push(dim).ok_or(ShapeError::TooManyDimensions)?;
    }
    Ok(output)
}

/// The batches of an operand, and the rows and columns of its matrices.
fn matrices(
    operands: &dyn Operands,
    index: usize,
    transposed: bool,
) -> Result<(Shape, usize, usize), ShapeError> {
    let shape = shape(operands, index)?;
    let found = shape.rank();
    let rank = ShapeError::Rank {
        index,
        expected: 2,
        found,
    };
    let (batches, matrix) = shape.dims().split_last_chunk::<2>().ok_or(rank)?;
    let &[rows, columns] = matrix;
    let (rows, columns) = if transposed {
        (columns, rows)
    } else {
        (rows, columns)
    };
    Ok((shaped(batches)?, rows, columns))
}
