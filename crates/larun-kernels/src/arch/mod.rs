//! Faster versions of whole layers, for processors that have the instructions; chosen when the crate is compiled.
//!
//! The portable kernel is the definition. A public kernel function checks its arguments, then asks the hook here of the
//! same name: `true` means that the output is computed, `false` that this processor has no faster way for these
//! arguments and the portable definition is to run. What a hook writes is, byte for byte, what the definition would.
//!
//! A hook may rely on the lengths of its slices, which are checked. Scratch memory is as the `*_scratch_len` function
//! of the hook asks, in elements of an INT16; those are asked when a node is prepared.

#[cfg(any(larun_arch = "portable", larun_arch = "armv7em"))]
mod portable;

#[cfg(any(larun_arch = "portable", larun_arch = "armv7em"))]
pub(crate) use portable::*;
