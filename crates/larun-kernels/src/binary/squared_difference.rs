//! SQUARED_DIFFERENCE.

use larun_ops::{Activation, ElementType, op};
use larun_quant::fixed_point::{FixedMultiplier, Rounding};

use super::{ARITHMETIC, Operands, Pairs};
use crate::integer::Quantized;
use crate::operand::{multiplier, output_stage_of, smaller_than_one};
use crate::plan::{Record, linked, record};
use crate::requantize::OutputStage;
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Refusal};

impl Kernel for op::SquaredDifference {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let operands = Operands::of_one_type(node, ARITHMETIC)?;
        operands.write(plan)?;
        match operands.element_type {
            ElementType::Int8 => Quantization::of::<i8>(&operands)?.write(plan),
            ElementType::Int16 => Quantization::of::<i16>(&operands)?.write(plan),
            _ => {}
        }
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        let pairs = Pairs::read(&mut plan)?;
        match pairs.element_type {
            ElementType::Int8 => {
                let quantization = Quantization::read(&mut plan)?;
                pairs.combine(io, |a: i8, b| quantization.apply(a, b))
            }
            ElementType::Int16 => {
                let quantization = Quantization::read(&mut plan)?;
                pairs.combine(io, |a: i16, b| quantization.apply(a, b))
            }
            ElementType::Int32 => pairs.combine(io, |a: i32, b| {
                let difference = a.wrapping_sub(b);
                difference.wrapping_mul(difference)
            }),
            _ => pairs.combine(io, |a: f32, b| (a - b) * (a - b)),
        }
    }
}

/// The element types of squared differences.
trait Squared: Quantized {
    /// Left shift of the inputs, which keeps the square within 32 bits: (255 * 2^7)^2, or 65535^2 / 4.
    const LEFT_SHIFT: u32;
}

impl Squared for i8 {
    const LEFT_SHIFT: u32 = 7;
}

impl Squared for i16 {
    const LEFT_SHIFT: u32 = 0;
}

record! {
    /// Both inputs are brought to a common scale, 2^7 times finer than twice the larger of theirs, or as fine for INT16.
    struct Quantization {
        zero_points: [i32; 2],
        /// `input_scale / (2 * larger_input_scale)` of each input.
        inputs: [FixedMultiplier; 2],
        /// `(2 * larger_input_scale / 2^7)^2 / output_scale`.
        output: FixedMultiplier,
        rounding: Rounding,
        stage: OutputStage,
    }
}

impl Quantization {
    fn of<T: Squared>(operands: &Operands<'_>) -> Result<Self, Refusal> {
        for operand in [&operands.a, &operands.b, &operands.output] {
            operand.is_symmetric_int16()?;
        }
        let [a, b] = operands.affines()?;
        let output = operands.output.affine()?;
        let twice_larger = 2.0 * f64::from(a.scale.max(b.scale));
        let finer = f64::from(1u32 << (2 * T::LEFT_SHIFT)) * f64::from(output.scale);
        Ok(Self {
            zero_points: [a.zero_point, b.zero_point],
            inputs: [
                smaller_than_one(f64::from(a.scale) / twice_larger)?,
                smaller_than_one(f64::from(b.scale) / twice_larger)?,
            ],
            output: multiplier(twice_larger * twice_larger / finer)?,
            rounding: Rounding::default(),
            stage: output_stage_of(Activation::None, &operands.output)?,
        })
    }

    #[inline]
    fn scaled<T: Squared, const INDEX: usize>(&self, value: T) -> i32 {
        let value = value.into().wrapping_sub(self.zero_points[INDEX]);
        self.inputs[INDEX].apply_smaller_than_one(value << T::LEFT_SHIFT)
    }

    #[inline]
    fn apply<T: Squared>(&self, a: T, b: T) -> T {
        let difference = self.scaled::<T, 0>(a).wrapping_sub(self.scaled::<T, 1>(b));
        let square = difference.wrapping_mul(difference);
        let scaled = self.output.apply_with(square, linked(self.rounding));
        T::narrow(self.stage.bound(scaled))
    }
}
