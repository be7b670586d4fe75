//! The importer: nodes one after the other, each value a constant or a view of a tensor.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use larun_graph::Graph;
use larun_graph::ops::ElementType;
use prost::Message;

use crate::constant::{self, Constant};
use crate::convert::{self, Converter};
use crate::error::{OnnxError, Refusal};
use crate::net::Net;
use crate::node::OnnxNode;
use crate::patterns::{self, Rewritten};
use crate::proto::{GraphProto, ModelProto, ValueInfoProto};
use crate::view::{Slot, View};

/// The oldest version of the operators that is read.
pub const MIN_OPSET: i64 = 13;

/// Choices of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportOptions {
    /// Sizes for dimensions that the file leaves open, by their names, such as `("sequence", 128)`. An open first axis is the
    /// batch and is 1 where nothing is said.
    pub dimensions: BTreeMap<String, usize>,
}

/// An input or output of the file, and how the graph has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name, in the file and in the graph.
    pub name: String,
    /// Its shape in the file, open dimensions settled.
    pub dims: Vec<usize>,
    /// Axis `i` of the graph's tensor is this axis of the file, `None` for an axis of size 1 that the file does not have.
    pub axes: Vec<Option<usize>>,
}

impl Port {
    /// Whether the graph has the axes as the file has them.
    #[must_use]
    pub fn is_as_in_file(&self) -> bool {
        self.axes.iter().copied().eq((0..self.dims.len()).map(Some))
    }

    /// The elements of the file's tensor in the order of the graph's; `None` where there are more or fewer than the
    /// shape has.
    #[must_use]
    pub fn to_graph<T: Copy>(&self, values: &[T]) -> Option<Vec<T>> {
        let mut strides = vec![1usize; self.dims.len()];
        for axis in (1..self.dims.len()).rev() {
            let inner = strides.get(axis)?.checked_mul(*self.dims.get(axis)?)?;
            *strides.get_mut(axis - 1)? = inner;
        }
        let count = self
            .dims
            .iter()
            .try_fold(1usize, |n, &d| n.checked_mul(d))?;
        if values.len() != count {
            return None;
        }
        let kept: Vec<(usize, usize)> = self
            .axes
            .iter()
            .flatten()
            .map(|&axis| Some((*self.dims.get(axis)?, *strides.get(axis)?)))
            .collect::<Option<_>>()?;
        let source = |mut place: usize| {
            let mut offset = 0;
            for &(size, stride) in kept.iter().rev() {
                offset += place % size * stride;
                place /= size;
            }
            values.get(offset).copied()
        };
        (0..count).map(source).collect()
    }
}

/// A model as a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The graph: float operators, images channels last.
    pub graph: Graph,
    /// The inputs, in the order of the graph's.
    pub inputs: Vec<Port>,
    /// The outputs, in the order of the graph's.
    pub outputs: Vec<Port>,
}

/// Imports an ONNX model.
///
/// # Errors
/// When the bytes are no model, its operators are older than opset 13, a dimension is not known, a constant is damaged
/// or lies in another file, or a node asks for what the graph cannot express: each named, with what to do.
pub fn import(bytes: &[u8], options: &ImportOptions) -> Result<Imported, OnnxError> {
    import_from(bytes, None, options)
}

/// Imports an ONNX model whose larger constants may lie in files beside it.
///
/// # Errors
/// As [`import`], and when the file cannot be read.
pub fn import_file(path: &Path, options: &ImportOptions) -> Result<Imported, OnnxError> {
    let bytes = std::fs::read(path).map_err(|e| OnnxError::File(e.to_string()))?;
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    import_from(&bytes, Some(folder), options)
}

fn import_from(
    bytes: &[u8],
    folder: Option<&Path>,
    options: &ImportOptions,
) -> Result<Imported, OnnxError> {
    let model = ModelProto::decode(bytes).map_err(|e| OnnxError::Decode(e.to_string()))?;
    let opset = opset(&model)?;
    let graph = model.graph.as_ref().ok_or(OnnxError::NoGraph)?;
    if graph.node.is_empty() && graph.output.is_empty() {
        return Err(OnnxError::Decode("it holds no nodes".to_owned()));
    }
    refuse_unknown(graph, opset)?;
    let constants = graph
        .initializer
        .iter()
        .map(|tensor| {
            Ok((
                tensor.name.clone().unwrap_or_default(),
                constant::read(tensor, folder)?,
            ))
        })
        .collect::<Result<HashMap<_, _>, OnnxError>>()?;
    let rewritten = patterns::find(graph, &constants);
    let mut converter = Converter::new(Net::new(graph.name.as_deref().unwrap_or("onnx")), folder);
    let inputs = read_inputs(&mut converter, graph, &constants, options)?;
    for (name, value) in constants {
        converter.set_constant(&name, value);
    }
    converter.note_readers(graph);
    for (index, proto) in graph.node.iter().enumerate() {
        let node = OnnxNode {
            proto,
            index,
            opset,
        };
        let done = match rewritten.get(&index) {
            Some(Rewritten::Dropped) => Ok(()),
            Some(Rewritten::To(pattern)) => converter.pattern(node, pattern),
            None => converter.node(node),
        };
        done.map_err(|reason| at(node, reason))?;
    }
    let outputs = outputs(&mut converter, graph)?;
    finish(converter, inputs, outputs)
}

fn at(node: OnnxNode<'_>, reason: Refusal) -> OnnxError {
    OnnxError::Node {
        index: node.index,
        name: node.name().to_owned(),
        op: node.op().to_owned(),
        opset: node.opset,
        reason,
    }
}

/// The version of ONNX's own operators that the file uses.
fn opset(model: &ModelProto) -> Result<i64, OnnxError> {
    let own = model
        .opset_import
        .iter()
        .find(|set| set.domain.as_deref().unwrap_or("").is_empty());
    let found = own.and_then(|set| set.version).unwrap_or(0);
    match found >= MIN_OPSET {
        true => Ok(found),
        false => Err(OnnxError::Opset {
            found,
            minimum: MIN_OPSET,
        }),
    }
}

/// Names all operators without a counterpart at once, so that nobody has to find them one by one.
fn refuse_unknown(graph: &GraphProto, opset: i64) -> Result<(), OnnxError> {
    let mut operators: Vec<String> = Vec::new();
    for (index, proto) in graph.node.iter().enumerate() {
        let node = OnnxNode {
            proto,
            index,
            opset,
        };
        let domain = proto.domain.as_deref().unwrap_or("");
        let own = domain.is_empty() || domain == "ai.onnx";
        if !own || !convert::knows(node.op()) {
            let dot = if own { "" } else { "." };
            let domain = if own { "" } else { domain };
            operators.push(format!(
                "{domain}{dot}{} (node {index} '{}', opset {opset})",
                node.op(),
                node.name()
            ));
        }
    }
    match operators.is_empty() {
        true => Ok(()),
        false => Err(OnnxError::UnknownOperators {
            operators,
            hint: "express them by other operators in the exporting framework, or export the part of the network before them",
        }),
    }
}

/// Makes the inputs of the graph: those of the file that are not constants.
fn read_inputs(
    converter: &mut Converter<'_>,
    graph: &GraphProto,
    constants: &HashMap<String, Constant>,
    options: &ImportOptions,
) -> Result<Vec<Port>, OnnxError> {
    let mut ports = Vec::new();
    for info in &graph.input {
        let name = info.name.clone().unwrap_or_default();
        if constants.contains_key(&name) {
            continue;
        }
        let dims = input_dims(info, &name, options)?;
        let axes: Vec<Slot> = match (convert::is_image(graph, &name), dims.len()) {
            (true, 3) => vec![Some(0), Some(2), Some(1)],
            (true, 4) => crate::view::IMAGE.to_vec(),
            (_, rank) => (0..rank).map(Some).collect(),
        };
        let stored: Vec<usize> = axes
            .iter()
            .flatten()
            .filter_map(|&a| dims.get(a).copied())
            .collect();
        let element = element_type(info, &name)?;
        let refused = |reason| OnnxError::Input {
            input: name.clone(),
            axis: 0,
            reason,
        };
        let tensor = converter
            .net
            .input(&name, &stored, element)
            .map_err(refused)?;
        converter.set_view(&name, View::stored(tensor, &dims, &axes));
        ports.push(Port { name, dims, axes });
    }
    Ok(ports)
}

fn element_type(info: &ValueInfoProto, name: &str) -> Result<ElementType, OnnxError> {
    let tensor = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    match tensor.and_then(|t| t.elem_type) {
        Some(1 | 10 | 11 | 16) => Ok(ElementType::Float32),
        Some(6 | 7) => Ok(ElementType::Int32),
        Some(9) => Ok(ElementType::Bool),
        other => Err(OnnxError::Input {
            input: name.to_owned(),
            axis: 0,
            reason: format!(
                "element type {} of ONNX: real numbers, 32- or 64-bit integers and truth values are read",
                other.unwrap_or(0)
            ),
        }),
    }
}

fn input_dims(
    info: &ValueInfoProto,
    name: &str,
    options: &ImportOptions,
) -> Result<Vec<usize>, OnnxError> {
    let refused = |axis, reason| OnnxError::Input {
        input: name.to_owned(),
        axis,
        reason,
    };
    let shape = info
        .r#type
        .as_ref()
        .and_then(|t| t.tensor_type.as_ref()?.shape.as_ref());
    let shape = shape.ok_or_else(|| {
        refused(
            0,
            "the file gives no shape: export the model with one".to_owned(),
        )
    })?;
    let mut dims = Vec::with_capacity(shape.dim.len());
    for (axis, dim) in shape.dim.iter().enumerate() {
        let open = dim.dim_param.as_deref().filter(|p| !p.is_empty());
        let size = match (dim.dim_value, open.and_then(|p| options.dimensions.get(p))) {
            (_, Some(&size)) => size,
            (Some(value), None) if value > 0 => usize::try_from(value).unwrap_or(usize::MAX),
            (_, None) if axis == 0 => 1,
            _ => {
                let called = open.unwrap_or("?");
                return Err(refused(
                    axis,
                    format!(
                        "its size '{called}' is open: a microcontroller needs fixed sizes; give it one, or export the model with fixed shapes"
                    ),
                ));
            }
        };
        if size == 0 || size > i32::MAX as usize {
            return Err(refused(axis, format!("its size is {size}")));
        }
        dims.push(size);
    }
    Ok(dims)
}

/// The outputs, left as they lie where every axis of the file has its place.
fn outputs(
    converter: &mut Converter<'_>,
    graph: &GraphProto,
) -> Result<Vec<(Port, larun_graph::TensorId)>, OnnxError> {
    let mut ports = Vec::new();
    for info in &graph.output {
        let name = info.name.clone().unwrap_or_default();
        let refused = |reason| OnnxError::Constant {
            name: name.clone(),
            reason,
        };
        converter.net.enter(&name);
        let view = converter.view(&name).map_err(refused)?;
        let axes = converter.net.slots_of(&view);
        let tensor = converter.net.arrange(&view, &axes).map_err(refused)?;
        ports.push((
            Port {
                name,
                dims: view.dims(),
                axes,
            },
            tensor,
        ));
    }
    if ports.is_empty() {
        return Err(OnnxError::Decode("it has no outputs".to_owned()));
    }
    Ok(ports)
}

fn finish(
    converter: Converter<'_>,
    inputs: Vec<Port>,
    outputs: Vec<(Port, larun_graph::TensorId)>,
) -> Result<Imported, OnnxError> {
    let (ports, tensors): (Vec<_>, Vec<_>) = outputs.into_iter().unzip();
    let mut graph = converter.net.finish(&tensors);
    crate::tidy::tidy(&mut graph);
    let names: Vec<&str> = ports.iter().map(|p| p.name.as_str()).collect();
    crate::tidy::name_outputs(&mut graph, &names);
    graph.validate()?;
    Ok(Imported {
        graph,
        inputs,
        outputs: ports,
    })
}
