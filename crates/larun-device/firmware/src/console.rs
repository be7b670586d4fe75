//! Text to QEMU's console, and the end of the run, by semihosting.
#![allow(
    unsafe_code,
    reason = "semihosting calls are instructions of their own"
)]

use core::arch::asm;
use core::fmt;

/// Semihosting operations.
const WRITE_CHARACTER: usize = 0x03;
const EXIT: usize = 0x18;
/// Reasons to exit.
const DONE: usize = 0x20026;
const FAILED: usize = 0x20023;

/// The console for `write!`.
pub(crate) struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            call(WRITE_CHARACTER, &raw const byte as usize);
        }
        Ok(())
    }
}

/// Writes a line.
macro_rules! line {
    ($($text:tt)*) => {{
        let _ = core::fmt::Write::write_fmt(&mut crate::console::Console, format_args!($($text)*));
        let _ = core::fmt::Write::write_str(&mut crate::console::Console, "\n");
    }};
}
pub(crate) use line;

/// Ends the run: QEMU exits with status 0.
pub(crate) fn done() -> ! {
    call(EXIT, DONE);
    halt()
}

/// Ends the run after an error: QEMU exits with status 1.
pub(crate) fn fail(why: &str) -> ! {
    line!("{why}");
    call(EXIT, FAILED);
    halt()
}

#[allow(
    clippy::empty_loop,
    reason = "there is nothing left to do and nothing to sleep for"
)]
fn halt() -> ! {
    loop {}
}

#[cfg(target_arch = "arm")]
fn call(operation: usize, parameter: usize) {
    // SAFETY: the breakpoint is semihosting's, which QEMU answers; it reads the byte at `parameter` for the one operation
    // that is given an address, and changes r0 alone.
    unsafe {
        asm!("bkpt #0xab", inout("r0") operation => _, in("r1") parameter, options(nostack, preserves_flags));
    }
}

#[cfg(target_arch = "riscv32")]
fn call(operation: usize, parameter: usize) {
    // SAFETY: as for Arm; these three instructions, uncompressed, are RISC-V's semihosting call.
    unsafe {
        asm!(
            ".balign 16",
            ".option push",
            ".option norvc",
            "slli x0, x0, 0x1f",
            "ebreak",
            "srai x0, x0, 7",
            ".option pop",
            inout("a0") operation => _,
            in("a1") parameter,
            options(nostack, preserves_flags)
        );
    }
}
