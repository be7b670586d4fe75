//! INT8 max pools: whole rows of windows, four channels at a time.
#![cfg_attr(
    target_arch = "arm",
    allow(
        unsafe_code,
        reason = "a loop in assembly, over memory that is checked here"
    )
)]

use super::depthwise::LANES;
use super::dsp::word;
use crate::window::Taps;
use crate::{ImageWindow, OutputStage};

pub(crate) fn max_pool_i8(
    window: &ImageWindow,
    stage: &OutputStage,
    input: &[i8],
    output: &mut [i8],
) -> bool {
    let channels = window.output_channels();
    if channels < LANES {
        return false;
    }
    // The window begins with the least output, so that nothing less is the largest value.
    let bounds = [stage.min, stage.max].map(|bound| word([bound as i8; LANES]));
    let columns = window.columns();
    let inside = columns.inside();
    window.for_each_row(input, output, |image, rows, outputs| {
        let mut run = |x: Taps, first: usize, pixels: usize| {
            let windows = Windows {
                values: image
                    .get(window.pixel(rows.input, x.input)..)
                    .unwrap_or(&[]),
                rows: rows.count,
                columns: x.count,
                channels,
                row_step: rows.step * columns.input() * channels,
                step: columns.stride() * channels,
                pixels,
                words: channels / LANES,
            };
            let outputs = outputs.get_mut(first * channels..).unwrap_or_default();
            windows.run(bounds, outputs);
        };
        // Windows that stick out are cut off, each in its own way.
        for x in (0..inside.start).chain(inside.end..columns.output()) {
            run(columns.taps(x), x, 1);
        }
        if !inside.is_empty() {
            run(columns.taps(inside.start), inside.start, inside.len());
        }
    });
    true
}

/// Windows of one size in a row.
#[derive(Clone, Copy)]
struct Windows<'a> {
    /// From the first tap of the first window on.
    values: &'a [i8],
    rows: usize,
    columns: usize,
    /// Channels, at least four: from a column to the next.
    channels: usize,
    /// From a row to the next.
    row_step: usize,
    /// From a window to the next.
    step: usize,
    pixels: usize,
    /// Groups of four channels.
    words: usize,
}

impl Windows<'_> {
    /// Computes all channels of all windows, the first at the start of `output`.
    fn run(&self, bounds: [u32; 2], output: &mut [i8]) {
        let reach = |count: usize, step: usize| count.saturating_sub(1) * step;
        let taps = reach(self.rows, self.row_step) + reach(self.columns, self.channels);
        let fits = self.rows > 0
            && self.columns > 0
            && self.pixels > 0
            && self.words > 0
            && LANES * self.words <= self.channels
            && reach(self.pixels, self.step) + taps + self.channels <= self.values.len()
            && self.pixels * self.channels <= output.len();
        if !fits {
            debug_assert!(false, "slices of other lengths");
            return;
        }
        arithmetic::largest(self, bounds, output);
        let rest = self.channels % LANES;
        if rest > 0 {
            // The last four channels, of which some are computed again.
            let last = self.channels - LANES;
            let windows = Self {
                values: self.values.get(last..).unwrap_or(&[]),
                words: 1,
                ..*self
            };
            arithmetic::largest(&windows, bounds, output.get_mut(last..).unwrap_or_default());
        }
    }
}

/// The definition of the assembly.
#[cfg(not(target_arch = "arm"))]
mod arithmetic {
    use super::*;

    /// The first channels of all windows, four for each of the words.
    pub(super) fn largest(windows: &Windows<'_>, [least, most]: [u32; 2], output: &mut [i8]) {
        for pixel in 0..windows.pixels {
            for channel in 0..LANES * windows.words {
                let mut largest = least as i8;
                for row in 0..windows.rows {
                    for column in 0..windows.columns {
                        let tap = row * windows.row_step + column * windows.channels;
                        let value = windows.values[pixel * windows.step + tap + channel];
                        largest = largest.max(value);
                    }
                }
                output[pixel * windows.channels + channel] = largest.min(most as i8);
            }
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
        values: *const i8,
        output: *mut i8,
        least: u32,
        channels: usize,
        /// From the end of a row of taps to the start of the next.
        gap: usize,
        /// Bytes of a row of taps.
        row: usize,
        /// Bytes of the unrolled taps that the first round leaves out.
        skip: usize,
        rows: usize,
        /// From behind the last four channels of a window to the first of the next, in the input and the output.
        next: usize,
        output_next: usize,
        words: usize,
        pixels: usize,
        most: u32,
    }

    /// Taps that the loop is unrolled to, of four instructions of four bytes.
    const ROUNDS: usize = 4;
    const ROUND: usize = 4 * 4;

    pub(super) fn largest(windows: &Windows<'_>, [least, most]: [u32; 2], output: &mut [i8]) {
        let row = windows.columns * windows.channels;
        let arguments = Arguments {
            values: windows.values.as_ptr(),
            output: output.as_mut_ptr(),
            least,
            channels: windows.channels,
            gap: windows.row_step.wrapping_sub(row),
            row,
            skip: windows.columns.wrapping_neg() % ROUNDS * ROUND,
            rows: windows.rows,
            next: windows.step.wrapping_sub(LANES * windows.words),
            output_next: windows.channels - LANES * windows.words,
            words: windows.words,
            pixels: windows.pixels,
            most,
        };
        // SAFETY: the caller has checked that there is a tap, a window and a word of channels, that all channels of every tap of
        // every window are within the values, and those of every window within the output.
        unsafe { largest_asm(&arguments) }
    }

    /// r0 values, r1 output, r2 the least, r3 channels, r4 gap, r5 row, r6 the loop, r7 rows left, r8 the largest, r9 a value, r10
    /// taps, r11 the row's end, r12 free, lr words left.
    ///
    /// On the stack: rows, next, output_next, words, pixels left, most.
    #[unsafe(naked)]
    unsafe extern "C" fn largest_asm(arguments: &Arguments) {
        naked_asm!(
            dsp!(),
            "push {{r4-r11, lr}}",
            "add r1, r0, #28",
            "ldm r1, {{r2-r7}}",
            "push {{r2-r7}}",
            "ldm r0, {{r0-r6}}",
            "adr.w r12, 3f",
            "add r6, r6, r12",
            "adds r6, r6, #1",
            "6:",
            "ldr lr, [sp, #12]",
            "1:",
            "mov r10, r0",
            "mov r8, r2",
            "ldr r7, [sp]",
            "2:",
            "add r11, r10, r5",
            "bx r6",
            ".p2align 2",
            "3:",
            ".rept 4",
            "ldr.w r9, [r10]",
            "add.w r10, r10, r3",
            "ssub8 r12, r9, r8",
            "sel r8, r9, r8",
            ".endr",
            "cmp r10, r11",
            "bne 3b",
            "add r10, r10, r4",
            "subs r7, r7, #1",
            "bne 2b",
            "ldr r9, [sp, #20]",
            "ssub8 r12, r9, r8",
            "sel r8, r8, r9",
            "str r8, [r1], #4",
            "adds r0, r0, #4",
            "subs lr, lr, #1",
            "bne 1b",
            "ldrd r8, r9, [sp, #4]",
            "add r0, r0, r8",
            "add r1, r1, r9",
            "ldr r8, [sp, #16]",
            "subs r8, r8, #1",
            "str r8, [sp, #16]",
            "bne 6b",
            "add sp, sp, #24",
            "pop {{r4-r11, pc}}",
        )
    }
}
