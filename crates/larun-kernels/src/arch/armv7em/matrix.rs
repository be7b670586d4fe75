//! Products of input patches with all filters of a convolution, scaled and stored.
#![cfg_attr(
    target_arch = "arm",
    allow(
        unsafe_code,
        reason = "loops in assembly, over memory that is checked here"
    )
)]

use super::channels::{Channel, Finish};
use crate::OutputStage;

/// Pixels that are computed side by side.
pub(super) const PIXELS: usize = 4;

/// Filters, and how their sums become outputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filters<'a> {
    /// One after the other, each [`len`](Self::len) long.
    pub(super) weights: &'a [i8],
    /// Weights of one filter, at least 1.
    pub(super) len: usize,
    /// One for each filter.
    pub(super) channels: &'a [Channel],
    pub(super) stage: OutputStage,
}

impl Filters<'_> {
    /// Words of four weights that a filter takes, the last perhaps not full.
    pub(super) const fn words(&self) -> usize {
        self.len.div_ceil(4)
    }

    /// Weights that its last word reads past a filter's end.
    const fn past_end(&self) -> usize {
        4 * self.words() - self.len
    }
}

/// Four pixels of as many channels as there are filters, the first at the start of `output`, each `stride` after the
/// one before.
///
/// `patch` has 8 words for each word of weights, as [`patch`](super::patch) lays them out; what meets the weights past
/// a filter's end is 0. The words of the last filter, too, must lie within `weights`.
pub(super) fn four_pixels(filters: &Filters<'_>, patch: &[u32], output: &mut [i8], stride: usize) {
    let (words, count) = (filters.words(), filters.channels.len());
    let fits = patch.len() == 8 * words
        && words > 0
        && count > 0
        && filters.weights.len() >= filters.len * count + filters.past_end()
        && output.len() >= 3 * stride + count;
    if !fits {
        debug_assert!(false, "slices of other lengths");
        return;
    }
    arithmetic::four_pixels(filters, patch, output, stride);
}

/// One pixel, as [`four_pixels`]; `patch` has 2 words for each word of weights.
pub(super) fn one_pixel(filters: &Filters<'_>, patch: &[u32], output: &mut [i8]) {
    let (words, count) = (filters.words(), filters.channels.len());
    let fits = patch.len() == 2 * words
        && words > 0
        && filters.weights.len() >= filters.len * count + filters.past_end()
        && output.len() >= count;
    if !fits {
        debug_assert!(false, "slices of other lengths");
        return;
    }
    arithmetic::one_pixel(filters, patch, output);
}

/// The definition of the assembly.
#[cfg(not(target_arch = "arm"))]
mod arithmetic {
    use super::super::channels::Scale;
    use std::vec::Vec;

    use super::super::dsp::signed_lanes;
    use super::*;

    fn products(weights: &[i8], low: u32, high: u32) -> i32 {
        let ([a, c], [b, d]) = (signed_lanes(low), signed_lanes(high));
        let values = [a, b, c, d].into_iter().zip(weights);
        values.fold(0, |sum, (x, &w)| sum + x * i32::from(w))
    }

    pub(super) fn four_pixels(
        filters: &Filters<'_>,
        patch: &[u32],
        output: &mut [i8],
        stride: usize,
    ) {
        for pixel in 0..PIXELS {
            let own: Vec<u32> = patch.chunks(4).map(|words| words[pixel]).collect();
            one_pixel(filters, &own, &mut output[pixel * stride..]);
        }
    }

    pub(super) fn one_pixel(filters: &Filters<'_>, patch: &[u32], output: &mut [i8]) {
        let finish = Finish::of(&filters.stage);
        for (i, (&channel, output)) in filters.channels.iter().zip(output).enumerate() {
            let weights = &filters.weights[i * filters.len..];
            let words = weights.chunks(4).zip(patch.chunks(2));
            let sum = words.fold(channel[0], |sum, (w, x)| {
                sum.wrapping_add(products(w, x[0], x[1]))
            });
            let [_, scale @ ..] = channel;
            *output = Scale::from_words(scale).apply(sum, finish, &filters.stage);
        }
    }
}

#[cfg(target_arch = "arm")]
mod arithmetic {
    use core::arch::naked_asm;

    use super::*;

    /// What the assembly is told, in the order in which it loads it.
    #[repr(C)]
    struct Arguments {
        weights: *const i8,
        patch_end: *const u32,
        patch: *const u32,
        /// Bytes of the unrolled loop that the first round leaves out.
        skip: usize,
        output: *mut i8,
        stride: usize,
        channels_end: *const Channel,
        past_end: usize,
        finish: Finish,
        min: i32,
        max: i32,
        channels: *const Channel,
    }

    impl Arguments {
        fn new(filters: &Filters<'_>, patch: &[u32], output: &mut [i8], stride: usize) -> Self {
            let (patch, channels) = (patch.as_ptr_range(), filters.channels.as_ptr_range());
            Self {
                weights: filters.weights.as_ptr(),
                patch_end: patch.end,
                patch: patch.start,
                skip: 0,
                output: output.as_mut_ptr(),
                stride,
                channels_end: channels.end,
                past_end: filters.past_end(),
                finish: Finish::of(&filters.stage),
                min: filters.stage.min,
                max: filters.stage.max,
                channels: channels.start,
            }
        }
    }

    /// Rounds that the loop over words of weights is unrolled to.
    const ROUNDS: usize = 4;

    pub(super) fn four_pixels(
        filters: &Filters<'_>,
        patch: &[u32],
        output: &mut [i8],
        stride: usize,
    ) {
        // Thirteen instructions of four bytes.
        const ROUND: usize = 13 * 4;
        let mut arguments = Arguments::new(filters, patch, output, stride);
        arguments.skip = (filters.words().wrapping_neg() % ROUNDS) * ROUND;
        // SAFETY: the caller has checked that the filters, the patch and the output are as long as the loops take them
        // to be: for each channel, of which there is at least one, `words` words of weights from every `len` bytes on,
        // `8 * words` words of the patch, and a byte at each of four places `stride` apart.
        unsafe { four_pixels_asm(&arguments) }
    }

    pub(super) fn one_pixel(filters: &Filters<'_>, patch: &[u32], output: &mut [i8]) {
        // Two filters at a time; the last one of an odd number is its own neighbour.
        let arguments = Arguments::new(filters, patch, output, 0);
        if filters.channels.is_empty() {
            return;
        }
        // SAFETY: the caller has checked the lengths, as for `four_pixels`, with two words of the patch for one of
        // weights.
        unsafe { one_pixel_asm(&arguments, filters.len) }
    }

    /// r0 patch, r1 weights, r2 the patch's end, r3 a word of weights, r4-r7 sums, r8-r11 words of the patch, r12
    /// weights as lanes, lr channels.
    ///
    /// On the stack: patch, start of the loop, output, stride, the channels' end, past_end, finish, min, max.
    #[unsafe(naked)]
    unsafe extern "C" fn four_pixels_asm(arguments: &Arguments) {
        naked_asm!(
            dsp!(),
            "push {{r4-r11, lr}}",
            "ldm r0, {{r1-r11, lr}}",
            "adr r12, 2f",
            "add r4, r4, r12",
            "adds r4, r4, #1",
            // Where to go with the sums.
            "adr r12, 31f",
            "cmp r9, #1",
            "it eq",
            "adreq r12, 32f",
            "it hi",
            "adrhi r12, 33f",
            "add r9, r12, #1",
            "push {{r3-r11}}",
            "1:",
            "ldr r4, [lr]",
            "ldr r0, [sp]",
            "mov r5, r4",
            "mov r6, r4",
            "mov r7, r4",
            "ldr pc, [sp, #4]",
            ".p2align 2",
            "2:",
            ".rept 4",
            "ldr.w r3, [r1], #4",
            "ldmia.w r0!, {{r8-r11}}",
            "sxtb16 r12, r3",
            "smlad r4, r8, r12, r4",
            "smlad r5, r9, r12, r5",
            "smlad r6, r10, r12, r6",
            "smlad r7, r11, r12, r7",
            "ldmia.w r0!, {{r8-r11}}",
            "sxtb16 r12, r3, ror #8",
            "smlad r4, r8, r12, r4",
            "smlad r5, r9, r12, r5",
            "smlad r6, r10, r12, r6",
            "smlad r7, r11, r12, r7",
            ".endr",
            "cmp r0, r2",
            "bne 2b",
            "ldmia lr!, {{r3, r8-r10}}",
            "lsls r4, r4, #1",
            "lsls r5, r5, #1",
            "lsls r6, r6, #1",
            "lsls r7, r7, #1",
            "ldr pc, [sp, #24]",
            ".p2align 2",
            "33:", // clamped
            "add r11, r9, r4, asr #31",
            "smmlar r4, r4, r8, r11",
            "add r11, r9, r5, asr #31",
            "smmlar r5, r5, r8, r11",
            "add r11, r9, r6, asr #31",
            "smmlar r6, r6, r8, r11",
            "add r11, r9, r7, asr #31",
            "smmlar r7, r7, r8, r11",
            "asrs r4, r4, r10",
            "asrs r5, r5, r10",
            "asrs r6, r6, r10",
            "asrs r7, r7, r10",
            "ldrd r8, r9, [sp, #28]",
            "cmp r4, r8",
            "it lt",
            "movlt r4, r8",
            "cmp r5, r8",
            "it lt",
            "movlt r5, r8",
            "cmp r6, r8",
            "it lt",
            "movlt r6, r8",
            "cmp r7, r8",
            "it lt",
            "movlt r7, r8",
            "cmp r4, r9",
            "it gt",
            "movgt r4, r9",
            "cmp r5, r9",
            "it gt",
            "movgt r5, r9",
            "cmp r6, r9",
            "it gt",
            "movgt r6, r9",
            "cmp r7, r9",
            "it gt",
            "movgt r7, r9",
            "b 5f",
            ".p2align 2",
            "32:", // signed
            "add r11, r9, r4, asr #31",
            "smmlar r4, r4, r8, r11",
            "add r11, r9, r5, asr #31",
            "smmlar r5, r5, r8, r11",
            "add r11, r9, r6, asr #31",
            "smmlar r6, r6, r8, r11",
            "add r11, r9, r7, asr #31",
            "smmlar r7, r7, r8, r11",
            "b 4f",
            ".p2align 2",
            "31:", // rectified
            "smmlar r4, r4, r8, r9",
            "smmlar r5, r5, r8, r9",
            "smmlar r6, r6, r8, r9",
            "smmlar r7, r7, r8, r9",
            "4:",
            "asrs r4, r4, r10",
            "asrs r5, r5, r10",
            "asrs r6, r6, r10",
            "asrs r7, r7, r10",
            "ssat r4, #8, r4",
            "ssat r5, #8, r5",
            "ssat r6, #8, r6",
            "ssat r7, #8, r7",
            "5:",
            "ldrd r8, r9, [sp, #8]",
            "add r3, r9, r9, lsl #1",
            "strb r5, [r8, r9]",
            "strb r6, [r8, r9, lsl #1]",
            "strb r7, [r8, r3]",
            "strb r4, [r8], #1",
            "str r8, [sp, #8]",
            "ldrd r8, r9, [sp, #16]",
            "subs r1, r1, r9",
            "cmp lr, r8",
            "bne 1b",
            "add sp, sp, #36",
            "pop {{r4-r11, pc}}",
        )
    }

    /// r0 patch, r1 and r2 weights, r3 a word of weights, r4 and r5 sums, r6 weights as lanes, r7 the patch's end, r8
    /// and r9 words of the patch, r10-r12 free, lr channels.
    ///
    /// On the stack: patch, start of the loop, output, the filters' length, the channels' end, past_end, finish, min,
    /// max.
    #[unsafe(naked)]
    unsafe extern "C" fn one_pixel_asm(arguments: &Arguments, len: usize) {
        naked_asm!(
            dsp!(),
            "push {{r4-r11, lr}}",
            "mov r12, r1",
            "ldm r0, {{r1-r11, lr}}",
            "mov r6, r12",
            "push {{r2-r11}}",
            "1:",
            // Stack: end, patch, skip, output, len, channels_end, past_end, finish, min, max.
            "ldrd r7, r0, [sp]",
            "ldrd r3, r6, [sp, #16]", // len, channels_end
            "add r8, lr, #16",
            "cmp r8, r6",
            "add r2, r1, r3",
            "it eq",
            "moveq r2, r1",
            "ldr r4, [lr]",
            "ite ne",
            "ldrne r5, [lr, #16]",
            "moveq r5, r4",
            "2:",
            "ldrd r8, r9, [r0], #8",
            "ldr r3, [r1], #4",
            "ldr r12, [r2], #4",
            "sxtb16 r6, r3",
            "sxtb16 r10, r12",
            "smlad r4, r6, r8, r4",
            "smlad r5, r10, r8, r5",
            "sxtb16 r6, r3, ror #8",
            "sxtb16 r10, r12, ror #8",
            "smlad r4, r6, r9, r4",
            "smlad r5, r10, r9, r5",
            "cmp r0, r7",
            "bne 2b",
            // r2 is at the end of the second filter.
            "ldr r3, [sp, #24]",
            "sub r1, r2, r3",
            "ldr r12, [sp, #28]", // finish
            "ldm lr!, {{r3, r8-r10}}",
            "mov r6, r4",
            "mov r0, #0",
            "3:",
            "lsls r6, r6, #1",
            "cmp r12, #0",
            "it ne",
            "addne r9, r9, r6, asr #31",
            "smmlar r6, r6, r8, r9",
            "asrs r6, r6, r10",
            "cmp r12, #2",
            "beq 6f",
            "ssat r6, #8, r6",
            "5:",
            "ldr r3, [sp, #12]",
            "strb r6, [r3], #1",
            "str r3, [sp, #12]",
            "ldr r3, [sp, #20]",
            "cmp lr, r3",
            "beq 7f",
            "cmp r0, #0",
            "bne 1b",
            "mov r0, #1",
            "ldm lr!, {{r3, r8-r10}}",
            "mov r6, r5",
            "b 3b",
            "6:",
            "ldrd r3, r11, [sp, #32]",
            "cmp r6, r3",
            "it lt",
            "movlt r6, r3",
            "cmp r6, r11",
            "it gt",
            "movgt r6, r11",
            "b 5b",
            "7:",
            "add sp, sp, #40",
            "pop {{r4-r11, pc}}",
        )
    }
}
