//! Depthwise windows of one row of taps, a step apart: a channel at a time, over pairs of its neighbouring columns.
//!
//! Four channels of a stretch of a row are first taken apart: of each channel, columns 0 and 1, 2 and 3, ... become words
//! of two 16-bit lanes. A window that begins at an even column meets the weights in pairs from the first on (0 and 1, 2 and
//! 3), one that begins at an odd column meets nothing and the first, then 1 and 2, and so on. So two neighbouring pairs of
//! columns, multiplied with two pairs of weights, serve four windows.
#![cfg_attr(
    target_arch = "arm",
    allow(
        unsafe_code,
        reason = "loops in assembly, over memory that is checked here"
    )
)]

use super::channels::{Channel, End, Four};
use super::depthwise::LANES;
use super::dsp::{high_halves, lanes, low_halves, sxtab16, sxtab16_odd, word};
use crate::OutputStage;
use crate::window::nonzero;

/// Taps at most.
pub(super) const MOST_TAPS: usize = 11;
/// Windows that are computed side by side.
pub(super) const SIDE: usize = 4;
/// Windows of a stretch of a row, whose columns are taken apart together.
const STRETCH: usize = if cfg!(test) { 24 } else { 128 };

/// Pairs of weights that a window meets.
const fn steps(taps: usize) -> usize {
    taps / 2 + 1
}

/// Words of the constants of a channel: its scale, the first pair of weights of both kinds, what sums start from, the other
/// pairs.
const fn constants(taps: usize) -> usize {
    3 + 1 + 2 * steps(taps)
}

/// Words of scratch memory for the constants of four channels.
pub(super) const fn constant_words(taps: usize) -> usize {
    LANES * constants(taps)
}

/// Pairs of columns that so many windows meet, of a whole number of fours.
const fn pairs(windows: usize, taps: usize) -> usize {
    windows.div_ceil(SIDE) * (SIDE / 2) + steps(taps) - 1
}

/// Words of scratch memory for rows of so many windows.
pub(super) const fn scratch_words(windows: usize, taps: usize) -> usize {
    let windows = if windows < STRETCH { windows } else { STRETCH };
    constant_words(taps) + LANES * pairs(windows, taps)
}

/// Pairs of two words of four channels each, `offset` added to all lanes.
fn pairs_of(a: u32, b: u32, offset: u32) -> [u32; LANES] {
    let (a_even, a_odd) = (sxtab16(offset, a), sxtab16_odd(offset, a));
    let (b_even, b_odd) = (sxtab16(offset, b), sxtab16_odd(offset, b));
    [
        low_halves(a_even, b_even),
        low_halves(a_odd, b_odd),
        high_halves(a_even, b_even),
        high_halves(a_odd, b_odd),
    ]
}

/// Four channels that are computed side by side: their constants, in scratch memory.
pub(super) struct Line<'a> {
    taps: usize,
    constants: &'a [u32],
    end: End,
    min: i32,
    max: i32,
}

/// Two pairs of weights, shifted.
#[inline]
fn put(room: &mut [u32], at: usize, [even, odd]: [u32; 2], bits: u32) -> Option<()> {
    let place = room.get_mut(at..)?.first_chunk_mut()?;
    *place = [shifted(even, bits), shifted(odd, bits)];
    Some(())
}

/// Both lanes, shifted.
#[inline]
const fn shifted(pair: u32, by: u32) -> u32 {
    ((pair << by) & 0xFFFF) | ((pair & 0xFFFF_0000) << by)
}

impl<'a> Line<'a> {
    /// Writes the constants of four channels; `weights` gives those of a tap. `None` where there is no room.
    pub(super) fn new(
        taps: usize,
        channels: [Channel; LANES],
        weights: impl Fn(usize) -> u32,
        stage: &OutputStage,
        room: &'a mut [u32],
    ) -> Option<Self> {
        let Four {
            channels,
            bits,
            end,
        } = Four::new(channels, taps, stage);
        let len = constants(taps);
        let room = room.get_mut(..LANES * len)?;
        let mut left = 0;
        for step in 0..steps(taps) {
            let tap = |tap: usize| if tap < taps { weights(tap) } else { 0 };
            let (this, right) = (tap(2 * step), tap(2 * step + 1));
            let (even, odd) = (pairs_of(this, right, 0), pairs_of(left, this, 0));
            left = right;
            let at = if step == 0 { 3 } else { 4 + 2 * step };
            // Written out, as a compiler that is told to keep code small does not unroll.
            let ([e, f, g, h], [i, j, k, l]) = (even, odd);
            put(room, at, [e, i], bits[0])?;
            put(room, at + len, [f, j], bits[1])?;
            put(room, at + 2 * len, [g, k], bits[2])?;
            put(room, at + 3 * len, [h, l], bits[3])?;
        }
        let mut rest = &mut *room;
        for channel in channels {
            let (head, behind) = rest.split_first_chunk_mut::<6>()?;
            let [start, multiplier, rounding, shift] = channel.map(|word| word as u32);
            let &mut [.., even, odd, _] = head;
            *head = [multiplier, rounding, shift, even, odd, start];
            rest = behind.get_mut(len - 6..)?;
        }
        Some(Self {
            taps,
            constants: room,
            end,
            min: stage.min,
            max: stage.max,
        })
    }
}

/// A row of an image, of which four channels are computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    /// From the four channels of the first pixel on.
    pub(super) values: &'a [i8],
    /// Bytes between pixels, in the row and the output.
    pub(super) channels: usize,
    /// Columns of the row.
    pub(super) columns: usize,
    /// Columns that are missing before the first.
    pub(super) pad: usize,
    /// The value of what is missing.
    pub(super) zero_point: i8,
}

/// Computes the windows of a row, the first at the start of `output`; `apart` is scratch memory.
pub(super) fn row(
    line: &Line<'_>,
    row: &Row<'_>,
    windows: usize,
    apart: &mut [u32],
    output: &mut [i8],
) {
    let mut first = 0;
    while first < windows {
        let count = STRETCH.min(windows - first);
        let pairs = pairs(count, line.taps);
        let Some(apart) = apart.get_mut(..LANES * pairs) else {
            return;
        };
        row.take_apart(first, pairs, apart);
        let places = output.get_mut(first * row.channels..).unwrap_or_default();
        let whole = count / SIDE;
        if whole > 0 {
            fours(line, apart, (0, whole), [1, 2, 3], row.channels, places);
        }
        let rest = count % SIDE;
        if rest > 0 {
            // Outputs that are too many go where a later one of the four goes, and are written before it.
            let steps = [1, 2, 3].map(|step: usize| step.min(rest - 1));
            let places = places.get_mut(whole * SIDE * row.channels..);
            let places = places.unwrap_or_default();
            fours(line, apart, (whole, 1), steps, row.channels, places);
        }
        first += count;
    }
}

impl Row<'_> {
    /// Takes the columns apart that the windows from `first` on meet, an even number of columns in pairs.
    fn take_apart(&self, first: usize, pairs: usize, apart: &mut [u32]) {
        let missing = self.pad.saturating_sub(first);
        let column = (first + missing).wrapping_sub(self.pad);
        let inside = self.columns.saturating_sub(column);
        let (start, end) = (missing, 2 * pairs);
        let end = end.min(start + inside);
        let nothing = word([self.zero_point; LANES]);
        let offset = -i32::from(self.zero_point);
        let offset = lanes(offset, offset);
        let value = |position: usize| {
            let at = (position.wrapping_sub(start).wrapping_add(column)) * self.channels;
            let bytes = self.values.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map_or(nothing, |&bytes| word(bytes))
        };
        let mut put = |pair: usize, four: [u32; LANES]| {
            for (own, value) in apart.chunks_exact_mut(nonzero(pairs)).zip(four) {
                if let Some(place) = own.get_mut(pair) {
                    *place = value;
                }
            }
        };
        // Whole pairs inside; at either end, one that is half inside; beyond, pairs of nothing.
        let (from, to) = (start.div_ceil(2), end / 2);
        for pair in (0..from).chain(to.max(from)..pairs) {
            let of = |position: usize| match (start..end).contains(&position) {
                true => value(position),
                false => nothing,
            };
            put(pair, pairs_of(of(2 * pair), of(2 * pair + 1), offset));
        }
        if from < to {
            let at = (2 * from - start + column) * self.channels;
            let values = self.values.get(at..).unwrap_or(&[]);
            take_apart(
                values,
                self.channels,
                to - from,
                offset,
                (from, pairs),
                apart,
            );
        }
    }
}

/// Takes `count` pairs of columns apart, `step` bytes between them, and puts them at the `first` of the `pairs` of each channel.
fn take_apart(
    values: &[i8],
    step: usize,
    count: usize,
    offset: u32,
    (first, pairs): (usize, usize),
    apart: &mut [u32],
) {
    let fits = count > 0
        && values.len() >= (2 * count - 1) * step + LANES
        && first + count <= pairs
        && apart.len() >= LANES * pairs;
    if !fits {
        debug_assert!(false, "slices of other lengths");
        return;
    }
    arithmetic::take_apart(values, step, count, offset, (first, pairs), apart);
}

/// Computes `count` times four windows, from the four with number `first` on; `steps` is how many pixels the second, third and
/// fourth of four windows are behind the first.
fn fours(
    line: &Line<'_>,
    apart: &[u32],
    (first, count): (usize, usize),
    steps: [usize; 3],
    channels: usize,
    output: &mut [i8],
) {
    let last = SIDE * (count - 1) + steps[2];
    let pairs = apart.len() / LANES;
    let fits = count > 0
        && pairs >= self::pairs(SIDE * (first + count), line.taps)
        && line.constants.len() == LANES * constants(line.taps)
        && line.taps <= MOST_TAPS
        && steps[0] <= steps[2]
        && steps[1] <= steps[2]
        && output.len() >= last * channels + LANES;
    if !fits {
        debug_assert!(false, "slices of other lengths");
        return;
    }
    arithmetic::fours(line, apart, (first, count), steps, channels, output);
}

/// The definition of the assembly.
#[cfg(not(target_arch = "arm"))]
mod arithmetic {
    use super::super::channels::finish;
    use super::super::dsp::signed_lanes;
    use super::*;

    pub(super) fn take_apart(
        values: &[i8],
        step: usize,
        count: usize,
        offset: u32,
        (first, pairs): (usize, usize),
        apart: &mut [u32],
    ) {
        for pair in 0..count {
            let value = |column: usize| {
                let bytes = values[column * step..].first_chunk().copied();
                word(bytes.expect("checked"))
            };
            let four = pairs_of(value(2 * pair), value(2 * pair + 1), offset);
            for (channel, value) in four.into_iter().enumerate() {
                apart[channel * pairs + first + pair] = value;
            }
        }
    }

    fn smlad(a: u32, b: u32, sum: i32) -> i32 {
        let ([a, c], [b, d]) = (signed_lanes(a), signed_lanes(b));
        sum.wrapping_add(a * b).wrapping_add(c * d)
    }

    pub(super) fn fours(
        line: &Line<'_>,
        apart: &[u32],
        (first, count): (usize, usize),
        steps: [usize; 3],
        channels: usize,
        output: &mut [i8],
    ) {
        let len = constants(line.taps);
        let apart = apart.chunks(apart.len() / LANES);
        for (channel, (constants, own)) in line.constants.chunks(len).zip(apart).enumerate() {
            let (scale, rest) = constants.split_first_chunk::<3>().expect("checked");
            let (even, odd, start) = (rest[0], rest[1], rest[2]);
            let weights = [even, odd].into_iter().chain(rest[3..].iter().copied());
            let weights: std::vec::Vec<u32> = weights.collect();
            for four in first..first + count {
                let mut sums = [start as i32; SIDE];
                for (step, weights) in weights.chunks(2).enumerate() {
                    for (window, sum) in sums.iter_mut().enumerate() {
                        let pair = own[2 * four + step + window / 2];
                        *sum = smlad(pair, weights[window % 2], *sum);
                    }
                }
                let at = (four - first) * SIDE * channels + channel;
                for (sum, step) in sums
                    .into_iter()
                    .zip([0, steps[0], steps[1], steps[2]])
                    .rev()
                {
                    let scale = scale.map(|word| word as i32);
                    let scaled = finish(scale, sum, line.end, [line.min, line.max]);
                    output[at + step * channels] = scaled;
                }
            }
        }
    }
}

#[cfg(target_arch = "arm")]
mod arithmetic {
    use core::arch::naked_asm;

    use super::super::finish;
    use super::*;

    /// What the assembly is told, in the order in which it loads it.
    #[repr(C)]
    struct Apart {
        from: *const i8,
        step: usize,
        offset: u32,
        to: *mut u32,
        to_end: *const u32,
        /// Bytes from a channel to the next, and to the third next.
        channel: usize,
        third: usize,
    }

    pub(super) fn take_apart(
        values: &[i8],
        step: usize,
        count: usize,
        offset: u32,
        (first, pairs): (usize, usize),
        apart: &mut [u32],
    ) {
        let to = apart.as_mut_ptr().wrapping_add(first);
        let channel = pairs * size_of::<u32>();
        let arguments = Apart {
            from: values.as_ptr(),
            step,
            offset,
            to,
            to_end: to.wrapping_add(count),
            channel,
            third: 3 * channel,
        };
        // SAFETY: the caller has checked that there is a pair, that twice as many words as there are pairs are within the values, and
        // that all pairs of four channels are within the scratch memory.
        unsafe { take_apart_asm(&arguments) }
    }

    /// r0 values, r1 their step, r2 the zero point's negative, r3 to, r4 its end, r5 and r6 from channel to channel, r7-r11
    /// lanes.
    #[unsafe(naked)]
    unsafe extern "C" fn take_apart_asm(arguments: &Apart) {
        naked_asm!(
            dsp!(),
            "push {{r4-r11, lr}}",
            "ldm r0, {{r0-r6}}",
            "2:",
            "ldr r8, [r0]",
            "ldr r10, [r0, r1]",
            "add r0, r0, r1, lsl #1",
            "sxtab16 r7, r2, r8",
            "sxtab16 r8, r2, r8, ror #8",
            "sxtab16 r9, r2, r10",
            "sxtab16 r10, r2, r10, ror #8",
            "pkhbt r11, r8, r10, lsl #16",
            "pkhtb r10, r10, r8, asr #16",
            "pkhbt r8, r7, r9, lsl #16",
            "pkhtb r9, r9, r7, asr #16",
            "str r11, [r3, r5]",
            "str r9, [r3, r5, lsl #1]",
            "str r10, [r3, r6]",
            "str r8, [r3], #4",
            "cmp r3, r4",
            "bne 2b",
            "pop {{r4-r11, pc}}",
        )
    }

    /// What the assembly is told. It keeps these words on its stack, and changes some.
    #[repr(C)]
    struct Arguments {
        /// From the first output of four to the others.
        steps: [usize; 3],
        /// From behind the pairs of four windows to the first of the next four's.
        back: isize,
        /// From the first output of four to that of the next four.
        output_step: usize,
        /// The end of the first pairs of a channel's fours.
        pairs_end: *const u32,
        constants: *const u32,
        /// Bytes of the steps behind the first that are left out.
        skip: usize,
        end: End,
        min: i32,
        max: i32,
        pairs: *const u32,
        output: *mut i8,
        /// Bytes from a channel's pairs to the next channel's.
        channel: usize,
        constants_end: *const u32,
    }

    /// Bytes of a step: six instructions of four.
    const STEP: usize = 6 * 4;

    pub(super) fn fours(
        line: &Line<'_>,
        apart: &[u32],
        (first, count): (usize, usize),
        steps: [usize; 3],
        channels: usize,
        output: &mut [i8],
    ) {
        let constants = line.constants.as_ptr_range();
        let pairs = apart.as_ptr().wrapping_add(2 * first);
        let own = self::steps(line.taps);
        let arguments = Arguments {
            steps: steps.map(|step| step * channels),
            back: 8 - 4 * own as isize,
            output_step: SIDE * channels,
            pairs_end: pairs.wrapping_add(2 * count),
            constants: constants.start,
            skip: (self::steps(MOST_TAPS) - own) * STEP,
            end: line.end,
            min: line.min,
            max: line.max,
            pairs,
            output: output.as_mut_ptr(),
            channel: apart.len() / LANES * size_of::<u32>(),
            constants_end: constants.end,
        };
        // SAFETY: the caller has checked that there are four windows, that the pairs which windows meet are within the scratch
        // memory for each of four channels, that the constants are those of four channels with so many steps, of which there are
        // no more than in the unrolled loop, and that the output has four bytes at the place of each window.
        unsafe { fours_asm(&arguments) }
    }

    /// Scales the sums, negative ties rounded down; r2 is free.
    macro_rules! signed {
        () => {
            concat!(
                "add r2, r11, r4, asr #31\nsmmlar r4, r4, r10, r2\n",
                "add r2, r11, r5, asr #31\nsmmlar r5, r5, r10, r2\n",
                "add r2, r11, r6, asr #31\nsmmlar r6, r6, r10, r2\n",
                "add r2, r11, r7, asr #31\nsmmlar r7, r7, r10, r2\n",
            )
        };
    }

    /// r0 pairs, r1 constants, r2 and r3 weights, r4-r7 sums, r8 and r9 pairs, r10-r12 the scale, lr output.
    #[unsafe(naked)]
    unsafe extern "C" fn fours_asm(arguments: &Arguments) {
        naked_asm!(
            dsp!(),
            "push {{r4-r11, lr}}",
            "add r1, r0, #32",
            "ldm r1, {{r2-r8}}",
            // Where to go with the sums.
            "adr.w r12, 31f",
            "cmp r2, #1",
            "it eq",
            "adreq.w r12, 32f",
            "it hi",
            "adrhi.w r12, 33f",
            "cmp r2, #3",
            "it eq",
            "adreq.w r12, 30f",
            "add r2, r12, #1",
            "push {{r2-r8}}",
            "ldm r0, {{r1-r8}}",
            "adr.w r12, 2f",
            "add r8, r8, r12",
            "adds r8, r8, #1",
            "push {{r1-r8}}",
            "mov r1, r7",
            // Stack: 0 steps, 12 back, 16 output_step, 20 pairs_end, 24 constants, 28 where the steps begin, 32 end, 36 min,
            // 40 max, 44 pairs, 48 output, 52 channel, 56 constants_end.
            "7:",
            "ldmia r1!, {{r10-r12}}",
            "ldr r0, [sp, #44]",
            "ldr lr, [sp, #48]",
            "str r1, [sp, #24]",
            "1:",
            "ldr r1, [sp, #24]",
            "ldmia r1!, {{r2-r4}}",
            "ldrd r8, r9, [r0], #4",
            "smlad r5, r8, r3, r4",
            "smlad r6, r9, r2, r4",
            "smlad r7, r9, r3, r4",
            "smlad r4, r8, r2, r4",
            "ldr pc, [sp, #28]",
            ".p2align 2",
            "2:",
            ".rept 5",
            "ldrd r2, r3, [r1], #8",
            "ldrd r8, r9, [r0], #4",
            "smlad r4, r8, r2, r4",
            "smlad r5, r8, r3, r5",
            "smlad r6, r9, r2, r6",
            "smlad r7, r9, r3, r7",
            ".endr",
            "ldr pc, [sp, #32]",
            ".p2align 2",
            "30:", // fixed
            "smmla r4, r4, r10, r11",
            "smmla r5, r5, r10, r11",
            "smmla r6, r6, r10, r11",
            "smmla r7, r7, r10, r11",
            "ssat r4, #8, r4, asr #12",
            "ssat r5, #8, r5, asr #12",
            "ssat r6, #8, r6, asr #12",
            "ssat r7, #8, r7, asr #12",
            "5:",
            "ldm sp, {{r2, r3, r8}}",
            "strb r7, [lr, r8]",
            "strb r6, [lr, r3]",
            "strb r5, [lr, r2]",
            "strb r4, [lr]",
            "ldrd r2, r3, [sp, #12]",
            "ldr r8, [sp, #20]",
            "adds r0, r0, r2",
            "add lr, lr, r3",
            "cmp r0, r8",
            "bne 1b",
            // The next channel, whose constants are behind these.
            "ldr r2, [sp, #52]",
            "add r8, r8, r2",
            "str r8, [sp, #20]",
            "ldrd r3, r4, [sp, #44]",
            "add r3, r3, r2",
            "adds r4, r4, #1",
            "strd r3, r4, [sp, #44]",
            "ldr r2, [sp, #56]",
            "cmp r1, r2",
            "bne 7b",
            "add sp, sp, #60",
            "pop {{r4-r11, pc}}",
            ".p2align 2",
            "31:", // rectified
            "smmlar r4, r4, r10, r11",
            "smmlar r5, r5, r10, r11",
            "smmlar r6, r6, r10, r11",
            "smmlar r7, r7, r10, r11",
            "4:",
            "asrs r4, r4, r12",
            "asrs r5, r5, r12",
            "asrs r6, r6, r12",
            "asrs r7, r7, r12",
            finish!(saturate),
            "b 5b",
            ".p2align 2",
            "32:",
            signed!(),
            "b 4b",
            ".p2align 2",
            "33:",
            signed!(),
            "asrs r4, r4, r12",
            "asrs r5, r5, r12",
            "asrs r6, r6, r12",
            "asrs r7, r7, r12",
            "ldrd r8, r9, [sp, #36]",
            finish!(clamp),
            "b 5b",
        )
    }
}
