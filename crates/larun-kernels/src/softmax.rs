//! SOFTMAX along the innermost axis.

use larun_ops::{ElementType, Op, op};
use larun_quant::Affine;
use larun_quant::fixed_point::{
    SoftmaxInput, SoftmaxInput16, reciprocal, reciprocal_of_sum_16, rescale,
    rounding_divide_by_pot, saturating_rounding_doubling_high_mul,
};

use crate::integer::QUANTIZED_OR_FLOAT32;
use crate::operand::{Operand, operands, wrong_op};
use crate::plan::Record;
use crate::types::{FLOAT32, INT16};
use crate::window::piece_pairs;
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_len,
};

/// Integer bits of the sum of exponentials.
pub(crate) const SUM_INTEGER_BITS: u32 = 12;

impl Kernel for op::Softmax {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::Softmax(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        operands! {
            input = Operand::input(node, 0);
            output = Operand::output(node, 0);
        }
        let element_type = input.one_of(QUANTIZED_OR_FLOAT32)?;
        element_type.write(plan);
        input.info.shape.last().write(plan);
        match element_type {
            ElementType::Int8 => {
                let wide = output.one_of(&[ElementType::Int8, ElementType::Int16])?;
                let wide = wide == ElementType::Int16 && INT16;
                if wide {
                    // TFLM's tolerance.
                    output.has_affine(Affine::new(1.0 / 65536.0, -32768), 1e-3 / 65536.0)?;
                } else {
                    output.is_unit_interval()?;
                }
                let scale = input.affine()?.scale;
                let softmax = SoftmaxInput::new(options.beta, scale);
                let softmax = softmax.ok_or(Refusal::options(Reason::ScaleRatio))?;
                softmax.multiplier.write(plan);
                softmax.diff_min.write(plan);
                wide.write(plan);
            }
            ElementType::Int16 if INT16 => {
                output.has_type(ElementType::Int16)?;
                input.has_zero_point(0, 0)?;
                // TFLM's tolerance.
                output.has_affine(Affine::new(1.0 / 32768.0, 0), 1e-3 / 32768.0)?;
                let softmax = SoftmaxInput16::new(options.beta, input.affine()?.scale);
                softmax.multiplier.write(plan);
            }
            _ if FLOAT32 => {
                output.has_type(ElementType::Float32)?;
                options.beta.write(plan);
            }
            // Of types that are left out, which are refused before.
            _ => {}
        }
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let element_type = ElementType::read(&mut plan)?;
        let depth = plan.read_usize()?;
        match element_type {
            ElementType::Int8 => {
                let quantization = SoftmaxInput {
                    multiplier: Record::read(&mut plan)?,
                    diff_min: Record::read(&mut plan)?,
                };
                if bool::read(&mut plan)? {
                    let output = io.output(0)?;
                    return softmax_i8_i16(depth, &quantization, io.freeze().input(0)?, output);
                }
                let output = io.output(0)?;
                softmax_i8(depth, &quantization, io.freeze().input(0)?, output)
            }
            ElementType::Int16 => {
                let multiplier = Record::read(&mut plan)?;
                let output = io.output(0)?;
                softmax_i16(
                    depth,
                    &SoftmaxInput16 { multiplier },
                    io.freeze().input(0)?,
                    output,
                )
            }
            _ => {
                let beta = plan.read_f32()?;
                let output = io.output(0)?;
                softmax_f32(depth, beta, io.freeze().input(0)?, output)
            }
        }
    }
}

/// INT8 softmax of rows of `depth` values, with output scale 1/256 and zero point -128, as TFLM's
/// `reference_ops::Softmax`.
///
/// # Errors
/// [`InvokeError::Length`] when the slices' lengths differ.
pub fn softmax_i8(
    depth: usize,
    quantization: &SoftmaxInput,
    input: &[i8],
    output: &mut [i8],
) -> Result<(), InvokeError> {
    rows(depth, quantization, input, output, 8, |share| {
        share.saturating_sub(128).clamp(-128, 127) as i8
    })
}

/// As [`softmax_i8`] with INT16 outputs: scale 1/65536, zero point -32768.
///
/// # Errors
/// [`InvokeError::Length`] when the slices' lengths differ.
pub fn softmax_i8_i16(
    depth: usize,
    quantization: &SoftmaxInput,
    input: &[i8],
    output: &mut [i16],
) -> Result<(), InvokeError> {
    rows(depth, quantization, input, output, 16, |share| {
        share.saturating_sub(32768).clamp(-32768, 32767) as i16
    })
}

/// Calls `store` with each share of its row's sum, in units of `2^-output_bits`.
fn rows<T>(
    depth: usize,
    quantization: &SoftmaxInput,
    input: &[i8],
    output: &mut [T],
    output_bits: i32,
    store: impl Fn(i32) -> T,
) -> Result<(), InvokeError> {
    for_each_row(depth, input, output, |row, outputs| {
        let largest = row.iter().copied().fold(i8::MIN, i8::max);
        let exp = |x: i8| {
            let difference = i32::from(x) - i32::from(largest);
            (difference >= quantization.diff_min).then(|| quantization.exp(difference))
        };
        let sum = row.iter().filter_map(|&x| exp(x)).fold(0i32, |sum, exp| {
            sum.wrapping_add(rescale::<0, SUM_INTEGER_BITS>(exp))
        });
        let (significand, exponent) = reciprocal::<SUM_INTEGER_BITS>(sum);
        let to_output = exponent + 31 - output_bits;
        for (output, &x) in outputs.iter_mut().zip(row) {
            *output = store(exp(x).map_or(0, |exp| {
                let product = saturating_rounding_doubling_high_mul(significand, exp);
                rounding_divide_by_pot(product, to_output)
            }));
        }
    })
}

/// INT16 softmax of rows of `depth` values, with output scale 1/32768 and zero point 0, as TFLM's
/// `reference_ops::SoftmaxInt16`.
///
/// # Errors
/// [`InvokeError::Length`] when the slices' lengths differ.
pub fn softmax_i16(
    depth: usize,
    quantization: &SoftmaxInput16,
    input: &[i16],
    output: &mut [i16],
) -> Result<(), InvokeError> {
    for_each_row(depth, input, output, |row, outputs| {
        let largest = row.iter().copied().fold(i16::MIN, i16::max);
        let mut sum = 0i32;
        for (output, &x) in outputs.iter_mut().zip(row) {
            *output = quantization.exp(i32::from(x) - i32::from(largest));
            sum = sum.saturating_add(i32::from(*output));
        }
        let (significand, shift) = reciprocal_of_sum_16(sum);
        for output in outputs {
            let product = i64::from(*output) * i64::from(significand);
            let share = (product + ((1 << shift) >> 1)) >> shift;
            *output = share.clamp(0, 32767) as i16;
        }
    })
}

/// Calls `body` for each row of `depth` values with its outputs.
pub(crate) fn for_each_row<T, U>(
    depth: usize,
    input: &[T],
    output: &mut [U],
    mut body: impl FnMut(&[T], &mut [U]),
) -> Result<(), InvokeError> {
    check_len(Memory::output(0), output.len(), input.len())?;
    for (row, outputs) in piece_pairs((input, depth), (output, depth)) {
        body(row, outputs);
    }
    Ok(())
}

/// Real softmax of rows of `depth` values: `exp(beta (x - max)) / sum`.
///
/// # Errors
/// [`InvokeError::Length`] when the slices' lengths differ.
pub fn softmax_f32(
    depth: usize,
    beta: f32,
    input: &[f32],
    output: &mut [f32],
) -> Result<(), InvokeError> {
    for_each_row(depth, input, output, |row, outputs| {
        let larger = |largest: f32, x: &f32| if largest < *x { *x } else { largest };
        let largest = row.iter().fold(f32::MIN, larger);
        let mut sum = 0.0;
        for (output, &x) in outputs.iter_mut().zip(row) {
            *output = libm::expf((x - largest) * beta);
            sum += *output;
        }
        for output in outputs {
            *output /= sum;
        }
    })
}
