//! LEAKY_RELU and PRELU: another slope below zero, one for all or one an element.

use larun_ops::{Activation, ElementType, Op, op};
use larun_quant::fixed_point::{FixedMultiplier, Rounding};

use crate::binary::Broadcast;
use crate::byte_function::map_operands;
use crate::integer::{QUANTIZED_OR_FLOAT32, Quantized};
use crate::operand::{Operand, multiplier, output_stage_of, wrong_op};
use crate::plan::{Record, record};
use crate::requantize::OutputStage;
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Reason, Refusal};

impl Kernel for op::LeakyRelu {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::LeakyRelu(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        let element_type = input.one_of(QUANTIZED_OR_FLOAT32)?;
        output.has_type(element_type)?;
        element_type.write(plan);
        if element_type == ElementType::Float32 {
            options.alpha.write(plan);
            return Ok(());
        }
        let (from, to) = (input.affine()?, output.affine()?);
        // Double precision, like TFLM since October 2026; single before, and in LiteRT.
        let above = f64::from(from.scale) / f64::from(to.scale);
        let below = f64::from(from.scale) * f64::from(options.alpha) / f64::from(to.scale);
        let slopes = Slopes {
            zero_point: from.zero_point,
            above: multiplier(above)?,
            below: multiplier(below.abs())?,
            falls: below < 0.0,
            stage: output_stage_of(Activation::None, &output)?,
        };
        slopes.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        match ElementType::read(&mut plan)? {
            ElementType::Int8 => leaky::<i8>(plan, io),
            ElementType::Int16 => leaky::<i16>(plan, io),
            _ => {
                let alpha = plan.read_f32()?;
                map_operands(io, |x: f32| if x > 0.0 { x } else { x * alpha })
            }
        }
    }
}

record! {
    /// Quantisation of a LEAKY_RELU.
    struct Slopes {
        zero_point: i32,
        /// `input_scale / output_scale`.
        above: FixedMultiplier,
        /// The magnitude of `input_scale * alpha / output_scale`.
        below: FixedMultiplier,
        /// Whether `alpha` is below zero.
        falls: bool,
        stage: OutputStage,
    }
}

fn leaky<T: Quantized>(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
    let (slopes, rounding) = (Slopes::read(&mut plan)?, plan.rounding());
    map_operands(io, |x: T| {
        let x = x.into().wrapping_sub(slopes.zero_point);
        let scaled = if x >= 0 {
            slopes.above.apply_with(x, rounding)
        } else {
            let below = slopes.below.apply_with(x, rounding);
            if slopes.falls {
                below.wrapping_neg()
            } else {
                below
            }
        };
        T::narrow(slopes.stage.bound(scaled))
    })
}

impl Kernel for op::Prelu {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let (input, alpha) = (Operand::input(node, 0)?, Operand::input(node, 1)?);
        let output = Operand::output(node, 0)?;
        let element_type = input.one_of(QUANTIZED_OR_FLOAT32)?;
        output.has_type(element_type)?;
        let slopes = match element_type {
            ElementType::Float32 => ElementType::Float32,
            _ => ElementType::Int8,
        };
        alpha.has_type(slopes)?;
        let broadcast = Broadcast::new(&input.info.shape, &alpha.info.shape)
            .ok_or(Refusal::options(Reason::TooLarge))?;
        element_type.write(plan);
        broadcast.write(plan);
        if element_type != ElementType::Float32 {
            let (from, slope, to) = (input.affine()?, alpha.affine()?, output.affine()?);
            let ratio = |real: f64| multiplier(real / f64::from(to.scale));
            let quantization = PreluQuantization {
                zero_points: [from.zero_point, slope.zero_point],
                above: ratio(f64::from(from.scale))?,
                below: ratio(f64::from(from.scale) * f64::from(slope.scale))?,
                stage: output_stage_of(Activation::None, &output)?,
            };
            quantization.write(plan);
        }
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        match ElementType::read(&mut plan)? {
            ElementType::Int8 => prelu::<i8>(plan, io),
            ElementType::Int16 => prelu::<i16>(plan, io),
            _ => {
                let broadcast = Broadcast::read(&mut plan)?;
                broadcast.combine(
                    io,
                    |x: f32, alpha: f32| {
                        if x >= 0.0 { x } else { x * alpha }
                    },
                )
            }
        }
    }
}

record! {
    /// Quantisation of a PRELU.
    struct PreluQuantization {
        /// Of the input and of alpha.
        zero_points: [i32; 2],
        /// `input_scale / output_scale`.
        above: FixedMultiplier,
        /// `input_scale * alpha_scale / output_scale`.
        below: FixedMultiplier,
        stage: OutputStage,
    }
}

impl PreluQuantization {
    #[inline]
    fn apply(&self, x: i32, alpha: i32, rounding: Rounding) -> i32 {
        let x = x.wrapping_sub(self.zero_points[0]);
        let scaled = if x >= 0 {
            self.above.apply_with(x, rounding)
        } else {
            let alpha = alpha.wrapping_sub(self.zero_points[1]);
            self.below.apply_with(x.wrapping_mul(alpha), rounding)
        };
        self.stage.bound(scaled)
    }
}

fn prelu<T: Quantized>(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
    let broadcast = Broadcast::read(&mut plan)?;
    let (quantization, rounding) = (PreluQuantization::read(&mut plan)?, plan.rounding());
    broadcast.combine(io, |x: T, alpha: i8| {
        T::narrow(quantization.apply(x.into(), alpha.into(), rounding))
    })
}
