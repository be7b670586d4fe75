//! Text to the serial port of QEMU's virt machine, and the end of the run. Replace it by your board's console.
#![allow(unsafe_code, reason = "the devices' registers are at fixed addresses")]

/// The serial port's transmit register.
const SERIAL: *mut u8 = 0x1000_0000 as *mut u8;
/// The device that ends the run, and the word that says that all is well.
const FINISHER: *mut u32 = 0x0010_0000 as *mut u32;
const PASS: u32 = 0x5555;

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
    // SAFETY: the register is the device's own, and nobody else uses it.
    unsafe { FINISHER.write_volatile(PASS) }
    loop {
        core::hint::spin_loop();
    }
}

fn digit(value: u8) {
    character(if value < 10 { b'0' + value } else { b'a' + value - 10 });
}

fn character(byte: u8) {
    // SAFETY: as above; QEMU's port is always ready.
    unsafe { SERIAL.write_volatile(byte) }
}
