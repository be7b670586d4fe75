//! INT8 convolutions over few channels: a row of a window is a short run of neighbouring values.
//!
//! Weights are widened beforehand, filter by filter, into a *stream*: what the sums start from, the weights as pairs of
//! 16-bit lanes, and the scale; sums and weights are doubled. Four windows at a time are widened to lanes in the order of
//! the stream's: bytes 0 and 2, then 1 and 3, of each whole word of a row, then a pair, then a single value with nothing.
//! Depthwise convolutions of one channel are such convolutions too, with the weights of a filter further apart.

use core::ops::Range;

use super::channels;
use super::dsp::lanes;
use super::moves::copy;
use super::windows::{self, Rows, SIDE};
use crate::window::{nonzero, piece_pairs};
use crate::{ImageWindow, OutputStage, WeightedQuantization};

/// Words of a filter in the stream beside its weights: where sums start, multiplier, rounding, shift.
const BESIDE: usize = 4;
/// Words that the interpreter's scratch memory has for a stream at most.
const MOST_WORDS: usize = 1024;

/// Values of a window at most.
const MOST_VALUES: usize = 1 << 16;

/// The sizes of a convolution over few channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NarrowLayer {
    /// Images.
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
    /// Zero point of the input.
    pub zero_point: i8,
    /// Zero point of the output, least and largest output.
    pub stage: [i32; 3],
}

/// Where the weights lie: from one filter to the next, and from one to the next of a filter.
#[derive(Clone, Copy)]
pub(crate) struct Steps {
    pub(crate) filter: usize,
    pub(crate) weight: usize,
}

impl NarrowLayer {
    /// The layer of these windows on all channels; `None` where taps are apart, windows large, or there are
    /// too few of them.
    pub(crate) const fn of(window: &ImageWindow) -> Option<Self> {
        let (rows, columns) = (window.rows(), window.columns());
        let plain = rows.dilation() == 1 && columns.dilation() == 1;
        let taps = rows.filter().saturating_mul(columns.filter());
        let few = taps.saturating_mul(window.input_channels()) <= MOST_VALUES;
        if !plain || !few || rows.output() * columns.output() < SIDE {
            return None;
        }
        Some(Self {
            batch: window.images().0,
            input: [rows.input(), columns.input()],
            output: [rows.output(), columns.output()],
            filter: [rows.filter(), columns.filter()],
            stride: [rows.stride(), columns.stride()],
            pad: [rows.pad(), columns.pad()],
            depth: window.input_channels(),
            channels: window.output_channels(),
            zero_point: 0,
            stage: [0; 3],
        })
    }

    /// As [`of`](Self::of), where the stream is small enough for scratch memory.
    pub(crate) const fn of_small(window: &ImageWindow) -> Option<Self> {
        match Self::of(window) {
            Some(layer) if layer.stream_words() <= MOST_WORDS => Some(layer),
            _ => None,
        }
    }

    /// Values that a window sees of a row.
    const fn run_len(&self) -> usize {
        self.filter[1] * self.depth
    }

    /// Values of a window.
    const fn window_len(&self) -> usize {
        self.filter[0] * self.run_len()
    }

    /// Words of lanes of a row of a window.
    const fn row_lanes(&self) -> usize {
        let run = self.run_len();
        2 * (run / 4) + (run % 4).div_ceil(2)
    }

    /// Words of lanes of a window, an even number.
    const fn lanes(&self) -> usize {
        (self.filter[0] * self.row_lanes()).next_multiple_of(2)
    }

    const fn filter_words(&self) -> usize {
        BESIDE + self.lanes()
    }

    /// Words of the stream.
    #[must_use]
    pub const fn stream_words(&self) -> usize {
        self.channels.saturating_mul(self.filter_words())
    }

    /// Words of scratch memory that a run needs: four windows as lanes, and one as bytes.
    #[must_use]
    pub const fn scratch_words(&self) -> usize {
        SIDE * self.lanes() + self.window_len().div_ceil(4)
    }

    /// The layer with its numbers, the stream written; `None` where a channel cannot be had. `scratch` is as for
    /// [`run`](Self::run).
    #[inline(never)]
    pub(crate) fn with_stream(
        self,
        (quantization, with_faint): (&WeightedQuantization<'_>, bool),
        (weights, steps): (&[i8], Steps),
        bias: Option<&[i32]>,
        stream: &mut [u32],
        scratch: &mut [u32],
    ) -> Option<Self> {
        let (patch, bytes) = scratch.split_at_mut_checked(SIDE * self.lanes())?;
        let bytes: &mut [i8] = bytemuck::cast_slice_mut(bytes);
        let bytes = bytes.get_mut(..self.window_len())?;
        let rows = Rows {
            step: self.run_len(),
            windows: 1,
            ..self.rows()
        };
        patch.fill(0);
        let mut filters = stream.chunks_exact_mut(nonzero(self.filter_words()));
        for number in 0..self.channels {
            let mut channel = [[0; 4]];
            let products = bytes.len();
            if !channels::prepare(
                &mut channel,
                number,
                quantization,
                bias,
                products,
                with_faint,
            ) {
                return None;
            }
            let weights = weights.get(number * steps.filter..)?.iter();
            for (to, &from) in bytes.iter_mut().zip(weights.step_by(nonzero(steps.weight))) {
                *to = from;
            }
            // Weights are in the order of the values that they meet.
            windows::widen(bytes, &rows, 0, patch);
            let [[start, scale @ ..]] = channel;
            let (first, words) = filters.next()?.split_first_mut()?;
            *first = (start << 1) as u32;
            let (pairs, scales) = words.split_at_mut_checked(self.lanes())?;
            for (place, &pair) in pairs.iter_mut().zip(patch.iter().step_by(SIDE)) {
                // Each lane doubled: it has a bit to spare.
                *place = (pair & 0x7FFF_7FFF) << 1;
            }
            for (place, number) in scales.iter_mut().zip(scale) {
                *place = number as u32;
            }
        }
        let stage = quantization.output;
        Some(Self {
            zero_point: quantization.input_zero_point as i8,
            stage: [stage.zero_point, stage.min, stage.max],
            ..self
        })
    }

    /// Windows of an image, [`SIDE`] at a time.
    const fn rows(&self) -> Rows {
        Rows {
            count: self.filter[0],
            len: self.run_len(),
            step: self.input[1] * self.depth,
            windows: SIDE,
            window_step: self.stride[1] * self.depth,
        }
    }

    /// Halves of words of scratch memory that [`run_with_stream`](Self::run_with_stream) needs.
    pub(crate) const fn stream_scratch_len(&self) -> usize {
        // One more, where the memory is aligned to a half-word only.
        2 * (self.stream_words() + self.scratch_words()) + 1
    }

    /// Runs the layer with a stream in scratch memory; `false` where a channel cannot be had, a faint one only where asked for.
    pub(crate) fn run_with_stream(
        self,
        channels: (&WeightedQuantization<'_>, bool),
        weights: (&[i8], Steps),
        bias: Option<&[i32]>,
        (input, output): (&[i8], &mut [i8]),
        scratch: &mut [i16],
    ) -> bool {
        let (_, scratch, _) = bytemuck::pod_align_to_mut::<i16, u32>(scratch);
        let words = self.stream_words();
        let Some((stream, scratch)) = scratch.split_at_mut_checked(words) else {
            return false;
        };
        let Some(scratch) = scratch.get_mut(..self.scratch_words()) else {
            return false;
        };
        let Some(layer) = self.with_stream(channels, weights, bias, stream, scratch) else {
            return false;
        };
        layer.run(stream, input, output, scratch);
        true
    }

    /// Runs the layer. What does not have the sizes that the layer says is left alone.
    pub(crate) fn run(&self, stream: &[u32], input: &[i8], output: &mut [i8], scratch: &mut [u32]) {
        let (image, outputs) = (
            self.input[0] * self.input[1] * self.depth,
            self.output[0] * self.output[1] * self.channels,
        );
        let patch_words = SIDE * self.lanes();
        let Some((patch, bytes)) = scratch.split_at_mut_checked(patch_words) else {
            return;
        };
        let bytes = bytemuck::cast_slice_mut(bytes);
        let Some(bytes) = bytes.get_mut(..self.window_len()) else {
            return;
        };
        // The last word of lanes of an odd number meets weights that are 0.
        patch.fill(0);
        for (image, output) in piece_pairs((input, image), (output, outputs)) {
            self.image(stream, image, output, (&mut *patch, &mut *bytes));
        }
    }

    /// An image: four pixels at a time, the last four perhaps once more in part.
    #[inline(never)]
    fn image(
        &self,
        stream: &[u32],
        image: &[i8],
        output: &mut [i8],
        (patch, bytes): (&mut [u32], &mut [i8]),
    ) {
        let [zero_point, min, max] = self.stage;
        let stage = OutputStage {
            zero_point,
            min,
            max,
        };
        let offset = lanes(-i32::from(self.zero_point), -i32::from(self.zero_point));
        let inside = [self.inside(0), self.inside(1)];
        let in_image = self.rows();
        let alone = Rows {
            windows: 1,
            ..in_image
        };
        let in_bytes = Rows {
            step: in_image.len,
            ..alone
        };
        let [height, width] = self.output;
        let last = (height * width).saturating_sub(SIDE);
        let (mut next, mut y, mut x) = (0, 0, 0);
        while next < last + SIDE {
            if next > last {
                next = last;
                (y, x) = (next / nonzero(width), next % nonzero(width));
            }
            let rows = inside[0].contains(&y);
            if rows && x >= inside[1].start && x + SIDE <= inside[1].end {
                let seen = image.get(self.place(y, x)..).unwrap_or(&[]);
                windows::widen(seen, &in_image, offset, patch);
                x += SIDE;
            } else {
                for slot in 0..SIDE {
                    let own = patch.get_mut(slot..).unwrap_or_default();
                    if inside[0].contains(&y) && inside[1].contains(&x) {
                        let seen = image.get(self.place(y, x)..).unwrap_or(&[]);
                        windows::widen(seen, &alone, offset, own);
                    } else {
                        self.copy(image, (y, x), bytes);
                        windows::widen(bytes, &in_bytes, offset, own);
                    }
                    x += 1;
                    if x == width {
                        (y, x) = (y + 1, 0);
                    }
                }
            }
            if x == width {
                (y, x) = (y + 1, 0);
            }
            let place = output.get_mut(next * self.channels..).unwrap_or_default();
            windows::four_pixels(stream, patch, &stage, place, self.channels);
            next += SIDE;
        }
    }

    /// The positions along an axis at which windows lie inside of the image.
    const fn inside(&self, axis: usize) -> Range<usize> {
        let (pad, stride) = (self.pad[axis], nonzero(self.stride[axis]));
        match (self.input[axis] + pad).checked_sub(self.filter[axis]) {
            Some(last) => pad.div_ceil(stride)..last / stride + 1,
            None => 0..0,
        }
    }

    /// Where a window begins in the image, if it lies inside.
    const fn place(&self, y: usize, x: usize) -> usize {
        let row = (y * self.stride[0]).wrapping_sub(self.pad[0]);
        let column = (x * self.stride[1]).wrapping_sub(self.pad[1]);
        row.wrapping_mul(self.input[1])
            .wrapping_add(column)
            .wrapping_mul(self.depth)
    }

    /// What the window of a pixel sees, the zero point where there is nothing.
    #[inline(never)]
    fn copy(&self, image: &[i8], (y, x): (usize, usize), bytes: &mut [i8]) {
        bytes.fill(self.zero_point);
        let [height, width] = self.input;
        let (top, left) = (y * self.stride[0], x * self.stride[1]);
        let first = self.pad[1].saturating_sub(left);
        let end = self.filter[1].min((width + self.pad[1]).saturating_sub(left));
        let len = end.saturating_sub(first) * self.depth;
        if len == 0 {
            return;
        }
        let above = self.pad[0].saturating_sub(top);
        let below = (height + self.pad[0])
            .saturating_sub(top)
            .min(self.filter[0]);
        let row = (top + above).wrapping_sub(self.pad[0]);
        let from = (row * width + left + first - self.pad[1]) * self.depth;
        let mut image = image.get(from..).unwrap_or(&[]);
        let mut places = bytes.get_mut(above * self.run_len() + first * self.depth..);
        for _ in above..below {
            let (Some(values), Some(place)) = (image.get(..len), places.take()) else {
                return;
            };
            copy(values, place);
            image = image.get(width * self.depth..).unwrap_or(&[]);
            places = place.get_mut(self.run_len()..);
        }
    }
}
