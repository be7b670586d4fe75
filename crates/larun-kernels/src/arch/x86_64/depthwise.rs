//! INT8 depthwise convolutions, eight channels and two taps at a time.

use core::arch::x86_64::*;

use super::finish::{Channels, LANES, Stage};
use super::pack::Pairs;
use super::vector::{load_i8x8, load_i32x8, store_i8, store_i32x8};
use crate::window::{Taps, nonzero};
use crate::{ImageWindow, WeightedQuantization};

/// Taps of a window, at most.
const TAPS: usize = 64;
/// Units of eight channels at a time, at most.
const UNITS: usize = 16;
/// Room for pairs of weights.
const ROOM: usize = 256;

#[target_feature(enable = "avx2")]
pub(super) fn depthwise_conv2d_i8(
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
    let border = [quantization.input_zero_point as i8; UNITS * LANES];
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
            window,
            packed: &packed,
            pairs,
            channels: &table,
            stage,
            border: border.get(..count).unwrap_or_default(),
            first,
            count,
        };
        pass.run(input, output);
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
    let tap = |index: usize| match filter
        .get(index * stride + first..)
        .and_then(|rest| rest.first_chunk())
    {
        Some(weights) => load_i8x8(weights),
        None => _mm_setzero_si128(),
    };
    for (pair, place) in packed.iter_mut().enumerate() {
        let weights = _mm_unpacklo_epi8(tap(2 * pair), tap(2 * pair + 1));
        let weights = _mm256_cvtepi8_epi16(weights);
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(weights, _mm256_set1_epi16(1)));
        store_i32x8(place, weights);
    }
    sums
}

/// Some channels with their packed weights.
struct Pass<'a> {
    window: &'a ImageWindow,
    packed: &'a [Pairs],
    /// Pairs of taps of a channel.
    pairs: usize,
    channels: &'a [Channels],
    stage: Stage,
    /// What a tap outside of the image sees.
    border: &'a [i8],
    first: usize,
    count: usize,
}

impl Pass<'_> {
    #[target_feature(enable = "avx2")]
    fn run(&self, input: &[i8], output: &mut [i8]) {
        let window = self.window;
        let (_, image_len, output_len) = window.images();
        let images = input.chunks_exact(nonzero(image_len));
        let outputs = output.chunks_exact_mut(nonzero(output_len));
        let channels = nonzero(window.output_channels());
        for (image, output) in images.zip(outputs) {
            let lines = output.chunks_exact_mut(nonzero(window.columns().output() * channels));
            let mut taps = [self.border; TAPS];
            for (y, line) in lines.enumerate() {
                let rows = window.rows().taps(y);
                for (x, pixel) in line.chunks_exact_mut(channels).enumerate() {
                    self.see(image, rows, window.columns().taps(x), &mut taps);
                    let pixel = pixel.get_mut(self.first..).unwrap_or_default();
                    let pixel = pixel.get_mut(..self.count).unwrap_or_default();
                    self.pixel(&taps, pixel);
                }
            }
        }
    }

    /// What each tap sees.
    #[inline]
    fn see<'i>(&'i self, image: &'i [i8], rows: Taps, columns: Taps, taps: &mut [&'i [i8]; TAPS]) {
        let filter_w = self.window.columns().filter();
        if rows.count < self.window.rows().filter() || columns.count < filter_w {
            let own = taps.get_mut(..2 * self.pairs);
            own.unwrap_or_default().fill(self.border);
        }
        for (tap_y, y) in rows.iter() {
            let line = taps.get_mut(tap_y * filter_w + columns.first..);
            let places = line.unwrap_or_default().iter_mut();
            for (place, (_, x)) in places.zip(columns.iter()) {
                let at = self.window.pixel(y, x) + self.first;
                if let Some(values) = image.get(at..at + self.count) {
                    *place = values;
                }
            }
        }
    }

    /// Computes a pixel.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn pixel(&self, taps: &[&[i8]; TAPS], output: &mut [i8]) {
        let (taps, _) = taps.as_chunks::<2>();
        let units = self.packed.chunks_exact(self.pairs).zip(self.channels);
        for (start, (packed, channels)) in starts(self.count).zip(units) {
            let mut sums = channels.bias;
            for (weights, [a, b]) in packed.iter().zip(taps) {
                let (a, b) = (eight(a, start), eight(b, start));
                let values = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(a, b));
                let products = _mm256_madd_epi16(values, load_i32x8(weights));
                sums = _mm256_add_epi32(sums, products);
            }
            let outputs = self.stage.finish(channels.scale.apply(sums));
            let place = output.get_mut(start..start + LANES);
            store_i8(place.unwrap_or_default(), outputs);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn eight(values: &[i8], start: usize) -> __m128i {
    match values.get(start..).and_then(|rest| rest.first_chunk()) {
        Some(values) => load_i8x8(values),
        None => _mm_setzero_si128(),
    }
}
