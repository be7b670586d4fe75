//! L2_NORMALIZATION: the innermost axis divided by its Euclidean length.

use larun_ops::{Activation, ElementType, Op, op};
use larun_quant::Affine;
use larun_quant::fixed_point::{FixedMultiplier, inverse_sqrt};

use crate::operand::{INT8_OR_FLOAT32, Operand, wrong_op};
use crate::plan::Record;
use crate::softmax::for_each_row;
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Reason, Refusal};

/// The output's scale is 2^-7.
const OUTPUT_BITS: i32 = 7;
/// What a shorter length counts as.
const LEAST_LENGTH: f32 = 1e-6;

impl Kernel for op::L2Normalization {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::L2Normalization(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        if options.activation != Activation::None {
            return Err(Refusal::options(Reason::Activation(options.activation)));
        }
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        let element_type = input.one_of(INT8_OR_FLOAT32)?;
        output.has_type(element_type)?;
        element_type.write(plan);
        input.info.shape.last().write(plan);
        if element_type == ElementType::Int8 {
            output.has_affine(Affine::new(1.0 / 128.0, 0), 0.0)?;
            input.affine()?.zero_point.write(plan);
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
        let zero_point = plan.read_i32()?;
        let output = io.output(0)?;
        for_each_row(depth, io.freeze().input(0)?, output, |row, outputs| {
            integer_row(zero_point, row, outputs);
        })
    }
}

fn real_row(row: &[f32], outputs: &mut [f32]) {
    let squares = row.iter().fold(0.0, |sum, x| sum + x * x);
    let length = libm::sqrtf(squares);
    let length = if length < LEAST_LENGTH {
        LEAST_LENGTH
    } else {
        length
    };
    for (output, x) in outputs.iter_mut().zip(row) {
        *output = x / length;
    }
}

/// As TFLM's `reference_integer_ops::L2Normalization`.
fn integer_row(zero_point: i32, row: &[i8], outputs: &mut [i8]) {
    let centred = |x: i8| i32::from(x).wrapping_sub(zero_point);
    let squares = row.iter().fold(0i32, |sum, &x| {
        sum.wrapping_add(centred(x).wrapping_mul(centred(x)))
    });
    let FixedMultiplier { multiplier, shift } = inverse_sqrt(squares);
    let shift = shift.saturating_add(OUTPUT_BITS);
    let one_over_length = FixedMultiplier { multiplier, shift };
    for (output, &x) in outputs.iter_mut().zip(row) {
        *output = one_over_length.apply(centred(x)).clamp(-128, 127) as i8;
    }
}
