//! RELU, RELU6 and LOGISTIC as operators of their own.

use larun_ops::{Activation, ElementType, Op, op};
use larun_quant::fixed_point::{FixedMultiplier, SigmoidInput};

use crate::operand::{INT8_OR_FLOAT32, Operand, multiplier, output_stage, wrong_op};
use crate::plan::{Precision, Record, record};
use crate::requantize::OutputStage;
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Refusal, check_len,
};

impl Kernel for op::Relu {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        match node.op() {
            Op::Relu(_) => prepare_relu(node, Activation::Relu, plan),
            _ => Err(wrong_op::<Self>(node)),
        }
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke_relu(plan, io, f32::INFINITY)
    }
}

impl Kernel for op::Relu6 {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        match node.op() {
            Op::Relu6(_) => prepare_relu(node, Activation::Relu6, plan),
            _ => Err(wrong_op::<Self>(node)),
        }
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
    let element_type = input.one_of(INT8_OR_FLOAT32)?;
    output.has_type(element_type)?;
    if element_type == ElementType::Float32 {
        Precision::Float32.write(plan);
        return Ok(());
    }
    let (from, to) = (input.affine()?, output.affine()?);
    // TFLM divides in single precision here.
    let quantization = ReluQuantization {
        zero_point: from.zero_point,
        multiplier: multiplier(f64::from(from.scale / to.scale))?,
        stage: output_stage(activation, to)?,
    };
    Precision::Int8.write(plan);
    quantization.write(plan);
    Ok(())
}

fn invoke_relu(mut plan: PlanReader<'_>, mut io: Io<'_>, upper: f32) -> Result<(), InvokeError> {
    match Precision::read(&mut plan)? {
        Precision::Int8 => {
            let quantization = ReluQuantization::read(&mut plan)?;
            let output = io.output(0)?;
            relu_i8(&quantization, io.freeze().input(0)?, output)
        }
        Precision::Float32 => {
            let output = io.output(0)?;
            relu_f32(upper, io.freeze().input(0)?, output)
        }
    }
}

record! {
    /// Quantisation of an INT8 RELU or RELU6.
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
    let ReluQuantization {
        zero_point,
        multiplier,
        stage,
    } = *quantization;
    map(input, output, |x: i8| {
        stage.finish(multiplier.apply(i32::from(x).wrapping_sub(zero_point)))
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

/// From how many elements on a table of all 256 outputs is worth its memory and the time to fill it.
const TABLE_PAYS_FROM: usize = 256;

impl Kernel for op::Logistic {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::Logistic(_) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        let element_type = input.one_of(INT8_OR_FLOAT32)?;
        output.has_type(element_type)?;
        if element_type == ElementType::Float32 {
            Precision::Float32.write(plan);
            return Ok(());
        }
        output.is_unit_interval()?;
        let from = input.affine()?;
        let sigmoid = SigmoidInput::new(from.scale, from.zero_point);
        Precision::Int8.write(plan);
        let tabulated = input.elements()? >= TABLE_PAYS_FROM;
        tabulated.write(plan);
        if tabulated {
            plan.push_i8s((i8::MIN..=i8::MAX).map(|x| sigmoid.logistic_i8(x)));
        } else {
            sigmoid.zero_point.write(plan);
            sigmoid.radius.write(plan);
            sigmoid.multiplier.write(plan);
        }
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let precision = Precision::read(&mut plan)?;
        if precision == Precision::Float32 {
            let output = io.output(0)?;
            return logistic_f32(io.freeze().input(0)?, output);
        }
        if bool::read(&mut plan)? {
            let table = plan.take_i8s(256)?;
            let output = io.output(0)?;
            return look_up(table, io.freeze().input(0)?, output);
        }
        let sigmoid = SigmoidInput {
            zero_point: Record::read(&mut plan)?,
            radius: Record::read(&mut plan)?,
            multiplier: Record::read(&mut plan)?,
        };
        let output = io.output(0)?;
        logistic_i8(&sigmoid, io.freeze().input(0)?, output)
    }
}

/// INT8 logistic with output scale 1/256 and zero point -128, as TFLM's `reference_integer_ops::Logistic`.
///
/// # Errors
/// [`InvokeError::Length`] when the slices' lengths differ.
pub fn logistic_i8(
    quantization: &SigmoidInput,
    input: &[i8],
    output: &mut [i8],
) -> Result<(), InvokeError> {
    map(input, output, |x: i8| quantization.logistic_i8(x))
}

/// A function of one INT8 by its 256 outputs, that of -128 first.
fn look_up(table: &[i8], input: &[i8], output: &mut [i8]) -> Result<(), InvokeError> {
    let table: &[i8; 256] = table.first_chunk().ok_or(InvokeError::Plan)?;
    map(input, output, |x: i8| table[usize::from((x as u8) ^ 0x80)])
}

/// `1 / (1 + exp(-x))`, with TFLM's cut-offs: 1 above 16.62, `exp(x)` below -9.
///
/// # Errors
/// [`InvokeError::Length`] when the slices' lengths differ.
pub fn logistic_f32(input: &[f32], output: &mut [f32]) -> Result<(), InvokeError> {
    map(input, output, |x: f32| {
        if x > 16.619_047 {
            1.0
        } else if x < -9.0 {
            libm::expf(x)
        } else {
            1.0 / (1.0 + libm::expf(-x))
        }
    })
}
