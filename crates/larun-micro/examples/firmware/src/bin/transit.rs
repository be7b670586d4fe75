//! Finds a dip in 32 points of a light curve: a model of 1 KB of arena, for boards with little memory.

#![no_std]
#![no_main]

use larun_firmware_example::{console, run::run};
use larun_micro::{Arena, Registration, include_model, ops};
use panic_halt as _;

/// The model, where the linker puts it: in flash.
static MODEL: &[u8] = include_model!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../fixtures/transit.tflite"
));

/// Percent above or below the mean: a dip of 40 % at the twelfth point.
static FLUX: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../fixtures/transit_flux.bin"
));

/// What is linked.
const KERNELS: &[Registration] = ops![Conv2D<Narrow>, FullyConnected, MaxPool2D<Definition>, Reshape, Softmax];

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(arena) = cortex_m::singleton!(: Arena<2048> = Arena::new()) else {
        console::fail("the arena is in use");
    };
    run(MODEL, KERNELS, arena, FLUX)
}
