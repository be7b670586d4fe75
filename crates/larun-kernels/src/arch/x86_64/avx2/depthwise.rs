//! INT8 depthwise convolutions, eight channels and two taps at a time.

use core::arch::x86_64::*;

use super::finish::{Channels, LANES, Stage};
use super::pack::Pairs;
use super::seen::{Seen, TAPS, View};
use super::vector::{load_i8x8, load_i32x8, store_i8, store_i32x8};
use crate::window::nonzero;
use crate::{ImageWindow, WeightedQuantization};

/// Units of eight channels at a time, at most.
const UNITS: usize = 16;
/// Room for pairs of weights.
const ROOM: usize = 256;
/// Room for what a window sees: two taps for each pair of weights.
const COPY: usize = 2 * ROOM * LANES;

#[target_feature(enable = "avx2")]
pub(in super::super) fn depthwise_conv2d_i8(
    window: &ImageWindow,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    filter: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
) -> bool {
    let channels = window.output_channels();
    let taps = window.rows().filter() * window.columns().filter();
    let is_supported = channels == window.input_channels() && channels >= LANES && taps <= TAPS;
    let Some(stage) = Stage::new(&quantization.output).filter(|_| is_supported) else {
        return false;
    };
    let pairs = nonzero(taps.div_ceil(2));
    let mut packed = [[0; LANES]; ROOM];
    let units = (ROOM / pairs).clamp(1, UNITS);
    for first in (0..channels).step_by(units * LANES) {
        let count = (channels - first).min(units * LANES);
        // The last unit may begin before its place: then it computes some channels once more.
        let first = first.min(channels - count.max(LANES));
        let count = count.max(LANES);
        let mut table = [Channels::new(first, quantization, bias); UNITS];
        let own = packed.chunks_exact_mut(pairs).zip(&mut table);
        for (start, (packed, channels)) in starts(count).zip(own) {
            let first = first + start;
            *channels = Channels::new(first, quantization, bias);
            let sums = pack(filter, window.output_channels(), first, packed);
            let zero_point = _mm256_set1_epi32(quantization.input_zero_point);
            let product = _mm256_mullo_epi32(sums, zero_point);
            channels.bias = _mm256_sub_epi32(channels.bias, product);
        }
        let pass = Pass {
            packed: &packed,
            pairs,
            channels: &table,
            stage,
            count,
        };
        let view = View {
            window,
            border: quantization.input_zero_point as i8,
            first,
            count,
        };
        view.for_each_pixel(input, output, &mut [0; COPY], |seen, outputs| {
            pass.pixel(seen, outputs);
        });
    }
    true
}

/// Where each unit of some channels begins. The last may overlap the one before.
#[inline]
fn starts(count: usize) -> impl Iterator<Item = usize> {
    let last = count.saturating_sub(LANES);
    (0..count).step_by(LANES).map(move |start| start.min(last))
}

/// Packs the weights of eight channels, two taps side by side, and gives their sums.
#[inline]
#[target_feature(enable = "avx2")]
fn pack(filter: &[i8], stride: usize, first: usize, packed: &mut [Pairs]) -> __m256i {
    let mut sums = _mm256_setzero_si256();
    for (pair, place) in packed.iter_mut().enumerate() {
        let at = 2 * pair * stride + first;
        let weights = _mm_unpacklo_epi8(eight(filter, at), eight(filter, at + stride));
        let weights = _mm256_cvtepi8_epi16(weights);
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(weights, _mm256_set1_epi16(1)));
        store_i32x8(place, weights);
    }
    sums
}

/// Some channels with their packed weights.
struct Pass<'a> {
    packed: &'a [Pairs],
    /// Pairs of taps of a channel.
    pairs: usize,
    channels: &'a [Channels],
    stage: Stage,
    count: usize,
}

impl Pass<'_> {
    /// Computes a pixel.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn pixel(&self, seen: &Seen<'_>, output: &mut [i8]) {
        if !seen.has(self.count) || output.len() < self.count {
            return;
        }
        let (values, places) = (seen.values, seen.places.places.as_chunks::<2>().0);
        let mut units = self.packed.chunks_exact(self.pairs).zip(self.channels);
        let mut start = 0;
        while start + 2 * LANES <= self.count {
            let (Some((first, a)), Some((second, b))) = (units.next(), units.next()) else {
                return;
            };
            let mut sums = [a.bias, b.bias];
            for ((first, second), &[even, odd]) in first.iter().zip(second).zip(places) {
                // SAFETY: sixteen channels from `start` on are within `count`, and so many values are there behind the
                // farthest place.
                let (even, odd) =
                    unsafe { (load(values, even + start), load(values, odd + start)) };
                let taps = [
                    _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(even, odd)),
                    _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(even, odd)),
                ];
                let products = [
                    _mm256_madd_epi16(taps[0], load_i32x8(first)),
                    _mm256_madd_epi16(taps[1], load_i32x8(second)),
                ];
                sums[0] = _mm256_add_epi32(sums[0], products[0]);
                sums[1] = _mm256_add_epi32(sums[1], products[1]);
            }
            let scaled = [a.scale.apply(sums[0]), b.scale.apply(sums[1])];
            let place = output.get_mut(start..start + 2 * LANES);
            store_i8(place.unwrap_or_default(), self.stage.finish_two(scaled));
            start += 2 * LANES;
        }
        for (packed, channels) in units {
            if start >= self.count {
                return;
            }
            // The last eight: some of them may be there already.
            start = start.min(self.count - LANES);
            let mut sums = channels.bias;
            for (weights, &[even, odd]) in packed.iter().zip(places) {
                // SAFETY: as above, with eight channels.
                let (even, odd) = unsafe {
                    (
                        load_half(values, even + start),
                        load_half(values, odd + start),
                    )
                };
                let taps = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(even, odd));
                let products = _mm256_madd_epi16(taps, load_i32x8(weights));
                sums = _mm256_add_epi32(sums, products);
            }
            let outputs = self.stage.finish(channels.scale.apply(sums));
            let place = output.get_mut(start..start + LANES);
            store_i8(place.unwrap_or_default(), outputs);
            start += LANES;
        }
    }
}

/// Sixteen values.
///
/// # Safety
/// They are there.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load(values: &[i8], at: usize) -> __m128i {
    // SAFETY: the caller says so.
    unsafe { _mm_loadu_si128(values.as_ptr().add(at).cast()) }
}

/// Eight values, in the lower half.
///
/// # Safety
/// They are there.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load_half(values: &[i8], at: usize) -> __m128i {
    // SAFETY: the caller says so.
    unsafe { _mm_loadl_epi64(values.as_ptr().add(at).cast()) }
}

/// Eight weights from `at` on; zeros past the end.
#[inline]
#[target_feature(enable = "avx2")]
fn eight(weights: &[i8], at: usize) -> __m128i {
    let rest = weights.get(at..).unwrap_or_default();
    match rest.first_chunk() {
        Some(weights) => load_i8x8(weights),
        None => _mm_setzero_si128(),
    }
}
