//! INT8 convolutions: tiles of four pixels by sixteen channels.
//!
//! Filters are packed anew for each call, as many at a time as stay in the processor's nearest memory; files hold them in
//! another order, and a copy beside the file would take memory of the arena. Where an image has but a pixel or two, that
//! is not worth it, and the layer is a dense one.

use core::arch::x86_64::*;

use super::dense;
use super::finish::{Channels, LANES, Stage};
use super::pack::{Pairs, pack};
use super::patch::{Gather, SLACK};
use super::vector::{load_i32x8, store_i8};
use crate::window::{WindowAxis, nonzero};
use crate::{ConvGeometry, DenseGeometry, ImageWindow, WeightedQuantization};
use larun_ops::Padding;

/// Pixels of a tile.
const PIXELS: usize = 4;
/// Units of eight channels whose filters are packed at a time, at most.
const UNITS: usize = 16;
/// Room for the filters: pairs of weights of a unit.
const SMALL: usize = 512;
const LARGE: usize = 2048;
/// Fewer pixels than this are not worth packing the filters for.
const FEW: usize = 3;

#[target_feature(enable = "avx2")]
pub(super) fn conv2d_i8(
    geometry: &ConvGeometry,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    filter: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
) -> bool {
    let gather = Gather::new(geometry, quantization.input_zero_point);
    if let Some(dense) = as_dense(&gather, geometry) {
        return dense::fully_connected_i8(&dense, quantization, input, filter, bias, output);
    }
    let Some(stage) = Stage::new(&quantization.output) else {
        return false;
    };
    let layer = Layer {
        geometry,
        gather,
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

/// The same layer as a dense one, where there are few pixels and each comes from one of the input.
fn as_dense(gather: &Gather<'_>, geometry: &ConvGeometry) -> Option<DenseGeometry> {
    let window = geometry.window();
    let (batch, _, _) = window.images();
    let pixels = batch * window.rows().output() * window.columns().output();
    (pixels < FEW && gather.is_pointwise()).then(|| DenseGeometry {
        batch: pixels,
        inputs: geometry.filter_depth(),
        units: geometry.output_channels(),
    })
}

/// A dense layer as a convolution of as many pixels as its input has rows, where those are not few.
pub(super) fn of_dense(dense: &DenseGeometry) -> Option<ConvGeometry> {
    let axis = |len| WindowAxis::new(len, 1, 1, 1, Padding::Valid);
    let (rows, columns) = (axis(1)?, axis(dense.batch)?);
    let window = ImageWindow::new(1, rows, columns, dense.inputs, dense.units)?;
    let is_worth_it = dense.batch >= FEW && dense.inputs <= LARGE;
    ConvGeometry::new(window, dense.inputs).filter(|_| is_worth_it)
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
        let width = window.columns().output();
        let pointwise = self.gather.is_pointwise();
        for (image, output) in images.zip(outputs) {
            let (mut y, mut x) = (0, 0);
            let mut rows = window.rows().taps(0);
            for (tile, pixels) in output.chunks_mut(PIXELS * pass.stride).enumerate() {
                let count = pixels.len() / pass.stride;
                for (index, patch) in patches.iter_mut().take(count).enumerate() {
                    let patch = bytemuck::cast_slice_mut(patch);
                    if pointwise {
                        self.gather.pixel(image, tile * PIXELS + index, patch);
                        continue;
                    }
                    let taps = (rows, window.columns().taps(x));
                    self.gather.gather(image, taps, group, patch);
                    x += 1;
                    if x == width {
                        (x, y) = (0, y + 1);
                        if y < window.rows().output() {
                            rows = window.rows().taps(y);
                        }
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
