//! One inference from flash to the console: what both example programs do.

use larun_micro::{Interpreter, Registration};

use crate::{console, stack};

/// Loads a model into an arena, gives it its input's bytes, runs it and prints its output.
///
/// No panic is linked: whatever the model's bytes, the program says what is wrong and ends.
pub fn run(
    model: &'static [u8],
    kernels: &'static [Registration],
    arena: &mut [u8],
    values: &[u8],
) -> ! {
    let Ok(mut interpreter) = Interpreter::new(model, kernels, arena) else {
        console::fail("the model cannot be loaded");
    };
    let Ok(input) = interpreter.input_bytes_mut(0) else {
        console::fail("the model has no input");
    };
    for (place, &value) in input.iter_mut().zip(values) {
        *place = value;
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
