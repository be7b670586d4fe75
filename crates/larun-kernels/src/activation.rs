//! RELU and RELU6 as operators of their own.

use larun_ops::{Activation, ElementType, op};
use larun_quant::fixed_point::{FixedMultiplier, Rounding};

use crate::integer::{QUANTIZED_OR_FLOAT32, Quantized};
use crate::operand::{Operand, output_stage_of, scale_ratio};
use crate::plan::{Record, record};
use crate::requantize::OutputStage;
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Refusal, check_len,
};

impl Kernel for op::Relu {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        prepare_relu(node, Activation::Relu, plan)
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke_relu(plan, io, f32::INFINITY)
    }
}

impl Kernel for op::Relu6 {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        prepare_relu(node, Activation::Relu6, plan)
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke_relu(plan, io, 6.0)
    }
}

fn prepare_relu(
    node: &dyn NodeView,
    activation: Activation,
    plan: &mut PlanWriter<'_>,
) -> Result<(), Refusal> {
    let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
    let element_type = input.one_of(QUANTIZED_OR_FLOAT32)?;
    output.has_type(element_type)?;
    element_type.write(plan);
    if element_type != ElementType::Float32 {
        let (from, to) = (input.affine()?, output.affine()?);
        let quantization = ReluQuantization {
            zero_point: from.zero_point,
            multiplier: match activation {
                // LiteRT divides in single precision, TFLM in double.
                Activation::Relu6 => scale_ratio([from.scale / to.scale, 1.0], 1.0)?,
                _ => scale_ratio([from.scale, 1.0], to.scale)?,
            },
            stage: output_stage_of(activation, &output)?,
        };
        quantization.write(plan);
    }
    Ok(())
}

fn invoke_relu(mut plan: PlanReader<'_>, mut io: Io<'_>, upper: f32) -> Result<(), InvokeError> {
    match ElementType::read(&mut plan)? {
        ElementType::Int8 => invoke_quantized::<i8>(plan, io),
        ElementType::Int16 => invoke_quantized::<i16>(plan, io),
        _ => {
            let output = io.output(0)?;
            relu_f32(upper, io.freeze().input(0)?, output)
        }
    }
}

fn invoke_quantized<T: Quantized>(
    mut plan: PlanReader<'_>,
    mut io: Io<'_>,
) -> Result<(), InvokeError> {
    let (quantization, rounding) = (Record::read(&mut plan)?, plan.rounding());
    let output = io.output(0)?;
    relu::<T>(&quantization, rounding, io.freeze().input(0)?, output)
}

record! {
    /// Quantisation of a RELU or RELU6 of integers.
    pub struct ReluQuantization {
        /// Zero point of the input.
        pub zero_point: i32,
        /// `input_scale / output_scale`.
        pub multiplier: FixedMultiplier,
        /// Zero point and bounds of the output.
        pub stage: OutputStage,
    }
}

/// INT8 RELU and RELU6 with rescaling.
///
/// RELU as TFLM's `ReluQuantized`. TFLM's RELU6 clamps without rescaling, which is wrong where scales differ; this is
/// LiteRT's, and the same where they do not.
///
/// # Errors
/// [`InvokeError::Length`] when the slices' lengths differ.
pub fn relu_i8(
    quantization: &ReluQuantization,
    input: &[i8],
    output: &mut [i8],
) -> Result<(), InvokeError> {
    relu(quantization, Rounding::TflmDouble, input, output)
}

fn relu<T: Quantized>(
    quantization: &ReluQuantization,
    rounding: Rounding,
    input: &[T],
    output: &mut [T],
) -> Result<(), InvokeError> {
    let ReluQuantization {
        zero_point,
        multiplier,
        stage,
    } = *quantization;
    map(input, output, |x: T| {
        let centred = x.into().wrapping_sub(zero_point);
        T::narrow(stage.bound(multiplier.apply_with(centred, rounding)))
    })
}

/// `min(max(x, 0), upper)`; NaN stays NaN.
///
/// # Errors
/// [`InvokeError::Length`] when the slices' lengths differ.
pub fn relu_f32(upper: f32, input: &[f32], output: &mut [f32]) -> Result<(), InvokeError> {
    map(input, output, |x: f32| {
        let raised = if x < 0.0 { 0.0 } else { x };
        if raised > upper { upper } else { raised }
    })
}

/// Calls `function` for each element.
#[inline]
pub(crate) fn map<T: Copy, U>(
    input: &[T],
    output: &mut [U],
    function: impl Fn(T) -> U,
) -> Result<(), InvokeError> {
    check_len(Memory::output(0), output.len(), input.len())?;
    for (output, &x) in output.iter_mut().zip(input) {
        *output = function(x);
    }
    Ok(())
}
