//! `reference MODEL [INPUTS]`: what a model needs and gives on this machine, as JSON; `cargo xtask firmware` compares
//! microcontrollers with it.
//!
//! INPUTS is a file with the bytes of all inputs, one after the other; without it they are zeros.

use core::error::Error;
use std::path::PathBuf;

use clap::Parser;
use larun_micro::Interpreter;
use larun_micro::host::{AlignedBytes, arena_for, linked_ops};
use larun_micro::kernels::{ALL, Way};
use serde::Serialize;

/// What a model needs and gives on this machine.
#[derive(Parser)]
struct Args {
    /// The `.tflite` file
    model: PathBuf,
    /// The bytes of all inputs, one after the other
    inputs: Option<PathBuf>,
    /// Ways that the operators are not to take
    #[arg(long, value_delimiter = ',')]
    without: Vec<Way>,
}

#[derive(Serialize)]
struct Reference {
    /// Its operators, as `ops!` takes them.
    ops: Vec<String>,
    /// Bytes of its arena here.
    arena: usize,
    /// Bytes of its inputs together.
    input_bytes: usize,
    /// Each output in hexadecimal digits.
    outputs: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let model = AlignedBytes::copy_of(&std::fs::read(&args.model)?);
    let inputs = args.inputs.map(std::fs::read).transpose()?;
    let reference = run(&model, inputs.as_deref().unwrap_or_default(), &args.without)?;
    println!("{}", serde_json::to_string(&reference)?);
    Ok(())
}

fn run(model: &[u8], mut inputs: &[u8], without: &[Way]) -> Result<Reference, Box<dyn Error>> {
    let mut arena = arena_for(model, ALL).map_err(|error| error.to_string())?;
    let mut interpreter =
        Interpreter::new(model, ALL, &mut arena).map_err(|error| error.to_string())?;
    let mut input_bytes = 0;
    for index in 0..interpreter.input_count() {
        let input = interpreter.input_bytes_mut(index)?;
        input_bytes += input.len();
        let (bytes, rest) = inputs.split_at(input.len().min(inputs.len()));
        input[..bytes.len()].copy_from_slice(bytes);
        inputs = rest;
    }
    interpreter.invoke()?;
    let outputs = (0..interpreter.output_count())
        .map(|index| interpreter.output_bytes(index).map(hexadecimal))
        .collect::<Result<_, _>>()?;
    Ok(Reference {
        ops: linked_ops(model, without).map_err(|error| error.to_string())?,
        arena: interpreter.arena_bytes(),
        input_bytes,
        outputs,
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
