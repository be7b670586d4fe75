//! ABS, NEG and RSQRT.

use larun_ops::{ElementType, op};
use larun_quant::fixed_point::{FixedMultiplier, Rounding, inverse_sqrt};

use crate::byte_function::map_operands;
use crate::integer::{QUANTIZED_OR_FLOAT32, Quantized};
use crate::operand::{Operand, multiplier, output_stage_of};
use crate::plan::{Record, record};
use crate::requantize::OutputStage;
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Refusal, real};

impl Kernel for op::Abs {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        use ElementType::{Float32, Int8, Int16, Int32};
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        let element_type = input.one_of(&[Int8, Int16, Int32, Float32])?;
        output.has_type(element_type)?;
        element_type.write(plan);
        match element_type {
            Int8 | Int16 => {
                // An INT16 may also be a plain integer.
                let quantized = element_type == Int8 || input.is_quantized();
                quantized.write(plan);
                if quantized {
                    let real = |from, to| from / to;
                    Magnitude::of(&input, &output, real)?.write(plan);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        match (ElementType::read(&mut plan)?, io) {
            (ElementType::Int8, io) => absolute::<i8>(plan, io),
            (ElementType::Int16, io) => absolute::<i16>(plan, io),
            (ElementType::Int32, io) => map_operands(io, i32::wrapping_abs),
            (_, io) => real::invoke(io, f32::abs),
        }
    }
}

fn absolute<T: Quantized>(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
    if !bool::read(&mut plan)? {
        return map_operands(io, |x: T| T::narrow(x.into().wrapping_abs()));
    }
    let (quantization, rounding) = (Magnitude::read(&mut plan)?, plan.rounding());
    map_operands(io, |x: T| {
        let magnitude = x.into().wrapping_sub(quantization.zero_point);
        quantization.finish::<T>(magnitude.wrapping_abs(), rounding)
    })
}

impl Kernel for op::Neg {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        use ElementType::{Float32, Int32, Int64};
        let element_type = Operand::input(node, 0)?.one_of(&[Int32, Int64, Float32])?;
        Operand::output(node, 0)?.has_type(element_type)?;
        element_type.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        match ElementType::read(&mut plan)? {
            ElementType::Int32 => map_operands(io, i32::wrapping_neg),
            ElementType::Int64 => map_operands(io, i64::wrapping_neg),
            _ => real::invoke(io, |x| -x),
        }
    }
}

impl Kernel for op::Rsqrt {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        let element_type = input.one_of(QUANTIZED_OR_FLOAT32)?;
        output.has_type(element_type)?;
        element_type.write(plan);
        if element_type != ElementType::Float32 {
            let real = |from, to| 1.0 / (libm::sqrt(from) * to);
            let mut quantization = Magnitude::of(&input, &output, real)?;
            let shift = &mut quantization.multiplier.shift;
            *shift = shift.saturating_sub(ROOT_SHIFT);
            quantization.write(plan);
        }
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        match ElementType::read(&mut plan)? {
            ElementType::Int8 => reciprocal_roots::<i8>(plan, io),
            ElementType::Int16 => reciprocal_roots::<i16>(plan, io),
            _ => real::invoke(io, |x| 1.0 / libm::sqrtf(x)),
        }
    }
}

/// Fractional bits of the reciprocal root of an integer.
const ROOT_SHIFT: i32 = 20;

/// Numbers that have no reciprocal root, 0 and less, give the largest output.
fn reciprocal_roots<T: Quantized>(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
    let (quantization, rounding) = (Magnitude::read(&mut plan)?, plan.rounding());
    map_operands(io, |x: T| {
        let x = x.into().wrapping_sub(quantization.zero_point);
        if x <= 0 {
            return T::narrow(T::RANGE.max);
        }
        let FixedMultiplier { multiplier, shift } = inverse_sqrt(x);
        let shift = shift.saturating_add(ROOT_SHIFT);
        let root = FixedMultiplier { multiplier, shift }.apply(1);
        quantization.finish::<T>(root, rounding)
    })
}

record! {
    /// Quantisation of a function of the distance from zero.
    struct Magnitude {
        zero_point: i32,
        multiplier: FixedMultiplier,
        stage: OutputStage,
    }
}

impl Magnitude {
    /// `real` is the factor for an input's and an output's scale: in double precision, as in TFLM since October 2026.
    fn of(
        input: &Operand<'_>,
        output: &Operand<'_>,
        real: impl FnOnce(f64, f64) -> f64,
    ) -> Result<Self, Refusal> {
        let (from, to) = (input.affine()?, output.affine()?);
        Ok(Self {
            zero_point: from.zero_point,
            multiplier: multiplier(real(f64::from(from.scale), f64::from(to.scale)))?,
            stage: output_stage_of(larun_ops::Activation::None, output)?,
        })
    }

    #[inline]
    fn finish<T: Quantized>(&self, value: i32, rounding: Rounding) -> T {
        let scaled = self.multiplier.apply_with(value, rounding);
        T::narrow(self.stage.bound(scaled))
    }
}
