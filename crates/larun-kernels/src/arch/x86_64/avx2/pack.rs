//! Filters of a convolution in the order in which they are multiplied: pairs of weights of eight filters side by side.

use core::arch::x86_64::*;

use super::finish::LANES;
use super::vector::{load_padded, store_i32x8, transpose};
use crate::window::nonzero;

/// Weights of a filter that are packed at a time.
const STEP: usize = 16;

/// Pairs of INT16 weights, one pair a filter.
pub(super) type Pairs = [i32; LANES];

/// Packs up to eight filters of `len` weights. What is missing becomes zeros.
#[target_feature(enable = "avx2")]
pub(super) fn pack(filters: &[i8], len: usize, packed: &mut [Pairs]) {
    let mut rows = [[].as_slice(); LANES];
    for (place, row) in rows.iter_mut().zip(filters.chunks_exact(nonzero(len))) {
        *place = row;
    }
    for (step, packed) in packed.chunks_mut(STEP / 2).enumerate() {
        let mut words = [_mm256_setzero_si256(); LANES];
        for (words, row) in words.iter_mut().zip(rows) {
            let rest = row.get(step * STEP..).unwrap_or_default();
            *words = _mm256_cvtepi8_epi16(load_padded(rest));
        }
        for (place, pairs) in packed.iter_mut().zip(transpose(words)) {
            store_i32x8(place, pairs);
        }
    }
}
