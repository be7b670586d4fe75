//! Text to the debugger by semihosting, and the end of the run. Replace it by your board's console.
#![allow(unsafe_code, reason = "semihosting calls are instructions of their own")]

use core::arch::asm;

const WRITE_CHARACTER: usize = 0x03;
const EXIT: usize = 0x18;
/// The reason to exit: done.
const DONE: usize = 0x20026;

/// Writes text.
pub fn text(text: &str) {
    text.bytes().for_each(character);
}

/// Writes bytes as hexadecimal digits.
pub fn bytes(bytes: &[i8]) {
    for &byte in bytes {
        digit(byte as u8 >> 4);
        digit(byte as u8 & 15);
    }
}

/// Ends the run: QEMU exits with status 0.
pub fn done() -> ! {
    call(EXIT, DONE);
    loop {
        cortex_m::asm::nop();
    }
}

fn digit(value: u8) {
    character(if value < 10 { b'0' + value } else { b'a' + value - 10 });
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
