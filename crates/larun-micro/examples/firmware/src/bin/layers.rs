//! Random layers by the kernels for this processor, against the portable definitions. `cargo xtask firmware` runs it.

#![no_std]
#![no_main]

#[path = "../../../../../larun-kernels/src/arch/cases/mod.rs"]
mod cases;

use cases::{Faster, Kind, Memory, Weighted};
use larun_firmware_example::console;
use larun_micro::Shape;
use larun_micro::kernels;
use panic_halt as _;

// By these names the cases know them.
pub(crate) use larun_micro::kernels::{
    AddQuantization, Broadcast, ConvGeometry, DenseGeometry, ImageWindow, Multipliers, OutputStage,
    WeightedQuantization, WindowAxis, portable,
};

const LAYERS: u32 = 1_000;
const KINDS: [(&str, Kind); 6] = [
    ("conv2d", Kind::Conv),
    ("depthwise_conv2d", Kind::Depthwise),
    ("fully_connected", Kind::Dense),
    ("add", Kind::Add),
    ("average_pool", Kind::AveragePool),
    ("max_pool", Kind::MaxPool),
];

#[cortex_m_rt::entry]
fn main() -> ! {
    let memory = cortex_m::singleton!(: Memory = Memory::NEW);
    let Some(memory) = memory else {
        console::fail("the memory is in use");
    };
    for seed in 0..LAYERS {
        for (name, kind) in KINDS {
            if memory.agrees(kind, u64::from(seed), &ForThisProcessor) == Some(false) {
                console::line(name, seed);
                console::fail("the bytes differ");
            }
        }
    }
    console::line("layers", LAYERS * KINDS.len() as u32);
    console::done()
}

/// The kernels as a program calls them.
struct ForThisProcessor;

impl Faster for ForThisProcessor {
    fn conv2d_i8(
        &self,
        geometry: &ConvGeometry,
        w: &Weighted<'_>,
        output: &mut [i8],
        scratch: &mut [i16],
    ) -> bool {
        let q = &w.quantization;
        kernels::conv2d_i8(geometry, q, w.input, w.filter, w.bias, output, scratch).is_ok()
    }

    fn depthwise_conv2d_i8(
        &self,
        window: &ImageWindow,
        w: &Weighted<'_>,
        output: &mut [i8],
        scratch: &mut [i16],
    ) -> bool {
        let q = &w.quantization;
        kernels::depthwise_conv2d_i8(window, q, w.input, w.filter, w.bias, output, scratch).is_ok()
    }

    fn fully_connected_i8(
        &self,
        geometry: &DenseGeometry,
        w: &Weighted<'_>,
        output: &mut [i8],
        scratch: &mut [i16],
    ) -> bool {
        let q = &w.quantization;
        kernels::fully_connected_i8(geometry, q, w.input, w.filter, w.bias, output, scratch).is_ok()
    }

    fn add_i8(
        &self,
        quantization: &AddQuantization,
        a: &[i8],
        b: &[i8],
        output: &mut [i8],
    ) -> bool {
        let broadcast = Shape::new(&[a.len()]).and_then(|shape| Broadcast::new(&shape, &shape));
        broadcast.is_some_and(|broadcast| {
            kernels::add_i8(&broadcast, quantization, a, b, output).is_ok()
        })
    }

    fn average_pool_i8(
        &self,
        window: &ImageWindow,
        stage: &OutputStage,
        input: &[i8],
        output: &mut [i8],
    ) -> bool {
        kernels::average_pool_i8(window, stage, input, output).is_ok()
    }

    fn max_pool_i8(
        &self,
        window: &ImageWindow,
        stage: &OutputStage,
        input: &[i8],
        output: &mut [i8],
    ) -> bool {
        kernels::max_pool_i8(window, stage, input, output).is_ok()
    }
}
