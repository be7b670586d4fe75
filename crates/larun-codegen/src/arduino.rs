//! An Arduino sketch that runs a model with TensorFlow Lite for Microcontrollers.

use std::collections::BTreeSet;

use larun_kernels::ALL;
use larun_micro::host::arena_for;
use larun_ops::ElementType;
use minijinja::{Value, context};

use crate::compiled::{Model, Port};
use crate::identifier::resolver_method;
use crate::text::{comment, render};
use crate::{CodegenError, HeaderOptions, c_header, c_identifier};

const TEMPLATE: &str = include_str!("templates/sketch.ino.jinja");

/// A folder for the Arduino IDE: the sketch and, beside it, the model as a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArduinoSketch {
    /// The name of the folder and of the sketch in it, an identifier.
    pub name: String,
    /// What goes to `NAME/NAME.ino`.
    pub sketch: String,
    /// What goes to `NAME/NAME.h`: `NAME_data[]`.
    pub header: String,
}

/// A sketch for a model: it registers the operators that the model has, and no other, and has an arena of the size that
/// TensorFlow Lite for Microcontrollers needs, estimated from our own interpreter's.
///
/// # Errors
/// [`CodegenError`], when the model cannot be read or the interpreter would not run it.
pub fn arduino(name: &str, model: &[u8]) -> Result<ArduinoSketch, CodegenError> {
    let bytes = model;
    let model = Model::new(bytes)?;
    let compiled = model.compile(larun_kernels::Processor::Armv7em, crate::Rows::default())?;
    let ours = arena_for(model.bytes(), ALL);
    let ours = ours.map_err(|error| CodegenError::Model(error.to_string()))?;
    let arena = tflm_arena(ours.len());
    let operators: BTreeSet<String> = model.operators().collect();
    let operators: Vec<_> = operators.into_iter().collect();
    let identifier = c_identifier(name);
    let methods: Vec<_> = operators
        .iter()
        .map(|operator| resolver_method(operator))
        .collect();
    let header = c_header(
        name,
        bytes,
        &HeaderOptions {
            description: compiled.description().to_owned(),
            operators,
            arena_bytes: Some(arena as u64),
        },
    )?;
    let values = context! {
        title => comment(name).join(" "),
        header => format!("{identifier}.h"),
        name => identifier.clone(),
        arena,
        methods,
        inputs => ports(&compiled.inputs),
        outputs => ports(&compiled.outputs),
    };
    Ok(ArduinoSketch {
        sketch: render(TEMPLATE, values)?,
        name: identifier,
        header,
    })
}

/// What TFLM takes where our interpreter takes so many bytes: up to 15 % more on the models of MLPerf Tiny, whose nodes
/// and tensors it keeps in larger structures. A quarter more, in whole KiB.
const fn tflm_arena(ours: usize) -> usize {
    (ours + ours / 4).next_multiple_of(1024)
}

fn ports(ports: &[Port]) -> Vec<Value> {
    let port = |port: &Port| {
        let print = match port.element_type {
            ElementType::Int8 => "int8",
            ElementType::UInt8 => "uint8",
            ElementType::Int16 => "i16",
            ElementType::Int32 => "i32",
            ElementType::Float32 => "f",
            _ => "",
        };
        context! { about => comment(&port.describe()).join(" "), print, len => port.len }
    };
    ports.iter().map(port).collect()
}
