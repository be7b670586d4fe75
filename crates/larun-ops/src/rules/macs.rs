//! Multiply-accumulate counts.

use super::Operands;
use crate::Shape;
use crate::shape::product;

/// Operators that do not multiply and accumulate.
pub(crate) fn none(_: &dyn Operands, _: &Shape) -> u64 {
    0
}

/// Every output element sums over the filter of its channel.
pub(crate) fn conv2d(operands: &dyn Operands, output: &Shape) -> u64 {
    let taps = operands
        .shape(1)
        .and_then(|filter| product(filter.dims().get(1..)?));
    times(output, taps)
}

/// Every output element sums over the window of its channel.
pub(crate) fn depthwise_conv2d(operands: &dyn Operands, output: &Shape) -> u64 {
    let taps = operands
        .shape(1)
        .and_then(|filter| product(filter.dims().get(1..3)?));
    times(output, taps)
}

/// Every output element sums over a row of the weights.
pub(crate) fn fully_connected(operands: &dyn Operands, output: &Shape) -> u64 {
    times(output, operands.shape(1).map(|weights| weights.last()))
}

/// Every input element meets the taps of all filters.
pub(crate) fn transpose_conv(operands: &dyn Operands, _output: &Shape) -> u64 {
    let taps = operands
        .shape(1)
        .and_then(|filter| product(filter.dims().get(..3)?));
    operands.shape(2).map_or(0, |input| times(&input, taps))
}

/// Every output element sums over a row of the left matrices.
pub(crate) fn batch_matmul(operands: &dyn Operands, output: &Shape) -> u64 {
    // A matrix of the left has rows times depth elements, in either order.
    let matrix = operands.shape(0).and_then(|left| {
        let (_, &[a, b]) = left.dims().split_last_chunk::<2>()?;
        a.checked_mul(b)
    });
    let rows = output.rank().checked_sub(2);
    let rows = rows.and_then(|at| output.dims().get(at).copied());
    let depth = matrix.zip(rows).and_then(|(n, rows)| n.checked_div(rows));
    times(output, depth)
}

fn times(output: &Shape, taps: Option<usize>) -> u64 {
    let outputs = output.elements().unwrap_or(usize::MAX) as u64;
    outputs.saturating_mul(taps.unwrap_or(0) as u64)
}
