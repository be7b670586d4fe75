//! Four windows of a few values each: widened, and multiplied with all filters of a stream.
#![cfg_attr(
    target_arch = "arm",
    allow(
        unsafe_code,
        reason = "loops in assembly, over memory that is checked here"
    )
)]

use super::channels::Finish;
use crate::OutputStage;

/// Windows that are computed side by side.
pub(super) const SIDE: usize = 4;

/// Rows of windows: runs of values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    /// Rows of a window.
    pub(super) count: usize,
    /// Values of a row.
    pub(super) len: usize,
    /// From a row to the next.
    pub(super) step: usize,
    /// Up to [`SIDE`].
    pub(super) windows: usize,
    /// From a window to the next.
    pub(super) window_step: usize,
}

impl Rows {
    /// Words of lanes of a row.
    const fn lanes(&self) -> usize {
        2 * (self.len / 4) + (self.len % 4).div_ceil(2)
    }
}

/// Widens windows, of which the first begins with `values`, adds the lanes `offset`, and puts them side by side from
/// `patch[0]` on, [`SIDE`] words apart: bytes 0 and 2 and bytes 1 and 3 of whole words, a pair, a single value.
pub(super) fn widen(values: &[i8], rows: &Rows, offset: u32, patch: &mut [u32]) {
    let &Rows { count, windows, .. } = rows;
    let total = count * rows.lanes();
    let fits = total > 0
        && windows > 0
        && (windows - 1) * rows.window_step + (count - 1) * rows.step + rows.len <= values.len()
        && patch.len() >= (total - 1) * SIDE + windows;
    if !fits {
        debug_assert!(false, "slices of other lengths");
        return;
    }
    arithmetic::widen(values, rows, offset, patch);
}

/// Four pixels of as many channels as the stream has filters, the first at the start of `output`, each `stride` after the
/// one before. A filter of the stream is a word that sums start from, as many words of lanes as a window has in `patch`, an
/// even number, and the words of a scale; all doubled.
pub(super) fn four_pixels(
    stream: &[u32],
    patch: &[u32],
    stage: &OutputStage,
    output: &mut [i8],
    stride: usize,
) {
    let words = patch.len() / SIDE;
    let fits = words > 0
        && words.is_multiple_of(2)
        && patch.len().is_multiple_of(SIDE)
        && stream.len() >= stride * (words + 4)
        && stride > 0
        && output.len() >= SIDE * stride;
    if !fits {
        debug_assert!(false, "slices of other lengths");
        return;
    }
    arithmetic::four_pixels(stream, patch, stage, output, stride);
}

/// The definition of the assembly.
#[cfg(not(target_arch = "arm"))]
mod arithmetic {
    use super::super::channels::Scale;
    use super::super::dsp::{lanes, signed_lanes, sxtab16, sxtab16_odd, word};
    use super::*;

    pub(super) fn widen(values: &[i8], rows: &Rows, offset: u32, patch: &mut [u32]) {
        for window in 0..rows.windows {
            let mut next = window;
            let mut put = |lanes| {
                patch[next] = lanes;
                next += SIDE;
            };
            for row in 0..rows.count {
                let run = &values[window * rows.window_step + row * rows.step..][..rows.len];
                let (words, rest) = run.as_chunks();
                for &bytes in words {
                    put(sxtab16(offset, word(bytes)));
                    put(sxtab16_odd(offset, word(bytes)));
                }
                let (pairs, single) = rest.as_chunks();
                let [zero, _] = signed_lanes(offset);
                for &[a, b] in pairs {
                    put(lanes(i32::from(a) + zero, i32::from(b) + zero));
                }
                for &a in single {
                    put(sxtab16(offset, word([a, 0, 0, 0])));
                }
            }
        }
    }

    pub(super) fn four_pixels(
        stream: &[u32],
        patch: &[u32],
        stage: &OutputStage,
        output: &mut [i8],
        stride: usize,
    ) {
        let words = patch.len() / SIDE;
        for (channel, filter) in stream.chunks(words + 4).enumerate().take(stride) {
            for pixel in 0..SIDE {
                let mut sum = filter[0] as i32;
                for (w, x) in filter[1..].iter().zip(patch.chunks(SIDE)) {
                    let (w, x) = (signed_lanes(*w), signed_lanes(x[pixel]));
                    sum = sum.wrapping_add(w[0] * x[0]).wrapping_add(w[1] * x[1]);
                }
                let scale = [1, 2, 3].map(|word| filter[words + word] as i32);
                let scaled = Scale::from_words(scale).apply_doubled(sum, Finish::of(stage), stage);
                output[pixel * stride + channel] = scaled;
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
    struct Widening {
        from: *const i8,
        to: *mut u32,
        offset: u32,
        rows: usize,
        words: usize,
        /// Values of a row behind its words.
        rest: usize,
        /// From the end of a row to the start of the next.
        gap: usize,
        /// From behind the last row of a window to the first of the next, a gap left out.
        next: usize,
        windows: usize,
    }

    pub(super) fn widen(values: &[i8], rows: &Rows, offset: u32, patch: &mut [u32]) {
        let arguments = Widening {
            from: values.as_ptr(),
            to: patch.as_mut_ptr(),
            offset,
            rows: rows.count,
            words: rows.len / 4,
            rest: rows.len % 4,
            gap: rows.step.wrapping_sub(rows.len),
            next: rows
                .window_step
                .wrapping_sub(rows.count.wrapping_mul(rows.step)),
            windows: rows.windows,
        };
        // SAFETY: the caller has checked that there is a window and a row of some values, that the last row of the last
        // window ends within the values, and that the patch has all its lanes.
        unsafe { widen_asm(&arguments) }
    }

    /// r0 values, r1 the window's place, r2 the offset, r3 rows, r4 words, r5 the rest, r6 gap, r7 next, r8 windows left,
    /// r9 rows left, r10 words left, r11 and r12 values, lr patch.
    #[unsafe(naked)]
    unsafe extern "C" fn widen_asm(arguments: &Widening) {
        naked_asm!(
            dsp!(),
            "push {{r4-r11, lr}}",
            "ldm r0, {{r0-r8}}",
            "1:",
            "mov lr, r1",
            "mov r9, r3",
            "2:",
            "movs.w r10, r4",
            "beq 4f",
            "3:",
            "ldr r11, [r0], #4",
            "sxtab16 r12, r2, r11",
            "sxtab16 r11, r2, r11, ror #8",
            "str r12, [lr], #16",
            "str r11, [lr], #16",
            "subs.w r10, r10, #1",
            "bne 3b",
            "4:",
            // Carry: a pair is left; not zero: a single value.
            "lsls.w r12, r5, #31",
            "bcc 5f",
            "ldrh r11, [r0], #2",
            "sxtab16 r12, r2, r11",
            "sxtab16 r11, r2, r11, ror #8",
            "pkhbt r12, r12, r11, lsl #16",
            "str r12, [lr], #16",
            "5:",
            "beq 6f",
            "ldrb r11, [r0], #1",
            "sxtab16 r11, r2, r11",
            "str r11, [lr], #16",
            "6:",
            "add r0, r0, r6",
            "subs.w r9, r9, #1",
            "bne 2b",
            "add r0, r0, r7",
            "adds r1, r1, #4",
            "subs.w r8, r8, #1",
            "bne 1b",
            "pop {{r4-r11, pc}}",
        )
    }

    /// What the assembly is told: what it keeps on its stack, then what it keeps in registers.
    #[repr(C)]
    struct Arguments {
        patch: *const u32,
        /// Bytes of the unrolled loop that the first round leaves out.
        skip: usize,
        finish: Finish,
        stream_end: *const u32,
        patch_end: *const u32,
        min: i32,
        max: i32,
        stream: *const u32,
        stride: usize,
        output: *mut i8,
    }

    /// Rounds that the loop over pairs of words of lanes is unrolled to, of eleven instructions of four bytes.
    const ROUNDS: usize = 4;
    const ROUND: usize = 11 * 4;

    pub(super) fn four_pixels(
        stream: &[u32],
        patch: &[u32],
        stage: &OutputStage,
        output: &mut [i8],
        stride: usize,
    ) {
        let words = patch.len() / SIDE;
        let patch = patch.as_ptr_range();
        let arguments = Arguments {
            patch: patch.start,
            skip: (words / 2).wrapping_neg() % ROUNDS * ROUND,
            finish: Finish::of(stage),
            stream_end: stream.as_ptr().wrapping_add(stride * (words + 4)),
            patch_end: patch.end,
            min: stage.min,
            max: stage.max,
            stream: stream.as_ptr(),
            stride,
            output: output.as_mut_ptr(),
        };
        // SAFETY: the caller has checked that the stream has `words + 4` words for each of `stride` filters, of which there
        // is one, that the patch has four words for each word of a filter's lanes, an even number above 0, and that the
        // output has a byte for each filter at four places.
        unsafe { four_pixels_asm(&arguments) }
    }

    /// r0 patch, r1 stream, r2 and r3 weights, r4-r7 sums, r8-r11 words of the patch, r12 stride, lr output.
    ///
    /// On the stack: patch, start of the loop, finish, the stream's end, the patch's end, min, max.
    #[unsafe(naked)]
    unsafe extern "C" fn four_pixels_asm(arguments: &Arguments) {
        naked_asm!(
            dsp!(),
            "push {{r4-r11, lr}}",
            "ldm r0, {{r1-r10}}",
            "mov lr, r10",
            "mov r12, r9",
            "adr.w r10, 2f",
            "add r2, r2, r10",
            "adds r2, r2, #1",
            // Where to go with the sums.
            "adr.w r10, 31f",
            "cmp r3, #1",
            "it eq",
            "adreq.w r10, 32f",
            "it hi",
            "adrhi.w r10, 33f",
            "add r3, r10, #1",
            "push {{r1-r7}}",
            "mov r1, r8",
            "1:",
            "ldr r4, [r1], #4",
            "ldr r0, [sp]",
            "mov r5, r4",
            "mov r6, r4",
            "mov r7, r4",
            "ldr pc, [sp, #4]",
            ".p2align 2",
            "2:",
            ".rept 4",
            "ldrd r2, r3, [r1], #8",
            "ldmia.w r0!, {{r8-r11}}",
            "smlad r4, r8, r2, r4",
            "smlad r5, r9, r2, r5",
            "smlad r6, r10, r2, r6",
            "smlad r7, r11, r2, r7",
            "ldmia.w r0!, {{r8-r11}}",
            "smlad r4, r8, r3, r4",
            "smlad r5, r9, r3, r5",
            "smlad r6, r10, r3, r6",
            "smlad r7, r11, r3, r7",
            ".endr",
            "ldr r2, [sp, #16]",
            "cmp r0, r2",
            "bne 2b",
            "ldmia r1!, {{r8-r10}}",
            "ldr pc, [sp, #8]",
            ".p2align 2",
            "33:", // clamped
            finish!(signed_alike),
            finish!(shifted_alike),
            "ldrd r8, r9, [sp, #20]",
            finish!(clamp),
            "b 5f",
            ".p2align 2",
            "32:", // signed
            finish!(signed_alike),
            "b 4f",
            ".p2align 2",
            "31:", // rectified
            "smmlar r4, r4, r8, r9",
            "smmlar r5, r5, r8, r9",
            "smmlar r6, r6, r8, r9",
            "smmlar r7, r7, r8, r9",
            "4:",
            finish!(shifted_alike),
            finish!(saturate),
            "5:",
            "add r3, r12, r12, lsl #1",
            "strb.w r5, [lr, r12]",
            "strb.w r6, [lr, r12, lsl #1]",
            "strb.w r7, [lr, r3]",
            "strb r4, [lr], #1",
            "ldr r3, [sp, #12]",
            "cmp r1, r3",
            "bne 1b",
            "add sp, sp, #28",
            "pop {{r4-r11, pc}}",
        )
    }
}
