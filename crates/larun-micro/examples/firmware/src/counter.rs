//! Instructions, by a timer of QEMU's boards. On hardware, use the cycle counter instead.
#![allow(unsafe_code, reason = "the timer's registers are at fixed addresses")]

/// The first timer of QEMU's `mps2` boards: counts down at 25 MHz.
const TIMER: *mut u32 = 0x4000_0000 as *mut u32;
const ENABLE: u32 = 1;
/// The Cortex-M0's board has other timers.
const HAS_TIMER: bool = cfg!(target_abi = "eabihf");
/// Nanoseconds of an instruction under `-icount shift=8`, and of a tick.
const INSTRUCTION_NS: u64 = 256;
const TICK_NS: u64 = 40;

/// Instructions that `work` takes, the call included. 0 where the board has no such timer.
pub fn instructions(work: impl FnOnce()) -> u32 {
    if !HAS_TIMER {
        work();
        return 0;
    }
    start();
    let before = value();
    work();
    let ticks = u64::from(before.wrapping_sub(value()));
    (ticks * TICK_NS / INSTRUCTION_NS) as u32
}

fn start() {
    // SAFETY: control, value and reload are the timer's first three registers; nobody else uses it.
    unsafe {
        TIMER.add(1).write_volatile(u32::MAX);
        TIMER.add(2).write_volatile(u32::MAX);
        TIMER.write_volatile(ENABLE);
    }
}

fn value() -> u32 {
    // SAFETY: the timer's second register, read only here.
    unsafe { TIMER.add(1).read_volatile() }
}
