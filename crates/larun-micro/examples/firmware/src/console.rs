//! Text to the debugger, and the end of the run.
#![allow(
    unsafe_code,
    reason = "semihosting calls are instructions of their own"
)]

use core::arch::asm;

/// Semihosting operations.
const WRITE_CHARACTER: usize = 0x03;
const EXIT: usize = 0x18;
/// Reasons to exit.
const DONE: usize = 0x20026;
const FAILED: usize = 0x20023;

/// Writes text.
pub fn text(text: &str) {
    text.bytes().for_each(character);
}

/// The console for `write!`.
pub struct Console;

impl core::fmt::Write for Console {
    fn write_str(&mut self, string: &str) -> core::fmt::Result {
        text(string);
        Ok(())
    }
}

/// Writes a number.
pub fn number(value: u32) {
    if value >= 10 {
        number(value / 10);
    }
    character(b'0' + (value % 10) as u8);
}

/// Writes bytes as hexadecimal digits.
pub fn bytes(bytes: &[u8]) {
    for byte in bytes {
        digit(byte >> 4);
        digit(byte & 15);
    }
}

/// Writes a name, a number and the end of the line.
pub fn line(name: &str, value: u32) {
    text(name);
    text(" ");
    number(value);
    text("\n");
}

/// Ends the run: QEMU exits with status 0.
pub fn done() -> ! {
    call(EXIT, DONE);
    halt()
}

/// Ends the run after an error: QEMU exits with status 1.
pub fn fail(why: &str) -> ! {
    text(why);
    text("\n");
    call(EXIT, FAILED);
    halt()
}

fn halt() -> ! {
    loop {
        cortex_m::asm::nop();
    }
}

fn digit(value: u8) {
    character(if value < 10 {
        b'0' + value
    } else {
        b'a' + value - 10
    });
}

fn character(byte: u8) {
    call(WRITE_CHARACTER, &raw const byte as usize);
}

fn call(operation: usize, parameter: usize) {
    // SAFETY: the breakpoint is semihosting's, which the debugger or QEMU answers; it reads the byte at `parameter` for
    // the one operation that is given an address, and changes r0 alone.
    unsafe {
        asm!("bkpt #0xab", inout("r0") operation => _, in("r1") parameter, options(nostack, preserves_flags));
    }
}
