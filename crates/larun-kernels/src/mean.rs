//! MEAN and SUM over any axes.

use larun_ops::{Activation, ElementType, op};
use larun_quant::fixed_point::{FixedMultiplier, Rounding};

use crate::arch;
use crate::integer::{QUANTIZED_OR_FLOAT32, Quantized};
use crate::operand::{Operand, output_stage_of, scale_ratio};
use crate::plan::{Record, record};
use crate::reduction::{Reduction, reduction};
use crate::requantize::OutputStage;
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Refusal};

impl Kernel for op::Mean {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        prepare(node, QUANTIZED_OR_FLOAT32, plan, MeanQuantization::new)
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        match ElementType::read(&mut plan)? {
            ElementType::Int8 => quantized(plan, io, mean_int8),
            ElementType::Int16 => quantized(plan, io, mean::<i16>),
            _ => {
                let (reduction, output) = (Record::read(&mut plan)?, io.output(0)?);
                mean_f32(&reduction, io.freeze().input(0)?, output)
            }
        }
    }
}

impl Kernel for op::Sum {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        use ElementType::{Float32, Int8, Int16, Int32};
        let types = &[Int8, Int16, Int32, Float32];
        prepare(node, types, plan, MeanQuantization::of_sum)
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        match ElementType::read(&mut plan)? {
            ElementType::Int8 => quantized(plan, io, mean_int8),
            ElementType::Int16 => quantized(plan, io, mean::<i16>),
            ElementType::Int32 => {
                let (reduction, output) = (Reduction::read(&mut plan)?, io.output(0)?);
                reduction.fold(io.freeze().input(0)?, output, 0, i32::wrapping_add, |sum| {
                    sum
                })
            }
            _ => {
                let (reduction, output) = (Reduction::read(&mut plan)?, io.output(0)?);
                let add = |sum: f32, value: f32| sum + value;
                reduction.fold(io.freeze().input(0)?, output, 0.0, add, |sum| sum)
            }
        }
    }
}

/// `quantization` makes the parameters of zero points, `input_scale / output_scale`, and the elements that become one.
fn prepare(
    node: &dyn NodeView,
    types: &'static [ElementType],
    plan: &mut PlanWriter<'_>,
    quantization: fn(i32, OutputStage, FixedMultiplier, usize) -> MeanQuantization,
) -> Result<(), Refusal> {
    let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
    let element_type = input.one_of(types)?;
    output.has_type(element_type)?;
    let reduction = reduction(node)?;
    element_type.write(plan);
    reduction.write(plan);
    if matches!(element_type, ElementType::Int8 | ElementType::Int16) {
        let (from, to) = (input.affine()?, output.affine()?);
        let rescale = scale_ratio([from.scale, 1.0], to.scale)?;
        let stage = output_stage_of(Activation::None, &output)?;
        quantization(from.zero_point, stage, rescale, reduction.count()).write(plan);
    }
    Ok(())
}

/// A mean or sum of integers, rounded as the plan says.
type Quantize<T> =
    fn(&Reduction, &MeanQuantization, Rounding, &[T], &mut [T]) -> Result<(), InvokeError>;

fn quantized<T: Quantized>(
    mut plan: PlanReader<'_>,
    mut io: Io<'_>,
    run: Quantize<T>,
) -> Result<(), InvokeError> {
    let reduction = Reduction::read(&mut plan)?;
    let (quantization, rounding) = (Record::read(&mut plan)?, plan.rounding());
    let output = io.output(0)?;
    run(
        &reduction,
        &quantization,
        rounding,
        io.freeze().input(0)?,
        output,
    )
}

record! {
    /// Quantisation of a mean or sum of integers.
    pub struct MeanQuantization {
        /// Input zero point times the number of elements that become one.
        pub offset: i32,
        /// `input_scale / output_scale`, in a mean over that number.
        pub multiplier: FixedMultiplier,
        /// Zero point of the output.
        pub stage: OutputStage,
    }
}

impl MeanQuantization {
    /// The output of a sum.
    #[inline]
    fn finish(&self, sum: i32, rounding: Rounding) -> i32 {
        let centred = sum.wrapping_sub(self.offset);
        self.stage
            .bound(self.multiplier.apply_with(centred, rounding))
    }

    /// The quantisation of means of `count` elements, `rescale` being `input_scale / output_scale`.
    ///
    /// The division goes into the multiplier, which is first shifted left by as many bits as the division takes away.
    #[must_use]
    pub fn new(
        input_zero_point: i32,
        stage: OutputStage,
        rescale: FixedMultiplier,
        count: usize,
    ) -> Self {
        let sum = Self::of_sum(input_zero_point, stage, rescale, count);
        let count = i64::try_from(count).unwrap_or(i64::MAX).max(1);
        let bits = count.ilog2().min(32) as i32;
        let shift = bits.min(rescale.shift.saturating_add(31)).max(0);
        Self {
            multiplier: FixedMultiplier {
                multiplier: ((i64::from(rescale.multiplier) << shift) / count) as i32,
                shift: rescale.shift.saturating_sub(shift),
            },
            ..sum
        }
    }

    /// The quantisation of sums of `count` elements.
    #[must_use]
    pub fn of_sum(
        input_zero_point: i32,
        stage: OutputStage,
        rescale: FixedMultiplier,
        count: usize,
    ) -> Self {
        let count = i64::try_from(count).unwrap_or(i64::MAX).max(1);
        Self {
            offset: i64::from(input_zero_point).wrapping_mul(count) as i32,
            multiplier: rescale,
            stage,
        }
    }
}

/// INT8 mean or sum, as TFLM's `reference_ops::QuantizedMeanOrSum`.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the shape says.
pub fn mean_i8(
    reduction: &Reduction,
    quantization: &MeanQuantization,
    input: &[i8],
    output: &mut [i8],
) -> Result<(), InvokeError> {
    mean_int8(reduction, quantization, Rounding::TflmDouble, input, output)
}

fn mean_int8(
    reduction: &Reduction,
    quantization: &MeanQuantization,
    rounding: Rounding,
    input: &[i8],
    output: &mut [i8],
) -> Result<(), InvokeError> {
    let channels = reduction.channels_over_pixels();
    let over_pixels = channels.is_some_and(|channels| {
        output.len() == channels && input.len() == channels * reduction.count()
    });
    let finish = |sum| quantization.finish(sum, rounding) as i8;
    if over_pixels && arch::mean_i8(input, output, finish) {
        return Ok(());
    }
    mean(reduction, quantization, rounding, input, output)
}

fn mean<T: Quantized>(
    reduction: &Reduction,
    quantization: &MeanQuantization,
    rounding: Rounding,
    input: &[T],
    output: &mut [T],
) -> Result<(), InvokeError> {
    let add = |sum: i32, value: T| sum.wrapping_add(value.into());
    reduction.fold(input, output, 0, add, |sum: i32| {
        T::narrow(quantization.finish(sum, rounding))
    })
}

/// Real mean. Every output sums its elements in the order of the input, then divides.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the shape says.
pub fn mean_f32(
    reduction: &Reduction,
    input: &[f32],
    output: &mut [f32],
) -> Result<(), InvokeError> {
    let count = reduction.count() as f32;
    let add = |sum: f32, value: f32| sum + value;
    reduction.fold(input, output, 0.0, add, |sum: f32| sum / count)
}
