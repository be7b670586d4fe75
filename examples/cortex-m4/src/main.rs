//! Finds a dip in 32 points of a light curve, on a Cortex-M4F: the network is part of the program.

#![no_std]
#![no_main]

mod console;

/// What `build.rs` made of `model/transit.tflite`.
#[allow(dead_code, reason = "the program uses a part of it")]
mod transit {
    include!(concat!(env!("OUT_DIR"), "/transit.rs"));
}

use panic_halt as _;

/// The light curve, as the model takes it: one byte a point.
static FLUX: &[u8; transit::INPUT_LEN] = include_bytes!("../model/transit_flux.bin");

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(model) = cortex_m::singleton!(: transit::Model = transit::Model::new()) else {
        console::done()
    };
    let scores = model.predict(flux());
    console::text("output ");
    console::bytes(scores);
    console::text("\n");
    console::done()
}

fn flux() -> &'static [i8; transit::INPUT_LEN] {
    let values = larun_kernels::elements(FLUX);
    values.first_chunk().unwrap_or(&[0; transit::INPUT_LEN])
}
