//! Runs a model and says what it took: instructions, arena, stack. `cargo xtask firmware` drives it.

#![no_std]
#![no_main]

use larun_firmware_example::{console, counter, stack};
use larun_micro::{Arena, Interpreter, include_model};
use panic_halt as _;

include!(concat!(env!("OUT_DIR"), "/measured.rs"));

static MODEL: &[u8] = include_model!(concat!(env!("OUT_DIR"), "/model.tflite"));
static INPUTS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/inputs.bin"));

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(arena) = cortex_m::singleton!(: Arena<ARENA> = Arena::new()) else {
        console::fail("the arena is in use");
    };
    let mut loaded = None;
    let loading = counter::instructions(|| {
        let result = Interpreter::new(MODEL, KERNELS, arena);
        #[cfg(feature = "explain")]
        if let Err(error) = &result {
            let _ = core::fmt::Write::write_fmt(&mut console::Console, format_args!("{error}\n"));
        }
        loaded = result.ok();
    });
    let Some(mut interpreter) = loaded else {
        console::fail("the model cannot be loaded");
    };
    set_inputs(&mut interpreter);
    let mut ran = false;
    let running = counter::instructions(|| ran = interpreter.invoke().is_ok());
    if !ran {
        console::fail("the inference failed");
    }
    for index in 0..interpreter.output_count() {
        if let Ok(bytes) = interpreter.output_bytes(index) {
            console::text("output ");
            console::bytes(bytes);
            console::text("\n");
        }
    }
    console::line("load", loading);
    console::line("invoke", running);
    console::line("arena", interpreter.arena_bytes() as u32);
    console::line("stack", stack::high_water());
    console::done()
}

fn set_inputs(interpreter: &mut Interpreter<'_, '_>) {
    let mut rest = INPUTS;
    for index in 0..interpreter.input_count() {
        if let Ok(input) = interpreter.input_bytes_mut(index) {
            let (bytes, behind) = rest.split_at_checked(input.len()).unwrap_or((rest, &[]));
            for (place, &byte) in input.iter_mut().zip(bytes) {
                *place = byte;
            }
            rest = behind;
        }
    }
}
