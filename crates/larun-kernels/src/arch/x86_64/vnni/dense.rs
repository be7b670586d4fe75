//! INT8 dense layers, sixteen rows of weights at a time: sums lie across the vectors until a row ends.

use core::arch::x86_64::*;

use super::finish::{LANES, PerChannel, Stage};
use super::vector::{load_first, store_quarter, sums_of};
use super::{FLIP, excess};
use crate::window::nonzero;
use crate::{DenseGeometry, WeightedQuantization};

/// Values that are multiplied at a time.
const STEP: usize = 64;

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
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
    // Behind a ReLU the zero point is the lowest value, and the sums of the weights do not count.
    let has_excess = excess(quantization.input_zero_point) != 0;
    let per_channel = PerChannel {
        quantization,
        bias,
        products: inputs,
    };
    let outputs = output.chunks_exact_mut(units);
    for (input, outputs) in input.chunks_exact(inputs).zip(outputs) {
        let rows = weights.chunks(inputs.saturating_mul(LANES));
        for (block, (rows, outputs)) in rows.zip(outputs.chunks_mut(LANES)).enumerate() {
            let weights = match has_excess {
                true => products(None, inputs, rows),
                false => _mm512_setzero_si512(),
            };
            let channels = per_channel.channels(block * LANES, outputs.len(), weights);
            let sums = _mm512_add_epi32(products(Some(input), inputs, rows), channels.bias);
            store_quarter(outputs, stage.finish(channels.scaled(sums)));
        }
    }
    true
}

/// The sum of the products of the input, or of ones, with up to sixteen rows of `len` weights. Sums of missing rows are any.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn products(input: Option<&[i8]>, len: usize, rows: &[i8]) -> __m512i {
    let count = rows.len() / nonzero(len);
    if count == LANES {
        return rows_by(input, len, rows, |row| row * len);
    }
    let last = count.saturating_sub(1);
    rows_by(input, len, rows, |row| row.min(last) * len)
}

/// As [`products`], with sixteen rows that begin where `start` says.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn rows_by(
    input: Option<&[i8]>,
    len: usize,
    rows: &[i8],
    start: impl Fn(usize) -> usize,
) -> __m512i {
    let mut sums = [_mm512_setzero_si512(); LANES];
    let is_there = input.is_none_or(|input| input.len() >= len);
    if start(LANES - 1).saturating_add(len) > rows.len() || !is_there {
        return _mm512_setzero_si512();
    }
    let (ones, flip) = (_mm512_set1_epi8(1), _mm512_set1_epi8(FLIP));
    for at in (0..len).step_by(STEP) {
        let values = match input {
            // SAFETY: the input has so many values.
            Some(input) => unsafe {
                _mm512_xor_si512(load_first(input.as_ptr().add(at), len - at), flip)
            },
            None => ones,
        };
        for (row, sum) in sums.iter_mut().enumerate() {
            // SAFETY: even the last row ends within the rows.
            let weights = unsafe { load_first(rows.as_ptr().add(start(row) + at), len - at) };
            *sum = _mm512_dpbusd_epi32(*sum, values, weights);
        }
    }
    sums_of(sums)
}
