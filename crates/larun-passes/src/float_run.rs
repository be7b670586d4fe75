//! Samples run through a float model in parallel, and every value shown to an accumulator.

use larun_graph::ops::{ElementType, Op, OpKind, UnidirectionalSequenceLstmOptions};
use larun_graph::{Graph, Node, Place, TensorId};
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{
    Interpreter, LoadError, NodeId, NodeOutputs, Observer as NodeObserver, RunError, kernels,
};
use larun_quant::QuantError;
use rayon::prelude::*;

use crate::PassError;
use crate::integers::elements;

/// Samples that one accumulator sees in a row. The partition must not depend on the number of threads, or sums would.
const CHUNK: usize = 8;
/// Samples that are held at a time.
const WAVE: usize = 8 * CHUNK;

/// What is gathered of the values of a graph's tensors.
pub(crate) trait Accumulate: Clone + Send + Sync {
    /// A sample begins.
    fn begin_sample(&mut self) {}

    /// Takes in the values of a FLOAT32 tensor of one sample.
    fn note(&mut self, tensor: usize, values: &[f32]) -> Result<(), QuantError>;

    /// Takes in what another has seen of later samples.
    fn merge(&mut self, later: Self);

    /// Whether samples must be seen one after the other.
    fn is_ordered(&self) -> bool {
        false
    }
}

/// A float model to be run for what its values are.
#[derive(Clone, Debug)]
pub(crate) struct FloatRun {
    graph: Graph,
    model: AlignedBytes,
    arena_bytes: usize,
    /// Which tensors hold real numbers.
    real: Vec<bool>,
    /// Whether samples follow each other, state and all.
    streaming: bool,
    samples: usize,
}

/// Whether a graph takes in a stream piece by piece: what it keeps from one inference is meant for the next. An LSTM that
/// gets whole sequences keeps its state only within one.
pub(crate) fn is_streaming(graph: &Graph) -> bool {
    let Some(subgraph) = graph.main() else {
        return false;
    };
    let steps = |node: &Node, options: &UnidirectionalSequenceLstmOptions| {
        let input = node.input(0).and_then(|id| subgraph.tensor(id));
        let dims = input.map_or(&[][..], |tensor| tensor.shape.dims());
        dims.get(usize::from(!options.time_major)).copied()
    };
    subgraph.nodes.iter().any(|node| match node.known() {
        Some(Op::UnidirectionalSequenceLstm(options)) => steps(node, options) == Some(1),
        Some(op) => matches!(
            op.kind(),
            OpKind::Svdf | OpKind::CircularBuffer | OpKind::VarHandle
        ),
        None => false,
    })
}

/// Whether samples are run as one sequence: TensorFlow's calibrator keeps the state of an LSTM from sample to sample too.
pub(crate) fn keeps_state(graph: &Graph) -> bool {
    let is_lstm = |node: &Node| node.kind() == Some(OpKind::UnidirectionalSequenceLstm);
    is_streaming(graph)
        || graph
            .main()
            .is_some_and(|main| main.nodes.iter().any(is_lstm))
}

impl FloatRun {
    /// # Errors
    /// When the interpreter cannot run the graph.
    pub(crate) fn new(graph: &Graph) -> Result<Self, PassError> {
        graph.validate()?;
        let model = AlignedBytes::copy_of(&larun_tflite::write(graph)?);
        let arena = arena_for(&model, kernels::ALL).map_err(load_error)?;
        let tensors = graph.main().map_or(&[][..], |subgraph| &subgraph.tensors);
        let is_real = |tensor: &larun_graph::Tensor| tensor.element_type == ElementType::Float32;
        Ok(Self {
            real: tensors.iter().map(is_real).collect(),
            graph: graph.clone(),
            arena_bytes: arena.len(),
            model,
            streaming: keeps_state(graph),
            samples: 0,
        })
    }

    /// How many samples were run.
    pub(crate) const fn samples(&self) -> usize {
        self.samples
    }

    /// Runs samples, each one slice of values an input, and shows `into` the values of all FLOAT32 tensors that are no
    /// constants. Every sample begins with the model's state cleared, unless the model keeps one. `empty` is an accumulator that has seen nothing.
    /// `progress` is told how many samples were run. Results are the same at any number of threads.
    ///
    /// # Errors
    /// When a sample does not fit the model's inputs, or the accumulator refuses a value.
    pub(crate) fn run<'s, A: Accumulate>(
        &mut self,
        samples: impl IntoIterator<Item = Vec<&'s [f32]>>,
        empty: &A,
        into: &mut A,
        mut progress: impl FnMut(usize),
    ) -> Result<(), PassError> {
        let mut samples = samples.into_iter();
        if self.streaming {
            let all: Vec<_> = samples.collect();
            *into = self.run_chunk(0, &all, into.clone())?;
            self.samples += all.len();
            progress(self.samples);
            return Ok(());
        }
        loop {
            let wave: Vec<_> = samples.by_ref().take(WAVE).collect();
            if wave.is_empty() {
                return Ok(());
            }
            if empty.is_ordered() {
                *into = self.run_chunk(self.samples, &wave, into.clone())?;
                self.samples += wave.len();
                progress(self.samples);
                continue;
            }
            let chunk = |(index, chunk): (usize, &[Vec<&[f32]>])| {
                let first = self.samples + index * CHUNK;
                self.run_chunk(first, chunk, empty.clone())
            };
            let chunks = wave.par_chunks(CHUNK).enumerate();
            let seen: Vec<A> = chunks.map(chunk).collect::<Result<_, _>>()?;
            seen.into_iter().for_each(|seen| into.merge(seen));
            self.samples += wave.len();
            progress(self.samples);
        }
    }

    fn run_chunk<A: Accumulate>(
        &self,
        first: usize,
        samples: &[Vec<&[f32]>],
        into: A,
    ) -> Result<A, PassError> {
        let mut arena = AlignedBytes::zeroed(self.arena_bytes);
        let mut interpreter =
            Interpreter::new(&self.model, kernels::ALL, &mut arena).map_err(load_error)?;
        let mut watch = Watch {
            into,
            real: &self.real,
            copy: Vec::new(),
            error: None,
        };
        for (index, sample) in samples.iter().enumerate() {
            let fault =
                |error: larun_tflite::view::ViewError| PassError::Interpreter(error.to_string());
            if !self.streaming {
                interpreter.reset().map_err(fault)?;
                watch.into.begin_sample();
            }
            feed(&mut interpreter, &mut watch, first + index, sample)?;
            interpreter.invoke_observed(&mut watch).map_err(run_error)?;
            if let Some((tensor, source)) = watch.error {
                return Err(self.at(tensor, source));
            }
        }
        Ok(watch.into)
    }

    fn at(&self, tensor: usize, source: QuantError) -> PassError {
        match self.graph.main() {
            Some(subgraph) => PassError::Quantization {
                place: Place::tensor(subgraph, TensorId::new(tensor)),
                source,
            },
            None => larun_graph::GraphError::NoSubgraph.into(),
        }
    }
}

/// Sets the inputs of an inference, and shows them.
fn feed<A: Accumulate>(
    interpreter: &mut Interpreter<'_, '_>,
    watch: &mut Watch<'_, A>,
    index: usize,
    sample: &[&[f32]],
) -> Result<(), PassError> {
    let expected = interpreter.input_count();
    if sample.len() != expected {
        let found = sample.len();
        return Err(PassError::SampleInputs {
            index,
            expected,
            found,
        });
    }
    for (input, values) in sample.iter().enumerate() {
        let info = interpreter.input_info(input).map_err(run_error)?;
        let of_port = Port {
            index,
            name: info.name.to_string(),
            element_type: info.element_type,
        };
        match info.element_type {
            ElementType::Int32 => {
                let bytes = elements::<i32>(values, |x| x.to_le_bytes().to_vec());
                of_port.fill(interpreter.input_bytes_mut(input), bytes)?;
                continue;
            }
            ElementType::Int64 => {
                let bytes = elements::<i64>(values, |x| x.to_le_bytes().to_vec());
                of_port.fill(interpreter.input_bytes_mut(input), bytes)?;
                continue;
            }
            _ => {}
        }
        let set = interpreter.set_input(input, values);
        set.map_err(|error| match error {
            RunError::Length { expected, found } => of_port.size(expected, found),
            error => run_error(error),
        })?;
        watch.note(info.index, values);
    }
    Ok(())
}

/// An input of a sample, for messages.
struct Port {
    index: usize,
    name: String,
    element_type: ElementType,
}

impl Port {
    fn size(&self, expected: usize, found: usize) -> PassError {
        PassError::SampleSize {
            index: self.index,
            name: self.name.clone(),
            expected,
            found,
        }
    }

    /// Sets an integer input.
    fn fill(
        &self,
        place: Result<&mut [u8], RunError>,
        bytes: Result<Vec<u8>, f32>,
    ) -> Result<(), PassError> {
        let bytes = bytes.map_err(|value| PassError::SampleElement {
            index: self.index,
            name: self.name.clone(),
            element_type: self.element_type,
            value,
        })?;
        let place = place.map_err(run_error)?;
        if place.len() != bytes.len() {
            let element = match self.element_type {
                ElementType::Int64 => size_of::<i64>(),
                _ => size_of::<i32>(),
            };
            return Err(self.size(place.len() / element, bytes.len() / element));
        }
        place.copy_from_slice(&bytes);
        Ok(())
    }
}

/// Shows the results of every node.
struct Watch<'r, A> {
    into: A,
    real: &'r [bool],
    copy: Vec<f32>,
    error: Option<(usize, QuantError)>,
}

impl<A: Accumulate> Watch<'_, A> {
    fn note(&mut self, tensor: usize, values: &[f32]) {
        if let (Err(error), None) = (self.into.note(tensor, values), &self.error) {
            self.error = Some((tensor, error));
        }
    }
}

impl<A: Accumulate> NodeObserver for Watch<'_, A> {
    fn after(&mut self, node: NodeId, outputs: NodeOutputs<'_>) {
        // The tensors of the main subgraph are quantised.
        if node.subgraph != 0 {
            return;
        }
        for (tensor, bytes) in (0..outputs.len()).filter_map(|i| outputs.get(i)) {
            if !self.real.get(tensor).is_some_and(|real| *real) {
                continue;
            }
            // Values lie aligned in the arena, little endian as the file: most often they can be read in place.
            if cfg!(target_endian = "little")
                && let Ok(values) = bytemuck::try_cast_slice(bytes)
            {
                self.note(tensor, values);
                continue;
            }
            let mut copy = core::mem::take(&mut self.copy);
            copy.clear();
            let words = bytes.as_chunks().0.iter();
            copy.extend(words.map(|&word| f32::from_le_bytes(word)));
            self.note(tensor, &copy);
            self.copy = copy;
        }
    }
}

fn load_error(error: LoadError<'_>) -> PassError {
    PassError::Interpreter(error.to_string())
}

fn run_error(error: RunError) -> PassError {
    match error {
        RunError::ElementType { found } if found != ElementType::Float32 => PassError::Interpreter(
            format!("an input has {found} elements, calibration takes FLOAT32, INT32 and INT64"),
        ),
        error => PassError::Interpreter(error.to_string()),
    }
}
