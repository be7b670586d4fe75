//! INT8 convolutions: four pixels at a time are gathered, widened to 16 bits and multiplied with all filters.

use core::ops::Range;

use super::channels::{self, Channel};
use super::matrix::{Filters, PIXELS, four_pixels, one_pixel};
use super::narrow::{NarrowLayer, Steps};
use super::patch::Gather;
use crate::ways::Way;
use crate::window::{Position, WindowAxis, nonzero};
use crate::{ConvGeometry, WeightedQuantization};

/// Words of four weights that a filter takes.
const fn words(geometry: &ConvGeometry) -> usize {
    geometry.patch_len().div_ceil(4)
}

/// Words of scratch memory: the channels, four patches, and what windows or filters that are no whole words need, a
/// patch of bytes and a copy of the last filter.
const fn scratch_words(geometry: &ConvGeometry) -> usize {
    let channels = size_of::<Channel>() / size_of::<u32>();
    let patches = 2 * PIXELS + if Gather::in_words(geometry) { 0 } else { 2 };
    let table = geometry.output_channels().saturating_mul(channels);
    table.saturating_add(words(geometry).saturating_mul(patches))
}

/// The layer as one over few channels, where it is one and the way is linked.
const fn narrow(geometry: &ConvGeometry, ways: u32) -> Option<NarrowLayer> {
    let whole = geometry.filter_depth() == geometry.window().input_channels();
    match Way::Narrow.is_in(ways) && whole && !Gather::in_words(geometry) {
        true => NarrowLayer::of_small(geometry.window()),
        false => None,
    }
}

pub(crate) const fn conv2d_i8_scratch_len(geometry: &ConvGeometry, ways: u32) -> usize {
    if let Some(layer) = narrow(geometry, ways) {
        return layer.stream_scratch_len();
    }
    // One more, where the memory is aligned to a half-word only.
    scratch_words(geometry).saturating_mul(2).saturating_add(1)
}

/// The fastest way, of those that are linked where there are several, of a layer whose channels can be had.
pub(crate) const fn way(geometry: &ConvGeometry, ways: u32) -> Way {
    if narrow(geometry, ways).is_some() {
        Way::Narrow
    } else if geometry.patch_len() == 1 {
        Way::Definition
    } else if Way::Pointwise.is_in(ways) && is_pointwise(geometry) {
        Way::Pointwise
    } else {
        Way::Patches
    }
}

/// Whether each output pixel comes from the input pixel at its place alone.
const fn is_pointwise(geometry: &ConvGeometry) -> bool {
    let window = geometry.window();
    let whole = geometry.filter_depth() == window.input_channels();
    whole && Gather::in_words(geometry) && is_point(window.rows()) && is_point(window.columns())
}

const fn is_point(axis: &WindowAxis) -> bool {
    axis.filter() == 1 && axis.stride() == 1
}

pub(crate) fn conv2d_i8_by<const WAYS: u32>(
    geometry: &ConvGeometry,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    filter: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
    scratch: &mut [i16],
) -> bool {
    let with_faint = Way::Faint.is_in(WAYS);
    if let Some(layer) = narrow(geometry, WAYS) {
        let steps = Steps {
            filter: geometry.patch_len(),
            weight: 1,
        };
        return layer.run_with_stream(
            (quantization, with_faint),
            (filter, steps),
            bias,
            (input, output),
            scratch,
        );
    }
    if !way(geometry, WAYS).is_in(WAYS) {
        return false;
    }
    let channels = (quantization, with_faint);
    let Some(mut layer) = Layer::new(geometry, channels, filter, bias, scratch) else {
        return false;
    };
    layer.run::<WAYS>(input, output);
    true
}

/// A convolution, its scratch memory laid out.
struct Layer<'a> {
    geometry: &'a ConvGeometry,
    gather: Gather<'a>,
    filters: Filters<'a>,
    /// The last filter with zeros behind, where it does not fill its last word.
    last_filter: &'a [i8],
    patches: &'a mut [u32],
    bytes: &'a mut [i8],
}

impl<'a> Layer<'a> {
    fn new(
        geometry: &'a ConvGeometry,
        (quantization, with_faint): (&WeightedQuantization<'_>, bool),
        filter: &'a [i8],
        bias: Option<&[i32]>,
        scratch: &'a mut [i16],
    ) -> Option<Self> {
        let (words, len) = (words(geometry), geometry.patch_len());
        if len == 1 {
            // The last word of several filters would reach past the end of the last one.
            return None;
        }
        let (_, scratch, _) = bytemuck::pod_align_to_mut::<i16, u32>(scratch);
        let (table, rest) = scratch.split_at_mut_checked(4 * geometry.output_channels())?;
        let channels: &mut [Channel] = bytemuck::cast_slice_mut(table);
        if !channels::prepare(channels, 0, quantization, bias, len, with_faint) {
            return None;
        }
        let (patches, rest) = rest.split_at_mut_checked(2 * PIXELS * words)?;
        let (bytes, last_filter) = rest.split_at_mut_checked(rest.len().min(words))?;
        let bytes: &mut [i8] = bytemuck::cast_slice_mut(bytes);
        let last_filter: &mut [i8] = bytemuck::cast_slice_mut(last_filter);
        // What is past a patch's end counts as much as a border.
        bytes.fill(quantization.input_zero_point as i8);
        if !len.is_multiple_of(4) {
            last_filter.fill(0);
            let last = filter.get(filter.len().checked_sub(len)?..)?;
            last_filter.get_mut(..len)?.copy_from_slice(last);
        }
        Some(Self {
            geometry,
            gather: Gather::new(geometry, quantization.input_zero_point),
            filters: Filters {
                weights: filter,
                len,
                channels,
                stage: quantization.output,
            },
            last_filter,
            patches,
            bytes,
        })
    }

    fn run<const WAYS: u32>(&mut self, input: &[i8], output: &mut [i8]) {
        let channels = self.geometry.output_channels();
        let block = nonzero(PIXELS * channels);
        let (blocks, rest) = output.split_at_mut(output.len() / block * block);
        let is_pointwise = match Way::Pointwise.is_in(WAYS) {
            true => !Way::Patches.is_in(WAYS) || is_pointwise(self.geometry),
            false => false,
        };
        if is_pointwise {
            // Pixels of the input and of the output go together.
            let depth = self.geometry.filter_depth();
            let mut pixels = input.chunks_exact(nonzero(depth));
            for block in blocks.chunks_exact_mut(block) {
                self.widen(&mut pixels, PIXELS);
                self.multiply(0, block, PIXELS);
            }
            for pixel in rest.chunks_exact_mut(nonzero(channels)) {
                self.widen(&mut pixels, 1);
                self.multiply(0, pixel, 1);
            }
            return;
        }
        let mut position = self.geometry.window().first_position();
        for block in blocks.chunks_exact_mut(block) {
            self.pixels(input, &mut position, block, PIXELS);
        }
        for pixel in rest.chunks_exact_mut(nonzero(channels)) {
            self.pixels(input, &mut position, pixel, 1);
        }
    }

    /// The next `side` pixels as patches.
    #[inline]
    fn widen<'p>(&mut self, pixels: &mut impl Iterator<Item = &'p [i8]>, side: usize) {
        for slot in 0..side {
            let own = self.patches.get_mut(slot..).unwrap_or_default();
            self.gather
                .widen(pixels.next().unwrap_or_default(), own, side);
        }
    }

    /// Computes the next `side` pixels.
    #[inline(never)]
    fn pixels(
        &mut self,
        images: &[i8],
        position: &mut Position<'_>,
        output: &mut [i8],
        side: usize,
    ) {
        let in_group = self.geometry.filters_in_group();
        let groups = self.geometry.output_channels() / nonzero(in_group);
        let start = *position;
        for group in 0..groups {
            *position = start;
            for slot in 0..side {
                let own = self.patches.get_mut(slot..).unwrap_or_default();
                let seen = (images, &*position);
                self.gather.gather(seen, group, own, side, self.bytes);
                position.advance();
            }
            self.multiply(group, output, side);
        }
    }

    /// Multiplies `side` patches, [`PIXELS`] or 1, with the filters of a group.
    #[inline(never)]
    fn multiply(&mut self, group: usize, output: &mut [i8], side: usize) {
        let stride = self.geometry.output_channels();
        let in_group = self.geometry.filters_in_group();
        let patches = self.patches.get(..2 * side * self.filters.words());
        let patches = patches.unwrap_or_default();
        let start = group * in_group;
        for (first, filters) in pieces(self.filters, self.last_filter, start..start + in_group) {
            let output = output.get_mut(first..).unwrap_or_default();
            match side {
                PIXELS => four_pixels(&filters, patches, output, stride),
                _ => one_pixel(&filters, patches, output),
            }
        }
    }
}

/// The filters of a range, in one piece or two: the last filter of all may be apart. Each piece comes with the number
/// of its first filter.
#[inline]
fn pieces<'a>(
    all: Filters<'a>,
    last_filter: &'a [i8],
    Range { start, end }: Range<usize>,
) -> impl Iterator<Item = (usize, Filters<'a>)> {
    let last_apart = !all.len.is_multiple_of(4) && end == all.channels.len();
    let split = end - usize::from(last_apart);
    let body = Filters {
        weights: all.weights.get(start * all.len..).unwrap_or(&[]),
        channels: all.channels.get(start..split).unwrap_or(&[]),
        ..all
    };
    let last = Filters {
        weights: last_filter,
        channels: all.channels.get(split..end).unwrap_or(&[]),
        ..all
    };
    let pieces = [(start, body), (split, last)];
    let not_empty = |piece: &(usize, Filters<'_>)| !piece.1.channels.is_empty();
    pieces.into_iter().filter(not_empty)
}
