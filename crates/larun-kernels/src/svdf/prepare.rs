//! What an SVDF checks and works out when a model is loaded.

use larun_ops::{ElementType, SvdfOptions};

use super::{BIAS, HybridSvdf, STATE, SvdfGeometry, SvdfQuantization};
use crate::operand::{INT8_OR_FLOAT32, Operand, clamp_range, scale_ratio};
use crate::plan::Record;
use crate::requantize::{Clamp, OutputStage};
use crate::{InvokeError, NodeView, PlanReader, PlanWriter, Reason, Refusal};

/// The types of state and time weights of an INT8 node.
const INT8_OR_INT16: &[ElementType] = &[ElementType::Int8, ElementType::Int16];

/// The arithmetic that a node was prepared for.
#[derive(Clone, Copy)]
pub(super) enum Arithmetic {
    Float32,
    Int8,
    Int8WithInt16,
    Hybrid,
    /// The time weights are integers as well.
    HybridTime,
}

impl Record for Arithmetic {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        plan.push_u32(*self as u32);
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        match plan.read_u32()? {
            0 => Ok(Self::Float32),
            1 => Ok(Self::Int8),
            2 => Ok(Self::Int8WithInt16),
            3 => Ok(Self::Hybrid),
            4 => Ok(Self::HybridTime),
            _ => Err(InvokeError::Plan),
        }
    }
}

pub(super) fn prepare(
    options: &SvdfOptions,
    node: &dyn NodeView,
    plan: &mut PlanWriter<'_>,
) -> Result<(), Refusal> {
    let geometry = geometry(options, node)?;
    if Operand::input(node, 0)?.one_of(INT8_OR_FLOAT32)? == ElementType::Float32 {
        return prepare_real(options, node, &geometry, plan);
    }
    let arithmetic = match Operand::input(node, 2)?.one_of(INT8_OR_INT16)? {
        ElementType::Int8 => Arithmetic::Int8,
        _ => Arithmetic::Int8WithInt16,
    };
    arithmetic.write(plan);
    geometry.write(plan);
    quantization(node, plan)?.write(plan);
    plan.request_scratch(geometry.inputs.saturating_mul(size_of::<i16>()));
    Ok(())
}

fn prepare_real(
    options: &SvdfOptions,
    node: &dyn NodeView,
    geometry: &SvdfGeometry,
    plan: &mut PlanWriter<'_>,
) -> Result<(), Refusal> {
    let (min, max) = clamp_range(options.activation)?;
    let clamp = Clamp { min, max };
    let (feature, time) = (Operand::input(node, 1)?, Operand::input(node, 2)?);
    if feature.one_of(INT8_OR_FLOAT32)? == ElementType::Float32 {
        Operand::all_have_type(node, ElementType::Float32)?;
        Arithmetic::Float32.write(plan);
        geometry.write(plan);
        clamp.write(plan);
        return Ok(());
    }
    for operand in [Operand::input(node, STATE)?, Operand::output(node, 0)?] {
        operand.has_type(ElementType::Float32)?;
    }
    if let Some(bias) = Operand::optional_input(node, BIAS) {
        bias.has_type(ElementType::Float32)?;
    }
    let (arithmetic, time_scale) = match time.one_of(INT8_OR_FLOAT32)? {
        ElementType::Float32 => (Arithmetic::Hybrid, 1.0),
        _ => (Arithmetic::HybridTime, symmetric_scale(&time)?),
    };
    arithmetic.write(plan);
    geometry.write(plan);
    HybridSvdf {
        asymmetric: options.asymmetric_quantize_inputs,
        feature_scale: symmetric_scale(&feature)?,
        time_scale,
        clamp,
    }
    .write(plan);
    plan.request_scratch(geometry.inputs.saturating_mul(size_of::<i16>()));
    Ok(())
}

/// The scale of weights whose zero point is 0.
fn symmetric_scale(weights: &Operand<'_>) -> Result<f32, Refusal> {
    weights.has_zero_point(0, 0)?;
    Ok(weights.affine()?.scale)
}

/// The sizes, every operand's shape checked.
fn geometry(options: &SvdfOptions, node: &dyn NodeView) -> Result<SvdfGeometry, Refusal> {
    let (input, feature) = (Operand::input(node, 0)?, Operand::input(node, 1)?);
    let (time, state) = (Operand::input(node, 2)?, Operand::input(node, STATE)?);
    let [batch, inputs] = two_dims(&input)?;
    let [filters, _] = two_dims(&feature)?;
    let [_, memory] = two_dims(&time)?;
    feature.has_dims(&[filters, inputs])?;
    time.has_dims(&[filters, memory])?;
    let (what, found) = ("rank", options.rank);
    let rank = usize::try_from(found).unwrap_or(0);
    if rank == 0 || filters % rank != 0 {
        return Err(Refusal::options(Reason::Option { what, found }));
    }
    if let Some(bias) = Operand::optional_input(node, BIAS) {
        bias.has_dims(&[filters / rank])?;
    }
    state.is_variable()?;
    state.has_dims(&[batch, memory.saturating_mul(filters)])?;
    Operand::output(node, 0)?.has_dims(&[batch, filters / rank])?;
    Ok(SvdfGeometry {
        batch,
        inputs,
        filters,
        memory,
        rank,
    })
}

/// The dimensions of a matrix, neither of them 0.
fn two_dims(matrix: &Operand<'_>) -> Result<[usize; 2], Refusal> {
    let dims = matrix.info.shape.dims();
    match *dims {
        [0, _] | [_, 0] => Err(matrix.refuse(Reason::Empty)),
        [rows, columns] => Ok([rows, columns]),
        _ => {
            let (found, expected) = (dims.len(), 2);
            Err(matrix.refuse(Reason::Rank { found, expected }))
        }
    }
}

/// The quantisation of an integer SVDF. TFLM combines the scales in single precision.
fn quantization(node: &dyn NodeView, plan: &PlanWriter<'_>) -> Result<SvdfQuantization, Refusal> {
    let (feature, time) = (Operand::input(node, 1)?, Operand::input(node, 2)?);
    let (state, output) = (Operand::input(node, STATE)?, Operand::output(node, 0)?);
    feature.has_type(ElementType::Int8)?;
    state.has_type(time.info.element_type)?;
    output.has_type(ElementType::Int8)?;
    let (from, of_state) = (Operand::input(node, 0)?.affine()?, state.affine()?);
    let (of_feature, of_time) = (symmetric_scale(&feature)?, symmetric_scale(&time)?);
    let to = output.affine()?;
    if let Some(bias) = Operand::optional_input(node, BIAS) {
        bias.has_type(ElementType::Int32)?;
        let (found, expected) = (bias.scale(0)?, of_state.scale * of_time);
        if (found - expected).abs() >= 1e-5 {
            return Err(bias.refuse(Reason::BiasScale { found, expected }));
        }
    }
    Ok(SvdfQuantization {
        rounding: plan.rounding(),
        input_zero_point: from.zero_point,
        state_zero_point: of_state.zero_point,
        feature: scale_ratio([from.scale * of_feature / of_state.scale, 1.0], 1.0)?,
        time: scale_ratio([of_state.scale * of_time / to.scale, 1.0], 1.0)?,
        stage: OutputStage {
            zero_point: to.zero_point,
            min: -128,
            max: 127,
        },
    })
}
