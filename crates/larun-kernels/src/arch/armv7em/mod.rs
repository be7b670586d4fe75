//! Armv7E-M with its DSP instructions: Cortex-M4, M7, and M33 with the extension.
//!
//! The loops that matter are in assembly, for two reasons: a compiler keeps the frame pointer out of their registers,
//! and does not load four words by one instruction. Each has a twin in plain Rust, which defines it: tests on any
//! processor run the layers over the twins, tests on the target run the assembly.

/// What the assembler has to be told at the start of a function of its own: on Armv8-M it forgets the options of the
/// processor that the compiler is told.
#[cfg(all(target_arch = "arm", larun_armv8m))]
macro_rules! dsp {
    () => {
        ".cpu cortex-m33"
    };
}
#[cfg(all(target_arch = "arm", not(larun_armv8m)))]
macro_rules! dsp {
    () => {
        ""
    };
}

mod add;
pub(crate) mod channels;
mod conv;
mod dense;
pub(crate) mod depthwise;
mod dsp;
#[cfg(target_arch = "arm")]
mod finish;
mod line;
mod matrix;
mod moves;
pub(crate) mod narrow;
pub(crate) mod packed;
mod patch;
mod peaks;
mod pool;
mod rows;
mod taps;
mod three;
pub(crate) mod ways;
mod windows;

#[cfg(target_arch = "arm")]
use finish::finish;

#[cfg(larun_arch = "armv7em")]
pub(crate) use super::portable::{
    average_pool_f32, conv2d_f32, depthwise_conv2d_f32, fully_connected_f32, max_pool_f32,
};
pub(crate) use add::add_i8;
pub(crate) use conv::{conv2d_i8_by, conv2d_i8_scratch_len};
pub(crate) use dense::{fully_connected_i8, fully_connected_i8_scratch_len};
pub(crate) use depthwise::{depthwise_conv2d_i8_by, depthwise_conv2d_i8_scratch_len};
pub(crate) use peaks::max_pool_i8;
pub(crate) use pool::{average_pool_i8, mean_i8};

#[cfg(test)]
mod tests;
