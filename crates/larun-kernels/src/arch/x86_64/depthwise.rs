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
/// Room for what a window sees: two taps for each pair of weights.
const COPY: usize = 2 * ROOM * LANES;

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
            border: quantization.input_zero_point as i8,
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
    window: &'a ImageWindow,
    packed: &'a [Pairs],
    /// Pairs of taps of a channel.
    pairs: usize,
    channels: &'a [Channels],
    stage: Stage,
    /// What a tap outside of the image sees.
    border: i8,
    first: usize,
    count: usize,
}

/// What the taps of a window see: tap `t` the channels from `values[places[t]]` on.
struct Seen<'a> {
    values: &'a [i8],
    places: &'a Places,
}

/// Where each tap is, relative to the first. A tap without weights is where the first one is.
struct Places {
    places: [usize; TAPS],
    /// The largest.
    farthest: usize,
}

impl Places {
    fn new(window: &ImageWindow, row: usize, column: usize) -> Self {
        let filter_w = nonzero(window.columns().filter());
        let mut places = [0; TAPS];
        let taps = window.rows().filter() * filter_w;
        for (tap, place) in places.iter_mut().enumerate().take(taps) {
            *place = tap / filter_w * row + tap % filter_w * column;
        }
        let farthest = places.iter().copied().max().unwrap_or_default();
        Self { places, farthest }
    }
}

impl Pass<'_> {
    #[target_feature(enable = "avx2")]
    fn run(&self, input: &[i8], output: &mut [i8]) {
        let window = self.window;
        let (rows, columns) = (window.rows(), window.columns());
        let (filter_h, filter_w) = (rows.filter(), columns.filter());
        let channels = nonzero(window.output_channels());
        let (_, image_len, output_len) = window.images();
        let row = rows.dilation() * columns.input() * channels;
        let inside = Places::new(window, row, columns.dilation() * channels);
        // Windows that reach beyond the image are copied, the border filled in.
        let copied = Places::new(window, filter_w * self.count, self.count);
        let mut copy = [0; COPY];
        let copy_len = filter_h * filter_w * self.count;
        let copy = copy.get_mut(..copy_len).unwrap_or_default();
        let images = input.chunks_exact(nonzero(image_len));
        let outputs = output.chunks_exact_mut(nonzero(output_len));
        for (image, output) in images.zip(outputs) {
            let lines = output.chunks_exact_mut(nonzero(columns.output() * channels));
            for (y, line) in lines.enumerate() {
                let y = rows.taps(y);
                for (x, pixel) in line.chunks_exact_mut(channels).enumerate() {
                    let x = columns.taps(x);
                    let seen = if y.count == filter_h && x.count == filter_w {
                        let first = window.pixel(y.input, x.input) + self.first;
                        Seen {
                            values: image.get(first..).unwrap_or_default(),
                            places: &inside,
                        }
                    } else {
                        self.copy(image, y, x, copy);
                        Seen {
                            values: copy,
                            places: &copied,
                        }
                    };
                    let pixel = pixel.get_mut(self.first..).unwrap_or_default();
                    self.pixel(&seen, pixel.get_mut(..self.count).unwrap_or_default());
                }
            }
        }
    }

    /// Copies what each tap sees.
    #[inline]
    fn copy(&self, image: &[i8], rows: Taps, columns: Taps, copy: &mut [i8]) {
        copy.fill(self.border);
        let filter_w = self.window.columns().filter();
        for (tap_y, y) in rows.iter() {
            for (tap_x, x) in columns.iter() {
                let from = self.window.pixel(y, x) + self.first;
                let to = (tap_y * filter_w + tap_x) * self.count;
                let place = copy.get_mut(to..to + self.count);
                if let Some((place, values)) = place.zip(image.get(from..from + self.count)) {
                    place.copy_from_slice(values);
                }
            }
        }
    }

    /// Computes a pixel.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn pixel(&self, seen: &Seen<'_>, output: &mut [i8]) {
        if seen.values.len() < seen.places.farthest + self.count || output.len() < self.count {
            return;
        }
        let (places, _) = seen.places.places.as_chunks::<2>();
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
                let (even, odd) = unsafe { (seen.load(even + start), seen.load(odd + start)) };
                let values = [
                    _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(even, odd)),
                    _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(even, odd)),
                ];
                let products = [
                    _mm256_madd_epi16(values[0], load_i32x8(first)),
                    _mm256_madd_epi16(values[1], load_i32x8(second)),
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
                let (even, odd) =
                    unsafe { (seen.load_half(even + start), seen.load_half(odd + start)) };
                let values = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(even, odd));
                let products = _mm256_madd_epi16(values, load_i32x8(weights));
                sums = _mm256_add_epi32(sums, products);
            }
            let outputs = self.stage.finish(channels.scale.apply(sums));
            let place = output.get_mut(start..start + LANES);
            store_i8(place.unwrap_or_default(), outputs);
            start += LANES;
        }
    }
}

impl Seen<'_> {
    /// Sixteen values.
    ///
    /// # Safety
    /// They are there.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load(&self, at: usize) -> __m128i {
        // SAFETY: the caller says so.
        unsafe { _mm_loadu_si128(self.values.as_ptr().add(at).cast()) }
    }

    /// Eight values, in the lower half.
    ///
    /// # Safety
    /// They are there.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load_half(&self, at: usize) -> __m128i {
        // SAFETY: the caller says so.
        unsafe { _mm_loadl_epi64(self.values.as_ptr().add(at).cast()) }
    }
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
