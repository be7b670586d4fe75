//! Products of one vector with rows of weights.
#![cfg_attr(
    target_arch = "arm",
    allow(
        unsafe_code,
        reason = "loops in assembly, over memory that is checked here"
    )
)]

/// Adds to each sum the products of the values with a row of weights, `stride` after the one before. There are as many
/// rows as begin within `weights`, and at least as many sums, an even number.
///
/// `values` are widened as a single [`patch`](super::patch): two words for four weights.
pub(super) fn multiply(values: &[u32], weights: &[i8], stride: usize, sums: &mut [i32]) {
    let len = 2 * values.len();
    let rows = match weights.len().checked_sub(len) {
        Some(rest) if stride > 0 => rest / stride + 1,
        _ => 0,
    };
    if rows == 0
        || values.is_empty()
        || !values.len().is_multiple_of(2)
        || sums.len() < rows.next_multiple_of(2)
    {
        debug_assert!(false, "slices of other lengths");
        return;
    }
    arithmetic::multiply(values, weights, stride, rows, sums);
}

/// The definition of the assembly.
#[cfg(not(target_arch = "arm"))]
mod arithmetic {
    use super::super::dsp::signed_lanes;

    pub(super) fn multiply(
        values: &[u32],
        weights: &[i8],
        stride: usize,
        rows: usize,
        sums: &mut [i32],
    ) {
        for (row, sum) in sums.iter_mut().enumerate().take(rows) {
            let weights = &weights[row * stride..];
            for (x, w) in values.chunks(2).zip(weights.chunks(4)) {
                let ([a, c], [b, d]) = (signed_lanes(x[0]), signed_lanes(x[1]));
                for (x, &w) in [a, b, c, d].into_iter().zip(w) {
                    *sum = sum.wrapping_add(x * i32::from(w));
                }
            }
        }
    }
}

#[cfg(target_arch = "arm")]
mod arithmetic {
    use core::arch::naked_asm;

    /// What the assembly is told, in the order in which it loads it.
    #[repr(C)]
    struct Arguments {
        weights: *const i8,
        stride: usize,
        sums: *mut i32,
        sums_end: *const i32,
        values: *const u32,
        /// The end of the values that come in fours of words.
        fours_end: *const u32,
        /// Whether two words are left.
        rest: u32,
        /// Bytes of the unrolled loop that the first round leaves out.
        skip: usize,
        /// From the start of the last row to that of the one that is its neighbour: itself, where rows are odd.
        last: isize,
    }

    /// Rounds that the loop over fours of words is unrolled to.
    const ROUNDS: usize = 4;

    pub(super) fn multiply(
        values: &[u32],
        weights: &[i8],
        stride: usize,
        rows: usize,
        sums: &mut [i32],
    ) {
        let aligned = (weights.as_ptr().addr() | stride).is_multiple_of(4);
        let instructions = if aligned { 19 } else { 21 };
        let fours = values.len() / 4;
        let arguments = Arguments {
            weights: weights.as_ptr(),
            stride,
            sums: sums.as_mut_ptr(),
            sums_end: sums.as_ptr().wrapping_add(rows.next_multiple_of(2)),
            values: values.as_ptr(),
            fours_end: values.as_ptr().wrapping_add(4 * fours),
            rest: u32::from(!values.len().is_multiple_of(4)),
            skip: (fours.wrapping_neg() % ROUNDS) * instructions * 4,
            last: if rows.is_multiple_of(2) {
                stride as isize
            } else {
                0
            },
        };
        // SAFETY: the caller has checked that there are weights for the values in every row, and a sum for every row, two
        // for the last of an odd number. Words of weights are loaded in pairs only where every row is aligned to words.
        unsafe {
            if aligned {
                multiply_aligned(&arguments);
            } else {
                multiply_unaligned(&arguments);
            }
        }
    }

    /// r0 and r1 rows of weights, r2 and r3 a pair of words of the first, r4 and r5 sums, r6 and r7 a pair of words of the
    /// second, r8-r11 words of values, r12 weights as lanes, lr values.
    macro_rules! body {
        ($first:literal, $second:literal) => {
            concat!(
                "push {{r4-r11, lr}}\n",
                "ldm r0, {{r0, r2-r9}}\n",
                "mov lr, r5\n",
                // Where the loop starts, or where it ends when there is nothing to do.
                "adr.w r12, 2f\n",
                "add r8, r8, r12\n",
                "cmp r5, r6\n",
                "it eq\n",
                "adreq.w r8, 3f\n",
                "add r8, r8, #1\n",
                // Stack: values, stride, sums, sums_end, fours_end, rest, loop, last.
                "push {{r2-r4, r6-r9}}\n",
                "push {{lr}}\n",
                "1:\n",
                "ldrd r2, r3, [sp, #4]\n",
                "ldrd r4, r5, [r3]\n",
                "add r3, r3, #8\n",
                "ldr r6, [sp, #12]\n",
                "str r3, [sp, #8]\n",
                "cmp r3, r6\n",
                "it eq\n",
                "ldreq r2, [sp, #28]\n",
                "add r1, r0, r2\n",
                "ldr lr, [sp]\n",
                "ldr pc, [sp, #24]\n",
                ".p2align 2\n",
                "2:\n",
                ".rept 4\n",
                "ldmia.w lr!, {{r8-r11}}\n",
                $first,
                $second,
                "sxtb16 r12, r2\n",
                "sxtb16 r2, r2, ror #8\n",
                "smlad r4, r12, r8, r4\n",
                "sxtb16 r12, r6\n",
                "smlad r4, r2, r9, r4\n",
                "sxtb16 r6, r6, ror #8\n",
                "smlad r5, r12, r8, r5\n",
                "sxtb16 r12, r3\n",
                "smlad r5, r6, r9, r5\n",
                "sxtb16 r3, r3, ror #8\n",
                "smlad r4, r12, r10, r4\n",
                "sxtb16 r12, r7\n",
                "smlad r4, r3, r11, r4\n",
                "sxtb16 r7, r7, ror #8\n",
                "smlad r5, r12, r10, r5\n",
                "smlad r5, r7, r11, r5\n",
                ".endr\n",
                "ldr r12, [sp, #16]\n",
                "cmp lr, r12\n",
                "bne 2b\n",
                ".p2align 2\n",
                "3:\n",
                "ldr r12, [sp, #20]\n",
                "cmp r12, #0\n",
                "beq 4f\n",
                "ldr r2, [r0], #4\n",
                "ldr r3, [r1], #4\n",
                "ldrd r8, r9, [lr], #8\n",
                "sxtb16 r12, r2\n",
                "sxtb16 r2, r2, ror #8\n",
                "smlad r4, r12, r8, r4\n",
                "sxtb16 r12, r3\n",
                "smlad r4, r2, r9, r4\n",
                "sxtb16 r3, r3, ror #8\n",
                "smlad r5, r12, r8, r5\n",
                "smlad r5, r3, r9, r5\n",
                "4:\n",
                // On from the end of the second row to the start of the third.
                "ldrd r6, r2, [sp]\n",
                "subs r6, lr, r6\n",
                "sub r6, r2, r6, lsr #1\n",
                "add r0, r1, r6\n",
                "ldrd r6, r7, [sp, #8]\n",
                "strd r4, r5, [r6, #-8]\n",
                "cmp r6, r7\n",
                "bne 1b\n",
                "add sp, sp, #32\n",
                "pop {{r4-r11, pc}}\n",
            )
        };
    }

    #[unsafe(naked)]
    unsafe extern "C" fn multiply_aligned(arguments: &Arguments) {
        naked_asm!(
            dsp!(),
            body!("ldrd r2, r3, [r0], #8\n", "ldrd r6, r7, [r1], #8\n")
        )
    }

    #[unsafe(naked)]
    unsafe extern "C" fn multiply_unaligned(arguments: &Arguments) {
        naked_asm!(
            dsp!(),
            body!(
                "ldr.w r2, [r0], #4\nldr.w r3, [r0], #4\n",
                "ldr.w r6, [r1], #4\nldr.w r7, [r1], #4\n"
            )
        )
    }
}
