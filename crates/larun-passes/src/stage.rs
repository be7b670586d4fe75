//! One node of a graph, run alone by the interpreter.

use larun_graph::ops::Role;
use larun_graph::{Graph, Node, NodeId, Subgraph, TensorId};
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{Interpreter, kernels};

use crate::{PassError, edit};

/// Runs one node of the main subgraph on the bytes of those of its inputs that are no constants, each once and in order, and
/// gives the bytes of its outputs: what the interpreter makes of it.
///
/// # Errors
/// When the interpreter does not take the node, or an input has another size than its tensor.
pub fn run_alone(graph: &Graph, node: NodeId, inputs: &[&[u8]]) -> Result<Vec<Vec<u8>>, PassError> {
    Stage::new(graph, node)?.run(inputs)
}

/// A node as a model of its own: what it reads that is no constant is the model's input.
pub(crate) struct Stage {
    model: AlignedBytes,
    arena: AlignedBytes,
    /// The values that the node reads, each once, as the graph numbers them.
    pub(crate) inputs: Vec<TensorId>,
    /// What it computes.
    pub(crate) outputs: Vec<TensorId>,
}

impl Stage {
    /// The stage of node `id` of the main subgraph.
    ///
    /// # Errors
    /// When the interpreter does not take the node.
    pub(crate) fn new(graph: &Graph, id: NodeId) -> Result<Self, PassError> {
        let subgraph = edit::main(graph)?;
        let node = edit::node(subgraph, id)?;
        let (alone, inputs) = alone(graph, subgraph, node)?;
        let model = AlignedBytes::copy_of(&larun_tflite::write(&alone)?);
        let arena = arena_for(&model, kernels::ALL)
            .map_err(|error| PassError::Interpreter(error.to_string()))?;
        Ok(Self {
            model,
            arena,
            inputs,
            outputs: node.outputs.clone(),
        })
    }

    /// Runs the node on the bytes of its inputs, in the order of [`inputs`](Self::inputs), and gives those of its
    /// outputs. State begins as zero.
    ///
    /// # Errors
    /// When an input has another size than its tensor, or the inference fails.
    pub(crate) fn run(&self, inputs: &[&[u8]]) -> Result<Vec<Vec<u8>>, PassError> {
        self.loaded(&mut self.arena())?.run(inputs)
    }

    /// Memory for [`loaded`](Self::loaded).
    pub(crate) fn arena(&self) -> AlignedBytes {
        self.arena.clone()
    }

    /// The node, ready to run any number of times.
    ///
    /// # Errors
    /// When the memory is not [`arena`](Self::arena)'s.
    pub(crate) fn loaded<'s>(&'s self, arena: &'s mut [u8]) -> Result<Loaded<'s>, PassError> {
        let interpreter = Interpreter::new(&self.model, kernels::ALL, arena);
        Ok(Loaded {
            interpreter: interpreter.map_err(|e| fault(&e))?,
            outputs: self.outputs.len(),
        })
    }
}

/// A node in its memory.
pub(crate) struct Loaded<'s> {
    interpreter: Interpreter<'s, 's>,
    outputs: usize,
}

impl Loaded<'_> {
    /// As [`Stage::run`].
    ///
    /// # Errors
    /// As that.
    pub(crate) fn run(&mut self, inputs: &[&[u8]]) -> Result<Vec<Vec<u8>>, PassError> {
        let interpreter = &mut self.interpreter;
        interpreter.reset().map_err(|e| fault(&e))?;
        for (index, bytes) in inputs.iter().enumerate() {
            let input = interpreter.input_bytes_mut(index).map_err(|e| fault(&e))?;
            if input.len() != bytes.len() {
                let (expected, found) = (input.len(), bytes.len());
                let what = format!("a value has {found} bytes, expected {expected}");
                return Err(PassError::Interpreter(what));
            }
            input.copy_from_slice(bytes);
        }
        interpreter.invoke().map_err(|e| fault(&e))?;
        let bytes = |index| {
            Ok(interpreter
                .output_bytes(index)
                .map_err(|e| fault(&e))?
                .to_vec())
        };
        (0..self.outputs).map(bytes).collect()
    }
}

fn fault(error: &dyn core::fmt::Display) -> PassError {
    PassError::Interpreter(error.to_string())
}

/// A graph of one node, and what its inputs are called in the graph that the node is from.
fn alone(
    graph: &Graph,
    subgraph: &Subgraph,
    node: &Node,
) -> Result<(Graph, Vec<TensorId>), PassError> {
    let mut alone = Graph::default();
    alone.add_buffer(Vec::new());
    let mut only = Subgraph {
        debug_metadata: -1,
        ..Subgraph::default()
    };
    let mut inputs = Vec::new();
    let mut copies: Vec<(TensorId, TensorId)> = Vec::new();
    let mut copy = |alone: &mut Graph, only: &mut Subgraph, id: TensorId| {
        if let Some((_, copy)) = copies.iter().find(|(of, _)| *of == id) {
            return Ok::<_, PassError>((*copy, false));
        }
        let mut tensor = edit::tensor(subgraph, id)?.clone();
        tensor.shape_signature = Vec::new();
        tensor.buffer = match graph.data(&tensor) {
            [] => Default::default(),
            data => alone.add_buffer(data.to_vec()),
        };
        let copy = only.add_tensor(tensor);
        copies.push((id, copy));
        Ok((copy, true))
    };
    let mut of_node = node.clone();
    for (index, input) in of_node.inputs.iter_mut().enumerate() {
        let Some(id) = *input else { continue };
        let (own, new) = copy(&mut alone, &mut only, id)?;
        *input = Some(own);
        let tensor = edit::tensor(&only, own)?;
        let operand = node.kind().and_then(|kind| kind.info().input(index));
        let kept = tensor.is_variable || operand.is_some_and(|o| o.role == Role::State);
        if new && !kept && !alone.is_constant(tensor) {
            only.inputs.push(own);
            inputs.push(id);
        }
    }
    for intermediate in of_node.intermediates.iter_mut().flatten() {
        *intermediate = copy(&mut alone, &mut only, *intermediate)?.0;
    }
    for output in &mut of_node.outputs {
        *output = copy(&mut alone, &mut only, *output)?.0;
    }
    only.outputs.clone_from(&of_node.outputs);
    of_node.debug_metadata = -1;
    only.nodes.push(of_node);
    alone.subgraphs.push(only);
    Ok((alone, inputs))
}
