//! INT8 convolutions: tiles of four pixels by 32 channels, or of eight by sixteen.
//!
//! Filters are packed anew for each call, as with AVX2 and for its reasons.

use core::arch::x86_64::*;

use super::finish::{Channels, LANES, PerChannel, Stage};
use super::pack::{Quads, pack};
use super::strip::View;
use super::vector::{load_i32x16, store_quarter};
use crate::window::nonzero;
use crate::{ConvGeometry, WeightedQuantization};

/// Units of sixteen channels whose filters are packed at a time, at most.
const UNITS: usize = 16;
/// Room for the filters: quads of weights of a unit. The first is half of the nearest memory of a processor.
const SMALL: usize = 256;
const LARGE: usize = 1024;
const HUGE: usize = 4096;
/// Weights of a filter, at most: two units are a tile.
pub(in super::super) const MOST: usize = HUGE / 2 * 4;

/// Whether the layer is computed: not where its filters or windows are very large.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(in super::super) fn conv2d_i8(
    geometry: &ConvGeometry,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    filter: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
) -> bool {
    let Some(stage) = Stage::new(&quantization.output) else {
        return false;
    };
    let layer = Layer {
        geometry,
        runs: Runs::new(geometry),
        filter,
        per_channel: PerChannel {
            quantization,
            bias,
            products: geometry.patch_len(),
        },
        stage,
    };
    match 2 * layer.runs.quads() {
        quads if quads <= SMALL => layer.run::<SMALL>(input, output),
        quads if quads <= LARGE => layer.run::<LARGE>(input, output),
        quads if quads <= HUGE => layer.run::<HUGE>(input, output),
        _ => None,
    }
    .is_some()
}

/// What a window sees as runs of neighbouring bytes: `rows` times `in_row`.
#[derive(Clone, Copy)]
struct Runs {
    rows: usize,
    in_row: usize,
    len: usize,
}

impl Runs {
    fn new(geometry: &ConvGeometry) -> Self {
        let (window, depth) = (geometry.window(), geometry.filter_depth());
        let (rows, columns) = (window.rows().filter(), window.columns().filter());
        // Channels of a group lie side by side in a strip, as all do in the image.
        let (in_row, len) = match window.columns().dilation() {
            1 => (1, columns * depth),
            _ => (columns, depth),
        };
        Self { rows, in_row, len }
    }

    /// Quads of weights of a filter.
    fn quads(&self) -> usize {
        self.rows * self.in_row * self.len.div_ceil(4)
    }
}

struct Layer<'a> {
    geometry: &'a ConvGeometry,
    runs: Runs,
    filter: &'a [i8],
    per_channel: PerChannel<'a>,
    stage: Stage,
}

impl Layer<'_> {
    /// Group by group, and as many channels of it at a time as there is room for.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn run<const ROOM: usize>(&self, input: &[i8], output: &mut [i8]) -> Option<()> {
        let mut packed = [[0; LANES]; ROOM];
        let in_group = self.geometry.filters_in_group();
        let len = self.geometry.patch_len();
        let quads = nonzero(self.runs.quads());
        // An even number of units, for tiles.
        let units = ((ROOM / quads) & !1).clamp(2, UNITS);
        let groups = self.geometry.output_channels() / nonzero(in_group);
        for group in 0..groups {
            let view = self.view(group)?;
            let end = (group + 1) * in_group;
            for first in (group * in_group..end).step_by(units * LANES) {
                let count = (end - first).min(units * LANES);
                let filters = self.filter.get(first * len..(first + count) * len);
                let filters = filters.unwrap_or_default().chunks(nonzero(LANES * len));
                let mut channels = [Channels::none(); UNITS];
                let own = packed.chunks_exact_mut(quads).zip(&mut channels);
                for (unit, (filters, (packed, channels))) in filters.zip(own).enumerate() {
                    let sums = pack(filters, len, self.runs.len, packed);
                    let (first, left) = (first + unit * LANES, count - unit * LANES);
                    *channels = self.per_channel.channels(first, left.min(LANES), sums);
                }
                let pass = Pass {
                    packed: &packed,
                    channels: &channels,
                    runs: self.runs,
                    steps: [view.row(), view.tap(), view.position()],
                    stage: self.stage,
                    first,
                    count,
                    stride: nonzero(self.geometry.output_channels()),
                };
                view.for_each_strip(input, output, |strip, pixels| {
                    pass.pixels(strip, pixels);
                });
            }
        }
        Some(())
    }

    /// What the filters of a group see.
    fn view(&self, group: usize) -> Option<View<'_>> {
        let depth = self.geometry.filter_depth();
        let zero_point = self.per_channel.quantization.input_zero_point;
        View::new(self.geometry.window(), zero_point, group * depth, depth)
    }
}

/// Some channels with their packed filters.
struct Pass<'a> {
    packed: &'a [Quads],
    channels: &'a [Channels],
    runs: Runs,
    /// Bytes of a strip from one row to the next, from one run of a row to the next, and from one pixel to the next.
    steps: [usize; 3],
    stage: Stage,
    first: usize,
    count: usize,
    /// Channels of the output.
    stride: usize,
}

impl Pass<'_> {
    /// Computes the channels of the pixels of a strip, two units at a time.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn pixels(&self, strip: &[i8], output: &mut [i8]) {
        let quads = nonzero(self.runs.quads());
        let blocks = self.packed.chunks(2 * quads);
        let tiles = blocks.zip(self.channels.as_chunks::<2>().0);
        let starts = (0..self.count).step_by(2 * LANES);
        for (at, (packed, channels)) in starts.zip(tiles) {
            let (first, second) = packed.split_at_checked(quads).unwrap_or_default();
            let (place, count) = (self.first + at, (self.count - at).min(2 * LANES));
            let [a, b] = channels;
            if count > LANES {
                let unit = Unit {
                    pass: self,
                    filters: [first, second],
                    channels: [a, b],
                    place,
                    count,
                };
                unit.tiles::<4>(strip, output);
            } else {
                let unit = Unit {
                    pass: self,
                    filters: [first],
                    channels: [a],
                    place,
                    count,
                };
                unit.tiles::<8>(strip, output);
            }
        }
    }
}

/// Channels that are computed side by side.
struct Unit<'a, const U: usize> {
    pass: &'a Pass<'a>,
    filters: [&'a [Quads]; U],
    channels: [&'a Channels; U],
    /// Where in a pixel they are, and how many.
    place: usize,
    count: usize,
}

impl<const U: usize> Unit<'_, U> {
    /// Tiles of `P` pixels. The last may begin before its place: then it computes some pixels once more. Where there are
    /// fewer pixels, they are computed one by one.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn tiles<const P: usize>(&self, strip: &[i8], output: &mut [i8]) {
        let pixels = output.len() / self.pass.stride;
        if pixels < P {
            return (0..pixels).for_each(|pixel| self.tile::<1>(strip, pixel, output));
        }
        for pixel in (0..pixels).step_by(P) {
            self.tile::<P>(strip, pixel.min(pixels - P), output);
        }
    }

    /// Computes `P` pixels.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn tile<const P: usize>(&self, strip: &[i8], pixel: usize, output: &mut [i8]) {
        let stride = self.pass.stride;
        let mut place = pixel * stride + self.place;
        for sums in self.sums::<P>(strip, pixel) {
            let outputs = output.get_mut(place..place + self.count);
            let units = self.channels.iter().zip(sums);
            for (outputs, (channels, sums)) in
                outputs.unwrap_or_default().chunks_mut(LANES).zip(units)
            {
                store_quarter(outputs, self.pass.stage.finish(channels.scaled(sums)));
            }
            place += stride;
        }
    }

    /// The sums of the products of what the windows see with the filters, on top of the biases.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn sums<const P: usize>(&self, strip: &[i8], pixel: usize) -> [[__m512i; U]; P] {
        let (runs, [row, run, step]) = (self.pass.runs, self.pass.steps);
        let quads = runs.len.div_ceil(4);
        let mut sums = [self.channels.map(|channels| channels.bias); P];
        // The end of the last run, in whole quads.
        let last = (runs.rows - 1) * row + (runs.in_row - 1) * run + (pixel + P - 1) * step;
        let is_there = self.filters.iter().all(|unit| unit.len() >= runs.quads());
        if last + 4 * quads > strip.len() || !is_there {
            return sums;
        }
        let mut at = 0;
        for tap in 0..runs.rows * runs.in_row {
            let (y, x) = (tap / nonzero(runs.in_row), tap % nonzero(runs.in_row));
            let first = y * row + x * run + pixel * step;
            for quad in 0..quads {
                // SAFETY: every unit has so many quads.
                let weights = self
                    .filters
                    .map(|unit| load_i32x16(unsafe { unit.get_unchecked(at) }));
                at += 1;
                for (index, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: this is not behind the end of the last run, which is within the strip.
                    let values = unsafe { four(strip, first + index * step + 4 * quad) };
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        *sum = _mm512_dpbusd_epi32(*sum, values, weights);
                    }
                }
            }
        }
        sums
    }
}

/// The same four bytes in each lane.
///
/// # Safety
/// They are there.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn four(strip: &[i8], at: usize) -> __m512i {
    // SAFETY: the caller says so.
    _mm512_set1_epi32(unsafe { strip.as_ptr().add(at).cast::<i32>().read_unaligned() })
}
