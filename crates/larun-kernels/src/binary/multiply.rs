//! MUL.

use larun_ops::{Activation, ElementType, Op, op};
use larun_quant::fixed_point::{FixedMultiplier, Rounding};

use super::add::Summand;
use super::{ARITHMETIC, Arithmetic, Broadcast, Operands, run};
use crate::integer::Quantized;
use crate::operand::{clamp, clamp_i32, output_stage_of, scale_ratio, wrong_op};
use crate::plan::{Record, linked, record};
use crate::requantize::{Clamp, OutputStage};
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Refusal};

impl Kernel for op::Mul {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::Mul(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let operands = Operands::of_one_type(node, ARITHMETIC)?;
        operands.write(plan)?;
        match operands.element_type {
            ElementType::Int8 | ElementType::Int16 => {
                MulQuantization::of(&operands, options.activation)?.write(plan);
            }
            ElementType::Int32 => clamp_i32(options.activation)?.write(plan),
            _ => clamp(options.activation)?.write(plan),
        }
        Ok(())
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        run::<Self>(plan, io)
    }
}

impl Arithmetic for op::Mul {
    type Quantization = MulQuantization;

    #[inline]
    fn quantized<T: Summand>(quantization: &MulQuantization, a: T, b: T) -> T {
        quantization.product(a, b)
    }

    #[inline]
    fn int32(a: i32, b: i32) -> i32 {
        a.wrapping_mul(b)
    }

    #[inline]
    fn float32(a: f32, b: f32) -> f32 {
        a * b
    }
}

record! {
    /// Quantisation of an INT8 or INT16 product.
    pub struct MulQuantization {
        /// Zero points of the inputs.
        pub zero_points: [i32; 2],
        /// `a_scale * b_scale / output_scale`.
        pub multiplier: FixedMultiplier,
        /// How the product is rounded.
        pub rounding: Rounding,
        /// Zero point and activation of the output.
        pub stage: OutputStage,
    }
}

impl MulQuantization {
    fn of(operands: &Operands<'_>, activation: Activation) -> Result<Self, Refusal> {
        for operand in [&operands.a, &operands.b, &operands.output] {
            operand.is_symmetric_int16()?;
        }
        let [a, b] = operands.affines()?;
        let output = operands.output.affine()?;
        Ok(Self {
            zero_points: [a.zero_point, b.zero_point],
            multiplier: scale_ratio([a.scale, b.scale], output.scale)?,
            rounding: Rounding::default(),
            stage: output_stage_of(activation, &operands.output)?,
        })
    }

    #[inline]
    fn product<T: Quantized>(&self, a: T, b: T) -> T {
        let a = a.into().wrapping_sub(self.zero_points[0]);
        let b = b.into().wrapping_sub(self.zero_points[1]);
        let product = a.wrapping_mul(b);
        let scaled = self.multiplier.apply_with(product, linked(self.rounding));
        T::narrow(self.stage.bound(scaled))
    }
}

/// INT8 product with broadcasting and activation, as TFLM's `reference_integer_ops::Mul`.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the shapes say.
pub fn mul_i8(
    broadcast: &Broadcast,
    quantization: &MulQuantization,
    a: &[i8],
    b: &[i8],
    output: &mut [i8],
) -> Result<(), InvokeError> {
    let quantization = *quantization;
    broadcast.zip(a, b, output, |a, b| quantization.product(a, b))
}

/// Real product with broadcasting and activation.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the shapes say.
pub fn mul_f32(
    broadcast: &Broadcast,
    clamp: &Clamp,
    a: &[f32],
    b: &[f32],
    output: &mut [f32],
) -> Result<(), InvokeError> {
    broadcast.zip(a, b, output, |a, b| clamp.apply(a * b))
}
