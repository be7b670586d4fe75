//! One pixel of a depthwise convolution with any window, tap by tap, four channels at a time.
#![cfg_attr(
    target_arch = "arm",
    allow(
        unsafe_code,
        reason = "a loop in assembly, over memory that is checked here"
    )
)]

use super::channels::{Channel, Finish};
use super::depthwise::LANES;
use crate::OutputStage;

/// Words of four channels in the table: what they start from, and the multiplier, rounding and shift of each.
pub(super) const TABLE_WORDS: usize = 16;

/// The words of four channels.
pub(super) fn table_of(channels: [Channel; LANES]) -> [u32; TABLE_WORDS] {
    let mut words = [0; TABLE_WORDS];
    let (starts, scales) = words.split_at_mut(LANES);
    let places = starts.iter_mut().zip(scales.as_chunks_mut::<3>().0);
    for ((start, scale), [bias, multiplier, rounding, shift]) in places.zip(channels) {
        *start = bias as u32;
        *scale = [multiplier as u32, rounding as u32, shift as u32];
    }
    words
}

/// Taps along an axis, and how far apart they are in the input and among the weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    pub(super) count: usize,
    pub(super) input: usize,
    pub(super) weights: usize,
}

/// What a window sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    /// From the first tap's first channel on.
    pub(super) input: &'a [i8],
    /// From the first tap's first channel on.
    pub(super) weights: &'a [i8],
    pub(super) rows: Tap,
    pub(super) columns: Tap,
    /// The input's zero point, negative, in both lanes.
    pub(super) offset: u32,
}

/// Computes all channels of a pixel, of which there are at least four: one group for each part of the table, the last one
/// at the end.
pub(super) fn pixel(
    seen: &Seen<'_>,
    table: &[[u32; TABLE_WORDS]],
    stage: &OutputStage,
    output: &mut [i8],
) {
    let channels = output.len();
    let last = |step: fn(&Tap) -> usize| {
        let reach = |tap: &Tap| tap.count.saturating_sub(1) * step(tap);
        reach(&seen.rows) + reach(&seen.columns) + channels
    };
    let empty = seen.rows.count == 0 || seen.columns.count == 0;
    let fits = channels >= LANES
        && table.len() == channels.div_ceil(LANES)
        && (empty
            || seen.input.len() >= last(|tap| tap.input)
                && seen.weights.len() >= last(|tap| tap.weights));
    if !fits {
        debug_assert!(false, "slices of other lengths");
        return;
    }
    arithmetic::pixel(seen, table, stage, output);
}

/// The definition of the assembly.
#[cfg(not(target_arch = "arm"))]
mod arithmetic {
    use super::super::channels::Scale;
    use super::super::dsp::signed_lanes;
    use super::*;

    pub(super) fn pixel(
        seen: &Seen<'_>,
        table: &[[u32; TABLE_WORDS]],
        stage: &OutputStage,
        output: &mut [i8],
    ) {
        let finish = Finish::of(stage);
        let offset = signed_lanes(seen.offset)[0];
        let last = output.len() - LANES;
        for (group, table) in table.iter().enumerate() {
            for lane in 0..LANES {
                let channel = (group * LANES).min(last) + lane;
                let mut sum = table[lane] as i32;
                for (y, x) in
                    (0..seen.rows.count).flat_map(|y| (0..seen.columns.count).map(move |x| (y, x)))
                {
                    let input = seen.input[y * seen.rows.input + x * seen.columns.input + channel];
                    let weight =
                        seen.weights[y * seen.rows.weights + x * seen.columns.weights + channel];
                    let product = (i32::from(input) + offset) * i32::from(weight);
                    sum = sum.wrapping_add(product);
                }
                let scale = [0, 1, 2].map(|word| table[LANES + 3 * lane + word] as i32);
                output[channel] = Scale::from_words(scale).apply(sum, finish, stage);
            }
        }
    }
}

#[cfg(target_arch = "arm")]
mod arithmetic {
    use core::arch::naked_asm;

    use super::super::finish;
    use super::*;

    /// What the assembly is told. It keeps these words on its stack, and changes some.
    #[repr(C)]
    struct Arguments {
        min: i32,
        max: i32,
        finish: Finish,
        columns: usize,
        rows: usize,
        rows_left: usize,
        /// From the end of a row of taps to the start of the next, in the input and the weights.
        input_back: isize,
        weights_back: isize,
        input: *const i8,
        weights: *const i8,
        output: *mut i8,
        /// The last place that a group may have in the output.
        output_last: *mut i8,
        input_step: usize,
        weights_step: usize,
        offset: u32,
        table: *const u32,
        table_end: *const u32,
    }

    pub(super) fn pixel(
        seen: &Seen<'_>,
        table: &[[u32; TABLE_WORDS]],
        stage: &OutputStage,
        output: &mut [i8],
    ) {
        let back =
            |row: usize, column: usize| row as isize - (seen.columns.count * column) as isize;
        let table = table.as_ptr_range();
        let rows = match seen.columns.count {
            0 => 0,
            _ => seen.rows.count,
        };
        let arguments = Arguments {
            min: stage.min,
            max: stage.max,
            finish: Finish::of(stage),
            columns: seen.columns.count,
            rows,
            rows_left: 0,
            input_back: back(seen.rows.input, seen.columns.input),
            weights_back: back(seen.rows.weights, seen.columns.weights),
            input: seen.input.as_ptr(),
            weights: seen.weights.as_ptr(),
            output: output.as_mut_ptr(),
            output_last: output.as_mut_ptr().wrapping_add(output.len() - LANES),
            input_step: seen.columns.input,
            weights_step: seen.columns.weights,
            offset: seen.offset,
            table: table.start.cast(),
            table_end: table.end.cast(),
        };
        // SAFETY: the caller has checked that there is at least one group of channels, that every tap has all channels in
        // the input and among the weights, and that the output has all channels; a group that would reach past the last
        // one is moved back to end with it.
        unsafe { pixel_asm(&arguments) }
    }

    /// r0 input, r1 weights, r2 and r3 their steps, r4-r7 sums, r8 and r9 words of input, r10 and r11 of weights, r12 the
    /// zero point's negative, lr columns left.
    #[unsafe(naked)]
    unsafe extern "C" fn pixel_asm(arguments: &Arguments) {
        naked_asm!(
            dsp!(),
            "push {{r4-r11, lr}}",
            "add r1, r0, #48",
            "ldm r1, {{r2-r6}}",
            "push {{r2-r6}}",
            "ldm r0, {{r1-r12}}",
            "push {{r1-r12}}",
            // Stack: 0 min, 4 max, 8 finish, 12 columns, 16 rows, 20 rows_left, 24 input_back, 28 weights_back, 32 input,
            // 36 weights, 40 output, 44 output_last, 48 input_step, 52 weights_step, 56 offset, 60 table, 64 table_end.
            "adr.w r12, 31f",
            "cmp r3, #1",
            "it eq",
            "adreq.w r12, 32f",
            "it hi",
            "adrhi.w r12, 33f",
            "add r12, r12, #1",
            "str r12, [sp, #8]",
            "7:",
            "ldr r8, [sp, #60]",
            "ldm r8, {{r4-r7}}",
            "ldrd r0, r1, [sp, #32]",
            "ldrd r2, r3, [sp, #48]",
            "ldr r12, [sp, #56]",
            "ldr r8, [sp, #16]",
            "cmp r8, #0",
            "beq 6f",
            "str r8, [sp, #20]",
            "3:",
            "ldr lr, [sp, #12]",
            "2:",
            "ldr r9, [r0]",
            "add r0, r0, r2",
            "ldr r11, [r1]",
            "add r1, r1, r3",
            "sxtab16 r8, r12, r9",
            "sxtab16 r9, r12, r9, ror #8",
            "sxtb16 r10, r11",
            "sxtb16 r11, r11, ror #8",
            "smlabb r4, r8, r10, r4",
            "smlatt r6, r8, r10, r6",
            "smlabb r5, r9, r11, r5",
            "smlatt r7, r9, r11, r7",
            "subs lr, lr, #1",
            "bne 2b",
            "ldrd r8, r9, [sp, #24]",
            "add r0, r0, r8",
            "add r1, r1, r9",
            "ldr r8, [sp, #20]",
            "subs r8, r8, #1",
            "str r8, [sp, #20]",
            "bne 3b",
            "6:",
            "lsls r4, r4, #1",
            "lsls r5, r5, #1",
            "lsls r6, r6, #1",
            "lsls r7, r7, #1",
            "ldr r1, [sp, #60]",
            "add r1, r1, #16",
            "ldr r3, [sp, #40]",
            "ldr pc, [sp, #8]",
            ".p2align 2",
            "31:",
            finish!(rectified),
            "4:",
            finish!(saturate),
            "5:",
            finish!(store),
            "str r1, [sp, #60]",
            "ldr r8, [sp, #44]",
            "add r9, r3, #4",
            "cmp r9, r8",
            "it hi",
            "movhi r9, r8",
            "str r9, [sp, #40]",
            "subs r9, r9, r3",
            "ldrd r10, r11, [sp, #32]",
            "add r10, r10, r9",
            "add r11, r11, r9",
            "strd r10, r11, [sp, #32]",
            "ldr r8, [sp, #64]",
            "cmp r1, r8",
            "bne 7b",
            "add sp, sp, #68",
            "pop {{r4-r11, pc}}",
            ".p2align 2",
            "32:",
            finish!(signed),
            "b 4b",
            ".p2align 2",
            "33:",
            finish!(signed),
            "ldrd r8, r9, [sp]",
            finish!(clamp),
            "b 5b",
        )
    }
}
