//! LOG_SOFTMAX along the innermost axis: `x - max - ln(sum(exp(x - max)))`.

use larun_ops::{ElementType, op};
use larun_quant::Affine;
use larun_quant::fixed_point::{
    FixedMultiplier, SoftmaxInput, ln_of_one_or_more, rescale, rounding_divide_by_pot,
};

use crate::operand::{INT8_OR_FLOAT32, Operand};
use crate::plan::{Record, record};
use crate::softmax::{SUM_INTEGER_BITS, for_each_row};
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Reason, Refusal};

/// Integer bits of the scaled differences and of the logarithm.
const INTEGER_BITS: u32 = 5;
/// Integer bits of the output, whose scale is 16/256.
const OUTPUT_INTEGER_BITS: u32 = 4;

impl Kernel for op::LogSoftmax {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        let element_type = input.one_of(INT8_OR_FLOAT32)?;
        output.has_type(element_type)?;
        element_type.write(plan);
        input.info.shape.last().write(plan);
        if element_type == ElementType::Int8 {
            output.has_affine(Affine::new(16.0 / 256.0, 127), 0.0)?;
            let quantization = Differences::of(input.affine()?.scale);
            let ratio = Refusal::options(Reason::ScaleRatio);
            quantization.ok_or(ratio)?.write(plan);
        }
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let element_type = ElementType::read(&mut plan)?;
        let depth = plan.read_usize()?;
        if element_type == ElementType::Float32 {
            let output = io.output(0)?;
            return for_each_row(depth, io.freeze().input(0)?, output, real_row);
        }
        let quantization = Differences::read(&mut plan)?;
        let output = io.output(0)?;
        for_each_row(depth, io.freeze().input(0)?, output, |row, outputs| {
            quantization.row(row, outputs);
        })
    }
}

fn real_row(row: &[f32], outputs: &mut [f32]) {
    let larger = |largest: f32, x: &f32| if largest < *x { *x } else { largest };
    let largest = row.iter().fold(f32::MIN, larger);
    let sum = row.iter().map(|&x| libm::expf(x - largest));
    let log = libm::logf(sum.fold(0.0, |sum, exp| sum + exp));
    for (output, &x) in outputs.iter_mut().zip(row) {
        *output = x - largest - log;
    }
}

record! {
    /// How the differences `x - max(x)` of INT8 inputs are scaled.
    struct Differences {
        /// To Q5.26.
        multiplier: FixedMultiplier,
        /// Smallest difference whose exponential is not taken for 0.
        diff_min: i32,
        /// From Q5.26.
        reverse: FixedMultiplier,
    }
}

impl Differences {
    fn of(scale: f32) -> Option<Self> {
        let SoftmaxInput {
            multiplier,
            diff_min,
        } = SoftmaxInput::new(1.0, scale)?;
        let reverse = FixedMultiplier::from_real_smaller_than_one(1.0 / multiplier.to_real())?;
        Some(Self {
            multiplier,
            diff_min,
            reverse,
        })
    }

    /// As TFLM's `reference_ops::LogSoftmaxQuantized`.
    fn row(&self, row: &[i8], outputs: &mut [i8]) {
        let Self {
            multiplier,
            diff_min,
            reverse,
        } = *self;
        let largest = row.iter().copied().fold(i8::MIN, i8::max);
        let difference = |x: i8| i32::from(x) - i32::from(largest);
        let softmax = SoftmaxInput {
            multiplier,
            diff_min,
        };
        let sum = row.iter().fold(0i32, |sum, &x| match difference(x) {
            difference if difference >= diff_min => {
                sum.wrapping_add(rescale::<0, SUM_INTEGER_BITS>(softmax.exp(difference)))
            }
            _ => sum,
        });
        let log = ln_of_one_or_more::<SUM_INTEGER_BITS, INTEGER_BITS>(sum);
        // Below, the output would not fit Q5.26.
        let least = reverse.apply(i32::MIN.wrapping_add(log));
        let least = least.max(diff_min.saturating_sub(1));
        for (output, &x) in outputs.iter_mut().zip(row) {
            *output = match difference(x) {
                difference if difference > least => {
                    let value = multiplier.apply(difference).wrapping_sub(log);
                    let bits = 31 - INTEGER_BITS - OUTPUT_INTEGER_BITS;
                    let value = rounding_divide_by_pot(value, bits as i32);
                    value.saturating_add(127).clamp(-128, 127) as i8
                }
                _ => i8::MIN,
            };
        }
    }
}
