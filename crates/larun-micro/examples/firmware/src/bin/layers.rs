//! Random layers by the kernels for this processor, against the portable definitions. `cargo xtask firmware` runs it.

#![no_std]
#![no_main]

#[path = "../../../../../larun-kernels/src/arch/cases.rs"]
mod cases;

use cases::{Layer, ROOM};
use larun_firmware_example::console;
use larun_micro::Shape;
use larun_micro::kernels::{self, portable};
use panic_halt as _;

// By these names the cases know them.
pub(crate) use larun_micro::kernels::{
    AddQuantization, Broadcast, ConvGeometry, DenseGeometry, ImageWindow, Multipliers, OutputStage,
    WeightedQuantization, WindowAxis,
};

const LAYERS: u32 = 1_000;

/// What both ways write, and what they work in.
struct Memory {
    scratch: [i16; 2 * ROOM],
    expected: [i8; ROOM],
    found: [i8; ROOM],
}

#[cortex_m_rt::entry]
fn main() -> ! {
    let memory = cortex_m::singleton!(: Memory = Memory {
        scratch: [0; 2 * ROOM],
        expected: [0; ROOM],
        found: [0; ROOM],
    });
    let Some(memory) = memory else {
        console::fail("the memory is in use");
    };
    for seed in 0..LAYERS {
        for (name, check) in CHECKS {
            if check(&mut Layer::new(u64::from(seed)), memory) == Some(false) {
                console::line(name, seed);
                console::fail("the bytes differ");
            }
        }
    }
    console::line("layers", LAYERS * CHECKS.len() as u32);
    console::done()
}

/// Whether both ways give the same bytes; `None` where there is no such layer.
type Check = fn(&mut Layer, &mut Memory) -> Option<bool>;

const CHECKS: &[(&str, Check)] = &[
    ("conv2d", conv2d),
    ("depthwise_conv2d", depthwise_conv2d),
    ("fully_connected", fully_connected),
    ("add", add),
];

fn conv2d(layer: &mut Layer, memory: &mut Memory) -> Option<bool> {
    let (geometry, w) = layer.conv()?;
    let (q, scratch) = (&w.quantization, &mut memory.scratch);
    let expected = memory.expected.get_mut(..w.outputs)?;
    let found = memory.found.get_mut(..w.outputs)?;
    let portable = portable::conv2d_i8(&geometry, q, w.input, w.filter, w.bias, expected, scratch);
    let faster = kernels::conv2d_i8(&geometry, q, w.input, w.filter, w.bias, found, scratch);
    Some(portable.is_ok() && faster.is_ok() && expected == found)
}

fn depthwise_conv2d(layer: &mut Layer, memory: &mut Memory) -> Option<bool> {
    let (window, w) = layer.depthwise()?;
    let (q, scratch) = (&w.quantization, &mut memory.scratch);
    let expected = memory.expected.get_mut(..w.outputs)?;
    let found = memory.found.get_mut(..w.outputs)?;
    let portable = portable::depthwise_conv2d_i8(&window, q, w.input, w.filter, w.bias, expected);
    let faster =
        kernels::depthwise_conv2d_i8(&window, q, w.input, w.filter, w.bias, found, scratch);
    Some(portable.is_ok() && faster.is_ok() && expected == found)
}

fn fully_connected(layer: &mut Layer, memory: &mut Memory) -> Option<bool> {
    let (geometry, w) = layer.dense()?;
    let (q, scratch) = (&w.quantization, &mut memory.scratch);
    let expected = memory.expected.get_mut(..w.outputs)?;
    let found = memory.found.get_mut(..w.outputs)?;
    let portable = portable::fully_connected_i8(&geometry, q, w.input, w.filter, w.bias, expected);
    let faster =
        kernels::fully_connected_i8(&geometry, q, w.input, w.filter, w.bias, found, scratch);
    Some(portable.is_ok() && faster.is_ok() && expected == found)
}

fn add(layer: &mut Layer, memory: &mut Memory) -> Option<bool> {
    let (quantization, a, b) = layer.add();
    let shape = Shape::new(&[a.len()])?;
    let broadcast = Broadcast::new(&shape, &shape)?;
    let expected = memory.expected.get_mut(..a.len())?;
    let found = memory.found.get_mut(..a.len())?;
    let portable = portable::add_i8(&broadcast, &quantization, a, b, expected);
    let faster = kernels::add_i8(&broadcast, &quantization, a, b, found);
    Some(portable.is_ok() && faster.is_ok() && expected == found)
}
