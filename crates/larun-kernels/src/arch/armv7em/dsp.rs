//! Single instructions, and how other processors emulate them, for tests.
#![cfg_attr(
    target_arch = "arm",
    allow(unsafe_code, reason = "instructions that the language has no name for")
)]

/// Adds bytes 0 and 2, widened, to the lanes.
#[inline(always)]
pub(super) fn sxtab16(lanes: u32, bytes: u32) -> u32 {
    #[cfg(target_arch = "arm")]
    {
        let result;
        // SAFETY: the instruction only computes on registers; it does not touch memory or the stack.
        unsafe {
            core::arch::asm!("sxtab16 {}, {}, {}", out(reg) result, in(reg) lanes, in(reg) bytes,
                options(pure, nomem, nostack, preserves_flags));
        }
        result
    }
    #[cfg(not(target_arch = "arm"))]
    {
        let lane = |shift: u32| {
            let sum = ((bytes >> shift) as i8 as i16).wrapping_add((lanes >> shift) as i16);
            u32::from(sum as u16) << shift
        };
        lane(0) | lane(16)
    }
}

/// Adds bytes 1 and 3, widened, to the lanes.
#[inline(always)]
pub(super) fn sxtab16_odd(lanes: u32, bytes: u32) -> u32 {
    sxtab16(lanes, bytes >> 8)
}

/// The high half of a product, rounded, ties up, added to `accumulator`.
#[inline(always)]
pub(super) fn smmlar(a: i32, b: i32, accumulator: i32) -> i32 {
    #[cfg(target_arch = "arm")]
    {
        let result;
        // SAFETY: the instruction only computes on registers; it does not touch memory or the stack.
        unsafe {
            core::arch::asm!("smmlar {}, {}, {}, {}", out(reg) result, in(reg) a, in(reg) b,
                in(reg) accumulator, options(pure, nomem, nostack, preserves_flags));
        }
        result
    }
    #[cfg(not(target_arch = "arm"))]
    {
        let rounded = i64::from(a) * i64::from(b) + (1 << 31);
        accumulator.wrapping_add((rounded >> 32) as i32)
    }
}

/// The nearest INT8.
#[inline(always)]
pub(super) fn ssat8(value: i32) -> i8 {
    #[cfg(target_arch = "arm")]
    {
        let result: i32;
        // SAFETY: the instruction only computes on registers; it does not touch memory or the stack.
        unsafe {
            core::arch::asm!("ssat {}, #8, {}", out(reg) result, in(reg) value,
                options(pure, nomem, nostack, preserves_flags));
        }
        result as i8
    }
    #[cfg(not(target_arch = "arm"))]
    {
        value.clamp(-128, 127) as i8
    }
}

/// Two values as lanes, the first in the low half.
#[inline(always)]
pub(super) const fn lanes(low: i32, high: i32) -> u32 {
    (low as u16 as u32) | ((high as u32) << 16)
}

/// The low lanes of two words.
#[inline(always)]
pub(super) const fn low_halves(low: u32, high: u32) -> u32 {
    (low & 0xFFFF) | (high << 16)
}

/// The high lanes of two words.
#[inline(always)]
pub(super) const fn high_halves(low: u32, high: u32) -> u32 {
    (low >> 16) | (high & 0xFFFF_0000)
}

/// The low and the high lane, signed.
#[cfg(not(target_arch = "arm"))]
pub(super) const fn signed_lanes(pair: u32) -> [i32; 2] {
    [pair as i16 as i32, pair as i32 >> 16]
}

/// Four neighbouring bytes as a word.
#[inline(always)]
pub(super) const fn word(bytes: [i8; 4]) -> u32 {
    let [a, b, c, d] = bytes;
    u32::from_le_bytes([a as u8, b as u8, c as u8, d as u8])
}
