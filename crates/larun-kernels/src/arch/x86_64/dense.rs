//! INT8 dense layers, eight units at a time.

use core::arch::x86_64::*;

use super::finish::{Channels, LANES, Stage};
use super::vector::{load_i8x16, load_padded, store_i8, sums_of};
use crate::window::nonzero;
use crate::{DenseGeometry, WeightedQuantization};

/// Values that are multiplied at a time.
const STEP: usize = 16;

#[target_feature(enable = "avx2")]
pub(super) fn fully_connected_i8(
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
    let blocks = weights.chunks(inputs.saturating_mul(LANES));
    for (block, rows) in blocks.enumerate() {
        let first = block * LANES;
        let channels = Channels::new(first, quantization, bias);
        // Rows past the last count as the first of the block; nobody reads their sums.
        let row = |index: usize| rows.get(index * inputs..(index + 1) * inputs);
        let own = row(0).unwrap_or_default();
        let rows = [0, 1, 2, 3, 4, 5, 6, 7].map(|index| row(index).unwrap_or(own));
        let outputs = output.chunks_exact_mut(units);
        for (input, outputs) in input.chunks_exact(inputs).zip(outputs) {
            let sums = _mm256_add_epi32(products(input, zero_point, rows), channels.bias);
            let finished = stage.finish(channels.scale.apply(sums));
            let outputs = outputs.get_mut(first..).unwrap_or_default();
            let count = outputs.len().min(LANES);
            store_i8(outputs.get_mut(..count).unwrap_or_default(), finished);
        }
    }
    true
}

/// The sum of the products of the input, less the zero point, with each row.
#[inline]
#[target_feature(enable = "avx2")]
fn products(input: &[i8], zero_point: __m256i, rows: [&[i8]; LANES]) -> __m256i {
    let mut sums = [_mm256_setzero_si256(); LANES];
    let steps = input.len() / STEP;
    let whole = rows.map(|row| row.as_chunks::<STEP>().0);
    let steps = whole
        .iter()
        .fold(steps, |steps, chunks| steps.min(chunks.len()));
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
        let rest = |values: &[i8]| {
            let rest = values.get(done..).unwrap_or_default();
            _mm256_cvtepi8_epi16(load_padded(rest))
        };
        // Where the weights are zeros, values do not count.
        let values = _mm256_sub_epi16(rest(input), zero_point);
        for (sum, row) in sums.iter_mut().zip(rows) {
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(values, rest(row)));
        }
    }
    sums_of(sums)
}
