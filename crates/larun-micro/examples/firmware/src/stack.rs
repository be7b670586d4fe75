//! How deep the stack has been. Start-up paints the memory between the statics and the stack; what is no longer painted
//! has been used.
#![allow(unsafe_code, reason = "the stack is read as memory")]

use cortex_m_rt::heap_start;

/// What start-up paints with.
const PAINT: u32 = 0xcccc_cccc;

/// Bytes of stack that have been in use at most.
pub fn high_water() -> u32 {
    let mut at = heap_start();
    let top = cortex_m::register::msp::read() as *mut u32;
    // SAFETY: all words from the end of the statics to the stack pointer are RAM, and nobody writes them meanwhile.
    while at < top && unsafe { at.read_volatile() } == PAINT {
        // SAFETY: not above `top`.
        at = unsafe { at.add(1) };
    }
    stack_start().saturating_sub(at as u32)
}

/// Where the stack begins: the first word of the vector table.
fn stack_start() -> u32 {
    let vectors = core::ptr::with_exposed_provenance::<u32>(0);
    // SAFETY: the vector table lies at address 0 on these boards. Volatile assembly would do as well; a plain read of
    // address 0 is something that the compiler takes for a mistake.
    let start: u32;
    unsafe {
        core::arch::asm!("ldr {0}, [{1}]", out(reg) start, in(reg) vectors, options(nostack, readonly, preserves_flags));
    }
    start
}
