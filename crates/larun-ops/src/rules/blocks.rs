//! Operators that move blocks of space into channels or batches, and back.

use super::{Operands, ShapeError, ints, nhwc, positive, shape, shaped};
use crate::Shape;
use crate::options::{
    BatchToSpaceNdOptions, DepthToSpaceOptions, SpaceToBatchNdOptions, SpaceToDepthOptions,
};

/// Blocks of pixels gathered into channels.
pub(crate) fn space_to_depth(
    options: &SpaceToDepthOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let [batch, height, width, channels] = nhwc(operands, 0)?;
    let block = positive("the block size", options.block_size)?;
    let (height, width) = (divided(height, block)?, divided(width, block)?);
    let channels = times(times(channels, block)?, block)?;
    shaped(&[batch, height, width, channels])
}

/// Channels spread over blocks of pixels.
pub(crate) fn depth_to_space(
    options: &DepthToSpaceOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let [batch, height, width, channels] = nhwc(operands, 0)?;
    let block = positive("the block size", options.block_size)?;
    let channels = divided(channels, times(block, block)?)?;
    shaped(&[batch, times(height, block)?, times(width, block)?, channels])
}

/// Blocks of padded space gathered into batches.
pub(crate) fn space_to_batch(
    _: &SpaceToBatchNdOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    blocked(operands, |[batch, dim], block, border| {
        let padded = dim.checked_add(border).ok_or(ShapeError::Overflow)?;
        Ok([times(batch, block)?, divided(padded, block)?])
    })
}

/// Batches spread over blocks of space, then cropped.
pub(crate) fn batch_to_space(
    _: &BatchToSpaceNdOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    blocked(operands, |[batch, dim], block, border| {
        let whole = times(dim, block)?;
        let cropped = whole.checked_sub(border).ok_or(ShapeError::Mismatch {
            what: "elements that are cropped, of those that there are",
            expected: whole,
            found: border,
        })?;
        Ok([divided(batch, block)?, cropped])
    })
}

/// Steps from `[batch, dim]` of each spatial axis to those of the output, given its block and what the border adds up to.
fn blocked(
    operands: &dyn Operands,
    step: impl Fn([usize; 2], usize, usize) -> Result<[usize; 2], ShapeError>,
) -> Result<Shape, ShapeError> {
    let mut output = shape(operands, 0)?;
    let (blocks, borders) = (ints(operands, 1)?, ints(operands, 2)?);
    let spatial = output.rank().saturating_sub(2);
    for (found, expected) in [(blocks.len(), spatial), (borders.len(), 2 * spatial)] {
        if found != expected || spatial == 0 {
            return Err(ShapeError::Mismatch {
                what: "values for the axes between batch and channels",
                expected,
                found,
            });
        }
    }
    let Some((batch, dims)) = output.dims_mut().split_first_mut() else {
        return Err(ShapeError::Overflow);
    };
    let sides = blocks.iter().zip(borders.chunks_exact(2));
    for (dim, (&block, border)) in dims.iter_mut().zip(sides) {
        let mut total = 0usize;
        for &side in border {
            let side = usize::try_from(side).map_err(|_| ShapeError::Option {
                what: "a negative padding or crop",
                value: side,
            })?;
            total = total.checked_add(side).ok_or(ShapeError::Overflow)?;
        }
        [*batch, *dim] = step([*batch, *dim], positive("the block size", block)?, total)?;
    }
    Ok(output)
}

fn times(a: usize, b: usize) -> Result<usize, ShapeError> {
    a.checked_mul(b).ok_or(ShapeError::Overflow)
}

/// `whole / parts`, where nothing is left. There is at least one part.
fn divided(whole: usize, parts: usize) -> Result<usize, ShapeError> {
    match whole.checked_rem(parts) {
        Some(0) => Ok(whole.checked_div(parts).unwrap_or(0)),
        _ => Err(ShapeError::Mismatch {
            what: "elements of an axis that must divide into blocks, what is left over",
            expected: 0,
            found: whole.checked_rem(parts).unwrap_or(0),
        }),
    }
}
