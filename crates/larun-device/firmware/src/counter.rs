//! Instructions, by a timer of QEMU's boards or RISC-V's own counter.
#![allow(
    unsafe_code,
    reason = "the timer's registers are at fixed addresses, the counter is read by an instruction"
)]

use core::arch::asm;

/// Instructions of [`known`], about: what surrounds the loop are a few.
pub(crate) const KNOWN: u32 = 10_000;

/// A loop of two instructions, five thousand times.
#[inline(never)]
pub(crate) fn known() {
    // SAFETY: the loop changes its own register alone.
    #[cfg(target_arch = "arm")]
    unsafe {
        asm!("1:", "subs {n}, {n}, #1", "bne 1b", n = inout(reg) KNOWN / 2 => _, options(nostack, nomem));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "riscv32")]
    unsafe {
        asm!("1:", "addi {n}, {n}, -1", "bnez {n}, 1b", n = inout(reg) KNOWN / 2 => _, options(nostack, nomem));
    }
}

pub(crate) use clock::{now, start};

/// Instructions from one [`now`] to a later one.
pub(crate) fn between(before: u32, after: u32) -> u32 {
    clock::instructions(after.wrapping_sub(before))
}

#[cfg(target_arch = "arm")]
mod clock {
    /// The first timer of the board: counts down at 25 MHz.
    const TIMER: *mut u32 = 0x4000_0000 as *mut u32;
    const ENABLE: u32 = 1;
    /// Nanoseconds of an instruction under `-icount shift=8`, and of a tick.
    const INSTRUCTION_NS: u64 = 256;
    const TICK_NS: u64 = 40;

    pub(crate) fn start() {
        // SAFETY: control, value and reload are the timer's first three registers; nobody else uses it.
        unsafe {
            TIMER.add(1).write_volatile(u32::MAX);
            TIMER.add(2).write_volatile(u32::MAX);
            TIMER.write_volatile(ENABLE);
        }
    }

    /// The time in ticks, which wraps.
    #[inline]
    pub(crate) fn now() -> u32 {
        // SAFETY: the timer's second register, read only here.
        let value = unsafe { TIMER.add(1).read_volatile() };
        value.wrapping_neg()
    }

    pub(super) fn instructions(ticks: u32) -> u32 {
        (u64::from(ticks) * TICK_NS / INSTRUCTION_NS) as u32
    }
}

#[cfg(target_arch = "riscv32")]
mod clock {
    use super::asm;

    pub(crate) fn start() {}

    /// Instructions since the start; wraps.
    #[inline]
    pub(crate) fn now() -> u32 {
        let count;
        // SAFETY: reads a counter.
        unsafe {
            asm!("csrr {0}, minstret", out(reg) count, options(nostack, nomem));
        }
        count
    }

    pub(super) fn instructions(count: u32) -> u32 {
        count
    }
}
