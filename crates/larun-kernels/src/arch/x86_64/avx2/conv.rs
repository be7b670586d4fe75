//! INT8 convolutions: tiles of four pixels by sixteen channels.
//!
//! Filters are packed anew for each call, as many at a time as stay in the processor's nearest memory; files hold them in
//! another order, and a copy beside the file would take memory of the arena. Where an image has but a pixel or two, that
//! is not worth it, and the layer is a dense one.

use core::arch::x86_64::*;

use super::super::positions::{Positions, are_few, as_dense, is_pointwise};
use super::dense;
use super::finish::{Channels, LANES, Stage};
use super::pack::{Pairs, pack};
use super::patch::{Gather, SLACK};
use super::vector::{load_i32x8, store_i8};
use crate::window::nonzero;
use crate::{ConvGeometry, WeightedQuantization};

/// Pixels of a tile.
const PIXELS: usize = 4;
/// Units of eight channels whose filters are packed at a time, at most.
const UNITS: usize = 16;
/// Room for the filters: pairs of weights of a unit.
const SMALL: usize = 512;
pub(in super::super) const LARGE: usize = 2048;
#[target_feature(enable = "avx2")]
pub(in super::super) fn conv2d_i8(
    geometry: &ConvGeometry,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    filter: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
) -> bool {
    if let Some(dense) = as_dense(geometry).filter(are_few) {
        return dense::fully_connected_i8(&dense, quantization, input, filter, bias, output);
    }
    let Some(stage) = Stage::new(&quantization.output) else {
        return false;
    };
    let layer = Layer {
        geometry,
        gather: Gather::new(geometry, quantization.input_zero_point),
        quantization,
        filter,
        bias,
        stage,
    };
    match geometry.patch_len().div_ceil(2) {
        // Two units are a tile.
        pairs if 2 * pairs <= SMALL => {
            let mut patches = [[0; SMALL / 2 + SLACK / 2]; PIXELS];
            let [a, b, c, d] = &mut patches;
            layer.run(input, output, &mut [[0; LANES]; SMALL], [a, b, c, d]);
            true
        }
        pairs if 2 * pairs <= LARGE => {
            let mut patches = [[0; LARGE / 2 + SLACK / 2]; PIXELS];
            let [a, b, c, d] = &mut patches;
            layer.run(input, output, &mut [[0; LANES]; LARGE], [a, b, c, d]);
            true
        }
        _ => false,
    }
}

struct Layer<'a> {
    geometry: &'a ConvGeometry,
    gather: Gather<'a>,
    quantization: &'a WeightedQuantization<'a>,
    filter: &'a [i8],
    bias: Option<&'a [i32]>,
    stage: Stage,
}

impl Layer<'_> {
    /// Group by group, and as many channels of it at a time as there is room for.
    #[target_feature(enable = "avx2")]
    fn run(
        &self,
        input: &[i8],
        output: &mut [i8],
        packed: &mut [Pairs],
        mut patches: [&mut [i32]; PIXELS],
    ) {
        let in_group = self.geometry.filters_in_group();
        let len = self.geometry.patch_len();
        let pairs = nonzero(len.div_ceil(2));
        // An even number of units, for tiles.
        let units = ((packed.len() / pairs) & !1).clamp(2, UNITS);
        let groups = self.geometry.output_channels() / nonzero(in_group);
        for group in 0..groups {
            let end = (group + 1) * in_group;
            for first in (group * in_group..end).step_by(units * LANES) {
                let count = (end - first).min(units * LANES);
                let filters = self.filter.get(first * len..(first + count) * len);
                let filters = filters.unwrap_or_default().chunks(nonzero(LANES * len));
                let mut channels = [Channels::new(first, self.quantization, self.bias); UNITS];
                let own = packed.chunks_exact_mut(pairs).zip(&mut channels);
                for (unit, (filters, (packed, channels))) in filters.zip(own).enumerate() {
                    pack(filters, len, packed);
                    *channels = Channels::new(first + unit * LANES, self.quantization, self.bias);
                }
                let pass = Pass {
                    packed,
                    pairs,
                    channels: &channels,
                    stage: self.stage,
                    first,
                    count,
                    stride: nonzero(self.geometry.output_channels()),
                };
                self.pass(&pass, group, input, output, &mut patches);
            }
        }
    }

    /// Computes some channels of all pixels.
    #[target_feature(enable = "avx2")]
    fn pass(
        &self,
        pass: &Pass<'_>,
        group: usize,
        input: &[i8],
        output: &mut [i8],
        patches: &mut [&mut [i32]; PIXELS],
    ) {
        let window = self.geometry.window();
        let (_, image_len, output_len) = window.images();
        let images = input.chunks_exact(nonzero(image_len));
        let outputs = output.chunks_exact_mut(nonzero(output_len));
        let pointwise = is_pointwise(self.geometry);
        for (image, output) in images.zip(outputs) {
            let mut positions = Positions::new(window);
            for (tile, pixels) in output.chunks_mut(PIXELS * pass.stride).enumerate() {
                let count = pixels.len() / pass.stride;
                for (index, patch) in patches.iter_mut().take(count).enumerate() {
                    let patch = bytemuck::cast_slice_mut(patch);
                    if pointwise {
                        self.gather.pixel(image, tile * PIXELS + index, patch);
                    } else {
                        self.gather.gather(image, positions.next(), group, patch);
                    }
                }
                let [a, b, c, d] = &*patches;
                if count == PIXELS {
                    pass.pixels([a, b, c, d], pixels);
                } else {
                    for (patch, pixel) in patches.iter().zip(pixels.chunks_mut(pass.stride)) {
                        pass.pixels([patch], pixel);
                    }
                }
            }
        }
    }
}

/// Some channels with their packed filters.
struct Pass<'a> {
    packed: &'a [Pairs],
    /// Pairs of weights in a filter.
    pairs: usize,
    channels: &'a [Channels],
    stage: Stage,
    first: usize,
    count: usize,
    /// Channels of the output.
    stride: usize,
}

impl Pass<'_> {
    /// The products of some patches with all filters.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn pixels<const P: usize>(&self, patches: [&[i32]; P], output: &mut [i8]) {
        let blocks = self.packed.chunks(2 * self.pairs);
        let tiles = blocks.zip(self.channels.as_chunks::<2>().0);
        let starts = (0..self.count).step_by(2 * LANES);
        for (at, (packed, [a, b])) in starts.zip(tiles) {
            let (first, second) = packed.split_at_checked(self.pairs).unwrap_or_default();
            let count = (self.count - at).min(2 * LANES);
            let mut place = self.first + at;
            if count > LANES {
                for [first, second] in tile(patches, [first, second], [a.bias, b.bias]) {
                    let scaled = [a.scale.apply(first), b.scale.apply(second)];
                    let pixel = output.get_mut(place..place + count);
                    store_i8(pixel.unwrap_or_default(), self.stage.finish_two(scaled));
                    place += self.stride;
                }
            } else {
                for [sum] in tile(patches, [first], [a.bias]) {
                    let pixel = output.get_mut(place..place + count);
                    let outputs = self.stage.finish(a.scale.apply(sum));
                    store_i8(pixel.unwrap_or_default(), outputs);
                    place += self.stride;
                }
            }
        }
    }
}

/// The sums of the products of patches with units of filters, on top of the biases.
#[inline]
#[target_feature(enable = "avx2")]
fn tile<const P: usize, const U: usize>(
    patches: [&[i32]; P],
    filters: [&[Pairs]; U],
    biases: [__m256i; U],
) -> [[__m256i; U]; P] {
    let mut sums = [biases; P];
    let mut pairs = usize::MAX;
    for unit in filters {
        pairs = pairs.min(unit.len());
    }
    for patch in patches {
        pairs = pairs.min(patch.len());
    }
    for pair in 0..pairs {
        let mut weights = biases;
        for (weights, unit) in weights.iter_mut().zip(filters) {
            // SAFETY: no unit is shorter than `pairs`.
            *weights = load_i32x8(unsafe { unit.get_unchecked(pair) });
        }
        for (sums, patch) in sums.iter_mut().zip(patches) {
            // SAFETY: no patch is shorter than `pairs`.
            let values = _mm256_set1_epi32(unsafe { *patch.get_unchecked(pair) });
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(values, weights));
            }
        }
    }
    sums
}
