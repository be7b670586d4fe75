//! What an LSTM checks and works out when a model is loaded.

use larun_ops::{Activation, ElementType, UnidirectionalSequenceLstmOptions};
use larun_quant::fixed_point::{FixedMultiplier, SigmoidInput16};

use super::geometry::{
    BIAS, CELL, HIDDEN, INPUT_WEIGHTS, RECURRENT_WEIGHTS, checked as checked_geometry,
};
use super::{HybridLstm, LstmQuantization, lstm_hybrid_scratch_len, lstm_scratch_len};
use crate::operand::{Operand, multiplier};
use crate::plan::Record;
use crate::requantize::OutputStage;
use crate::sigmoid::near_power_of_two;
use crate::{InvokeError, NodeView, PlanReader, PlanWriter, Reason, Refusal};

/// The types of the activations.
const ACTIVATIONS: &[ElementType] = &[ElementType::Int8, ElementType::Int16, ElementType::Float32];

/// The types of weights.
const WEIGHTS: &[ElementType] = &[ElementType::Int8, ElementType::Float32];

/// The arithmetic that a node was prepared for.
#[derive(Clone, Copy)]
pub(super) enum Arithmetic {
    Float32,
    Int8,
    Int16,
    Hybrid,
}

impl Record for Arithmetic {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        plan.push_u32(*self as u32);
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        match plan.read_u32()? {
            0 => Ok(Self::Float32),
            1 => Ok(Self::Int8),
            2 => Ok(Self::Int16),
            3 => Ok(Self::Hybrid),
            _ => Err(InvokeError::Plan),
        }
    }
}

pub(super) fn prepare(
    options: &UnidirectionalSequenceLstmOptions,
    node: &dyn NodeView,
    plan: &mut PlanWriter<'_>,
) -> Result<(), Refusal> {
    if options.activation != Activation::Tanh {
        return Err(Refusal::options(Reason::Activation(options.activation)));
    }
    let geometry = checked_geometry(options, node)?;
    let of_activations = Operand::input(node, 0)?.one_of(ACTIVATIONS)?;
    let of_weights = Operand::input(node, INPUT_WEIGHTS)?.one_of(WEIGHTS)?;
    let (arithmetic, of_bias, of_cell) = match of_activations {
        ElementType::Int8 => (Arithmetic::Int8, ElementType::Int32, ElementType::Int16),
        ElementType::Int16 => (Arithmetic::Int16, ElementType::Int64, ElementType::Int16),
        float if of_weights == float => (Arithmetic::Float32, float, float),
        float => (Arithmetic::Hybrid, float, float),
    };
    let of_weights = match arithmetic {
        Arithmetic::Float32 => ElementType::Float32,
        _ => ElementType::Int8,
    };
    Operand::output(node, 0)?.has_type(of_activations)?;
    Operand::input(node, HIDDEN)?.has_type(of_activations)?;
    Operand::input(node, CELL)?.has_type(of_cell)?;
    for gate in 0..4 {
        Operand::input(node, INPUT_WEIGHTS + gate)?.has_type(of_weights)?;
        Operand::input(node, RECURRENT_WEIGHTS + gate)?.has_type(of_weights)?;
        Operand::input(node, BIAS + gate)?.has_type(of_bias)?;
    }
    arithmetic.write(plan);
    geometry.write(plan);
    match arithmetic {
        Arithmetic::Float32 => {
            plan.push_f32(options.cell_clip);
            plan.request_scratch(geometry.units.saturating_mul(size_of::<f32>()));
        }
        Arithmetic::Hybrid => {
            hybrid(options, node)?.write(plan);
            let scratch = lstm_hybrid_scratch_len(&geometry);
            plan.request_scratch(scratch.saturating_mul(size_of::<i16>()));
        }
        Arithmetic::Int8 | Arithmetic::Int16 => {
            quantization(node, options.cell_clip, plan)?.write(plan);
            let scratch = lstm_scratch_len(&geometry);
            plan.request_scratch(scratch.saturating_mul(size_of::<i16>()));
        }
    }
    Ok(())
}

fn hybrid(
    options: &UnidirectionalSequenceLstmOptions,
    node: &dyn NodeView,
) -> Result<HybridLstm, Refusal> {
    let scales = |first: usize| {
        let mut scales = [0.0; 4];
        for (scale, index) in scales.iter_mut().zip(first..) {
            let weights = Operand::input(node, index)?;
            *scale = weights.affine()?.scale;
            weights.has_zero_point(0, 0)?;
        }
        Ok(scales)
    };
    Ok(HybridLstm {
        cell_clip: options.cell_clip,
        asymmetric: options.asymmetric_quantize_inputs,
        input: scales(INPUT_WEIGHTS)?,
        recurrent: scales(RECURRENT_WEIGHTS)?,
    })
}

/// The quantisation of an integer LSTM, its scales combined as TFLM does: some products in single precision.
fn quantization(
    node: &dyn NodeView,
    cell_clip: f32,
    plan: &PlanWriter<'_>,
) -> Result<LstmQuantization, Refusal> {
    let (input, hidden) = (Operand::input(node, 0)?, Operand::input(node, HIDDEN)?);
    let (from, to) = (input.affine()?, hidden.affine()?);
    let tolerance = to.scale * 1e-4;
    Operand::output(node, 0)?.has_affine(to, tolerance)?;
    let (mut min, mut max) = (i32::from(i8::MIN), i32::from(i8::MAX));
    if input.info.element_type == ElementType::Int16 {
        (min, max) = (i32::from(i16::MIN), i32::from(i16::MAX));
        input.has_zero_point(0, 0)?;
        hidden.has_zero_point(0, 0)?;
    }
    let cell = Operand::input(node, CELL)?;
    let cell_scale = cell.affine()?.scale;
    cell.has_zero_point(0, 0)?;
    let exponent = near_power_of_two(cell_scale).ok_or_else(|| {
        let (found, expected) = (
            cell_scale,
            libm::exp2f(libm::roundf(libm::log2f(cell_scale))),
        );
        cell.refuse(Reason::FixedScale { found, expected })
    })?;
    let unit = libm::ldexp(1.0, -15);
    Ok(LstmQuantization {
        rounding: plan.rounding(),
        input_zero_point: from.zero_point,
        input: gates(node, INPUT_WEIGHTS, from.scale)?,
        recurrent: gates(node, RECURRENT_WEIGHTS, to.scale)?,
        forget: multiplier(unit)?,
        update: multiplier(unit * unit / f64::from(cell_scale))?,
        output: multiplier(unit * unit / f64::from(to.scale))?,
        cell: SigmoidInput16::from_power_of_two(exponent),
        cell_clip: quantized_clip(cell_clip, cell_scale),
        stage: OutputStage {
            zero_point: to.zero_point,
            min,
            max,
        },
    })
}

/// From the products with each gate's weights to Q3.12.
fn gates(node: &dyn NodeView, first: usize, scale: f32) -> Result<[FixedMultiplier; 4], Refusal> {
    let wide = Operand::input(node, 0)?.info.element_type == ElementType::Int16;
    let mut multipliers = [FixedMultiplier::ZERO; 4];
    for (gate, index) in multipliers.iter_mut().zip(first..) {
        let weights = Operand::input(node, index)?;
        let of_weights = weights.affine()?.scale;
        weights.has_zero_point(0, 0)?;
        *gate = multiplier(f64::from(scale * of_weights) * 4096.0)?;
        // 64-bit sums are shifted left by 7 bits at most.
        if wide && gate.shift > 7 {
            return Err(weights.refuse(Reason::ScaleRatio));
        }
    }
    Ok(multipliers)
}

/// The bound of the cell state in its own steps, towards zero; above what it can hold where there is none.
fn quantized_clip(cell_clip: f32, cell_scale: f32) -> i32 {
    if cell_clip > 0.0 {
        (f64::from(cell_clip) / f64::from(cell_scale)).min(32767.0) as i32
    } else {
        i32::from(i16::MAX) + 1
    }
}
