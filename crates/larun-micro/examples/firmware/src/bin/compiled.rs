//! Runs a model that was compiled to source, and says what it took: instructions, RAM, stack. `cargo xtask bench firmware`
//! drives it; the model has one input and one output of INT8.

#![no_std]
#![no_main]

use larun_firmware_example::{console, counter, stack};
use panic_halt as _;

#[allow(dead_code, reason = "the program uses a part of what is generated")]
mod model {
    include!(concat!(env!("OUT_DIR"), "/compiled.rs"));
}

static INPUTS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/inputs.bin"));

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(compiled) = cortex_m::singleton!(: model::Model = model::Model::new()) else {
        console::fail("the model is in use");
    };
    let Some(input) = larun_kernels::elements(INPUTS).first_chunk() else {
        console::fail("too few inputs");
    };
    let mut output = [0; model::OUTPUT_LEN];
    let running = counter::instructions(|| {
        for (place, &value) in output.iter_mut().zip(compiled.predict(input)) {
            *place = value as u8;
        }
    });
    console::text("output ");
    console::bytes(&output);
    console::text("\n");
    console::line("invoke", running);
    console::line("ram", size_of::<model::Model>() as u32);
    console::line("stack", stack::high_water());
    console::done()
}
