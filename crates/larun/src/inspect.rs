//! What is in a model: operators, tensors, quantisation, and what they cost.

use larun_graph::{Graph, NodeStats, Subgraph, Tensor, TensorId};
use larun_micro::host::linked_ops;
use larun_micro::kernels::Way;
use serde::{Deserialize, Serialize};

use crate::{Error, Model};

/// Everything that `larun inspect` shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// What the model's author says of it.
    pub description: Option<String>,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// How many subgraphs it has; the rest is about the first.
    pub subgraphs: usize,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Trained values.
    pub parameters: u64,
    /// Bytes of constants.
    pub constant_bytes: u64,
    /// The arena, or why the interpreter cannot run the model.
    pub arena: Arena,
    /// The operators that a program has to link, as `ops!` takes them.
    pub ops: Vec<String>,
    /// The inputs.
    pub inputs: Vec<TensorReport>,
    /// The outputs.
    pub outputs: Vec<TensorReport>,
    /// The operators in order.
    pub operators: Vec<OperatorReport>,
    /// All tensors.
    pub tensors: Vec<TensorReport>,
    /// The names of the metadata.
    pub metadata: Vec<String>,
}

/// The memory that the interpreter needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Arena {
    /// The model can be run.
    Known {
        /// Bytes of the arena.
        bytes: u64,
        /// Bytes of values and scratch memory.
        activation_bytes: u64,
        /// Bytes of prepared operators and places of tensors.
        persistent_bytes: u64,
    },
    /// It cannot.
    Unsupported {
        /// Why.
        reason: String,
    },
}

/// An operator of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorReport {
    /// Its index.
    pub index: usize,
    /// Its name.
    pub op: String,
    /// Its version.
    pub version: i32,
    /// Its options.
    pub options: String,
    /// The tensors it reads, `null` for one that is absent.
    pub inputs: Vec<Option<u32>>,
    /// The tensors it writes.
    pub outputs: Vec<u32>,
    /// The shape of its first output.
    pub output_shape: Vec<usize>,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Trained values.
    pub parameters: u64,
    /// Bytes of constants.
    pub constant_bytes: u64,
}

/// A tensor of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TensorReport {
    /// Its index.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Its elements.
    pub element_type: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Bytes, or `null` where elements have no fixed size.
    pub bytes: Option<u64>,
    /// Whether it is a constant.
    pub constant: bool,
    /// How its integers stand for real numbers.
    pub quantization: Option<QuantizationReport>,
}

/// The quantisation of a tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantizationReport {
    /// One scale, or one for each channel.
    pub scale: Vec<f32>,
    /// One zero point, or one for each channel.
    pub zero_point: Vec<i64>,
    /// The axis of the channels.
    pub axis: i32,
}

/// Looks into a model.
///
/// # Errors
/// When the file is damaged. A model that the interpreter cannot run is inspected all the same.
pub fn inspect(model: &Model) -> Result<Inspection, Error> {
    let graph = model.graph()?;
    let subgraph = graph.main().ok_or(larun_graph::GraphError::NoSubgraph)?;
    let stats = graph.stats()?;
    let tensor = |id: &TensorId| tensor_report(&graph, subgraph, *id);
    let all = (0..subgraph.tensors.len()).map(TensorId::new);
    let metadata = graph
        .metadata
        .iter()
        .filter_map(|metadata| metadata.name.clone());
    Ok(Inspection {
        description: graph.description.clone(),
        file_bytes: model.bytes().len() as u64,
        subgraphs: graph.subgraphs.len(),
        macs: stats.macs,
        parameters: stats.parameters,
        constant_bytes: stats.constant_bytes,
        arena: arena(model),
        ops: operators(model, &[])?,
        inputs: subgraph.inputs.iter().filter_map(tensor).collect(),
        outputs: subgraph.outputs.iter().filter_map(tensor).collect(),
        operators: stats
            .nodes
            .iter()
            .filter_map(|stats| operator_report(subgraph, stats))
            .collect(),
        tensors: all.filter_map(|id| tensor(&id)).collect(),
        metadata: metadata.collect(),
    })
}

/// The operators that a program has to link for a model, as `larun_micro::ops!` takes them, by their fastest ways on Armv7E-M but
/// `without` some.
///
/// # Errors
/// When the file is damaged. What cannot be loaded has no ways.
pub fn operators(model: &Model, without: &[Way]) -> Result<Vec<String>, Error> {
    if let Ok(ops) = linked_ops(model.bytes(), without) {
        return Ok(ops);
    }
    let graph = model.graph()?;
    let subgraph = graph.main().ok_or(larun_graph::GraphError::NoSubgraph)?;
    Ok(op_names(subgraph))
}

fn arena(model: &Model) -> Arena {
    let measured = model.arena().and_then(|mut arena| {
        let interpreter = model.interpreter(&mut arena)?;
        Ok(Arena::Known {
            bytes: interpreter.arena_bytes() as u64,
            activation_bytes: interpreter.activation_bytes() as u64,
            persistent_bytes: interpreter.persistent_bytes() as u64,
        })
    });
    measured.unwrap_or_else(|error| Arena::Unsupported {
        reason: match error {
            Error::Load { reason, .. } => reason,
            error => error.to_string(),
        },
    })
}

/// The operators that occur, each once, as the operator table calls them.
pub fn op_names(subgraph: &Subgraph) -> Vec<String> {
    let mut kinds: Vec<_> = subgraph
        .nodes
        .iter()
        .filter_map(larun_graph::Node::kind)
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.into_iter().map(|kind| format!("{kind:?}")).collect()
}

fn operator_report(subgraph: &Subgraph, stats: &NodeStats) -> Option<OperatorReport> {
    let node = subgraph.node(stats.node)?;
    let output = node.outputs.first().and_then(|&id| subgraph.tensor(id));
    Some(OperatorReport {
        index: stats.node.index(),
        op: stats.op.clone(),
        version: node.version,
        options: node
            .known()
            .map_or_else(String::new, |op| format!("{op:?}")),
        inputs: node
            .inputs
            .iter()
            .map(|input| input.map(|id| id.0))
            .collect(),
        outputs: node.outputs.iter().map(|id| id.0).collect(),
        output_shape: output.map_or_else(Vec::new, |tensor| tensor.shape.dims().to_vec()),
        macs: stats.macs,
        parameters: stats.parameters,
        constant_bytes: stats.constant_bytes,
    })
}

fn tensor_report(graph: &Graph, subgraph: &Subgraph, id: TensorId) -> Option<TensorReport> {
    let tensor = subgraph.tensor(id)?;
    let quantization = tensor.quantization.as_ref().filter(|q| !q.is_trivial());
    Some(TensorReport {
        index: id.index(),
        name: tensor.name.clone(),
        element_type: tensor.element_type.name().to_owned(),
        shape: tensor.shape.dims().to_vec(),
        bytes: Tensor::byte_len(tensor).map(|bytes| bytes as u64),
        constant: graph.is_constant(tensor),
        quantization: quantization.map(|quantization| QuantizationReport {
            scale: quantization.scale.clone(),
            zero_point: quantization.zero_point.clone(),
            axis: quantization.axis,
        }),
    })
}
