//! INT8 depthwise convolutions, four channels at a time.
//!
//! Windows of three by three taps have a way of their own: a row of the image is first packed to *records*, one a
//! column, in which a pair of taps are 16-bit lanes, so that one instruction multiplies two taps of a channel. The records
//! then serve every window that the column is in. So have windows of one row of taps that are a step apart ([`line`]). Other
//! windows multiply tap by tap.

use super::channels::{self, Channel, End, Four};
use super::dsp::{lanes, word};
use super::line::{self, Line};
use super::narrow::{NarrowLayer, Steps};
use super::taps::{self, Tap};
use super::three::{self, MOST_WORDS, RECORD, Rows, Stream};
use crate::ways::{EVERY_WAY, Way};
use crate::window::{Taps, WindowAxis, piece_pairs};
use crate::{ImageWindow, OutputStage, WeightedQuantization};

/// Channels that are computed side by side.
pub(super) const LANES: usize = 4;

/// Whether four channels at a time are an option at all.
pub(crate) const fn is_supported(window: &ImageWindow) -> bool {
    window.input_channels() >= LANES && window.output_channels() == window.input_channels()
}

/// Whether windows have three by three taps, neighbours along a row.
pub(crate) const fn is_three_by_three(window: &ImageWindow) -> bool {
    let (rows, columns) = (window.rows(), window.columns());
    rows.filter() == 3 && columns.filter() == 3 && columns.dilation() == 1
}

/// Whether windows have one row of neighbouring taps, and are a step apart.
const fn is_line(window: &ImageWindow) -> bool {
    // So many products of a channel in a row pay for taking its columns apart; fewer are faster tap by tap.
    const ENOUGH: usize = 100;
    let (rows, columns) = (window.rows(), window.columns());
    let plain = columns.stride() == 1 && columns.dilation() == 1 && rows.pad() == 0;
    let (windows, taps) = (columns.output(), columns.filter());
    let several = windows >= line::SIDE && windows.saturating_mul(taps) >= ENOUGH;
    plain && several && rows.filter() == 1 && taps <= line::MOST_TAPS
}

/// Columns that the windows of a row meet, those outside of the image included.
const fn columns_met(axis: &WindowAxis) -> usize {
    (axis.output() - 1) * axis.stride() + axis.filter()
}

/// Words of scratch memory: the records of a row and where the taps of each row are, or four channels of a row, or a table of
/// all channels.
pub(crate) const fn scratch_words(window: &ImageWindow) -> usize {
    if !is_supported(window) {
        0
    } else if is_three_by_three(window) {
        columns_met(window.columns()) * RECORD + 3 * window.rows().output()
    } else if is_line(window) {
        line::scratch_words(window.columns().output(), window.columns().filter())
    } else {
        window.input_channels().div_ceil(LANES) * taps::TABLE_WORDS
    }
}

/// The layer as a convolution over one channel, where it is one.
const fn narrow(window: &ImageWindow) -> Option<NarrowLayer> {
    match window.input_channels() {
        1 => NarrowLayer::of_small(window),
        _ => None,
    }
}

pub(crate) const fn depthwise_conv2d_i8_scratch_len(window: &ImageWindow) -> usize {
    if let Some(layer) = narrow(window) {
        return layer.stream_scratch_len();
    }
    match scratch_words(window) {
        0 => 0,
        // One more, where the memory is aligned to a half-word only.
        words => words.saturating_mul(2).saturating_add(1),
    }
}

/// The way of a layer whose channels can be had.
pub(crate) const fn way(window: &ImageWindow) -> Way {
    if narrow(window).is_some() {
        Way::Narrow
    } else if !is_supported(window) {
        Way::Definition
    } else if is_three_by_three(window) {
        Way::ThreeByThree
    } else if is_line(window) {
        Way::Line
    } else {
        Way::Taps
    }
}

pub(crate) fn depthwise_conv2d_i8_by<const WAYS: u32>(
    window: &ImageWindow,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    filter: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
    scratch: &mut [i16],
) -> bool {
    if Way::Narrow.is_in(WAYS)
        && let Some(layer) = narrow(window)
    {
        let steps = Steps {
            filter: 1,
            weight: window.output_channels(),
        };
        return layer.run_with_stream(
            quantization,
            (filter, steps),
            bias,
            (input, output),
            scratch,
        );
    }
    let (_, scratch, _) = bytemuck::pod_align_to_mut::<i16, u32>(scratch);
    let products = window.rows().filter() * window.columns().filter();
    let layer = Layer {
        window,
        zero_point: quantization.input_zero_point,
        stage: &quantization.output,
        filter,
        channels: |first| {
            let mut table = [[0; 4]; LANES];
            channels::prepare(&mut table, first, quantization, bias, products).then_some(table)
        },
    };
    layer.run::<WAYS>(input, output, scratch)
}

/// A layer that was packed. `weights` are the streams of [`streams`] where windows have three by three taps, else the filter, in
/// words, beside prepared channels. `scratch` has [`scratch_words`].
#[cfg_attr(
    not(larun_arch = "armv7em"),
    allow(dead_code, reason = "hosts pack alone")
)]
pub(crate) fn packed(
    window: &ImageWindow,
    (zero_point, stage, fixed): (i8, &OutputStage, bool),
    (weights, channels): (&[u32], &[Channel]),
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> bool {
    // Whose streams are there: what would write them is not linked.
    const OTHERS: u32 = EVERY_WAY & !Way::ThreeByThree.bit();
    let layer = Layer {
        window,
        zero_point: i32::from(zero_point),
        stage,
        filter: bytemuck::cast_slice(weights),
        channels: |first| channels.get(first..)?.first_chunk().copied(),
    };
    if is_supported(window) && is_three_by_three(window) {
        let end = End::of(stage, fixed);
        let streams = Packed { weights, end };
        return layer.three_by_three(&streams, input, output, scratch);
    }
    layer.run::<OTHERS>(input, output, scratch)
}

/// Calls a function with the stream of each group of four channels, and returns whether all are [fixed](End::Fixed). They all
/// are or none is.
#[cfg(any(test, feature = "processors"))]
pub(crate) fn streams(
    window: &ImageWindow,
    stage: &OutputStage,
    (filter, channels): (&[i8], &[Channel]),
    mut push: impl FnMut(&[u32]),
) -> bool {
    let layer = Layer {
        window,
        zero_point: 0,
        stage,
        filter,
        channels: |first| channels.get(first..)?.first_chunk().copied(),
    };
    let own = |first| (layer.channels)(first);
    let can_be_fixed = |first| Four::fixed(own(first)?, three::TAPS, stage);
    let fixed = layer.groups().all(|first| can_be_fixed(first).is_some());
    for first in layer.groups() {
        let four = match fixed {
            true => can_be_fixed(first),
            false => own(first).map(|channels| Four::plain(channels, stage)),
        };
        if let Some(four) = four {
            let mut room = [0; MOST_WORDS];
            push(Stream::write(&four, layer.taps(first), stage, &mut room).words());
        }
    }
    fixed
}

/// The streams of groups of four channels.
trait Streams {
    /// That of a group whose first channel is `first`, perhaps written to `room`; `None` where it cannot be had.
    fn get<'s>(
        &'s self,
        group: usize,
        first: usize,
        room: &'s mut [u32; MOST_WORDS],
    ) -> Option<Stream<'s>>;
}

/// Streams that a host wrote.
struct Packed<'a> {
    weights: &'a [u32],
    end: End,
}

impl Streams for Packed<'_> {
    fn get<'s>(
        &'s self,
        group: usize,
        _: usize,
        _: &'s mut [u32; MOST_WORDS],
    ) -> Option<Stream<'s>> {
        let from = group * three::stream_words(self.end);
        Stream::of(self.weights.get(from..)?, self.end)
    }
}

impl<C: Fn(usize) -> Option<[Channel; LANES]>> Streams for Layer<'_, C> {
    fn get<'s>(
        &'s self,
        _: usize,
        first: usize,
        room: &'s mut [u32; MOST_WORDS],
    ) -> Option<Stream<'s>> {
        let four = Four::new((self.channels)(first)?, three::TAPS, self.stage);
        Some(Stream::write(&four, self.taps(first), self.stage, room))
    }
}

/// A layer, and how to have the channels of a group from its first on: `None` where they cannot be had.
struct Layer<'a, C> {
    window: &'a ImageWindow,
    zero_point: i32,
    stage: &'a OutputStage,
    filter: &'a [i8],
    channels: C,
}

impl<C: Fn(usize) -> Option<[Channel; LANES]>> Layer<'_, C> {
    fn run<const WAYS: u32>(&self, input: &[i8], output: &mut [i8], scratch: &mut [u32]) -> bool {
        if !is_supported(self.window) {
            false
        } else if is_three_by_three(self.window) {
            Way::ThreeByThree.is_in(WAYS) && self.three_by_three(self, input, output, scratch)
        } else if is_line(self.window) {
            Way::Line.is_in(WAYS) && self.line_by_line(input, output, scratch)
        } else {
            Way::Taps.is_in(WAYS) && self.tap_by_tap(input, output, scratch)
        }
    }

    /// The first channels of all groups of four. The last group may overlap the one before.
    fn groups(&self) -> impl Iterator<Item = usize> + use<C> {
        let channels = self.window.input_channels();
        let mut next = 0;
        core::iter::from_fn(move || {
            let first = next;
            next += LANES;
            (first < channels).then(|| first.min(channels - LANES))
        })
    }

    fn three_by_three(
        &self,
        streams: &impl Streams,
        input: &[i8],
        output: &mut [i8],
        scratch: &mut [u32],
    ) -> bool {
        let (rows, columns) = (self.window.rows(), self.window.columns());
        let channels = self.window.input_channels();
        let record_words = columns_met(columns) * RECORD;
        let Some((records, places)) = scratch.split_at_mut_checked(record_words) else {
            return false;
        };
        records.fill(0);
        let row_len = columns.input() * channels;
        for (y, place) in (0..rows.output()).zip(places.as_chunks_mut::<3>().0) {
            *place = [0, 1, 2].map(|tap| {
                let at = y * rows.stride() + tap * rows.dilation();
                let row = at.checked_sub(rows.pad()).filter(|&row| row < rows.input());
                row.map_or(three::MISSING, |row| (row * row_len) as u32)
            });
        }
        let places = places.get(..3 * rows.output()).unwrap_or_default();
        let places = three::Places::new(places);
        for (group, first) in self.groups().enumerate() {
            let mut room = [0; MOST_WORDS];
            let Some(stream) = streams.get(group, first, &mut room) else {
                return false;
            };
            let images = (input, self.window.image_len());
            let outputs = (&mut *output, rows.output() * columns.output() * channels);
            for (image, output) in piece_pairs(images, outputs) {
                let rows = Rows {
                    image: image.get(first..).unwrap_or_default(),
                    places,
                    channels,
                    columns: columns.input(),
                    pad: columns.pad(),
                    stride: columns.stride(),
                    pixels: columns.output(),
                    zero_point: self.zero_point as i8,
                };
                let output = output.get_mut(first..).unwrap_or_default();
                three::rows(&rows, &stream, records, output);
            }
        }
        true
    }

    /// The weights of four channels of all taps of three by three.
    fn taps(&self, first: usize) -> [u32; three::TAPS] {
        [0, 1, 2, 3, 4, 5, 6, 7, 8].map(|tap| self.tap(first, tap))
    }

    /// The weights of four channels of a tap.
    fn tap(&self, first: usize, tap: usize) -> u32 {
        let from = first + tap * self.window.input_channels();
        let bytes = self.filter.get(from..).and_then(|rest| rest.first_chunk());
        word(bytes.copied().unwrap_or_default())
    }

    fn line_by_line(&self, input: &[i8], output: &mut [i8], scratch: &mut [u32]) -> bool {
        let columns = self.window.columns();
        let channels = self.window.input_channels();
        let (taps, windows) = (columns.filter(), columns.output());
        let Some((room, apart)) = scratch.split_at_mut_checked(line::constant_words(taps)) else {
            return false;
        };
        for first in self.groups() {
            let Some(table) = (self.channels)(first) else {
                return false;
            };
            let weights = |tap| self.tap(first, tap);
            let Some(line) = Line::new(taps, table, weights, self.stage, room) else {
                return false;
            };
            self.window
                .for_each_row(input, &mut *output, |image, y, outputs| {
                    let row = line::Row {
                        values: image
                            .get(self.window.pixel(y.input, 0) + first..)
                            .unwrap_or_default(),
                        channels,
                        columns: columns.input(),
                        pad: columns.pad(),
                        zero_point: self.zero_point as i8,
                    };
                    let outputs = outputs.get_mut(first..).unwrap_or_default();
                    line::row(&line, &row, windows, apart, outputs);
                });
        }
        true
    }

    fn tap_by_tap(&self, input: &[i8], output: &mut [i8], scratch: &mut [u32]) -> bool {
        let stage = self.stage;
        let channels = self.window.input_channels();
        let table = scratch.as_chunks_mut::<{ taps::TABLE_WORDS }>().0;
        for (first, place) in self.groups().zip(&mut *table) {
            let Some(channels) = (self.channels)(first) else {
                return false;
            };
            *place = taps::table_of(channels);
        }
        let table = table.get(..channels.div_ceil(LANES)).unwrap_or_default();
        let zero_point = self.zero_point;
        let columns = self.window.columns();
        let step = |taps: &Taps, pixel: usize, weight: usize| Tap {
            count: taps.count,
            input: taps.step * pixel,
            weights: weight,
        };
        self.window
            .for_each_pixel(input, output, |image, y, x, pixel| {
                let seen = taps::Seen {
                    input: image
                        .get(self.window.pixel(y.input, x.input)..)
                        .unwrap_or_default(),
                    weights: self
                        .filter
                        .get((y.first * columns.filter() + x.first) * channels..)
                        .unwrap_or_default(),
                    rows: step(&y, columns.input() * channels, columns.filter() * channels),
                    columns: step(&x, channels, channels),
                    offset: lanes(-zero_point, -zero_point),
                };
                taps::pixel(&seen, table, stage, pixel);
            });
        true
    }
}
