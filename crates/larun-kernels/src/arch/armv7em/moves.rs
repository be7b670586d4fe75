//! Moving a few values: copies that are too short for a call of `memcpy`, and widening to 16 bits on the way.
#![cfg_attr(
    target_arch = "arm",
    allow(
        unsafe_code,
        reason = "loops in assembly, over memory that is checked here"
    )
)]

#[cfg(not(target_arch = "arm"))]
use super::dsp::{sxtab16, sxtab16_odd, word};

/// Widens whole words of values, adds the lanes `offset`, and puts them into the patch whose first word is `patch[0]`, one
/// of `side` patches side by side.
#[inline(never)]
pub(super) fn widen(values: &[i8], offset: u32, patch: &mut [u32], side: usize) {
    let words = values.len() / 4;
    if words == 0 || patch.len() < (2 * words - 1) * side + 1 {
        return;
    }
    #[cfg(target_arch = "arm")]
    // SAFETY: `words` words of values are read, and twice as many written, `side` words apart, the last one within the
    // patch, as checked above.
    unsafe {
        core::arch::asm!(
            "subs {n}, {n}, #4",
            "blo 3f",
            "2:",
            ".rept 4",
            "ldr {raw}, [{from}], #4",
            "sxtab16 {low}, {offset}, {raw}",
            "sxtab16 {raw}, {offset}, {raw}, ror #8",
            "str {low}, [{to}]",
            "str {raw}, [{to}, {step}]",
            "add {to}, {to}, {step}, lsl #1",
            ".endr",
            "subs {n}, {n}, #4",
            "bhs 2b",
            "3:",
            "adds {n}, {n}, #4",
            "beq 5f",
            "4:",
            "ldr {raw}, [{from}], #4",
            "sxtab16 {low}, {offset}, {raw}",
            "sxtab16 {raw}, {offset}, {raw}, ror #8",
            "str {low}, [{to}]",
            "str {raw}, [{to}, {step}]",
            "add {to}, {to}, {step}, lsl #1",
            "subs {n}, {n}, #1",
            "bne 4b",
            "5:",
            n = inout(reg) words => _,
            from = inout(reg) values.as_ptr() => _,
            to = inout(reg) patch.as_mut_ptr() => _,
            offset = in(reg) offset,
            raw = out(reg) _,
            low = out(reg) _,
            step = in(reg) side * size_of::<u32>(),
            options(nostack),
        );
    }
    #[cfg(not(target_arch = "arm"))]
    for (at, values) in values.as_chunks().0.iter().enumerate() {
        let values = word(*values);
        patch[2 * at * side] = sxtab16(offset, values);
        patch[(2 * at + 1) * side] = sxtab16_odd(offset, values);
    }
}

/// Copies to the start of `to`, which may be longer.
#[inline(always)]
pub(crate) fn copy(from: &[i8], to: &mut [i8]) {
    let Some(to) = to.get_mut(..from.len()) else {
        return;
    };
    #[cfg(target_arch = "arm")]
    // SAFETY: both slices have the length that is copied, by words at any address, then by bytes.
    unsafe {
        core::arch::asm!(
            "subs {n}, {n}, #4",
            "blo 3f",
            "2:",
            "ldr {value}, [{from}], #4",
            "str {value}, [{to}], #4",
            "subs {n}, {n}, #4",
            "bhs 2b",
            "3:",
            "adds {n}, {n}, #4",
            "beq 5f",
            "4:",
            "ldrb {value}, [{from}], #1",
            "strb {value}, [{to}], #1",
            "subs {n}, {n}, #1",
            "bne 4b",
            "5:",
            n = inout(reg) from.len() => _,
            from = inout(reg) from.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            value = out(reg) _,
            options(nostack),
        );
    }
    #[cfg(not(target_arch = "arm"))]
    to.copy_from_slice(from);
}
