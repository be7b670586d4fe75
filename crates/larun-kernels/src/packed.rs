//! Layers whose weights were packed for a processor on a host: what generated code runs in their place.
//!
//! A layer holds sizes and how sums become outputs; weights and channels are slices beside it. `pack` makes them from a
//! node's plan and constants, on a host.

use crate::arch::armv7em::depthwise;
pub use crate::arch::armv7em::narrow::NarrowLayer;
use crate::arch::armv7em::packed::{self, Filters, Packed, SIDE, stream_words};
use crate::plan::Record;
use crate::window::{nonzero, piece_pairs};
use crate::{ImageWindow, OutputStage, PlanReader};

/// The sizes of a packed CONV_2D, or of a packed FULLY_CONNECTED as a convolution of one pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedLayer {
    /// Images, or rows of a dense layer.
    pub batch: usize,
    /// Height and width of the input.
    pub input: [usize; 2],
    /// Height and width of the output.
    pub output: [usize; 2],
    /// Height and width of a filter.
    pub filter: [usize; 2],
    /// Steps between windows.
    pub stride: [usize; 2],
    /// Elements missing before the first one.
    pub pad: [usize; 2],
    /// Channels of the input.
    pub depth: usize,
    /// Channels of the output.
    pub channels: usize,
    /// Words of a packed filter.
    pub words: usize,
    /// Whether filters alternate word by word in blocks of four.
    pub dense: bool,
    /// Filters that are computed. Behind their stream, where they are not all, come the outputs of a pixel: those of the others
    /// are constant.
    pub live: usize,
    /// The output of the first of them.
    pub first: usize,
    /// Whether multipliers are such that one instruction shifts and saturates.
    pub fixed: bool,
    /// Zero point of the input.
    pub zero_point: i8,
    /// Zero point of the output, least and largest output.
    pub stage: [i32; 3],
}

impl PackedLayer {
    /// Words of scratch memory that [`run`](Self::run) needs.
    #[must_use]
    pub const fn scratch_words(&self) -> usize {
        match self.dense {
            true => 2 * self.words,
            // The patches side by side, and one as bytes.
            false => (2 * SIDE + 1) * self.words,
        }
    }

    /// Whether each output pixel comes from the input pixel at its place alone, in whole words.
    const fn is_pointwise(&self) -> bool {
        let [rows, columns] = self.filter;
        let [down, across] = self.stride;
        rows * columns * down * across == 1 && self.depth.is_multiple_of(4)
    }

    const fn pixels(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Calls a function for each image with its outputs.
    fn for_each_image(
        &self,
        input: &[i8],
        output: &mut [i8],
        mut run: impl FnMut(&[i8], &mut [i8]),
    ) {
        let image = self.input[0] * self.input[1] * self.depth;
        let outputs = self.pixels() * self.channels;
        for (image, place) in piece_pairs((input, image), (output, outputs)) {
            run(image, place);
        }
    }

    /// A row of a dense layer.
    fn row(&self, packed: &Packed<'_>, input: &[i8], output: &mut [i8], values: &mut [u32]) {
        let whole = input.len() / 4 * 4;
        let (words, rest) = input.split_at(whole);
        packed::widen::<1>(words, values);
        // Whatever else meets weights that are 0.
        let mut last = [0; 4];
        for (to, &from) in last.iter_mut().zip(rest) {
            *to = from;
        }
        if !rest.is_empty() {
            packed::widen::<1>(&last, values.get_mut(whole / 2..).unwrap_or_default());
        }
        packed::units(packed, values, output);
    }

    /// An image of a convolution: five pixels at a time, the last five perhaps once more in part.
    fn image(&self, filters: &Filters<'_>, image: &[i8], output: &mut [i8], scratch: &mut [u32]) {
        let (patch, bytes) = scratch.split_at_mut(2 * SIDE * self.words);
        let bytes: &mut [i8] = bytemuck::cast_slice_mut(bytes);
        let (pixels, width) = (self.pixels(), self.output[1]);
        let (mut next, mut y, mut x) = (0, 0, 0);
        while next < pixels {
            if next + SIDE > pixels {
                next = pixels.saturating_sub(SIDE);
                (y, x) = (next / width.max(1), next % width.max(1));
            }
            if self.is_pointwise() {
                // Pixels of the input and of the output go together.
                let seen = image.get(next * self.depth..).unwrap_or_default();
                packed::widen_pixels(seen, self.depth, patch);
            } else {
                for slot in 0..SIDE {
                    let own = patch.get_mut(slot..).unwrap_or_default();
                    self.gather(image, [y, x], own, bytes);
                    x += 1;
                    if x == width {
                        (y, x) = (y + 1, 0);
                    }
                }
            }
            let place = output.get_mut(next * self.channels + self.first..);
            packed::side_by_side(filters, patch, place.unwrap_or_default(), self.channels);
            next += SIDE;
        }
    }

    /// The outputs of filters that do not depend on the input, and whatever in the place of others.
    fn put_constants(&self, outputs: &[i8], output: &mut [i8]) {
        if let Some(outputs) = outputs.get(..self.channels) {
            for pixel in output.chunks_exact_mut(nonzero(self.channels)) {
                packed::copy(outputs, pixel);
            }
        }
    }

    /// What the window of a pixel sees, as one of the patches side by side.
    fn gather(&self, image: &[i8], [y, x]: [usize; 2], patch: &mut [u32], bytes: &mut [i8]) {
        let [height, width] = self.input;
        let [rows, columns] = self.filter;
        let run = columns * self.depth;
        let (top, left) = (y * self.stride[0], x * self.stride[1]);
        let inside = top >= self.pad[0]
            && left >= self.pad[1]
            && top - self.pad[0] + rows <= height
            && left - self.pad[1] + columns <= width;
        let from = |row: usize, column: usize| (row * width + column) * self.depth;
        if inside {
            let mut at = from(top - self.pad[0], left - self.pad[1]);
            let step = width * self.depth;
            if run.is_multiple_of(4) {
                let values = image.get(at..).unwrap_or_default();
                packed::widen_rows::<SIDE>(values, step, [rows, run], patch);
                return;
            }
            let mut place = &mut *bytes;
            for _ in 0..rows {
                let values = image.get(at..).and_then(|rest| rest.get(..run));
                packed::copy(values.unwrap_or_default(), place);
                place = place.get_mut(run..).unwrap_or_default();
                at += step;
            }
        } else {
            bytes.fill(self.zero_point);
            let first = self.pad[1].saturating_sub(left);
            let end = columns.min((width + self.pad[1]).saturating_sub(left));
            for row in 0..rows {
                let Some(at) = (top + row)
                    .checked_sub(self.pad[0])
                    .filter(|&at| at < height)
                else {
                    continue;
                };
                let start = from(at, left + first - self.pad[1]);
                let values = image
                    .get(start..)
                    .and_then(|rest| rest.get(..end.saturating_sub(first) * self.depth));
                let place = bytes.get_mut(row * run + first * self.depth..);
                packed::copy(values.unwrap_or_default(), place.unwrap_or_default());
            }
        }
        packed::widen::<SIDE>(bytes, patch);
    }
}

impl PackedKernel for PackedLayer {
    /// `weights` is the stream of a convolution; channels are a part of it.
    fn run(
        &self,
        weights: &[u32],
        channels: &[[i32; 4]],
        input: &[i8],
        output: &mut [i8],
        scratch: &mut [u32],
    ) {
        let Some(scratch) = scratch.get_mut(..self.scratch_words()) else {
            return;
        };
        if self.dense {
            let packed = Packed {
                weights,
                words: self.words,
                channels,
                stage: stage(self.stage),
            };
            self.for_each_image(input, output, |row, outputs| {
                self.row(&packed, row, outputs, scratch);
            });
        } else if let Some((stream, constants)) =
            weights.split_at_checked(stream_words(self.live, self.words))
        {
            self.put_constants(bytemuck::cast_slice(constants), output);
            let sizes = (self.live, self.words);
            let Some(filters) = Filters::new(stream, sizes, stage(self.stage), self.fixed) else {
                return;
            };
            self.for_each_image(input, output, |image, outputs| {
                self.image(&filters, image, outputs, scratch);
            });
        }
    }
}

/// Zero point, least and largest output.
const fn stage([zero_point, min, max]: [i32; 3]) -> OutputStage {
    OutputStage {
        zero_point,
        min,
        max,
    }
}

/// A layer whose constants were packed for the processor.
pub trait PackedKernel {
    /// Runs the layer. What does not have the sizes that the layer says is left alone.
    fn run(
        &self,
        weights: &[u32],
        channels: &[[i32; 4]],
        input: &[i8],
        output: &mut [i8],
        scratch: &mut [u32],
    );
}

impl PackedKernel for NarrowLayer {
    /// `weights` is the stream; channels are a part of it.
    fn run(
        &self,
        weights: &[u32],
        _: &[[i32; 4]],
        input: &[i8],
        output: &mut [i8],
        scratch: &mut [u32],
    ) {
        if let Some(scratch) = scratch.get_mut(..self.scratch_words()) {
            self.run(weights, input, output, scratch);
        }
    }
}

/// The numbers of a DEPTHWISE_CONV_2D with as many channels in as out, its channels prepared on a host; where windows have three by
/// three taps, its weights as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedDepthwise {
    /// The windows, as a plan has them.
    pub window: [u32; 15],
    /// Zero point of the input.
    pub zero_point: i8,
    /// Zero point of the output, least and largest output.
    pub stage: [i32; 3],
    /// Whether the weights of three by three taps are such that one instruction shifts and saturates.
    pub fixed: bool,
}

impl PackedKernel for PackedDepthwise {
    /// `weights` are streams of weights and scales where windows have three by three taps, else the filter as it is, in words.
    fn run(
        &self,
        weights: &[u32],
        channels: &[[i32; 4]],
        input: &[i8],
        output: &mut [i8],
        scratch: &mut [u32],
    ) {
        let Ok(window) = ImageWindow::read(&mut PlanReader::new(&self.window)) else {
            return;
        };
        if window.check(input, output).is_ok() {
            let (zero_point, stage) = (self.zero_point, stage(self.stage));
            depthwise::packed(
                &window,
                (zero_point, &stage, self.fixed),
                (weights, channels),
                input,
                output,
                scratch,
            );
        }
    }
}

/// A packed layer with its constants, and where its operands lie in the activations: start and end of each.
#[derive(Clone, Copy, Debug)]
pub struct PackedNode<L> {
    /// Sizes.
    pub layer: L,
    /// Packed weights.
    pub weights: &'static [u32],
    /// Bias and scale of each channel.
    pub channels: &'static [[i32; 4]],
    /// The input.
    pub input: [usize; 2],
    /// The output.
    pub output: [usize; 2],
    /// Scratch memory.
    pub scratch: [usize; 2],
}

impl<L: PackedKernel> PackedNode<L> {
    /// Runs the node. Places that overlap or are outside the activations are left alone.
    pub fn run(&self, activations: &mut [u8]) {
        let places = [self.input, self.output, self.scratch];
        run_at(
            &self.layer,
            self.weights,
            self.channels,
            places,
            activations,
        );
    }
}

/// Runs a layer whose input, output and scratch memory lie there in the activations: start and end of each. Places that overlap or are
/// outside are left alone.
#[inline]
pub(crate) fn run_at(
    layer: &impl PackedKernel,
    weights: &[u32],
    channels: &[[i32; 4]],
    places: [[usize; 2]; 3],
    activations: &mut [u8],
) {
    let ranges = places.map(|[start, end]| start..end);
    if let Ok([input, output, scratch]) = activations.get_disjoint_mut(ranges) {
        let (input, output) = (
            bytemuck::cast_slice(input),
            bytemuck::cast_slice_mut(output),
        );
        let scratch = bytemuck::try_cast_slice_mut(scratch).unwrap_or_default();
        layer.run(weights, channels, input, output, scratch);
    }
}

#[cfg(any(test, feature = "processors"))]
mod host;
#[cfg(feature = "processors")]
pub use host::{Packable, PackedConstants, pack};
#[cfg(any(test, feature = "processors"))]
pub(crate) use host::{narrow_of_conv, of_conv, of_dense};

#[cfg(test)]
mod tests;
