//! A model as C99 source: constants, one array of RAM, and the kernels that it uses, without any dependency.

mod kernel;
mod literal;
mod units;

use core::fmt::Write;
use std::collections::{BTreeSet, HashMap};

use larun_kernels::Processor;
use larun_micro::host::{PreparedNode, PreparedSubgraph, PreparedTensor};
use larun_ops::ElementType;
use minijinja::{Value, context};

use crate::compiled::{Compiled, Model, Port, place};
use crate::rust::node::is_nothing;
use crate::text::{comment, render};
use crate::{CodegenError, Rows, c_identifier};

pub use kernel::has_c_kernel;

const SOURCE: &str = include_str!("../templates/model.c.jinja");
const HEADER: &str = include_str!("../templates/model_c.h.jinja");

/// C source: what goes to `NAME.c` and what to `NAME.h`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSource {
    /// The file name without its ending: the model's name as a C identifier in small letters.
    pub stem: String,
    /// The source.
    pub source: String,
    /// The header.
    pub header: String,
}

/// A model as C99 source with a header: no dependency but the standard headers, no allocation, no file of the model.
///
/// `NAME_input()` is where the input goes, `NAME_invoke()` runs the model, `NAME_output()` is where the output lies;
/// ports are numbered where there are several, `NAME_reset()` makes the model forget earlier inferences. The memory is
/// static: one inference of a model at a time. The outputs are the interpreter's, byte for byte. The source wants a
/// little-endian processor whose signed integers are two's complement and shift arithmetically, as all in use do, and
/// real numbers that are not fused or widened (`-std=c99` sees to it).
///
/// # Errors
/// [`CodegenError`], when the model cannot be read, the interpreter would not run it, or it has an operator for which
/// there is no C kernel.
pub fn c_source(name: &str, model: &[u8]) -> Result<CSource, CodegenError> {
    let model = Model::new(model)?;
    let compiled = model.compile(Processor::Portable, Rows::default())?;
    if compiled.subgraphs().count() > 1 || !compiled.prepared.resources.is_empty() {
        return Err(CodegenError::Model(
            "models with control flow or resource variables have no C form; the Rust source runs them".to_owned(),
        ));
    }
    let main = compiled.main();
    let main = main.ok_or_else(|| CodegenError::Model("no subgraph".to_owned()))?;
    let stem = c_identifier(name).to_ascii_lowercase();
    let mut body = Body::default();
    let mut kernels = BTreeSet::new();
    for (index, node) in main.nodes.iter().enumerate() {
        if is_nothing(node, main) {
            continue;
        }
        let about = node.kind.info().name;
        let unit = kernel::of(node).map_err(|what| {
            CodegenError::Model(format!(
                "operator {index} ({about}): {what}; the Rust source runs it"
            ))
        })?;
        kernels.insert(unit);
        body.node(index, node, unit, main, &compiled);
    }
    let state = &compiled.prepared.state;
    let values = context! {
        title => comment(name).join(" "),
        description => comment(compiled.description()),
        version => env!("CARGO_PKG_VERSION"),
        stem => stem.clone(),
        upper => stem.to_ascii_uppercase(),
        inputs => ports(&compiled.inputs, "input", main, &mut body),
        outputs => ports(&compiled.outputs, "output", main, &mut body),
        activation_bytes => compiled.activation_bytes().max(1),
        state_bytes => state.len(),
        initial_state => literal::bytes(state),
        has_initial_state => state.iter().any(|&byte| byte != 0),
        kernels => units::with_needs(kernels),
        constants => body.constants,
        nodes => body.nodes,
        calls => body.calls,
    };
    Ok(CSource {
        source: render(SOURCE, values.clone())?,
        header: render(HEADER, values)?,
        stem,
    })
}

/// The parts of the source that follow the nodes.
#[derive(Default)]
struct Body {
    constants: Vec<String>,
    names: HashMap<(Vec<u8>, &'static str), String>,
    nodes: Vec<String>,
    calls: Vec<String>,
}

impl Body {
    /// The name of the array that holds a constant.
    fn constant(&mut self, bytes: &[u8], element_type: ElementType) -> String {
        let c_type = c_type(element_type);
        let key = (bytes.to_vec(), c_type);
        if let Some(name) = self.names.get(&key) {
            return name.clone();
        }
        let name = format!("constant_{}", self.names.len());
        let (count, values) = literal::values(bytes, element_type);
        self.constants.push(format!(
            "static const {c_type} {name}[{count}] = {{\n{values}}};"
        ));
        self.names.insert(key, name.clone());
        name
    }

    fn node(
        &mut self,
        index: usize,
        node: &PreparedNode,
        unit: &str,
        main: &PreparedSubgraph<'_>,
        compiled: &Compiled<'_>,
    ) {
        let mut text = String::new();
        let plan = literal::words(&node.plan);
        let words = node.plan.len().max(1);
        let _ = writeln!(text, "/* {index}: {} */", node.kind.info().name);
        let _ = writeln!(
            text,
            "static const uint32_t plan_{index}[{words}] = {{{plan}}};"
        );
        // Kernels look for a bias where there is none.
        let absent = |operands: &[Option<usize>]| {
            let mut operands = operands.to_vec();
            operands.resize(operands.len().max(4), None);
            operands
        };
        for (kind, operands, qualifier) in [
            ("in", absent(&node.inputs), "const "),
            ("out", node.outputs.clone(), ""),
        ] {
            let places: Vec<_> = operands
                .iter()
                .map(|&tensor| self.place(tensor, main, compiled))
                .collect();
            let (places, bytes): (Vec<_>, Vec<_>) = places.into_iter().unzip();
            let _ = writeln!(
                text,
                "static {qualifier}void *const {kind}_{index}[] = {{{}}};\nstatic const uint32_t {kind}_bytes_{index}[] = {{{}}};",
                places.join(", "),
                bytes.join(", ")
            );
        }
        let scratch = node.scratch.map_or("NULL".to_owned(), |(offset, _)| {
            format!("memory.bytes + {offset}")
        });
        let _ = write!(
            text,
            "static const larun_node node_{index} = {{plan_{index}, in_{index}, in_bytes_{index}, out_{index}, out_bytes_{index}, {scratch}}};"
        );
        self.nodes.push(text);
        self.calls.push(format!("larun_{unit}(&node_{index});"));
    }

    /// Where an operand lies, as an expression, and its bytes.
    fn place(
        &mut self,
        tensor: Option<usize>,
        main: &PreparedSubgraph<'_>,
        compiled: &Compiled<'_>,
    ) -> (String, String) {
        let found = tensor.and_then(|tensor| Some((tensor, place(main, tensor)?)));
        match found {
            Some((_, PreparedTensor::Activations { offset, len })) => {
                (format!("memory.bytes + {offset}"), len.to_string())
            }
            Some((_, PreparedTensor::State { offset, len })) => {
                (format!("state.bytes + {offset}"), len.to_string())
            }
            Some((tensor, PreparedTensor::Constant(bytes))) => {
                let described = compiled.tensor(0, tensor);
                let element_type = described.map_or(ElementType::UInt8, |it| it.element_type);
                (self.constant(bytes, element_type), bytes.len().to_string())
            }
            _ => ("NULL".to_owned(), "0".to_owned()),
        }
    }
}

/// The C type of an element.
const fn c_type(element_type: ElementType) -> &'static str {
    match element_type {
        ElementType::Float32 => "float",
        ElementType::Int8 => "int8_t",
        ElementType::Int16 => "int16_t",
        ElementType::UInt16 => "uint16_t",
        ElementType::Int32 => "int32_t",
        ElementType::UInt32 => "uint32_t",
        ElementType::Int64 => "int64_t",
        ElementType::UInt64 => "uint64_t",
        _ => "uint8_t",
    }
}

fn ports(ports: &[Port], kind: &str, main: &PreparedSubgraph<'_>, body: &mut Body) -> Vec<Value> {
    let mut port_of = |(index, port): (usize, &Port)| {
        let suffix = if ports.len() == 1 {
            String::new()
        } else {
            format!("_{index}")
        };
        let memory = match place(main, port.tensor) {
            Some(PreparedTensor::Activations { offset, .. }) => format!("memory.bytes + {offset}"),
            Some(PreparedTensor::State { offset, .. }) => format!("state.bytes + {offset}"),
            Some(PreparedTensor::Constant(bytes)) => body.constant(bytes, port.element_type),
            _ => "memory.bytes".to_owned(),
        };
        context! {
            function => format!("{kind}{suffix}"),
            constant => format!("{}{suffix}", kind.to_ascii_uppercase()),
            c_type => c_type(port.element_type),
            len => port.len,
            about => comment(&port.describe()).join(" ").replace("*/", "* /"),
            scale => port.quantization.map(|(scale, _)| format!("{scale:e}f")),
            zero_point => port.quantization.map_or(0, |(_, zero_point)| zero_point),
            memory,
        }
    };
    ports.iter().enumerate().map(&mut port_of).collect()
}
