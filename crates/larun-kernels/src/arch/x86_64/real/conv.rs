//! Real convolutions: up to sixteen filters by four pixels at a time.

use core::arch::x86_64::*;

use super::vector::{
    LANES, add_product, clamped, load, load_padded, store, store_padded, transpose,
};
use crate::ConvGeometry;
use crate::requantize::Clamp;
use crate::window::Taps;

/// Pixels side by side: as many sums as keep the processor busy while it waits for each.
const PIXELS: usize = 4;
/// Elements of a filter that are packed at a time.
const ROOM: usize = 1024;

/// The weights of neighbouring filters for one element of the patch.
type Lanes = [f32; LANES];

/// Convolves. The lengths of the slices are those of the geometry.
#[target_feature(enable = "avx2")]
pub(in super::super) fn conv2d_f32(
    geometry: &ConvGeometry,
    clamp: &Clamp,
    input: &[f32],
    filter: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) {
    // Room takes time to clear.
    let operands = (input, filter, bias);
    match geometry.patch_len() {
        0..=32 => convolve::<32>(geometry, clamp, operands, output),
        33..=160 => convolve::<160>(geometry, clamp, operands, output),
        _ => convolve::<ROOM>(geometry, clamp, operands, output),
    }
}

/// Convolves with room for so many elements of packed filters.
#[target_feature(enable = "avx2")]
fn convolve<const ROOM: usize>(
    geometry: &ConvGeometry,
    clamp: &Clamp,
    (input, filter, bias): (&[f32], &[f32], Option<&[f32]>),
    output: &mut [f32],
) {
    let in_group = geometry.filters_in_group();
    let layer = Layer {
        geometry,
        clamp,
        filter,
        bias: bias.unwrap_or(&[]),
    };
    let mut packed = [[[0.0; LANES]; 2]; ROOM];
    let packed = packed.as_flattened_mut();
    for group in 0..geometry.output_channels() / in_group {
        for start in (0..in_group).step_by(2 * LANES) {
            let (first, count) = (group * in_group + start, in_group - start);
            match count {
                ..=LANES => layer.block::<1>((group, first, count), packed, input, output),
                _ => {
                    let count = count.min(2 * LANES);
                    layer.block::<2>((group, first, count), packed, input, output);
                }
            }
        }
    }
}

/// What stays the same over a layer.
struct Layer<'a> {
    geometry: &'a ConvGeometry,
    clamp: &'a Clamp,
    filter: &'a [f32],
    bias: &'a [f32],
}

impl Layer<'_> {
    /// Computes `count` channels of a group from `first` on, in `H` vectors.
    #[target_feature(enable = "avx2")]
    fn block<const H: usize>(
        &self,
        (group, first, count): (usize, usize, usize),
        packed: &mut [Lanes],
        input: &[f32],
        output: &mut [f32],
    ) {
        let patch_len = self.geometry.patch_len();
        let packed = packed.as_chunks_mut::<H>().0;
        let room = packed.len();
        for begin in (0..patch_len).step_by(room) {
            let len = room.min(patch_len - begin);
            let packed = packed.get_mut(..len).unwrap_or_default();
            self.pack(first, count, begin, packed);
            let pass = Pass {
                layer: self,
                group,
                first,
                count,
                begin,
                is_last: begin + len == patch_len,
                packed,
            };
            pass.run(input, output);
        }
    }

    /// Puts the weights of the filters side by side, from element `begin` on; those of missing filters are 0.
    #[target_feature(enable = "avx2")]
    fn pack<const H: usize>(
        &self,
        first: usize,
        count: usize,
        begin: usize,
        packed: &mut [[Lanes; H]],
    ) {
        let patch_len = self.geometry.patch_len();
        let row = |lane: usize, at: usize| {
            let start = (first + lane) * patch_len;
            let row = self.filter.get(start + at..start + patch_len);
            row.filter(|_| lane < count).unwrap_or_default()
        };
        for (block, packed) in packed.chunks_mut(LANES).enumerate() {
            let at = begin + block * LANES;
            for half in 0..H {
                let mut rows = [_mm256_setzero_ps(); LANES];
                for (lane, place) in rows.iter_mut().enumerate() {
                    *place = load_padded(row(half * LANES + lane, at));
                }
                for (place, column) in packed.iter_mut().zip(transpose(rows)) {
                    if let Some(place) = place.get_mut(half) {
                        store(place, column);
                    }
                }
            }
        }
    }
}

/// Some filters, and some elements of them.
struct Pass<'a, const H: usize> {
    layer: &'a Layer<'a>,
    group: usize,
    first: usize,
    count: usize,
    /// The element of the patch at which the packed weights begin.
    begin: usize,
    /// Whether they go to its end.
    is_last: bool,
    packed: &'a [[Lanes; H]],
}

impl<const H: usize> Pass<'_, H> {
    #[target_feature(enable = "avx2")]
    fn run(&self, input: &[f32], output: &mut [f32]) {
        let window = self.layer.geometry.window();
        let (columns, channels) = (window.columns(), window.output_channels());
        let is_whole = |taps: Taps| taps.count == columns.filter();
        window.for_each_row(input, output, |image, rows, row| {
            let mut x = 0;
            while x < columns.output() {
                let taps = columns.taps(x);
                let pixels = row.get_mut(x * channels..).unwrap_or_default();
                let last = x + PIXELS - 1;
                let side_by_side =
                    last < columns.output() && is_whole(taps) && is_whole(columns.taps(last));
                x += match side_by_side {
                    true => self.pixels::<PIXELS>(image, (rows, taps), pixels),
                    false => self.pixels::<1>(image, (rows, taps), pixels),
                };
            }
        });
    }

    /// Computes `P` pixels, all of which see the same taps, the first at `taps`; returns how many.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn pixels<const P: usize>(
        &self,
        image: &[f32],
        (rows, columns): (Taps, Taps),
        pixels: &mut [f32],
    ) -> usize {
        let geometry = self.layer.geometry;
        let window = geometry.window();
        let channels = window.output_channels();
        let step = window.columns().stride() * window.input_channels();
        let mut sums = [[_mm256_setzero_ps(); H]; P];
        if self.begin > 0 {
            for (pixel, sums) in pixels.chunks(channels).zip(&mut sums) {
                let outputs = pixel.get(self.first..self.first + self.count);
                let outputs = outputs.unwrap_or_default().chunks(LANES);
                for (sum, outputs) in sums.iter_mut().zip(outputs) {
                    *sum = load_padded(outputs);
                }
            }
        }
        let end = self.begin + self.packed.len();
        geometry.for_each_run(rows, columns, self.group, |source, place, len| {
            let (from, to) = (place.max(self.begin), (place + len).min(end));
            if from < to {
                let weights = self.packed.get(from - self.begin..to - self.begin);
                let source = source + from - place;
                add_products(
                    &mut sums,
                    (image, source, step),
                    weights.unwrap_or_default(),
                );
            }
        });
        for (pixel, sums) in pixels.chunks_mut(channels).zip(sums) {
            let outputs = pixel.get_mut(self.first..self.first + self.count);
            self.finish(sums, outputs.unwrap_or_default());
        }
        P
    }

    /// Writes the channels of a pixel.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn finish(&self, sums: [__m256; H], outputs: &mut [f32]) {
        for (half, (sum, outputs)) in sums.into_iter().zip(outputs.chunks_mut(LANES)).enumerate() {
            let value = match self.is_last {
                true => {
                    let bias = self.layer.bias.get(self.first + half * LANES..);
                    let bias = load_padded(bias.unwrap_or_default());
                    clamped(_mm256_add_ps(sum, bias), self.layer.clamp)
                }
                false => sum,
            };
            store_padded(outputs, value);
        }
    }
}

/// Adds the products of weights with the values from `at` on, those of each next pixel `step` elements further.
#[inline]
#[target_feature(enable = "avx2")]
fn add_products<const P: usize, const H: usize>(
    sums: &mut [[__m256; H]; P],
    (image, at, step): (&[f32], usize, usize),
    weights: &[[Lanes; H]],
) {
    let values = image.get(at..).unwrap_or_default();
    if values.len() < (P - 1) * step + weights.len() {
        return;
    }
    let mut added = *sums;
    for (element, weights) in weights.iter().enumerate() {
        let weights = weights.each_ref().map(|weights| load(weights));
        for (pixel, sums) in added.iter_mut().enumerate() {
            // SAFETY: `element` is below the number of weights, `pixel` below `P`: within the length that is checked above.
            let value = unsafe { *values.get_unchecked(pixel * step + element) };
            let value = _mm256_set1_ps(value);
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum = add_product(*sum, value, weight);
            }
        }
    }
    *sums = added;
}
