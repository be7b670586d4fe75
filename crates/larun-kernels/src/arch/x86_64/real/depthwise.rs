//! Real depthwise convolutions with one filter a channel.

use core::arch::x86_64::*;

use super::pixels::Folded;
use super::vector::{LANES, add_product, clamped, load, load_padded};
use crate::ImageWindow;
use crate::requantize::Clamp;

/// Convolves, or says that there are too few channels or several filters for each. The lengths of the slices are those of
/// the window.
#[target_feature(enable = "avx2")]
pub(in super::super) fn depthwise_conv2d_f32(
    window: &ImageWindow,
    clamp: &Clamp,
    input: &[f32],
    filter: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) -> bool {
    let bias = bias.unwrap_or(&[]);
    let layer = Folded {
        start: 0.0,
        fold: |sum, values, at| {
            let weights: Option<&[f32; LANES]> = filter.get(at..).and_then(|w| w.first_chunk());
            weights.map_or(sum, |weights| add_product(sum, values, load(weights)))
        },
        finish: |sum, channel, _| {
            let bias = load_padded(bias.get(channel..).unwrap_or_default());
            clamped(_mm256_add_ps(sum, bias), clamp)
        },
    };
    layer.compute(window, input, output)
}
