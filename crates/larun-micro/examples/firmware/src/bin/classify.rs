//! Classifies a light curve with LarunNet-Spectral: 12 KB of arena, 4 KB of stack.

#![no_std]
#![no_main]

use larun_firmware_example::{console, run::run};
use larun_micro::{Arena, Registration, include_model, ops};
use panic_halt as _;

/// The model, where the linker puts it: in flash.
static MODEL: &[u8] = include_model!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../../fixtures/models/spectral/model.tflite"
));

/// 1,024 points of brightness, in the model's own units.
static CURVE: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../../fixtures/models/spectral/curve.bin"
));

/// What is linked: `larun inspect --ops model.tflite` prints this list.
const KERNELS: &[Registration] = ops![
    Conv2D<Narrow, Pointwise>,
    DepthwiseConv2D<Line>,
    FullyConnected,
    MaxPool2D<FourChannels>,
    Softmax,
    Mean,
];

/// Bytes that the model takes: `larun plan model.tflite` says how many.
const ARENA: usize = 12_288;

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(arena) = cortex_m::singleton!(: Arena<ARENA> = Arena::new()) else {
        console::fail("the arena is in use");
    };
    run(MODEL, KERNELS, arena, CURVE)
}
