//! INT8 dense layers, eight units at a time.

use core::arch::x86_64::*;

use super::finish::{Channels, LANES, Stage};
use super::vector::{load_i8x16, load_padded, store_i8, sums_of};
use crate::window::nonzero;
use crate::{DenseGeometry, WeightedQuantization};

/// Values that are multiplied at a time.
const STEP: usize = 16;

#[target_feature(enable = "avx2")]
pub(in super::super) fn fully_connected_i8(
    geometry: &DenseGeometry,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    weights: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
) -> bool {
    let Some(stage) = Stage::new(&quantization.output) else {
        return false;
    };
    let (inputs, units) = (nonzero(geometry.inputs), nonzero(geometry.units));
    let zero_point = _mm256_set1_epi16(quantization.input_zero_point as i16);
    let outputs = output.chunks_exact_mut(units);
    for (input, outputs) in input.chunks_exact(inputs).zip(outputs) {
        let blocks = weights.chunks(inputs.saturating_mul(LANES));
        let outputs = outputs.chunks_mut(LANES);
        for (block, (rows, outputs)) in blocks.zip(outputs).enumerate() {
            let channels = Channels::new(block * LANES, quantization, bias);
            let sums = products(input, zero_point, &eight_rows(rows, inputs));
            let sums = _mm256_add_epi32(sums, channels.bias);
            store_i8(outputs, stage.finish(channels.scale.apply(sums)));
        }
    }
    true
}

/// Up to eight rows. Missing ones count as the first: nobody reads their sums.
#[inline]
fn eight_rows(weights: &[i8], len: usize) -> [&[i8]; LANES] {
    let mut rows = [weights.get(..len).unwrap_or_default(); LANES];
    for (place, row) in rows.iter_mut().zip(weights.chunks_exact(nonzero(len))) {
        *place = row;
    }
    rows
}

/// The sum of the products of the input, less the zero point, with each row.
#[inline]
#[target_feature(enable = "avx2")]
fn products(input: &[i8], zero_point: __m256i, rows: &[&[i8]; LANES]) -> __m256i {
    let mut sums = [_mm256_setzero_si256(); LANES];
    let (mut whole, mut steps) = ([[].as_slice(); LANES], input.len() / STEP);
    for (chunks, row) in whole.iter_mut().zip(rows) {
        *chunks = row.as_chunks::<STEP>().0;
        steps = steps.min(chunks.len());
    }
    for (step, values) in input.as_chunks::<STEP>().0.iter().take(steps).enumerate() {
        let values = _mm256_sub_epi16(_mm256_cvtepi8_epi16(load_i8x16(values)), zero_point);
        for (sum, row) in sums.iter_mut().zip(whole) {
            // SAFETY: `step` is below `steps`, and no row has fewer chunks.
            let weights = unsafe { row.get_unchecked(step) };
            let weights = _mm256_cvtepi8_epi16(load_i8x16(weights));
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(values, weights));
        }
    }
    let done = steps * STEP;
    if done < input.len() {
        // Where the weights are zeros, values do not count.
        let values = _mm256_sub_epi16(widened_rest(input, done), zero_point);
        for (sum, row) in sums.iter_mut().zip(rows) {
            let products = _mm256_madd_epi16(values, widened_rest(row, done));
            *sum = _mm256_add_epi32(*sum, products);
        }
    }
    sums_of(sums)
}

/// The last values, fewer than are multiplied at a time, and zeros.
#[inline]
#[target_feature(enable = "avx2")]
fn widened_rest(values: &[i8], done: usize) -> __m256i {
    _mm256_cvtepi8_epi16(load_padded(values.get(done..).unwrap_or_default()))
}
