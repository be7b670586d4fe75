//! Any other processor: nothing is faster than the portable definitions.

use crate::{
    AddQuantization, Clamp, ConvGeometry, DenseGeometry, ImageWindow, OutputStage,
    WeightedQuantization,
};

pub(crate) const fn conv2d_i8_scratch_len(_: &ConvGeometry, _ways: u32) -> usize {
    0
}

#[inline(always)]
pub(crate) fn conv2d_i8(
    _: &ConvGeometry,
    _: &WeightedQuantization<'_>,
    _input: &[i8],
    _filter: &[i8],
    _bias: Option<&[i32]>,
    _output: &mut [i8],
    _scratch: &mut [i16],
) -> bool {
    false
}

pub(crate) const fn depthwise_conv2d_i8_scratch_len(_: &ImageWindow, _ways: u32) -> usize {
    0
}

#[inline(always)]
pub(crate) fn depthwise_conv2d_i8(
    _: &ImageWindow,
    _: &WeightedQuantization<'_>,
    _input: &[i8],
    _filter: &[i8],
    _bias: Option<&[i32]>,
    _output: &mut [i8],
    _scratch: &mut [i16],
) -> bool {
    false
}

pub(crate) const fn fully_connected_i8_scratch_len(_: &DenseGeometry) -> usize {
    0
}

#[inline(always)]
pub(crate) fn fully_connected_i8(
    _: &DenseGeometry,
    _: &WeightedQuantization<'_>,
    _input: &[i8],
    _weights: &[i8],
    _bias: Option<&[i32]>,
    _output: &mut [i8],
    _scratch: &mut [i16],
) -> bool {
    false
}

/// Operands of one shape: `a`, `b` and `output` are equally long.
#[inline(always)]
pub(crate) fn add_i8(_: &AddQuantization, _a: &[i8], _b: &[i8], _output: &mut [i8]) -> bool {
    false
}

#[inline(always)]
pub(crate) fn average_pool_i8(
    _: &ImageWindow,
    _: &OutputStage,
    _input: &[i8],
    _output: &mut [i8],
) -> bool {
    false
}

#[inline(always)]
pub(crate) fn max_pool_i8(
    _: &ImageWindow,
    _: &OutputStage,
    _input: &[i8],
    _output: &mut [i8],
) -> bool {
    false
}

/// `finish` makes the output of a channel's sum over all pixels.
#[inline(always)]
pub(crate) fn mean_i8(_input: &[i8], _output: &mut [i8], _: impl Fn(i32) -> i8) -> bool {
    false
}

#[inline(always)]
pub(crate) fn conv2d_f32(
    _: &ConvGeometry,
    _: &Clamp,
    _input: &[f32],
    _filter: &[f32],
    _bias: Option<&[f32]>,
    _output: &mut [f32],
) -> bool {
    false
}

#[inline(always)]
pub(crate) fn depthwise_conv2d_f32(
    _: &ImageWindow,
    _: &Clamp,
    _input: &[f32],
    _filter: &[f32],
    _bias: Option<&[f32]>,
    _output: &mut [f32],
) -> bool {
    false
}

#[inline(always)]
pub(crate) fn fully_connected_f32(
    _: &DenseGeometry,
    _: &Clamp,
    _input: &[f32],
    _weights: &[f32],
    _bias: Option<&[f32]>,
    _output: &mut [f32],
) -> bool {
    false
}

#[inline(always)]
pub(crate) fn average_pool_f32(
    _: &ImageWindow,
    _: &Clamp,
    _input: &[f32],
    _output: &mut [f32],
) -> bool {
    false
}

#[inline(always)]
pub(crate) fn max_pool_f32(
    _: &ImageWindow,
    _: &Clamp,
    _input: &[f32],
    _output: &mut [f32],
) -> bool {
    false
}
