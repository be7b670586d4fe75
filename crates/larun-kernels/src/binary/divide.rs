//! DIV, FLOOR_DIV and FLOOR_MOD.
//!
//! A model that loads runs: where TFLM reports a division by zero, or does not look, a quotient of integers takes the
//! end of its range that the sign of the dividend points to (0 / 0 is 0), a remainder is 0, and real numbers follow
//! IEEE 754.

use larun_ops::{Activation, ElementType, Op, op};
use larun_quant::fixed_point::{FixedMultiplier, reciprocal};

use super::{Operands, Pairs};
use crate::operand::{clamp, clamp_i32, multiplier, output_stage_of, wrong_op};
use crate::plan::{Record, record};
use crate::requantize::{Clamp, ClampI32, OutputStage};
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Refusal};

impl Kernel for op::Div {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        use ElementType::{Float32, Int8, Int32};
        let Op::Div(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let operands = Operands::of_one_type(node, &[Int8, Int32, Float32])?;
        operands.write(plan)?;
        match operands.element_type {
            Int8 => DivQuantization::of(&operands, options.activation)?.write(plan),
            Int32 => clamp_i32(options.activation)?.write(plan),
            _ => clamp(options.activation)?.write(plan),
        }
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        let pairs = Pairs::read(&mut plan)?;
        match pairs.element_type {
            ElementType::Int8 => {
                let quantization = DivQuantization::read(&mut plan)?;
                pairs.combine(io, |a: i8, b| quantization.quotient(a, b))
            }
            ElementType::Int32 => {
                let clamp = ClampI32::read(&mut plan)?;
                pairs.combine(io, |a: i32, b| {
                    clamp.apply(if b == 0 {
                        by_zero(a)
                    } else {
                        a.wrapping_div(b)
                    })
                })
            }
            _ => {
                let clamp = Clamp::read(&mut plan)?;
                pairs.combine(io, |a: f32, b| clamp.apply(a / b))
            }
        }
    }
}

/// What stands for `dividend / 0`.
fn by_zero(dividend: i32) -> i32 {
    match dividend.signum() {
        0 => 0,
        1 => i32::MAX,
        _ => i32::MIN,
    }
}

record! {
    /// Quantisation of an INT8 quotient.
    struct DivQuantization {
        zero_points: [i32; 2],
        /// `a_scale / (b_scale * output_scale)`.
        multiplier: FixedMultiplier,
        stage: OutputStage,
    }
}

impl DivQuantization {
    fn of(operands: &Operands<'_>, activation: Activation) -> Result<Self, Refusal> {
        let [a, b] = operands.affines()?;
        let output = operands.output.affine()?;
        let ratio = f64::from(a.scale) / (f64::from(b.scale) * f64::from(output.scale));
        Ok(Self {
            zero_points: [a.zero_point, b.zero_point],
            multiplier: multiplier(ratio)?,
            stage: output_stage_of(activation, &operands.output)?,
        })
    }

    /// As TFLM's `reference_ops::Div`: the product with a reciprocal of 31 bits, then the scale.
    fn quotient(&self, a: i8, b: i8) -> i8 {
        let a = i32::from(a).wrapping_sub(self.zero_points[0]);
        let b = i32::from(b).wrapping_sub(self.zero_points[1]);
        if b == 0 {
            // Halved, so that adding the zero point does not wrap.
            return self.stage.finish(by_zero(a) / 2);
        }
        let a = if b < 0 { a.wrapping_neg() } else { a };
        let (inverse, exponent) = reciprocal::<31>(b.wrapping_abs());
        let headroom = leading_sign_bits(a);
        let unscaled = FixedMultiplier {
            multiplier: inverse,
            shift: headroom,
        };
        let scale = FixedMultiplier {
            shift: self.multiplier.shift - exponent - headroom,
            ..self.multiplier
        };
        let quotient = unscaled.apply_greater_than_one(a);
        // Dividends far below the divisor shift by more than 31, and TFLM's answer has little to do with the quotient.
        self.stage
            .finish(scale.apply_smaller_than_one_modular(quotient))
    }
}

/// How far a number can be shifted left without losing its sign.
fn leading_sign_bits(x: i32) -> i32 {
    (x ^ (x >> 31)).leading_zeros() as i32 - 1
}

/// The types of whole quotients and remainders.
const WHOLE: &[ElementType] = &[ElementType::Int32, ElementType::Float32];

impl Kernel for op::FloorDiv {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        Operands::of_one_type(node, WHOLE)?.write(plan)
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        let pairs = Pairs::read(&mut plan)?;
        match pairs.element_type {
            ElementType::Int32 => pairs.combine(io, |a: i32, b| {
                let down = i32::from(floor_mod(a, b) != a.checked_rem(b).unwrap_or(0));
                let quotient = if b == 0 {
                    by_zero(a)
                } else {
                    a.wrapping_div(b)
                };
                quotient.wrapping_sub(down)
            }),
            // TFLM divides in double precision here.
            _ => pairs.combine(io, |a: f32, b: f32| {
                libm::floor(f64::from(a) / f64::from(b)) as f32
            }),
        }
    }
}

impl Kernel for op::FloorMod {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        Operands::of_one_type(node, WHOLE)?.write(plan)
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        let pairs = Pairs::read(&mut plan)?;
        match pairs.element_type {
            ElementType::Int32 => pairs.combine(io, floor_mod),
            _ => pairs.combine(io, |a: f32, b: f32| {
                let remainder = libm::fmodf(a, b);
                let other_side = remainder != 0.0 && (b < 0.0) != (remainder < 0.0);
                if other_side { remainder + b } else { remainder }
            }),
        }
    }
}

/// The remainder with the sign of `b`.
fn floor_mod(a: i32, b: i32) -> i32 {
    let remainder = a.checked_rem(b).unwrap_or(0);
    let other_side = remainder != 0 && (b < 0) != (remainder < 0);
    if other_side {
        remainder.wrapping_add(b)
    } else {
        remainder
    }
}
