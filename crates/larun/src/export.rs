//! A model as source code.

use std::collections::BTreeSet;

pub use larun_codegen::{
    ArduinoSketch, CSource, Processor, Rows, RustOptions, Stream, rust_file_name,
};

use crate::{Error, Model};

/// The model as a C header in the form that Arduino sketches include: `NAME_data[]` and `NAME_data_len`.
///
/// # Errors
/// When the model cannot be read or is too large for C's `int`.
pub fn c_header(model: &Model, name: &str) -> Result<String, Error> {
    let graph = model.graph()?;
    let nodes = graph.main().map_or(&[][..], |subgraph| &subgraph.nodes);
    let operators: BTreeSet<String> = nodes.iter().map(larun_graph::Node::op_name).collect();
    let options = larun_codegen::HeaderOptions {
        description: graph.description.clone().unwrap_or_default(),
        operators: operators.into_iter().collect(),
        arena_bytes: model.arena().ok().map(|arena| arena.len() as u64),
    };
    Ok(larun_codegen::c_header(name, model.bytes(), &options)?)
}

/// The model as Rust source for a processor, without a file or a loader at run time.
///
/// # Errors
/// When the model cannot be compiled.
pub fn rust(model: &Model, name: &str, options: &RustOptions) -> Result<String, Error> {
    Ok(larun_codegen::rust(name, model.bytes(), options)?)
}

/// The model as C99 source with a header.
///
/// # Errors
/// When the model cannot be compiled, or has an operator without a C kernel.
pub fn c_source(model: &Model, name: &str) -> Result<CSource, Error> {
    Ok(larun_codegen::c_source(name, model.bytes())?)
}

/// The model as an Arduino sketch for TensorFlow Lite for Microcontrollers.
///
/// # Errors
/// When the model cannot be compiled or is too large for C's `int`.
pub fn arduino(model: &Model, name: &str) -> Result<ArduinoSketch, Error> {
    Ok(larun_codegen::arduino(name, model.bytes())?)
}
