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

fn times(output: &Shape, taps: Option<usize>) -> u64 {
    let outputs = output.elements().unwrap_or(usize::MAX) as u64;
    outputs.saturating_mul(taps.unwrap_or(0) as u64)
}
