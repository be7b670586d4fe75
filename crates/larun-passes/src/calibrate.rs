//! Calibration: the ranges of all values, seen while the interpreter runs the float model.

use std::collections::HashMap;

use larun_graph::ops::ElementType;
use larun_graph::{Graph, GraphError, Place, TensorId};
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{
    Interpreter, LoadError, NodeId, NodeOutputs, Observer as NodeObserver, RunError, kernels,
};
use larun_quant::{MinMax, Observer, QuantError};

use crate::PassError;
use crate::quantize::check_float;
use crate::states::{Probe, probes};

/// The range of every value of a graph, by tensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    ranges: Vec<Option<MinMax>>,
    samples: usize,
}

impl Calibration {
    /// Smallest and largest value of a tensor, `None` for one that was not seen.
    pub fn range(&self, tensor: TensorId) -> Option<(f32, f32)> {
        self.ranges.get(tensor.index())?.as_ref()?.bounds()
    }

    /// How many samples were seen.
    pub fn samples(&self) -> usize {
        self.samples
    }
}

/// Runs the float model sample by sample and notes ranges. Memory does not grow with the number of samples.
pub struct Calibrator {
    graph: Graph,
    model: AlignedBytes,
    arena: AlignedBytes,
    calibration: Calibration,
    probes: Vec<Probe>,
}

impl Calibrator {
    /// A calibrator of a float graph.
    ///
    /// # Errors
    /// When the graph is quantised already, holds an operator that cannot be, or the interpreter cannot run it.
    pub fn new(graph: &Graph) -> Result<Self, PassError> {
        graph.validate()?;
        check_float(graph)?;
        let model = AlignedBytes::copy_of(&larun_tflite::write(graph)?);
        let arena = arena_for(&model, kernels::ALL).map_err(load_error)?;
        let tensors = graph.main().map_or(0, |subgraph| subgraph.tensors.len());
        Ok(Self {
            graph: graph.clone(),
            probes: probes(graph)?,
            arena,
            model,
            calibration: Calibration {
                ranges: vec![None; tensors],
                samples: 0,
            },
        })
    }

    /// Runs samples, each one slice of values per input of the model.
    ///
    /// # Errors
    /// When a sample does not fit the model's inputs, or a value is not finite: the error names the tensor.
    pub fn observe<'s>(
        &mut self,
        samples: impl IntoIterator<Item = Vec<&'s [f32]>>,
    ) -> Result<(), PassError> {
        let mut interpreter =
            Interpreter::new(&self.model, kernels::ALL, &mut self.arena).map_err(load_error)?;
        for sample in samples {
            run_sample(
                &mut interpreter,
                &mut self.calibration,
                &mut self.probes,
                &self.graph,
                &sample,
            )?;
            self.calibration.samples += 1;
        }
        Ok(())
    }

    /// The ranges.
    ///
    /// # Errors
    /// When no sample was observed.
    pub fn finish(self) -> Result<Calibration, PassError> {
        match self.calibration.samples {
            0 => Err(PassError::NoSamples),
            _ => Ok(self.calibration),
        }
    }
}

fn run_sample(
    interpreter: &mut Interpreter<'_, '_>,
    calibration: &mut Calibration,
    probes: &mut [Probe],
    graph: &Graph,
    sample: &[&[f32]],
) -> Result<(), PassError> {
    let index = calibration.samples;
    let expected = interpreter.input_count();
    if sample.len() != expected {
        let found = sample.len();
        return Err(PassError::SampleInputs {
            index,
            expected,
            found,
        });
    }
    let mut ranges = Ranges {
        ranges: &mut calibration.ranges,
        probes,
        kept: HashMap::new(),
        values: Vec::new(),
        error: None,
    };
    for (input, values) in sample.iter().enumerate() {
        let info = interpreter.input_info(input).map_err(run_error)?;
        interpreter
            .set_input(input, values)
            .map_err(|error| match error {
                RunError::Length { expected, found } => PassError::SampleSize {
                    index,
                    name: info.name.to_string(),
                    expected,
                    found,
                },
                error => run_error(error),
            })?;
        ranges.note(info.index, values);
    }
    interpreter
        .invoke_observed(&mut ranges)
        .map_err(run_error)?;
    match ranges.error {
        None => Ok(()),
        Some((tensor, source)) => Err(quantization(graph, tensor, source)?),
    }
}

/// Takes in the results of every node.
struct Ranges<'c> {
    ranges: &'c mut Vec<Option<MinMax>>,
    probes: &'c mut [Probe],
    /// What goes into the nodes whose states are followed.
    kept: HashMap<usize, Vec<f32>>,
    values: Vec<f32>,
    error: Option<(usize, QuantError)>,
}

impl Ranges<'_> {
    fn note(&mut self, tensor: usize, values: &[f32]) {
        let Some(range) = self.ranges.get_mut(tensor) else {
            return;
        };
        let observed = range.get_or_insert_default().observe(values);
        if let (Err(error), None) = (observed, &self.error) {
            self.error = Some((tensor, error));
        }
        if self
            .probes
            .iter()
            .any(|probe| probe.input.index() == tensor)
        {
            self.kept.insert(tensor, values.to_vec());
        }
    }

    /// Notes the states of a node that gave `output`.
    fn note_state(&mut self, node: usize, output: &[f32]) {
        let probes = self.probes.iter_mut();
        for probe in probes.filter(|probe| probe.node.index() == node) {
            let Some(input) = self.kept.get(&probe.input.index()) else {
                continue;
            };
            let states = probe.follow(input, output);
            let range = self.ranges.get_mut(probe.state.index());
            let observed = range.map(|range| range.get_or_insert_default().observe(&states));
            if let (Some(Err(error)), None) = (observed, &self.error) {
                self.error = Some((probe.state.index(), error));
            }
        }
    }
}

impl NodeObserver for Ranges<'_> {
    fn after(&mut self, node: NodeId, outputs: NodeOutputs<'_>) {
        // The tensors of the main subgraph are quantised.
        if node.subgraph != 0 {
            return;
        }
        for (tensor, bytes) in (0..outputs.len()).filter_map(|i| outputs.get(i)) {
            let mut values = core::mem::take(&mut self.values);
            values.clear();
            let words = bytes.chunks_exact(4);
            values
                .extend(words.map(|word| f32::from_le_bytes(word.try_into().unwrap_or_default())));
            self.note(tensor, &values);
            self.note_state(node.index, &values);
            self.values = values;
        }
    }
}

fn quantization(graph: &Graph, tensor: usize, source: QuantError) -> Result<PassError, GraphError> {
    let subgraph = graph.main().ok_or(GraphError::NoSubgraph)?;
    Ok(PassError::Quantization {
        place: Place::tensor(subgraph, TensorId::new(tensor)),
        source,
    })
}

fn load_error(error: LoadError<'_>) -> PassError {
    PassError::Interpreter(error.to_string())
}

fn run_error(error: RunError) -> PassError {
    match error {
        RunError::ElementType { found } if found != ElementType::Float32 => PassError::Interpreter(
            format!("an input has {found} elements, calibration takes FLOAT32"),
        ),
        error => PassError::Interpreter(error.to_string()),
    }
}
