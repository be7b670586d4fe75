//! Products of widened inputs with weights that were packed on a host.
//!
//! A word of four weights counts as two 16-bit lanes `256 odd + even`, the low byte of which is the even one. With `x` for
//! inputs, `lane * x_odd + even * (256 x_even + 127 - x_odd)` is `256 (odd * x_odd + even * x_even) + 127 even`: both
//! products together take one instruction to separate a lane's byte where two lanes would take two. The constant goes into the
//! bias, and sums are 256 times what they stand for, which a host has seen to fit.
#![cfg_attr(
    target_arch = "arm",
    allow(
        unsafe_code,
        reason = "loops in assembly, over memory that is checked here"
    )
)]

use super::channels::{Channel, Finish};
pub(crate) use super::moves::copy;
use crate::OutputStage;

/// Pixels that are computed side by side.
pub(crate) const SIDE: usize = 5;
/// Units that are computed side by side, whose weights alternate word by word.
pub(crate) const UNITS: usize = 4;

/// Units of a packed dense layer, and how their sums become outputs.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a> {
    pub(crate) weights: &'a [u32],
    /// Words of a unit, an even number above 0.
    pub(crate) words: usize,
    /// One for each unit. The biases are 256 times as large.
    pub(crate) channels: &'a [Channel],
    pub(crate) stage: OutputStage,
}

/// Filters of a convolution as a *stream*, in the order in which they are read: what the sums of the first one start from,
/// then for each filter its words of weights, multiplier, rounding, shift, and what the sums of the next one start from. Behind
/// the last comes [`LAST`]. What sums start from is 256 times as large; the upper bits of a shift are the [place](place) of the
/// filter's output.
#[derive(Clone, Copy)]
pub(crate) struct Filters<'a> {
    stream: &'a [u32],
    /// Words of a filter's weights, an even number above 0.
    words: usize,
    stage: OutputStage,
    /// Whether scales are as [`fixed`] makes them.
    fixed: bool,
    /// From the output of the first filter to that of the last.
    reach: usize,
}

/// Words of a filter in the stream beside its weights.
pub(crate) const BESIDE: usize = 4;
/// What no sum starts from: there is no further filter.
pub(crate) const LAST: i32 = i32::MIN;

/// Words of a stream.
pub(crate) const fn stream_words(filters: usize, words: usize) -> usize {
    1 + filters * (words + BESIDE)
}

impl<'a> Filters<'a> {
    /// The filters of a stream; `None` where it is not the stream of so many.
    pub(crate) fn new(
        stream: &'a [u32],
        (count, words): (usize, usize),
        stage: OutputStage,
        fixed: bool,
    ) -> Option<Self> {
        let own = stream.get(1..stream_words(count, words))?;
        let is_stream = words > 0 && words.is_multiple_of(2) && own.last() == Some(&(LAST as u32));
        let shifts = own.iter().skip(words + 2).step_by(words + BESIDE);
        let reach = shifts.map(|&shift| place(shift)).max()?;
        is_stream.then_some(Self {
            stream,
            words,
            stage,
            fixed,
            reach,
        })
    }
}

#[cfg(any(not(target_arch = "arm"), test))]
/// The shift that all outputs of [fixed] filters have in common.
const FIXED_SHIFT: u32 = 12;

/// How far the output of a filter is behind that of the first.
const fn place(shift: u32) -> usize {
    (shift >> 8) as usize
}

/// A channel with its place as the upper bits of its shift.
#[cfg(any(test, feature = "processors"))]
pub(crate) const fn with_place(
    [bias, multiplier, rounding, shift]: Channel,
    place: usize,
) -> Channel {
    [bias, multiplier, rounding, shift | (place << 8) as i32]
}

/// A channel of a rectified layer whose multiplier is such that the shift behind the multiplication is [`FIXED_SHIFT`]: one
/// instruction shifts and saturates. `None` where no such multiplier gives the same outputs of all sums from the least to the
/// most that there can be.
///
/// With `a` for the sum and `s` for the shift, the definition is the floor of `(a * multiplier + 2^30) / 2^31` plus the
/// rounding, shifted by `s`. Of a sum that is `256 a`, the high half of its product with `2^(5 - s)` times the multiplier
/// comes to the same but for the bits that the multiplier loses. What counts is where the output steps up: if every step is
/// at the same sum, the bits that are lost are of no account.
#[cfg(any(test, feature = "processors"))]
pub(crate) fn fixed(channel: Channel, sums: [i64; 2]) -> Option<Channel> {
    let [bias, multiplier, rounding, shift] = channel;
    if multiplier == i32::MAX && shift == 24 {
        // A step: all that counts is the sign, which is all that the multiplication leaves.
        return Some([bias, 1, (rounding >> 24) << FIXED_SHIFT, 0]);
    }
    if !(5..=11).contains(&shift) {
        return None;
    }
    let fewer = shift - 5;
    let nearest = (i64::from(multiplier) + (1 << fewer >> 1)) >> fewer;
    // The rounding is in units of `2^-shift`, which become those of `2^-FIXED_SHIFT`; the first rounding's half goes with it.
    let sooner = (rounding << (12 - shift)) + (1 << (11 - shift));
    let around = [0_i32, 1, -1, 2, -2, 3, -3];
    let candidates = around
        .iter()
        .flat_map(|&by| around.map(|add| (nearest + i64::from(by), sooner + add)));
    let found = candidates
        .filter_map(|(multiplier, rounding)| Some((i32::try_from(multiplier).ok()?, rounding)))
        .find(|&candidate| steps_alike(channel, candidate, sums));
    found.map(|(multiplier, rounding)| [bias, multiplier, rounding, 0])
}

/// Whether outputs step up at the same sums, as far as they are between the least and the most.
#[cfg(any(test, feature = "processors"))]
fn steps_alike(
    [_, multiplier, rounding, shift]: Channel,
    (fixed_multiplier, fixed_rounding): (i32, i32),
    [least, most]: [i64; 2],
) -> bool {
    // The least sum whose product is so large.
    let first = |product: i64, multiplier: i32| {
        let multiplier = i64::from(multiplier);
        let sum = product.div_euclid(multiplier) + i64::from(product.rem_euclid(multiplier) > 0);
        sum.clamp(least, most + 1)
    };
    (-127..=127_i64).all(|output| {
        let product = (output << (31 + shift)) - (1 << 30) - (i64::from(rounding) << 31);
        let fixed = ((output << FIXED_SHIFT) - i64::from(fixed_rounding)) << 24;
        first(product, multiplier) == first(fixed, fixed_multiplier)
    })
}

/// Widens words of values into the patch whose first word is `patch[0]`, one of `N` (1 or [`SIDE`]) side by side.
pub(crate) fn widen<const N: usize>(values: &[i8], patch: &mut [u32]) {
    widen_rows::<N>(values, 0, [1, values.len() / 4 * 4], patch);
}

/// Widens `rows` rows of `run` values each, a multiple of four, that begin `step` after each other.
#[inline(never)]
pub(crate) fn widen_rows<const N: usize>(
    values: &[i8],
    step: usize,
    [rows, run]: [usize; 2],
    patch: &mut [u32],
) {
    let words = run / 4;
    let total = rows * words;
    if total == 0 || (rows - 1) * step + run > values.len() || patch.len() < (2 * total - 1) * N + 1
    {
        return;
    }
    #[cfg(target_arch = "arm")]
    // SAFETY: `words` words of values are read in each row, the last of which ends within `values`, and twice as many
    // written, `N` words apart, the last one within the patch, as checked above.
    unsafe {
        core::arch::asm!(
            "1:",
            "lsrs {rounds}, {words}, #2",
            "beq 3f",
            "2:",
            "ldr {raw}, [{from}], #4",
            "sxtb16 {odd}, {raw}, ror #8",
            "rev16 {raw}, {raw}",
            "eor {raw}, {raw}, #0x7f007f",
            "str {odd}, [{to}]",
            "str {raw}, [{to}, #{s1}]",
            "ldr {raw}, [{from}], #4",
            "sxtb16 {odd}, {raw}, ror #8",
            "rev16 {raw}, {raw}",
            "eor {raw}, {raw}, #0x7f007f",
            "str {odd}, [{to}, #{s2}]",
            "str {raw}, [{to}, #{s3}]",
            "ldr {raw}, [{from}], #4",
            "sxtb16 {odd}, {raw}, ror #8",
            "rev16 {raw}, {raw}",
            "eor {raw}, {raw}, #0x7f007f",
            "str {odd}, [{to}, #{s4}]",
            "str {raw}, [{to}, #{s5}]",
            "ldr {raw}, [{from}], #4",
            "sxtb16 {odd}, {raw}, ror #8",
            "rev16 {raw}, {raw}",
            "eor {raw}, {raw}, #0x7f007f",
            "str {odd}, [{to}, #{s6}]",
            "str {raw}, [{to}, #{s7}]",
            "add {to}, {to}, #{s8}",
            "subs {rounds}, {rounds}, #1",
            "bne 2b",
            "3:",
            "ands {rounds}, {words}, #3",
            "beq 5f",
            "4:",
            "ldr {raw}, [{from}], #4",
            "sxtb16 {odd}, {raw}, ror #8",
            "rev16 {raw}, {raw}",
            "eor {raw}, {raw}, #0x7f007f",
            "str {odd}, [{to}]",
            "str {raw}, [{to}, #{s1}]",
            "add {to}, {to}, #{s2}",
            "subs {rounds}, {rounds}, #1",
            "bne 4b",
            "5:",
            "add {from}, {from}, {gap}",
            "subs {rows}, {rows}, #1",
            "bne 1b",
            words = in(reg) words,
            rounds = out(reg) _,
            rows = inout(reg) rows => _,
            from = inout(reg) values.as_ptr() => _,
            gap = in(reg) step.wrapping_sub(run),
            to = inout(reg) patch.as_mut_ptr() => _,
            raw = out(reg) _,
            odd = out(reg) _,
            s1 = const 4 * N,
            s2 = const 8 * N,
            s3 = const 12 * N,
            s4 = const 16 * N,
            s5 = const 20 * N,
            s6 = const 24 * N,
            s7 = const 28 * N,
            s8 = const 32 * N,
            options(nostack),
        );
    }
    #[cfg(not(target_arch = "arm"))]
    for row in 0..rows {
        let own = &values[row * step..][..run];
        for (word, &[a, b, c, d]) in own.as_chunks().0.iter().enumerate() {
            let at = row * words + word;
            let lanes = |low: i32, high: i32| (low as u16 as u32) | ((high as u32) << 16);
            let mixed = |even: i8, odd: i8| 256 * i32::from(even) + 127 - i32::from(odd);
            patch[2 * at * N] = lanes(b.into(), d.into());
            patch[(2 * at + 1) * N] = lanes(mixed(a, b), mixed(c, d));
        }
    }
}

/// Widens [`SIDE`] pixels of `depth` values, whole words, that lie one behind the other, into patches side by side.
pub(crate) fn widen_pixels(values: &[i8], depth: usize, patch: &mut [u32]) {
    let fits = depth > 0
        && depth.is_multiple_of(4)
        && values.len() >= SIDE * depth
        && patch.len() >= SIDE * depth / 2;
    if !fits {
        debug_assert!(false, "slices of other lengths");
        return;
    }
    arithmetic::widen_pixels(values, depth, patch);
}

/// [`SIDE`] pixels of all filters' outputs, the first at the start of `output`, each `stride` after the one before. `patch` has
/// `2 * SIDE` words for each word of a filter.
pub(crate) fn side_by_side(filters: &Filters<'_>, patch: &[u32], output: &mut [i8], stride: usize) {
    let fits = patch.len() == 2 * SIDE * filters.words
        && output.len() > (SIDE - 1) * stride + filters.reach;
    if !fits {
        debug_assert!(false, "slices of other lengths");
        return;
    }
    arithmetic::side_by_side(filters, patch, output, stride);
}

/// One row of units. `values` has 2 words for each word of a unit; weights and channels come in whole blocks of
/// [`UNITS`], of which the last may have more than there are outputs.
pub(crate) fn units(packed: &Packed<'_>, values: &[u32], output: &mut [i8]) {
    let words = packed.words;
    let whole = output.len() / UNITS * UNITS;
    let padded = output.len().next_multiple_of(UNITS);
    let fits = words > 0
        && words.is_multiple_of(2)
        && values.len() == 2 * words
        && packed.weights.len() >= words * padded
        && packed.channels.len() >= padded;
    if !fits {
        debug_assert!(false, "slices of other lengths");
        return;
    }
    let (blocks, rest) = output.split_at_mut(whole);
    if !blocks.is_empty() {
        arithmetic::units(packed, values, blocks);
    }
    if !rest.is_empty() {
        let mut last = [0; UNITS];
        let behind = Packed {
            weights: packed.weights.get(whole * words..).unwrap_or(&[]),
            channels: packed.channels.get(whole..).unwrap_or(&[]),
            ..*packed
        };
        arithmetic::units(&behind, values, &mut last);
        for (to, from) in rest.iter_mut().zip(last) {
            *to = from;
        }
    }
}

/// The definition of the assembly.
#[cfg(not(target_arch = "arm"))]
mod arithmetic {
    use super::super::channels::Scale;
    use super::super::dsp::signed_lanes;
    use super::*;

    fn smlad(a: u32, b: u32, sum: i32) -> i32 {
        let ([a, c], [b, d]) = (signed_lanes(a), signed_lanes(b));
        sum.wrapping_add(a.wrapping_mul(b))
            .wrapping_add(c.wrapping_mul(d))
    }

    fn products(weights: u32, odd: u32, mixed: u32, sum: i32) -> i32 {
        let even = (weights as i8 as u16 as u32) | (((weights >> 16) as i8 as u32) << 16);
        smlad(even, mixed, smlad(weights, odd, sum))
    }

    fn finish(scale: [i32; 3], sum: i32, stage: &OutputStage) -> i8 {
        Scale::from_words(scale).apply_doubled(sum >> 7, Finish::of(stage), stage)
    }

    pub(super) fn widen_pixels(values: &[i8], depth: usize, patch: &mut [u32]) {
        for (slot, pixel) in values.chunks(depth).take(SIDE).enumerate() {
            widen::<SIDE>(pixel, &mut patch[slot..]);
        }
    }

    pub(super) fn side_by_side(
        filters: &Filters<'_>,
        patch: &[u32],
        output: &mut [i8],
        stride: usize,
    ) {
        let (words, mut rest) = (filters.words, filters.stream);
        while rest[0] != LAST as u32 {
            let (start, weights) = (rest[0] as i32, &rest[1..][..words]);
            let [multiplier, rounding, shift] = [0, 1, 2].map(|word| rest[1 + words + word] as i32);
            let place = place(shift as u32);
            for pixel in 0..SIDE {
                let words = weights.iter().zip(patch.chunks(2 * SIDE));
                let sum = words.fold(start, |sum, (&w, x)| {
                    products(w, x[pixel], x[SIDE + pixel], sum)
                });
                output[pixel * stride + place] = if filters.fixed {
                    let high = (i64::from(sum) * i64::from(multiplier)) >> 32;
                    super::super::dsp::ssat8((high as i32 + rounding) >> FIXED_SHIFT)
                } else {
                    finish([multiplier, rounding, shift & 0xFF], sum, &filters.stage)
                };
            }
            rest = &rest[words + BESIDE..];
        }
    }

    pub(super) fn units(packed: &Packed<'_>, values: &[u32], output: &mut [i8]) {
        for (unit, output) in output.iter_mut().enumerate() {
            let block = &packed.weights[unit / UNITS * UNITS * packed.words..];
            let own = block.iter().skip(unit % UNITS).step_by(UNITS);
            let words = own.zip(values.chunks(2));
            let [start, scale @ ..] = packed.channels[unit];
            let sum = words.fold(start, |sum, (&w, x)| products(w, x[0], x[1], sum));
            *output = finish(scale, sum, &packed.stage);
        }
    }
}

#[cfg(target_arch = "arm")]
mod arithmetic {
    use core::arch::naked_asm;

    use super::*;

    /// Pairs of words that the loop over units is unrolled to, of 27 instructions of four bytes.
    const ROUNDS: usize = 4;
    const ROUND: usize = 27 * 4;
    /// The same of the loop over filters, which is behind the first pair.
    const SIDE_ROUNDS: usize = 7;
    /// Words that the loop over pixels is unrolled to, of 22 instructions of four bytes.
    const PIXEL_ROUNDS: usize = 4;
    const PIXEL_ROUND: usize = 22 * 4;

    const FIXED: u32 = 3;

    /// Bytes of the unrolled loop that the first round leaves out.
    const fn skip(words: usize) -> usize {
        (words / 2).wrapping_neg() % ROUNDS * ROUND
    }

    /// The same, behind the first pair.
    const fn side_skip(words: usize) -> usize {
        match (words / 2).saturating_sub(1) {
            0 => SIDE_ROUNDS * ROUND,
            pairs => (SIDE_ROUNDS - 1 - (pairs - 1) % SIDE_ROUNDS) * ROUND,
        }
    }

    /// What the assembly for pixels is told, in the order in which it loads it.
    #[repr(C)]
    struct Pixels {
        from: *const i8,
        depth: usize,
        three_depths: usize,
        patch: *mut u32,
        skip: usize,
        patch_end: *const u32,
    }

    pub(super) fn widen_pixels(values: &[i8], depth: usize, patch: &mut [u32]) {
        let words = depth / 4;
        let arguments = Pixels {
            from: values.as_ptr(),
            depth,
            three_depths: 3 * depth,
            patch: patch.as_mut_ptr(),
            skip: words.wrapping_neg() % PIXEL_ROUNDS * PIXEL_ROUND,
            patch_end: patch.as_ptr().wrapping_add(2 * SIDE * words),
        };
        // SAFETY: the caller has checked that there are `SIDE` pixels of `words` words, at least one, and that the patch has two
        // words for each of them.
        unsafe { widen_pixels_asm(&arguments) }
    }

    /// r0 values, r1 and r2 the depth once and three times, r3 patch, r4-r8 a word of each pixel, r9-r12 and lr lanes.
    ///
    /// On the stack: the patch's end.
    #[unsafe(naked)]
    unsafe extern "C" fn widen_pixels_asm(arguments: &Pixels) {
        naked_asm!(
            dsp!(),
            "push {{r4-r11, lr}}",
            "ldm r0, {{r0-r5}}",
            "adr.w lr, 2f",
            "add r4, r4, lr",
            "adds r4, r4, #1",
            "push {{r5}}",
            "bx r4",
            ".p2align 2",
            "2:",
            ".rept 4",
            "ldr.w r5, [r0, r1]",
            "ldr.w r6, [r0, r1, lsl #1]",
            "ldr.w r7, [r0, r2]",
            "ldr.w r8, [r0, r1, lsl #2]",
            "ldr.w r4, [r0], #4",
            "sxtb16 r9, r4, ror #8",
            "sxtb16 r10, r5, ror #8",
            "sxtb16 r11, r6, ror #8",
            "sxtb16 r12, r7, ror #8",
            "sxtb16 lr, r8, ror #8",
            "stmia.w r3!, {{r9-r12, lr}}",
            "rev16.w r4, r4",
            "rev16.w r5, r5",
            "rev16.w r6, r6",
            "rev16.w r7, r7",
            "rev16.w r8, r8",
            "eor r4, r4, #0x7f007f",
            "eor r5, r5, #0x7f007f",
            "eor r6, r6, #0x7f007f",
            "eor r7, r7, #0x7f007f",
            "eor r8, r8, #0x7f007f",
            "stmia.w r3!, {{r4-r8}}",
            ".endr",
            "ldr r9, [sp]",
            "cmp r3, r9",
            "bne 2b",
            "add sp, sp, #4",
            "pop {{r4-r11, pc}}",
        )
    }

    /// What the assembly for convolutions is told, in the order in which it loads it.
    #[repr(C)]
    struct Side {
        stream: *const u32,
        patch: *const u32,
        output: *mut i8,
        stride: usize,
        three_strides: usize,
        skip: usize,
        /// Whether the unrolled loop is run through once for each filter.
        once: u32,
        patch_end: *const u32,
        /// A [`Finish`], or [`FIXED`].
        finish: u32,
        min: i32,
        max: i32,
    }

    pub(super) fn side_by_side(
        filters: &Filters<'_>,
        patch: &[u32],
        output: &mut [i8],
        stride: usize,
    ) {
        let patch = patch.as_ptr_range();
        let arguments = Side {
            stream: filters.stream.as_ptr(),
            patch: patch.start,
            output: output.as_mut_ptr(),
            stride,
            three_strides: 3 * stride,
            skip: side_skip(filters.words),
            once: u32::from(filters.words / 2 <= SIDE_ROUNDS + 1),
            patch_end: patch.end,
            finish: match filters.fixed {
                true => FIXED,
                false => Finish::of(&filters.stage) as u32,
            },
            min: filters.stage.min,
            max: filters.stage.max,
        };
        // SAFETY: `Filters::new` has seen that the stream is that of at least one filter of `words` words, with `LAST` behind the
        // last; the caller has checked that the patch has `2 * SIDE` words for each word of a filter, and the output a byte for
        // each filter at every one of `SIDE` places.
        unsafe { side_by_side_asm(&arguments) }
    }

    /// r0 patch, r1 stream, r2 and r3 words of weights, r4-r8 sums, r9-r12 and lr words of the patch.
    ///
    /// On the stack: patch, output, stride once and three times, start of the loop, where to go on behind the loop, the patch's
    /// end, where to go with the sums, min, max, and where to go on from there unless the layer is fixed.
    #[unsafe(naked)]
    unsafe extern "C" fn side_by_side_asm(arguments: &Side) {
        naked_asm!(
            dsp!(),
            "push {{r4-r11, lr}}",
            "ldm r0, {{r1-r11}}",
            "adr.w lr, 2f",
            "add r6, r6, lr",
            "adds r6, r6, #1",
            "adr.w r12, 31f",
            "cmp r9, #1",
            "it eq",
            "adreq.w r12, 32f",
            "it hi",
            "adrhi.w r12, 33f",
            "add r12, r12, #1",
            "cmp r9, #3",
            "ite eq",
            "adreq.w r9, 30f",
            "adrne.w r9, 29f",
            "add r9, r9, #1",
            "cmp r7, #0",
            "ite ne",
            "movne r7, r9",
            "adreq.w r7, 28f",
            "orr r7, r7, #1",
            "push {{r2-r12}}",
            "mov r0, r2",
            "ldr r12, [r1], #4",
            "1:",
            // The first pair, on top of what the sums start from.
            "ldrd r2, r3, [r1], #8",
            "ldmia.w r0!, {{r4-r8}}",
            "smlad r4, r4, r2, r12",
            "smlad r5, r5, r2, r12",
            "smlad r6, r6, r2, r12",
            "smlad r7, r7, r2, r12",
            "smlad r8, r8, r2, r12",
            "sxtb16 r2, r2",
            "ldmia.w r0!, {{r9-r12, lr}}",
            "smlad r4, r9, r2, r4",
            "smlad r5, r10, r2, r5",
            "smlad r6, r11, r2, r6",
            "smlad r7, r12, r2, r7",
            "smlad r8, lr, r2, r8",
            "ldmia.w r0!, {{r9-r12, lr}}",
            "smlad r4, r9, r3, r4",
            "smlad r5, r10, r3, r5",
            "smlad r6, r11, r3, r6",
            "smlad r7, r12, r3, r7",
            "smlad r8, lr, r3, r8",
            "sxtb16 r3, r3",
            "ldmia.w r0!, {{r9-r12, lr}}",
            "smlad r4, r9, r3, r4",
            "smlad r5, r10, r3, r5",
            "smlad r6, r11, r3, r6",
            "smlad r7, r12, r3, r7",
            "smlad r8, lr, r3, r8",
            "ldr pc, [sp, #16]",
            ".p2align 2",
            "2:",
            ".rept 7",
            "ldrd r2, r3, [r1], #8",
            "ldmia.w r0!, {{r9-r12, lr}}",
            "smlad r4, r9, r2, r4",
            "smlad r5, r10, r2, r5",
            "smlad r6, r11, r2, r6",
            "smlad r7, r12, r2, r7",
            "smlad r8, lr, r2, r8",
            "sxtb16 r2, r2",
            "ldmia.w r0!, {{r9-r12, lr}}",
            "smlad r4, r9, r2, r4",
            "smlad r5, r10, r2, r5",
            "smlad r6, r11, r2, r6",
            "smlad r7, r12, r2, r7",
            "smlad r8, lr, r2, r8",
            "ldmia.w r0!, {{r9-r12, lr}}",
            "smlad r4, r9, r3, r4",
            "smlad r5, r10, r3, r5",
            "smlad r6, r11, r3, r6",
            "smlad r7, r12, r3, r7",
            "smlad r8, lr, r3, r8",
            "sxtb16 r3, r3",
            "ldmia.w r0!, {{r9-r12, lr}}",
            "smlad r4, r9, r3, r4",
            "smlad r5, r10, r3, r5",
            "smlad r6, r11, r3, r6",
            "smlad r7, r12, r3, r7",
            "smlad r8, lr, r3, r8",
            ".endr",
            "ldr pc, [sp, #20]",
            ".p2align 2",
            "28:", // more than one round
            "ldr r9, [sp, #24]",
            "cmp r0, r9",
            "bne 2b",
            "ldr pc, [sp, #28]",
            // From here on multiplier, rounding, shift, and what the sums of the next filter start from.
            ".p2align 2",
            "29:", // any but fixed
            "ldmia.w r1!, {{r9-r12}}",
            "asrs r4, r4, #7",
            "asrs r5, r5, #7",
            "asrs r6, r6, #7",
            "asrs r7, r7, #7",
            "asr r8, r8, #7",
            "ldr pc, [sp, #40]",
            ".p2align 2",
            "33:", // clamped
            "add r3, r10, r4, asr #31",
            "smmlar r4, r4, r9, r3",
            "add r3, r10, r5, asr #31",
            "smmlar r5, r5, r9, r3",
            "add r3, r10, r6, asr #31",
            "smmlar r6, r6, r9, r3",
            "add r3, r10, r7, asr #31",
            "smmlar r7, r7, r9, r3",
            "add r3, r10, r8, asr #31",
            "smmlar r8, r8, r9, r3",
            "asr r4, r4, r11",
            "asr r5, r5, r11",
            "asr r6, r6, r11",
            "asr r7, r7, r11",
            "asr r8, r8, r11",
            "ldrd r2, r3, [sp, #32]",
            "cmp r4, r2",
            "it lt",
            "movlt r4, r2",
            "cmp r5, r2",
            "it lt",
            "movlt r5, r2",
            "cmp r6, r2",
            "it lt",
            "movlt r6, r2",
            "cmp r7, r2",
            "it lt",
            "movlt r7, r2",
            "cmp r8, r2",
            "it lt",
            "movlt r8, r2",
            "cmp r4, r3",
            "it gt",
            "movgt r4, r3",
            "cmp r5, r3",
            "it gt",
            "movgt r5, r3",
            "cmp r6, r3",
            "it gt",
            "movgt r6, r3",
            "cmp r7, r3",
            "it gt",
            "movgt r7, r3",
            "cmp r8, r3",
            "it gt",
            "movgt r8, r3",
            "b 5f",
            ".p2align 2",
            "32:", // signed
            "add r3, r10, r4, asr #31",
            "smmlar r4, r4, r9, r3",
            "add r3, r10, r5, asr #31",
            "smmlar r5, r5, r9, r3",
            "add r3, r10, r6, asr #31",
            "smmlar r6, r6, r9, r3",
            "add r3, r10, r7, asr #31",
            "smmlar r7, r7, r9, r3",
            "add r3, r10, r8, asr #31",
            "smmlar r8, r8, r9, r3",
            "b 4f",
            ".p2align 2",
            "31:", // rectified
            "smmlar r4, r4, r9, r10",
            "smmlar r5, r5, r9, r10",
            "smmlar r6, r6, r9, r10",
            "smmlar r7, r7, r9, r10",
            "smmlar r8, r8, r9, r10",
            "4:",
            "asr r4, r4, r11",
            "asr r5, r5, r11",
            "asr r6, r6, r11",
            "asr r7, r7, r11",
            "asr r8, r8, r11",
            "ssat r4, #8, r4",
            "ssat r5, #8, r5",
            "ssat r6, #8, r6",
            "ssat r7, #8, r7",
            "ssat r8, #8, r8",
            "b 5f",
            ".p2align 2",
            "30:", // fixed
            "ldmia.w r1!, {{r9-r12}}",
            "smmla r4, r4, r9, r10",
            "smmla r5, r5, r9, r10",
            "smmla r6, r6, r9, r10",
            "smmla r7, r7, r9, r10",
            "smmla r8, r8, r9, r10",
            "ssat r4, #8, r4, asr #12",
            "ssat r5, #8, r5, asr #12",
            "ssat r6, #8, r6, asr #12",
            "ssat r7, #8, r7, asr #12",
            "ssat r8, #8, r8, asr #12",
            "5:",
            "ldm sp, {{r0, r2, r3, r9}}",
            "add r2, r2, r11, lsr #8",
            "strb r4, [r2]",
            "strb r5, [r2, r3]",
            "strb r6, [r2, r3, lsl #1]",
            "strb r7, [r2, r9]",
            "strb r8, [r2, r3, lsl #2]",
            "cmp r12, #0x80000000", // LAST
            "bne 1b",
            "add sp, sp, #44",
            "pop {{r4-r11, pc}}",
        )
    }

    /// What the assembly for units is told, in the order in which it loads it.
    #[repr(C)]
    struct Arguments {
        weights: *const u32,
        values: *const u32,
        skip: usize,
        output: *mut i8,
        channels: *const i32,
        channels_end: *const i32,
        finish: Finish,
        min: i32,
        max: i32,
        values_end: *const u32,
    }

    pub(super) fn units(packed: &Packed<'_>, values: &[u32], output: &mut [i8]) {
        let values = values.as_ptr_range();
        let channels = packed.channels.as_ptr();
        let arguments = Arguments {
            weights: packed.weights.as_ptr(),
            values: values.start,
            skip: skip(packed.words),
            output: output.as_mut_ptr(),
            channels: channels.cast(),
            channels_end: channels.wrapping_add(output.len()).cast(),
            finish: Finish::of(&packed.stage),
            min: packed.stage.min,
            max: packed.stage.max,
            values_end: values.end,
        };
        // SAFETY: the caller has checked that there are weights and channels for all outputs, a multiple of `UNITS`, and two
        // words of values for each word of weights.
        unsafe { units_asm(&arguments) }
    }

    /// r0 values, r1 weights, r2-r5 words of weights, r6, r7, r12 and lr words of values, r8-r11 sums.
    ///
    /// On the stack: values, start of the loop, output, channels, their end, finish, min, max, the values' end.
    #[unsafe(naked)]
    unsafe extern "C" fn units_asm(arguments: &Arguments) {
        naked_asm!(
            dsp!(),
            "push {{r4-r11, lr}}",
            "ldm r0, {{r1-r10}}",
            "adr lr, 2f",
            "add r3, r3, lr",
            "adds r3, r3, #1",
            "push {{r2-r10}}",
            "1:",
            "ldr r2, [sp, #12]",
            "ldr r0, [sp]",
            "ldr r8, [r2]",
            "ldr r9, [r2, #16]",
            "ldr r10, [r2, #32]",
            "ldr r11, [r2, #48]",
            "ldr pc, [sp, #4]",
            ".p2align 2",
            "2:",
            ".rept 4",
            "ldmia.w r0!, {{r6, r7, r12, lr}}",
            "ldmia.w r1!, {{r2-r5}}",
            "smlad r8, r2, r6, r8",
            "smlad r9, r3, r6, r9",
            "smlad r10, r4, r6, r10",
            "smlad r11, r5, r6, r11",
            "sxtb16 r2, r2",
            "sxtb16 r3, r3",
            "sxtb16 r4, r4",
            "sxtb16 r5, r5",
            "smlad r8, r2, r7, r8",
            "smlad r9, r3, r7, r9",
            "smlad r10, r4, r7, r10",
            "smlad r11, r5, r7, r11",
            "ldmia.w r1!, {{r2-r5}}",
            "smlad r8, r2, r12, r8",
            "smlad r9, r3, r12, r9",
            "smlad r10, r4, r12, r10",
            "smlad r11, r5, r12, r11",
            "sxtb16 r2, r2",
            "sxtb16 r3, r3",
            "sxtb16 r4, r4",
            "sxtb16 r5, r5",
            "smlad r8, r2, lr, r8",
            "smlad r9, r3, lr, r9",
            "smlad r10, r4, lr, r10",
            "smlad r11, r5, lr, r11",
            ".endr",
            "ldr r6, [sp, #32]",
            "cmp r0, r6",
            "bne 2b",
            "ldr lr, [sp, #12]",
            "ldr r0, [sp, #8]",
            "ldr r12, [sp, #20]",
            "mov r7, #4",
            // One sum after the other, each in r8.
            "6:",
            "ldmia lr!, {{r2-r5}}",
            "asr r8, r8, #7",
            "cmp r12, #0",
            "it ne",
            "addne r4, r4, r8, asr #31",
            "smmlar r8, r8, r3, r4",
            "asr r8, r8, r5",
            "cmp r12, #2",
            "beq 7f",
            "ssat r8, #8, r8",
            "8:",
            "strb r8, [r0], #1",
            "mov r8, r9",
            "mov r9, r10",
            "mov r10, r11",
            "subs r7, r7, #1",
            "bne 6b",
            "str lr, [sp, #12]",
            "str r0, [sp, #8]",
            "ldr r2, [sp, #16]",
            "cmp lr, r2",
            "bne 1b",
            "add sp, sp, #36",
            "pop {{r4-r11, pc}}",
            "7:",
            "ldrd r2, r3, [sp, #24]",
            "cmp r8, r2",
            "it lt",
            "movlt r8, r2",
            "cmp r8, r3",
            "it gt",
            "movgt r8, r3",
            "b 8b",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::channels::Scale;
    use super::*;

    #[test]
    fn fixed_channels_are_the_definition() {
        let stage = OutputStage {
            zero_point: -128,
            min: -128,
            max: 127,
        };
        let finish = Finish::of(&stage);
        let (mut count, mut alike) = (0, 0);
        for shift in 5..=11 {
            for number in 0..200_i32 {
                let multiplier =
                    (1 << 30) + (number.wrapping_mul(0x9E37_79B1_u32 as i32) as u32 >> 2) as i32;
                let rounding = ((1 << shift) >> 1) + (stage.zero_point << shift);
                let channel = [0, multiplier, rounding, shift];
                let most = 1 << (shift + 8);
                count += 1;
                let Some([_, m, r, _]) = fixed(channel, [-most, most]) else {
                    continue;
                };
                alike += 1;
                let scale = Scale::from_words([multiplier, rounding, shift]);
                for sum in -most as i32..=most as i32 {
                    let high = (i64::from(sum * 256) * i64::from(m)) >> 32;
                    let found = (high as i32 + r) >> FIXED_SHIFT;
                    let expected = scale.apply(sum, finish, &stage);
                    if found.clamp(-128, 127) as i8 != expected {
                        panic!("{channel:?} {sum}");
                    }
                }
            }
        }
        // Where sums are large and the multiplier loses many bits, there may be none.
        assert!(alike * 10 > count * 9, "{alike} of {count}");
    }
}
