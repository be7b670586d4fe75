//! x86-64 with AVX2, where the processor that runs this has it.
//!
//! Sums are exact: 8-bit values are widened to 16 bits, and a pair of products fits 32. Nothing here takes memory of the
//! arena; what is packed lies on the stack, of which a host has plenty.
#![allow(unsafe_code, reason = "vector instructions, and which there are")]

mod add;
mod conv;
mod dense;
mod depthwise;
mod detect;
mod finish;
#[cfg(test)]
mod large_tests;
mod pack;
mod patch;
#[cfg(test)]
mod tests;
mod vector;

use self::detect::has_avx2;
use crate::{AddQuantization, ConvGeometry, DenseGeometry, ImageWindow, WeightedQuantization};

pub(crate) use super::portable::{
    average_pool_i8, conv2d_i8_scratch_len, depthwise_conv2d_i8_scratch_len,
    fully_connected_i8_scratch_len, max_pool_i8,
};

/// Whether the layer can be computed here.
fn can_compute(quantization: &WeightedQuantization<'_>) -> bool {
    has_avx2() && !quantization.multipliers.can_saturate()
}

pub(crate) fn conv2d_i8(
    geometry: &ConvGeometry,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    filter: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
    _scratch: &mut [i16],
) -> bool {
    // SAFETY: AVX2 is there.
    can_compute(quantization)
        && unsafe { conv::conv2d_i8(geometry, quantization, input, filter, bias, output) }
}

pub(crate) fn depthwise_conv2d_i8(
    window: &ImageWindow,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    filter: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
    _scratch: &mut [i16],
) -> bool {
    // SAFETY: AVX2 is there.
    can_compute(quantization)
        && unsafe {
            depthwise::depthwise_conv2d_i8(window, quantization, input, filter, bias, output)
        }
}

pub(crate) fn fully_connected_i8(
    geometry: &DenseGeometry,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    weights: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
    _scratch: &mut [i16],
) -> bool {
    if !can_compute(quantization) {
        return false;
    }
    match conv::of_dense(geometry) {
        // SAFETY: AVX2 is there.
        Some(conv) => unsafe { conv::conv2d_i8(&conv, quantization, input, weights, bias, output) },
        // SAFETY: AVX2 is there.
        None => unsafe {
            dense::fully_connected_i8(geometry, quantization, input, weights, bias, output)
        },
    }
}

/// Operands of one shape: `a`, `b` and `output` are equally long.
pub(crate) fn add_i8(
    quantization: &AddQuantization,
    a: &[i8],
    b: &[i8],
    output: &mut [i8],
) -> bool {
    // SAFETY: AVX2 is there.
    has_avx2() && unsafe { add::add_i8(quantization, a, b, output) }
}
