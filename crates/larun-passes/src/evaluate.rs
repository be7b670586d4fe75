//! How near a quantised graph's outputs are to those of its float graph, over samples.

use larun_graph::Graph;
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{Interpreter, kernels};
use larun_quant::measure::ErrorMeter;
use rayon::prelude::*;

use crate::lockstep::{decode, encode};
use crate::{PassError, edit};

/// Samples that one interpreter runs in a row.
const CHUNK: usize = 8;

/// The outputs of a graph as real numbers: sample by sample, output by output.
pub(crate) type Outputs = Vec<Vec<Vec<f32>>>;

/// Runs samples, each one slice of real values an input, with the state cleared before each.
///
/// # Errors
/// When the graph cannot be run or a sample does not fit it.
pub(crate) fn outputs(graph: &Graph, samples: &[Vec<&[f32]>]) -> Result<Outputs, PassError> {
    let model = AlignedBytes::copy_of(&larun_tflite::write(graph)?);
    let arena = arena_for(&model, kernels::ALL).map_err(|e| fault(&e))?;
    let chunks = samples.par_chunks(CHUNK);
    let run = |chunk: &[Vec<&[f32]>]| run_chunk(graph, &model, arena.len(), chunk);
    let chunks: Vec<Outputs> = chunks.map(run).collect::<Result<_, _>>()?;
    Ok(chunks.into_iter().flatten().collect())
}

fn run_chunk(
    graph: &Graph,
    model: &[u8],
    arena_bytes: usize,
    samples: &[Vec<&[f32]>],
) -> Result<Outputs, PassError> {
    let mut arena = AlignedBytes::zeroed(arena_bytes);
    let mut interpreter =
        Interpreter::new(model, kernels::ALL, &mut arena).map_err(|e| fault(&e))?;
    let subgraph = edit::main(graph)?;
    let mut all = Vec::with_capacity(samples.len());
    for sample in samples {
        interpreter.reset().map_err(|e| fault(&e))?;
        for (port, (&input, reals)) in subgraph.inputs.iter().zip(sample).enumerate() {
            let bytes = encode(edit::tensor(subgraph, input)?, reals)?;
            let place = interpreter.input_bytes_mut(port).map_err(|e| fault(&e))?;
            if place.len() != bytes.len() {
                let what = format!(
                    "a sample has {} bytes, expected {}",
                    bytes.len(),
                    place.len()
                );
                return Err(PassError::Interpreter(what));
            }
            place.copy_from_slice(&bytes);
        }
        interpreter.invoke().map_err(|e| fault(&e))?;
        let output = |(port, &id): (usize, &larun_graph::TensorId)| {
            let bytes = interpreter.output_bytes(port).map_err(|e| fault(&e))?;
            let tensor = edit::tensor(subgraph, id)?;
            Ok(decode(tensor, bytes).unwrap_or_default())
        };
        let outputs = subgraph.outputs.iter().enumerate().map(output);
        all.push(outputs.collect::<Result<_, PassError>>()?);
    }
    Ok(all)
}

/// Signal to quantisation noise in decibels, the mean over outputs; what has no noise counts as 200 dB.
pub(crate) fn sqnr_db(expected: &[Vec<Vec<f32>>], found: &[Vec<Vec<f32>>]) -> f64 {
    let count = expected.first().map_or(0, Vec::len);
    let of_output = |output: usize| {
        let mut meter = ErrorMeter::new();
        for (expected, found) in expected.iter().zip(found) {
            if let (Some(expected), Some(found)) = (expected.get(output), found.get(output)) {
                // Outputs of another length count as noise without end.
                if meter.add(expected, found).is_err() {
                    return f64::NEG_INFINITY;
                }
            }
        }
        meter
            .measures()
            .map_or(NOISELESS_DB, |m| m.sqnr_db.min(NOISELESS_DB))
    };
    (0..count).map(of_output).sum::<f64>() / count.max(1) as f64
}

const NOISELESS_DB: f64 = 200.0;

fn fault(error: &dyn core::fmt::Display) -> PassError {
    PassError::Interpreter(error.to_string())
}
