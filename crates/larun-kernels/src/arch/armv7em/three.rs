//! Rows of depthwise windows of three by three taps, for four channels.
#![cfg_attr(
    target_arch = "arm",
    allow(
        unsafe_code,
        reason = "a loop in assembly, over memory that is checked here"
    )
)]

use super::channels::{End, Four};
use super::dsp::{high_halves, lanes, low_halves, sxtab16, sxtab16_odd};
use crate::OutputStage;

/// Words of a column's record: the pair of the upper two taps of channel 1, the third tap of channels 1 and 3, the
/// pairs of channels 2, 3 and 0, the third tap of channels 0 and 2.
pub(super) const RECORD: usize = 6;
/// Taps of a window.
pub(super) const TAPS: usize = 9;
/// Words of the weights.
pub(super) const WEIGHTS: usize = 3 * RECORD;
/// The place of a row that is outside of the image.
pub(super) const MISSING: u32 = u32::MAX;

/// A record of three taps of four channels.
#[cfg(not(target_arch = "arm"))]
const fn record(a: [i32; 4], b: [i32; 4], c: [i32; 4]) -> [u32; RECORD] {
    [
        lanes(a[1], b[1]),
        lanes(c[1], c[3]),
        lanes(a[2], b[2]),
        lanes(a[3], b[3]),
        lanes(a[0], b[0]),
        lanes(c[0], c[2]),
    ]
}

/// The record of three words of taps, each channel shifted by its bits.
fn shifted(taps: [u32; 3], bits: [u32; 4]) -> [u32; RECORD] {
    let lanes =
        |pair: u32, low: u32, high: u32| ((pair << low) & 0xFFFF) | ((pair & 0xFFFF_0000) << high);
    let [a, b, c] = taps.map(|bytes| {
        let even = lanes(sxtab16(0, bytes), bits[0], bits[2]);
        let odd = lanes(sxtab16_odd(0, bytes), bits[1], bits[3]);
        [even, odd]
    });
    [
        low_halves(a[1], b[1]),
        c[1],
        high_halves(a[0], b[0]),
        high_halves(a[1], b[1]),
        low_halves(a[0], b[0]),
        c[0],
    ]
}

/// What is read for every window, in this order: what four sums start from, shifted as weights are; the weights, doubled, and
/// shifted further where the end is fixed; multiplier, rounding and shift of each channel, without the shift where the end is
/// fixed; the bounds, where the end is clamped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream<'a> {
    words: &'a [u32],
    end: End,
}

/// Words of a stream.
pub(super) const fn stream_words(end: End) -> usize {
    4 + WEIGHTS
        + match end {
            End::Fixed => 8,
            End::Rectified | End::Signed => 12,
            End::Clamped => 14,
        }
}

/// Words of a stream at most.
pub(super) const MOST_WORDS: usize = stream_words(End::Clamped);

impl<'a> Stream<'a> {
    /// The stream in these words, as [`write`](Self::write) wrote it for this end.
    pub(super) fn of(words: &'a [u32], end: End) -> Option<Self> {
        let words = words.get(..stream_words(end))?;
        Some(Self { words, end })
    }

    /// Writes the stream of four channels, given the words of their weights of each tap.
    pub(super) fn write(
        four: &Four,
        taps: [u32; TAPS],
        stage: &OutputStage,
        words: &'a mut [u32; MOST_WORDS],
    ) -> Self {
        let &Four {
            channels,
            bits,
            end,
        } = four;
        let [a, b, c, d, e, f, g, h, i] = taps;
        let [p, q, r, s] = channels;
        let scales = match end {
            End::Fixed => [p[1], p[2], q[1], q[2], r[1], r[2], s[1], s[2], 0, 0, 0, 0],
            _ => [
                p[1], p[2], p[3], q[1], q[2], q[3], r[1], r[2], r[3], s[1], s[2], s[3],
            ],
        };
        if let Some((starts, rest)) = words.split_first_chunk_mut()
            && let Some((weights, rest)) = rest.split_first_chunk_mut::<WEIGHTS>()
            && let Some((places, bounds)) = rest.split_first_chunk_mut()
        {
            *starts = [p[0] as u32, q[0] as u32, r[0] as u32, s[0] as u32];
            let columns = [[a, d, g], [b, e, h], [c, f, i]];
            for (taps, place) in columns.into_iter().zip(weights.as_chunks_mut().0) {
                *place = shifted(taps, bits);
            }
            *places = scales.map(|word| word as u32);
            for (place, bound) in bounds.iter_mut().zip([stage.min, stage.max]) {
                *place = bound as u32;
            }
        }
        Self { words, end }
    }

    /// Its words.
    #[cfg(any(test, feature = "processors"))]
    pub(super) fn words(&self) -> &'a [u32] {
        self.words.get(..stream_words(self.end)).unwrap_or(&[])
    }
}

/// Where the three rows of each row of windows begin in the image, or [`MISSING`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Places<'a> {
    places: &'a [u32],
    /// The last that is not missing.
    last: usize,
}

impl<'a> Places<'a> {
    pub(super) fn new(places: &'a [u32]) -> Self {
        // A missing one counts as none: adding 1 makes it 0.
        let last = places.iter().fold(0, |last, &place| {
            let next = place.wrapping_add(1);
            if next > last { next } else { last }
        });
        let last = last.saturating_sub(1) as usize;
        Self { places, last }
    }
}

/// Rows of windows over an image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    /// From the four channels of the first pixel on.
    pub(super) image: &'a [i8],
    pub(super) places: Places<'a>,
    /// Bytes between pixels, in the image and the output.
    pub(super) channels: usize,
    /// Columns of the image.
    pub(super) columns: usize,
    /// Columns that are missing before the first.
    pub(super) pad: usize,
    /// Columns between windows.
    pub(super) stride: usize,
    /// Windows of a row.
    pub(super) pixels: usize,
    /// The value of what is missing.
    pub(super) zero_point: i8,
}

/// Computes all rows. `records` are those of a row of windows; the ones outside of the image are 0.
pub(super) fn rows(rows: &Rows<'_>, stream: &Stream<'_>, records: &mut [u32], output: &mut [i8]) {
    let met = records.len() / RECORD;
    // Columns of the image that some window meets.
    let packed = rows.columns.min(met.saturating_sub(rows.pad));
    let count = rows.places.places.len() / 3;
    let reach = packed
        .wrapping_sub(1)
        .wrapping_mul(rows.channels)
        .wrapping_add(4);
    let end = rows.places.last.checked_add(reach);
    let fits = packed > 0
        && count > 0
        && rows.pixels > 0
        && met == (rows.pixels - 1) * rows.stride + 3
        && rows.channels >= 4
        && output.len() >= (count * rows.pixels - 1) * rows.channels + 4
        && end.is_some_and(|end| end <= rows.image.len());
    if !fits {
        debug_assert!(false, "slices of other lengths");
        return;
    }
    arithmetic::rows(rows, stream, packed, records, output);
}

/// The definition of the assembly.
#[cfg(not(target_arch = "arm"))]
mod arithmetic {
    use super::super::channels::finish;
    use super::super::dsp::signed_lanes;
    use super::*;

    fn pack(rows: &Rows<'_>, places: &[u32], column: usize) -> [u32; RECORD] {
        let tap = |row: usize| {
            let place = places[row];
            core::array::from_fn(|channel| match place {
                MISSING => 0,
                place => {
                    let at = place as usize + column * rows.channels + channel;
                    i32::from(rows.image[at]) - i32::from(rows.zero_point)
                }
            })
        };
        record(tap(0), tap(1), tap(2))
    }

    pub(super) fn rows(
        rows: &Rows<'_>,
        stream: &Stream<'_>,
        packed: usize,
        records: &mut [u32],
        output: &mut [i8],
    ) {
        let mut pixels = output.chunks_mut(rows.channels);
        for places in rows.places.places.chunks(3) {
            let places_of_records = records.chunks_mut(RECORD).skip(rows.pad).take(packed);
            for (column, place) in places_of_records.enumerate() {
                place.copy_from_slice(&pack(rows, places, column));
            }
            for pixel in 0..rows.pixels {
                let records = &records[pixel * rows.stride * RECORD..][..WEIGHTS];
                if let Some(output) = pixels.next() {
                    window(records, stream, output);
                }
            }
        }
    }

    fn window(records: &[u32], stream: &Stream<'_>, output: &mut [i8]) {
        let (starts, rest) = stream.words.split_at(4);
        let (weights, scales) = rest.split_at(WEIGHTS);
        let mut sums = [0, 1, 2, 3].map(|channel| starts[channel] as i32);
        let mut add = |channel: usize, product: i32| {
            sums[channel] = sums[channel].wrapping_add(product);
        };
        for (x, w) in records.chunks(RECORD).zip(weights.chunks(RECORD)) {
            let product = |at: usize| {
                let (x, w) = (signed_lanes(x[at]), signed_lanes(w[at]));
                [x[0] * w[0], x[1] * w[1]]
            };
            for (at, channel) in [(0, 1), (2, 2), (3, 3), (4, 0)] {
                add(channel, product(at)[0] + product(at)[1]);
            }
            for (at, channels) in [(1, [1, 3]), (5, [0, 2])] {
                add(channels[0], product(at)[0]);
                add(channels[1], product(at)[1]);
            }
        }
        let word = |at: usize| scales[at] as i32;
        let bounds = match stream.end {
            End::Clamped => [word(12), word(13)],
            _ => [-128, 127],
        };
        for (channel, (sum, output)) in sums.into_iter().zip(output).enumerate() {
            let scale = match stream.end {
                End::Fixed => [word(2 * channel), word(2 * channel + 1), 0],
                _ => [0, 1, 2].map(|at| word(3 * channel + at)),
            };
            *output = finish(scale, sum, stream.end, bounds);
        }
    }
}

#[cfg(target_arch = "arm")]
mod arithmetic {
    use core::arch::naked_asm;

    use super::super::dsp::word;
    use super::super::finish;
    use super::*;

    /// What the assembly is told. It keeps these words on its stack, and changes some.
    #[repr(C)]
    struct Arguments<'a> {
        /// Bytes between pixels.
        channels: usize,
        /// From the end of a window's records to the start of the next window's.
        advance: isize,
        /// The end of a row of the output.
        row_end: *const i8,
        stream: *const u32,
        end: End,
        image: *const i8,
        missing: &'a u32,
        offset: u32,
        places: *const u32,
        places_end: *const u32,
        packed: *mut u32,
        packed_end: *const u32,
        records: *const u32,
        output: *mut i8,
        row_len: usize,
    }

    pub(super) fn rows(
        rows: &Rows<'_>,
        stream: &Stream<'_>,
        packed: usize,
        records: &mut [u32],
        output: &mut [i8],
    ) {
        let zero_point = i32::from(rows.zero_point);
        let words = records.as_mut_ptr();
        let first = words.wrapping_add(rows.pad * RECORD);
        let places = rows.places.places.as_ptr();
        let advance = (rows.stride as isize - 3) * (RECORD * size_of::<u32>()) as isize;
        let arguments = Arguments {
            channels: rows.channels,
            advance,
            row_end: output.as_ptr(),
            stream: stream.words.as_ptr(),
            end: stream.end,
            image: rows.image.as_ptr(),
            missing: &word([rows.zero_point; 4]),
            offset: lanes(-zero_point, -zero_point),
            places,
            places_end: places.wrapping_add(rows.places.places.len() / 3 * 3),
            packed: first,
            packed_end: first.wrapping_add(packed * RECORD),
            records: words,
            output: output.as_mut_ptr(),
            row_len: rows.pixels * rows.channels,
        };
        // SAFETY: the caller has checked that there is a row of windows, a window in each, and a column to pack; that
        // each place is missing, and read at one word again and again, or has a word at each column that is packed; that
        // the records are those of all windows of a row; and that the output has four bytes for every window.
        unsafe { rows_asm(&arguments) }
    }

    /// Packing: r0-r2 rows of the image, r3-r5 their steps, r6 the zero point's negative, r7 records.
    ///
    /// Windows: r0 records, r1 the stream, r3 output, r4-r7 sums, r8-r10 words of records, r11, r12, lr words of weights.
    #[unsafe(naked)]
    unsafe extern "C" fn rows_asm(arguments: &Arguments<'_>) {
        naked_asm!(
            dsp!(),
            "push {{r4-r11, lr}}",
            "add r0, r0, #16",
            "ldm r0, {{r1-r11}}",
            // Where to go with the sums.
            "adr.w r12, 31f",
            "cmp r1, #1",
            "it eq",
            "adreq.w r12, 32f",
            "it hi",
            "adrhi.w r12, 33f",
            "cmp r1, #3",
            "it eq",
            "adreq.w r12, 30f",
            "add r1, r12, #1",
            "push {{r1-r11}}",
            "sub r0, r0, #16",
            "ldm r0, {{r1-r4}}",
            "push {{r1-r4}}",
            // Stack: 0 channels, 4 advance, 8 row_end, 12 stream, 16 finish, 20 image, 24 missing, 28 offset, 32 places,
            // 36 places_end, 40 packed, 44 packed_end, 48 records, 52 output, 56 row_len.
            "7:",
            "ldr r12, [sp, #32]",
            "ldmia r12!, {{r0-r2}}",
            "str r12, [sp, #32]",
            "ldr r3, [sp]",
            "mov r4, r3",
            "mov r5, r3",
            "ldrd r8, r9, [sp, #20]",
            "cmp r0, #0",
            "itee ge",
            "addge r0, r0, r8",
            "movlt r0, r9",
            "movlt r3, #0",
            "cmp r1, #0",
            "itee ge",
            "addge r1, r1, r8",
            "movlt r1, r9",
            "movlt r4, #0",
            "cmp r2, #0",
            "itee ge",
            "addge r2, r2, r8",
            "movlt r2, r9",
            "movlt r5, #0",
            "ldr r6, [sp, #28]",
            "ldr r7, [sp, #40]",
            "2:",
            "ldr r9, [r0]",
            "add r0, r0, r3",
            "ldr r11, [r1]",
            "add r1, r1, r4",
            "sxtab16 r8, r6, r9",
            "sxtab16 r9, r6, r9, ror #8",
            "sxtab16 r10, r6, r11",
            "sxtab16 r11, r6, r11, ror #8",
            "pkhbt r12, r8, r10, lsl #16",
            "pkhtb r10, r10, r8, asr #16",
            "pkhbt r8, r9, r11, lsl #16",
            "pkhtb r11, r11, r9, asr #16",
            "ldr r9, [r2]",
            "add r2, r2, r5",
            "sxtab16 lr, r6, r9",
            "sxtab16 r9, r6, r9, ror #8",
            "stmia r7!, {{r8-r12, lr}}",
            "ldr r8, [sp, #44]",
            "cmp r7, r8",
            "bne 2b",
            "ldr r0, [sp, #48]",
            "ldrd r3, r8, [sp, #52]",
            "add r8, r8, r3",
            "str r8, [sp, #8]",
            "1:",
            "ldr r1, [sp, #12]",
            "ldmia r1!, {{r4-r7}}",
            ".rept 3",
            "ldmia r0!, {{r8-r10}}",
            "ldmia r1!, {{r11, r12, lr}}",
            "smlad r5, r8, r11, r5",
            "smlabb r5, r9, r12, r5",
            "smlatt r7, r9, r12, r7",
            "smlad r6, r10, lr, r6",
            "ldmia r0!, {{r8-r10}}",
            "ldmia r1!, {{r11, r12, lr}}",
            "smlad r7, r8, r11, r7",
            "smlad r4, r9, r12, r4",
            "smlabb r4, r10, lr, r4",
            "smlatt r6, r10, lr, r6",
            ".endr",
            "ldr pc, [sp, #16]",
            ".p2align 2",
            "30:", // fixed
            "ldmia r1!, {{r8-r11}}",
            "smmla r4, r4, r8, r9",
            "smmla r5, r5, r10, r11",
            "ldmia r1!, {{r8-r11}}",
            "smmla r6, r6, r8, r9",
            "smmla r7, r7, r10, r11",
            "ssat r4, #8, r4, asr #12",
            "ssat r5, #8, r5, asr #12",
            "ssat r6, #8, r6, asr #12",
            "ssat r7, #8, r7, asr #12",
            "5:",
            finish!(store),
            "ldm sp, {{r8-r10}}",
            "add r3, r3, r8",
            "add r0, r0, r9",
            "cmp r3, r10",
            "bne 1b",
            "str r3, [sp, #52]",
            "ldrd r8, r9, [sp, #32]",
            "cmp r8, r9",
            "bne 7b",
            "add sp, sp, #60",
            "pop {{r4-r11, pc}}",
            ".p2align 2",
            "31:",
            finish!(rectified),
            "4:",
            finish!(saturate),
            "b 5b",
            ".p2align 2",
            "32:",
            finish!(signed),
            "b 4b",
            ".p2align 2",
            "33:",
            finish!(signed),
            "ldm r1, {{r8, r9}}",
            finish!(clamp),
            "b 5b",
        )
    }
}
