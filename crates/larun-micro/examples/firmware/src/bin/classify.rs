//! Classifies a light curve with LarunNet-Spectral.
//!
//! No panic is linked: whatever the model's bytes, the program says what is wrong and goes on.

#![no_std]
#![no_main]

use larun_firmware_example::{console, stack};
use larun_micro::{Arena, Interpreter, Registration, include_model, ops};
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
const KERNELS: &[Registration] =
    ops![Conv2D, DepthwiseConv2D, MaxPool2D, Mean, FullyConnected, Softmax, Reshape];

/// Bytes that the model takes: `larun plan model.tflite` says how many.
const ARENA: usize = 11_968;

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(arena) = cortex_m::singleton!(: Arena<ARENA> = Arena::new()) else {
        console::fail("the arena is in use");
    };
    let Ok(mut interpreter) = Interpreter::new(MODEL, KERNELS, arena) else {
        console::fail("the model cannot be loaded");
    };
    let Ok(input) = interpreter.input_bytes_mut(0) else {
        console::fail("the model has no input");
    };
    for (place, &point) in input.iter_mut().zip(CURVE) {
        *place = point;
    }
    if interpreter.invoke().is_err() {
        console::fail("the inference failed");
    }
    let Ok(scores) = interpreter.output_bytes(0) else {
        console::fail("the model has no output");
    };
    console::text("output ");
    console::bytes(scores);
    console::text("\n");
    console::line("arena", interpreter.arena_bytes() as u32);
    console::line("stack", stack::high_water());
    console::done()
}
