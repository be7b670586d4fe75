//! Real dense layers of few rows: the weights are read once, eight rows of them turned into columns as they come.

use core::arch::x86_64::*;

use super::vector::{LANES, add_product, clamped, load, load_padded, store_padded, transpose};
use crate::DenseGeometry;
use crate::requantize::Clamp;
use crate::window::nonzero;

/// Vectors of units side by side.
const MOST: usize = 4;

/// Multiplies. The lengths of the slices are those of the geometry.
#[target_feature(enable = "avx2")]
pub(in super::super) fn fully_connected_f32(
    geometry: &DenseGeometry,
    clamp: &Clamp,
    input: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) {
    let (inputs, units) = (nonzero(geometry.inputs), nonzero(geometry.units));
    let bias = bias.unwrap_or(&[]);
    for (input, output) in input
        .chunks_exact(inputs)
        .zip(output.chunks_exact_mut(units))
    {
        let mut first = 0;
        while first < units {
            let rest = Rest {
                input,
                weights: weights.get(first * inputs..).unwrap_or_default(),
                bias: bias.get(first..).unwrap_or_default(),
                clamp,
            };
            let outputs = output.get_mut(first..).unwrap_or_default();
            first += match outputs.len().div_ceil(LANES) {
                MOST.. => rest.block::<MOST>(outputs),
                2.. => rest.block::<2>(outputs),
                _ => rest.block::<1>(outputs),
            };
        }
    }
}

/// The units from one on.
struct Rest<'a> {
    input: &'a [f32],
    weights: &'a [f32],
    bias: &'a [f32],
    clamp: &'a Clamp,
}

impl Rest<'_> {
    /// Computes the first units, `H` vectors of them; returns how many.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn block<const H: usize>(&self, outputs: &mut [f32]) -> usize {
        let mut sums = [_mm256_setzero_ps(); H];
        for (block, values) in self.input.chunks(LANES).enumerate() {
            let at = block * LANES;
            let mut columns = [[_mm256_setzero_ps(); LANES]; H];
            for (half, columns) in columns.iter_mut().enumerate() {
                let mut rows = [_mm256_setzero_ps(); LANES];
                for (lane, row) in rows.iter_mut().enumerate() {
                    *row = self.weights_at(half * LANES + lane, at);
                }
                *columns = transpose(rows);
            }
            for (element, &value) in values.iter().enumerate() {
                let value = _mm256_set1_ps(value);
                for (sum, columns) in sums.iter_mut().zip(&columns) {
                    if let Some(&column) = columns.get(element) {
                        *sum = add_product(*sum, value, column);
                    }
                }
            }
        }
        let count = outputs.len().min(H * LANES);
        let outputs = outputs.chunks_mut(LANES);
        for (half, (sum, outputs)) in sums.into_iter().zip(outputs).enumerate() {
            let bias = self.bias.get(half * LANES..).unwrap_or_default();
            let sum = _mm256_add_ps(sum, load_padded(bias));
            store_padded(outputs, clamped(sum, self.clamp));
        }
        count
    }

    /// Eight weights of a unit; zeros past the end of the row, and for a unit that is not there.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn weights_at(&self, unit: usize, at: usize) -> __m256 {
        let start = unit * self.input.len();
        let row = self.weights.get(start + at..start + self.input.len());
        match row.and_then(|row| row.first_chunk()) {
            Some(weights) => load(weights),
            None => load_padded(row.unwrap_or_default()),
        }
    }
}
