//! How far a quantised graph's outputs are from the float graph's, and what it takes.

use larun_graph::Graph;
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{ElementType, Interpreter, kernels};
use larun_quant::Affine;
use larun_quant::measure::{ErrorMeter, Measures};

use crate::PassError;

/// The float model's outputs for every sample.
pub(super) struct Float<'s> {
    samples: &'s [Vec<&'s [f32]>],
    /// By sample, the outputs one behind the other.
    outputs: Vec<Vec<f32>>,
}

/// How a model compares with the float one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// Over all outputs and samples.
    pub measures: Measures,
    /// The share of samples whose largest output is elsewhere.
    pub drop: f64,
}

impl<'s> Float<'s> {
    pub(super) fn new(graph: &Graph, samples: &'s [Vec<&'s [f32]>]) -> Result<Self, PassError> {
        if samples.is_empty() {
            return Err(PassError::NoSamples);
        }
        Ok(Self {
            samples,
            outputs: outputs(graph, samples)?,
        })
    }

    pub(super) fn compare(&self, graph: &Graph) -> Result<Agreement, PassError> {
        let found = outputs(graph, self.samples)?;
        let mut meter = ErrorMeter::new();
        let mut elsewhere = 0usize;
        let uncomparable =
            |fault| PassError::Interpreter(format!("outputs differ in size: {fault}"));
        for (expected, found) in self.outputs.iter().zip(&found) {
            meter.add(expected, found).map_err(uncomparable)?;
            elsewhere += usize::from(largest(expected) != largest(found));
        }
        Ok(Agreement {
            measures: meter.measures().map_err(uncomparable)?,
            drop: elsewhere as f64 / self.samples.len().max(1) as f64,
        })
    }
}

/// The power of the error relative to that of the signal.
pub(super) fn relative_noise(measures: &Measures) -> f64 {
    match measures.signal > 0.0 {
        true => measures.mse / measures.signal,
        false => measures.mse,
    }
}

/// The place of the first largest value.
fn largest(values: &[f32]) -> Option<usize> {
    let indexed = values.iter().enumerate().rev();
    let largest = indexed.max_by(|(_, a), (_, b)| a.total_cmp(b));
    largest.map(|(index, _)| index)
}

/// Bytes of the file.
pub(super) fn file_len(graph: &Graph) -> Result<usize, PassError> {
    Ok(larun_tflite::write(graph)?.len())
}

/// Bytes of the interpreter's arena.
pub(super) fn arena_len(graph: &Graph) -> Result<usize, PassError> {
    let model = AlignedBytes::copy_of(&larun_tflite::write(graph)?);
    Ok(arena(&model)?.len())
}

fn arena(model: &[u8]) -> Result<AlignedBytes, PassError> {
    arena_for(model, kernels::ALL).map_err(|error| PassError::Interpreter(error.to_string()))
}

/// What a graph makes of each sample, from a cleared state, as real numbers.
fn outputs(graph: &Graph, samples: &[Vec<&[f32]>]) -> Result<Vec<Vec<f32>>, PassError> {
    let model = AlignedBytes::copy_of(&larun_tflite::write(graph)?);
    let mut arena = arena(&model)?;
    let fault = |error: &dyn core::fmt::Display| PassError::Interpreter(error.to_string());
    let mut interpreter =
        Interpreter::new(&model, kernels::ALL, &mut arena).map_err(|error| fault(&error))?;
    let run = |sample: &Vec<&[f32]>| {
        interpreter.reset().map_err(|error| fault(&error))?;
        for (index, values) in sample.iter().enumerate() {
            set(&mut interpreter, index, values)?;
        }
        interpreter.invoke().map_err(|error| fault(&error))?;
        let mut all = Vec::new();
        for index in 0..interpreter.output_count() {
            all.extend(output(&interpreter, index)?);
        }
        Ok(all)
    };
    samples.iter().map(run).collect()
}

fn set(
    interpreter: &mut Interpreter<'_, '_>,
    index: usize,
    values: &[f32],
) -> Result<(), PassError> {
    let fault = |error: larun_micro::RunError| PassError::Interpreter(error.to_string());
    let info = interpreter.input_info(index).map_err(fault)?;
    let affine = info.scale_and_zero_point();
    let affine = affine.map_or(Affine::new(1.0, 0), |(scale, zero)| {
        Affine::new(scale, zero)
    });
    match info.element_type {
        ElementType::Int8 => {
            let integers: Vec<i8> = values.iter().map(|&v| affine.quantize_i8(v)).collect();
            interpreter.set_input(index, &integers).map_err(fault)
        }
        ElementType::Int16 => {
            let integers: Vec<i16> = values.iter().map(|&v| affine.quantize_i16(v)).collect();
            interpreter.set_input(index, &integers).map_err(fault)
        }
        // Indices, given as real numbers.
        ElementType::Int32 => {
            let integers: Vec<i32> = values.iter().map(|&v| v.round() as i32).collect();
            interpreter.set_input(index, &integers).map_err(fault)
        }
        _ => interpreter.set_input(index, values).map_err(fault),
    }
}

/// An output as real numbers; indices count as such.
fn output(interpreter: &Interpreter<'_, '_>, index: usize) -> Result<Vec<f32>, PassError> {
    let fault = |error: larun_micro::RunError| PassError::Interpreter(error.to_string());
    let info = interpreter.output_info(index).map_err(fault)?;
    let affine = info.scale_and_zero_point();
    let affine = affine.map_or(Affine::new(1.0, 0), |(scale, zero)| {
        Affine::new(scale, zero)
    });
    let reals = match info.element_type {
        ElementType::Int8 => {
            let integers = interpreter.output::<i8>(index).map_err(fault)?;
            integers.iter().map(|&q| affine.dequantize(q)).collect()
        }
        ElementType::Int16 => {
            let integers = interpreter.output::<i16>(index).map_err(fault)?;
            integers.iter().map(|&q| affine.dequantize(q)).collect()
        }
        ElementType::Int32 => {
            let integers = interpreter.output::<i32>(index).map_err(fault)?;
            integers.iter().map(|&q| q as f32).collect()
        }
        _ => interpreter.output::<f32>(index).map_err(fault)?.to_vec(),
    };
    Ok(reals)
}
