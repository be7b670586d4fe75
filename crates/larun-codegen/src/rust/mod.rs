//! A model as Rust source: constants in flash, one array of RAM, and the kernels that it uses.

mod items;
mod literal;
pub(crate) mod node;
mod packed;
mod rows;

use larun_kernels::Processor;
use minijinja::{Value, context};

use crate::compiled::{Compiled, Model, Port, place};
use crate::text::{comment, render};
use crate::{CodegenError, Rows, c_identifier};
use items::Items;
use larun_micro::host::PreparedTensor;
use larun_ops::ElementType;

const TEMPLATE: &str = include_str!("../templates/model.rs.jinja");

/// What Rust source is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RustOptions {
    /// The processor that is to run it. The source compiles for others, but asks for this one's kernels.
    pub processor: Processor,
    /// The path of the crate `larun-kernels`, for a program that has it under another name.
    pub kernels: String,
    /// What may be computed some rows at a time, so that the activations take less. Nothing by default.
    pub rows: Rows,
}

impl Default for RustOptions {
    fn default() -> Self {
        Self {
            processor: Processor::Portable,
            kernels: "larun_kernels".to_owned(),
            rows: Rows::default(),
        }
    }
}

/// A model as Rust source, without std, an allocator or the model's file at run time.
///
/// The source has a struct `Model` with `predict(&mut self, &[i8; N]) -> &[i8; M]`, with as many inputs and outputs as
/// the model has and their own element types, `Result` where the values of inputs can make an inference fail. Weights
/// and all that is worked out beforehand are statics; the activations are an array of the planned size. What runs is
/// `larun-kernels`, of which the program links the operators that the model has. The outputs are the interpreter's,
/// byte for byte. Equal arguments give equal source.
///
/// # Errors
/// [`CodegenError`], when the model cannot be read or the interpreter would not run it.
pub fn rust(name: &str, model: &[u8], options: &RustOptions) -> Result<String, CodegenError> {
    let model = Model::new(model)?;
    let compiled = model.compile(options.processor, options.rows)?;
    let fallible = compiled.depends_on_values();
    let mut items = Items::default();
    let functions = node::functions(&compiled, fallible, &mut items)?;
    let state = &compiled.prepared.state;
    let initial_state = match state.iter().all(|&byte| byte == 0) {
        true => format!("[0; {}]", state.len()),
        false => {
            items.state(state);
            "INITIAL_STATE".to_owned()
        }
    };
    let inputs = ports(&compiled.inputs, "input");
    let outputs = ports(&compiled.outputs, "output");
    let values = context! {
        title => comment(name).join(" "),
        description => comment(compiled.description()),
        version => env!("CARGO_PKG_VERSION"),
        kernels => options.kernels.clone(),
        processor => match options.processor {
            Processor::Own => None,
            processor => Some(format!("{processor:?}")),
        },
        activation_bytes => compiled.activation_bytes(),
        state_bytes => state.len(),
        initial_state,
        fallible,
        parameters => parameters(&compiled.inputs),
        results => results(&compiled.outputs),
        set_inputs => set_inputs(&compiled),
        get_outputs => get_outputs(&compiled, &mut items),
        inputs,
        outputs,
        functions,
        items => items.finish(),
    };
    render(TEMPLATE, values)
}

/// The name of a file with such source: that of the model as an identifier.
pub fn rust_file_name(name: &str) -> String {
    format!("{}.rs", c_identifier(name).to_ascii_lowercase())
}

fn ports(ports: &[Port], kind: &str) -> Vec<Value> {
    let text = |(index, port): (usize, &Port)| {
        let (role, constant) = match ports.len() {
            1 => (format!("the {kind}"), kind.to_ascii_uppercase()),
            _ => (
                format!("{kind} {index}"),
                format!("{}_{index}", kind.to_ascii_uppercase()),
            ),
        };
        let about = comment(&port.describe()).join(" ");
        context! {
            doc => about.split("; ").next().unwrap_or_default(),
            about,
            role,
            constant,
            len => port.len,
            scale => port.quantization.map(|(scale, _)| format!("{scale:e}_f32")),
            zero_point => port.quantization.map_or(0, |(_, zero_point)| zero_point),
        }
    };
    ports.iter().enumerate().map(text).collect()
}

/// The Rust type of an element; bytes stand for what Rust has no type for.
const fn rust_type(element_type: ElementType) -> &'static str {
    match element_type {
        ElementType::Float32 => "f32",
        ElementType::Float64 => "f64",
        ElementType::Int8 => "i8",
        ElementType::Int16 => "i16",
        ElementType::UInt16 => "u16",
        ElementType::Int32 => "i32",
        ElementType::UInt32 => "u32",
        ElementType::Int64 => "i64",
        ElementType::UInt64 => "u64",
        _ => "u8",
    }
}

fn parameters(inputs: &[Port]) -> String {
    let parameter = |(index, port): (usize, &Port)| {
        let element = rust_type(port.element_type);
        format!(", {}: &[{element}; {}]", argument(inputs, index), port.len)
    };
    inputs.iter().enumerate().map(parameter).collect()
}

fn argument(inputs: &[Port], index: usize) -> String {
    match inputs.len() {
        1 => "input".to_owned(),
        _ => format!("input_{index}"),
    }
}

fn results(outputs: &[Port]) -> String {
    let result = |port: &Port| format!("&[{}; {}]", rust_type(port.element_type), port.len);
    tuple(outputs.iter().map(result).collect())
}

fn tuple(mut parts: Vec<String>) -> String {
    match parts.len() {
        1 => parts.remove(0),
        _ => format!("({})", parts.join(", ")),
    }
}

fn set_inputs(compiled: &Compiled<'_>) -> Vec<String> {
    let Some(main) = compiled.main() else {
        return Vec::new();
    };
    let set = |(index, port): (usize, &Port)| {
        let argument = argument(&compiled.inputs, index);
        match place(main, port.tensor) {
            Some(PreparedTensor::Activations { offset, len }) => {
                set_input("activations", offset, len, &argument)
            }
            Some(PreparedTensor::State { offset, len }) => {
                set_input("state", offset, len, &argument)
            }
            _ => format!("let _ = {argument};"),
        }
    };
    compiled.inputs.iter().enumerate().map(set).collect()
}

fn set_input(memory: &str, offset: usize, len: usize, argument: &str) -> String {
    let end = offset + len;
    format!("k::set_elements(&mut self.{memory}.0[{offset}..{end}], {argument});")
}

fn get_outputs(compiled: &Compiled<'_>, items: &mut Items) -> String {
    let Some(main) = compiled.main() else {
        return "()".to_owned();
    };
    let get = |port: &Port| {
        let bytes = match place(main, port.tensor) {
            Some(PreparedTensor::Activations { offset, len }) => {
                format!("&self.activations.0[{offset}..{}]", offset + len)
            }
            Some(PreparedTensor::State { offset, len }) => {
                format!("&self.state.0[{offset}..{}]", offset + len)
            }
            Some(PreparedTensor::Constant(bytes)) => format!("&{}.0", items.constant(bytes)),
            _ => "&[]".to_owned(),
        };
        let zero = match port.element_type {
            ElementType::Float32 | ElementType::Float64 => "0.0",
            _ => "0",
        };
        format!(
            "k::elements({bytes}).first_chunk().unwrap_or(&[{zero}; {}])",
            port.len
        )
    };
    tuple(compiled.outputs.iter().map(get).collect())
}
