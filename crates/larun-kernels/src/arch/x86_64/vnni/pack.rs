//! Filters of a convolution in the order in which they are multiplied: four weights of sixteen filters side by side.

use core::arch::x86_64::*;

use super::finish::LANES;
use super::vector::{load_bytes, store_i32x16, transpose};
use crate::window::nonzero;

/// Weights of a filter that are packed at a time.
const STEP: usize = 64;

/// Four INT8 weights, the same four of each filter.
pub(super) type Quads = [i32; LANES];

/// Packs up to sixteen filters of `len` weights, and gives the sum of each. Every `run` of weights begins with a new quad;
/// what is missing becomes zeros.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn pack(filters: &[i8], len: usize, run: usize, packed: &mut [Quads]) -> __m512i {
    // Runs of whole quads go on without a gap.
    let run = if run.is_multiple_of(4) { len } else { run };
    let mut sums = _mm512_setzero_si512();
    let places = packed.chunks_mut(nonzero(run.div_ceil(4)));
    for (start, packed) in (0..len).step_by(nonzero(run)).zip(places) {
        let mut rows = [[].as_slice(); LANES];
        for (place, row) in rows.iter_mut().zip(filters.chunks_exact(nonzero(len))) {
            *place = row.get(start..start + run).unwrap_or_default();
        }
        sums = _mm512_add_epi32(sums, pack_run(rows, packed));
    }
    sums
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn pack_run(rows: [&[i8]; LANES], packed: &mut [Quads]) -> __m512i {
    let ones = _mm512_set1_epi8(1);
    let mut sums = _mm512_setzero_si512();
    for (step, packed) in packed.chunks_mut(STEP / 4).enumerate() {
        let mut words = [_mm512_setzero_si512(); LANES];
        for (words, row) in words.iter_mut().zip(rows) {
            *words = load_bytes(row.get(step * STEP..).unwrap_or_default());
        }
        for (place, quads) in packed.iter_mut().zip(transpose(words)) {
            store_i32x16(place, quads);
            sums = _mm512_dpbusd_epi32(sums, ones, quads);
        }
    }
    sums
}
