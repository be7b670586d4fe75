//! A graph run node by node over several samples at once, so that two graphs can be walked side by side.

use std::collections::HashMap;

use larun_graph::ops::ElementType;
use larun_graph::{Graph, NodeId, Tensor, TensorId};
use larun_quant::Affine;
use rayon::prelude::*;

use crate::integers::elements;
use crate::stage::Stage;
use crate::{PassError, edit};

/// The bytes of one tensor, a piece for each sample.
pub(crate) type Bytes = Vec<Vec<u8>>;

/// How far a graph has been run over a set of samples, and the values that nodes to come read.
pub(crate) struct Frontier {
    values: HashMap<TensorId, Bytes>,
    /// How many nodes to come read each tensor.
    readers: Vec<usize>,
}

impl Frontier {
    /// Before the first node. Each sample is one slice of real values for each input.
    ///
    /// # Errors
    /// When a sample does not fit the inputs.
    pub(crate) fn new(graph: &Graph, samples: &[Vec<&[f32]>]) -> Result<Self, PassError> {
        let subgraph = edit::main(graph)?;
        let mut values = HashMap::new();
        for (port, &input) in subgraph.inputs.iter().enumerate() {
            let tensor = edit::tensor(subgraph, input)?;
            let encode = |(index, sample): (usize, &Vec<&[f32]>)| {
                let (expected, found) = (subgraph.inputs.len(), sample.len());
                let reals = sample.get(port).ok_or(PassError::SampleInputs {
                    index,
                    expected,
                    found,
                })?;
                encode(tensor, reals)
            };
            let bytes = samples.iter().enumerate().map(encode);
            values.insert(input, bytes.collect::<Result<Bytes, _>>()?);
        }
        let consumers = subgraph.consumers();
        let readers = consumers.iter().map(Vec::len).collect();
        Ok(Self { values, readers })
    }

    /// Runs a node on all samples and keeps what it computes. Values that no node to come reads are dropped.
    ///
    /// # Errors
    /// When the node cannot be run.
    pub(crate) fn advance(&mut self, graph: &Graph, id: NodeId) -> Result<(), PassError> {
        let (outputs, results) = self.compute(graph, id)?;
        for (output, bytes) in outputs.into_iter().zip(results) {
            self.values.insert(output, bytes);
        }
        for input in edit::node(edit::main(graph)?, id)?.inputs.iter().flatten() {
            if let Some(readers) = self.readers.get_mut(input.index()) {
                *readers = readers.saturating_sub(1);
                if *readers == 0 {
                    self.values.remove(input);
                }
            }
        }
        Ok(())
    }

    /// What a node gives, output by output, without going on.
    ///
    /// # Errors
    /// When the node cannot be run.
    pub(crate) fn compute(
        &self,
        graph: &Graph,
        id: NodeId,
    ) -> Result<(Vec<TensorId>, Vec<Bytes>), PassError> {
        let stage = Stage::new(graph, id)?;
        let read = |input: &TensorId| {
            let missing = || PassError::NotCalibrated {
                place: larun_graph::Place::tensor(&graph.subgraphs[0], *input),
            };
            self.values.get(input).ok_or_else(missing)
        };
        let inputs: Vec<&Bytes> = stage.inputs.iter().map(read).collect::<Result<_, _>>()?;
        let samples = inputs.first().map_or(0, |input| input.len());
        let run = |chunk: &[usize]| {
            let mut arena = stage.arena();
            let mut stage = stage.loaded(&mut arena)?;
            let of_sample = |&sample: &usize| {
                let inputs = inputs.iter().filter_map(|input| input.get(sample));
                stage.run(&inputs.map(Vec::as_slice).collect::<Vec<_>>())
            };
            chunk.iter().map(of_sample).collect::<Result<Vec<_>, _>>()
        };
        let samples: Vec<usize> = (0..samples).collect();
        // To load a node takes as long as to run a small one some times: every thread does it once or twice.
        let chunk = samples.len().div_ceil(2 * rayon::current_num_threads());
        let chunks = samples.par_chunks(chunk.max(1)).map(run);
        let by_sample: Vec<Vec<Vec<Vec<u8>>>> = chunks.collect::<Result<_, _>>()?;
        let mut by_output: Vec<Bytes> = stage.outputs.iter().map(|_| Vec::new()).collect();
        for outputs in by_sample.into_iter().flatten() {
            for (all, bytes) in by_output.iter_mut().zip(outputs) {
                all.push(bytes);
            }
        }
        Ok((stage.outputs, by_output))
    }

    /// The values of a tensor, `None` where it was dropped or not reached.
    pub(crate) fn get(&self, id: TensorId) -> Option<&Bytes> {
        self.values.get(&id)
    }
}

/// Reals as the elements of an input.
pub(crate) fn encode(tensor: &Tensor, reals: &[f32]) -> Result<Vec<u8>, PassError> {
    let affine = affine(tensor);
    let bytes = |elements: Vec<u8>| Ok(elements);
    match (tensor.element_type, affine) {
        (ElementType::Float32, _) => bytes(bytemuck::cast_slice(reals).to_vec()),
        (ElementType::Int8, Some(affine)) => {
            bytes(reals.iter().map(|&x| affine.quantize_i8(x) as u8).collect())
        }
        (ElementType::Int16, Some(affine)) => {
            let integers = reals.iter().map(|&x| affine.quantize_i16(x));
            bytes(integers.flat_map(i16::to_le_bytes).collect())
        }
        (ElementType::Int32, None) => elements::<i32>(reals, |x| x.to_le_bytes().to_vec())
            .map_err(|value| no_element(tensor, value)),
        (ElementType::Int64, None) => elements::<i64>(reals, |x| x.to_le_bytes().to_vec())
            .map_err(|value| no_element(tensor, value)),
        (found, _) => Err(PassError::Interpreter(format!(
            "input `{}` has {found} elements; samples are numbers for FLOAT32, INT32 and INT64 inputs",
            tensor.name
        ))),
    }
}

/// A value that is no element of an integer input. Which sample it is of is said by whoever knows.
fn no_element(tensor: &Tensor, value: f32) -> PassError {
    PassError::SampleElement {
        index: 0,
        name: tensor.name.clone(),
        element_type: tensor.element_type,
        value,
    }
}

/// The elements of a value as real numbers, `None` for elements that stand for none.
pub(crate) fn decode(tensor: &Tensor, bytes: &[u8]) -> Option<Vec<f32>> {
    Some(match (tensor.element_type, affine(tensor)) {
        (ElementType::Float32, _) => {
            let words = bytes.as_chunks().0;
            words.iter().map(|&word| f32::from_le_bytes(word)).collect()
        }
        (ElementType::Int8, Some(affine)) => {
            let integers = bytes.iter().map(|&byte| byte as i8);
            integers.map(|q| affine.dequantize(q)).collect()
        }
        (ElementType::Int16, Some(affine)) => {
            let integers = bytes.as_chunks().0.iter();
            let integers = integers.map(|&word| i16::from_le_bytes(word));
            integers.map(|q| affine.dequantize(q)).collect()
        }
        _ => return None,
    })
}

/// The smallest and largest real value that an integer tensor can hold.
pub(crate) fn extremes(tensor: &Tensor) -> Option<(f32, f32)> {
    let affine = affine(tensor)?;
    match tensor.element_type {
        ElementType::Int8 => Some((affine.dequantize(i8::MIN), affine.dequantize(i8::MAX))),
        ElementType::Int16 => Some((affine.dequantize(i16::MIN), affine.dequantize(i16::MAX))),
        _ => None,
    }
}

fn affine(tensor: &Tensor) -> Option<Affine> {
    tensor.quantization.as_ref()?.as_per_tensor()
}
