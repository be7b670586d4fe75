//! Real pools.

use core::arch::x86_64::*;

use super::pixels::Folded;
use super::vector::clamped;
use crate::ImageWindow;
use crate::requantize::Clamp;

/// Averages, or says that there are too few channels. The lengths of the slices are those of the window.
#[target_feature(enable = "avx2")]
pub(in super::super) fn average_pool_f32(
    window: &ImageWindow,
    clamp: &Clamp,
    input: &[f32],
    output: &mut [f32],
) -> bool {
    let layer = Folded {
        start: 0.0,
        fold: |sum, values, _| _mm256_add_ps(sum, values),
        finish: |sum, _, taps| clamped(_mm256_div_ps(sum, _mm256_set1_ps(taps as f32)), clamp),
    };
    layer.compute(window, input, output)
}

/// Takes the largest values, or says that there are too few channels. The lengths of the slices are those of the window.
#[target_feature(enable = "avx2")]
pub(in super::super) fn max_pool_f32(
    window: &ImageWindow,
    clamp: &Clamp,
    input: &[f32],
    output: &mut [f32],
) -> bool {
    let layer = Folded {
        start: f32::MIN,
        // Of two of which neither is larger, NaN among them, the instruction gives the second: what is largest so far.
        fold: |largest, values, _| _mm256_max_ps(values, largest),
        finish: |largest, _, _| clamped(largest, clamp),
    };
    layer.compute(window, input, output)
}
