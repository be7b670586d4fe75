//! What the programs need of their board: a console, the end of a run, a count of instructions, the stack's depth; and
//! small functions to move memory.
//!
//! The console and the end are semihosting, which QEMU and debuggers offer; replace them by your board's own. Nothing
//! here uses `core::fmt`, which is larger than a small model, and has panics of its own.

#![no_std]

pub mod console;
pub mod counter;
mod memory;
pub mod run;
pub mod stack;
