//! Faster versions of whole layers, for processors that have the instructions; chosen when the crate is compiled, on x86-64 when it runs.
//!
//! The portable kernel is the definition. A public kernel function checks its arguments, then asks the hook here of the
//! same name: `true` means that the output is computed, `false` that this processor has no faster way for these
//! arguments and the portable definition is to run. What a hook writes is, byte for byte, what the definition would.
//!
//! A hook may rely on the lengths of its slices, which are checked. Scratch memory is as the `*_scratch_len` function
//! of the hook asks, in elements of an INT16; those are asked when a node is prepared.

// Tests run the loops of the Cortex-M files on any processor, over emulated instructions; code generators ask what they need.
#[cfg(any(larun_arch = "armv7em", test, feature = "processors"))]
#[cfg_attr(
    not(larun_arch = "armv7em"),
    allow(
        dead_code,
        unused_imports,
        reason = "hosts ask for sizes and tables alone"
    )
)]
pub(crate) mod armv7em;
#[cfg(test)]
pub(crate) mod cases;
#[cfg(not(larun_arch = "armv7em"))]
mod one_way;
#[cfg_attr(not(larun_arch = "portable"), allow(dead_code))]
mod portable;
#[cfg(larun_arch = "x86_64")]
mod x86_64;

#[cfg(larun_arch = "armv7em")]
pub(crate) use armv7em::*;
#[cfg(not(larun_arch = "armv7em"))]
pub(crate) use one_way::*;
#[cfg(larun_arch = "portable")]
pub(crate) use portable::*;
#[cfg(larun_arch = "x86_64")]
pub(crate) use x86_64::*;

/// Runs `f`; there are no other instructions to choose from.
#[cfg(not(larun_arch = "x86_64"))]
#[inline]
pub(crate) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    f()
}
