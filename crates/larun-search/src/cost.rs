//! What a network costs on the device, from its graph, before any training.

use std::path::Path;

use larun::device::{Board, Budget, LatencyEstimate, Usage, cost, fit};
use larun::graph::{Graph, TensorId};
use larun::passes::{Border, Calibration, Calibrator, PassError, QuantizeOptions, quantize_int8};
use larun::{Model, quantize, tflite};
use serde::{Deserialize, Serialize};

use crate::SearchError;

/// What a network takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The bytes of the INT8 file.
    pub flash_bytes: u64,
    /// The bytes of the interpreter's arena.
    pub arena_bytes: u64,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Weights and biases.
    pub parameters: u64,
    /// Cycles of an inference on the board's core, an estimate.
    pub cycles: u64,
}

impl Cost {
    /// The cost of a float graph: it is quantised, written and loaded. Neither the file's size nor the arena depends on weights and
    /// ranges, so a graph need not be trained.
    ///
    /// # Errors
    /// When the graph cannot be quantised, written or loaded.
    pub fn of(graph: Graph, board: &Board) -> Result<Self, SearchError> {
        let graph = quantize::prepare(graph)?;
        let ranges = ranges_of_one(&graph)?;
        let (model, graph) = quantized(graph, &ranges)?;
        let stats = graph.stats()?;
        let mut arena = model.arena()?;
        let interpreter = model.interpreter(&mut arena)?;
        let arena_bytes = interpreter.arena_bytes() as u64;
        let estimate = cost::estimate(&graph, board, Some(arena_bytes))?;
        Ok(Self {
            flash_bytes: model.bytes().len() as u64,
            arena_bytes,
            macs: stats.macs,
            parameters: stats.parameters,
            cycles: estimate.cycles as u64,
        })
    }

    /// The limits of board and budget that it exceeds, in words.
    #[must_use]
    pub fn exceeded(&self, board: &Board, budget: &Budget) -> Vec<String> {
        let usage = Usage {
            flash_bytes: self.flash_bytes,
            ram_bytes: self.arena_bytes,
            parameters: self.parameters,
            operations: self.macs,
        };
        let latency = LatencyEstimate {
            milliseconds: self.cycles as f64 / board.clock_hz as f64 * 1e3,
            model: format!("estimate: {} cycles", self.cycles),
        };
        let fit = fit(&usage, latency, board, budget);
        fit.exceeded().map(ToString::to_string).collect()
    }
}

/// The INT8 model of a float graph, and its graph, with the ranges that the samples have.
///
/// # Errors
/// When the graph cannot be quantised or written.
pub fn int8(graph: Graph, samples: &[&[f32]]) -> Result<(Model, Graph), SearchError> {
    let graph = quantize::prepare(graph)?;
    let mut calibrator = Calibrator::new(&graph)?;
    calibrator.observe(samples.iter().map(|&sample| vec![sample]))?;
    quantized(graph, &calibrator.finish()?)
}

/// From -1 to 1 for every tensor. The values that weights give which were only drawn shrink from layer to layer, and those of a deep
/// network's last would be too small for fixed-point arithmetic.
fn ranges_of_one(graph: &Graph) -> Result<Calibration, SearchError> {
    let mut ranges = Calibration::default();
    let tensors = graph.main().map_or(0, |subgraph| subgraph.tensors.len());
    for tensor in (0..tensors).map(TensorId::new) {
        ranges
            .set_range(tensor, -1.0, 1.0)
            .map_err(PassError::Observer)?;
    }
    Ok(ranges)
}

fn quantized(graph: Graph, ranges: &Calibration) -> Result<(Model, Graph), SearchError> {
    let options = QuantizeOptions {
        border: Border::Integer,
        ..QuantizeOptions::default()
    };
    let quantized = quantize_int8(graph, ranges, &options)?;
    let model = Model::new(Path::new("searched.tflite"), &tflite::write(&quantized)?);
    Ok((model, quantized))
}
