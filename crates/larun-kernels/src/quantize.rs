//! QUANTIZE and DEQUANTIZE: between real numbers and integers, and from integers to integers of another scale.

use larun_ops::{ElementType, op};
use larun_quant::fixed_point::{FixedMultiplier, Rounding};
use larun_quant::{Affine, IntegerRange, binary16};

use crate::activation::map;
use crate::integer::range_of;
use crate::number::{Number, convert};
use crate::operand::{Operand, scale_ratio};
use crate::plan::{Record, linked, record};
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_len,
};

impl Kernel for op::Quantize {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        use ElementType::{Float32, Int8, Int16, Int32, UInt8};
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        let from = input.one_of(&[Float32, Int8, UInt8, Int16, Int32])?;
        let to = output.one_of(&[Int8, UInt8, Int16, Int32])?;
        from.write(plan);
        to.write(plan);
        let target = output.affine()?;
        if from == Float32 {
            target.write(plan);
            return Ok(());
        }
        let source = input.affine()?;
        let requantization = Requantization {
            input_zero_point: source.zero_point,
            multiplier: scale_ratio([source.scale, 1.0], target.scale)?,
            rounding: Rounding::default(),
            output_zero_point: target.zero_point,
        };
        requantization.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        use ElementType::{Float32, Int8, Int16};
        let from = ElementType::read(&mut plan)?;
        let to = ElementType::read(&mut plan)?;
        if from == Float32 {
            let affine = Affine::read(&mut plan)?;
            return match to {
                Int8 => {
                    let output = io.output(0)?;
                    quantize_i8(affine, io.freeze().input(0)?, output)
                }
                Int16 => {
                    let output = io.output(0)?;
                    quantize_i16(affine, io.freeze().input(0)?, output)
                }
                _ => convert(io, from, to, |x| {
                    let quantized = affine.quantize(x.real(), range_of(to));
                    Number::Integer(quantized.into())
                }),
            };
        }
        let requantization = Requantization::read(&mut plan)?;
        if (from, to) == (Int8, Int8) {
            let output = io.output(0)?;
            return requantize_i8(&requantization, io.freeze().input(0)?, output);
        }
        convert(io, from, to, |x| {
            let requantized = requantization.apply(x.integer() as i32, range_of(to));
            Number::Integer(requantized.into())
        })
    }
}

impl Record for Affine {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        self.scale.write(plan);
        self.zero_point.write(plan);
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        Ok(Self::new(plan.read_f32()?, plan.read_i32()?))
    }
}

/// Real numbers to INT8, ties away from zero.
///
/// # Errors
/// [`InvokeError::Length`] when the slices' lengths differ.
pub fn quantize_i8(affine: Affine, input: &[f32], output: &mut [i8]) -> Result<(), InvokeError> {
    map(input, output, |x: f32| affine.quantize_i8(x))
}

/// Real numbers to INT16, ties away from zero.
///
/// # Errors
/// [`InvokeError::Length`] when the slices' lengths differ.
pub fn quantize_i16(affine: Affine, input: &[f32], output: &mut [i16]) -> Result<(), InvokeError> {
    map(input, output, |x: f32| affine.quantize_i16(x))
}

record! {
    /// From integers of one scale and zero point to those of another.
    pub struct Requantization {
        /// Zero point of the input.
        pub input_zero_point: i32,
        /// `input_scale / output_scale`.
        pub multiplier: FixedMultiplier,
        /// How the product is rounded.
        pub rounding: Rounding,
        /// Zero point of the output.
        pub output_zero_point: i32,
    }
}

impl Requantization {
    #[inline]
    fn apply(&self, value: i32, range: IntegerRange) -> i32 {
        let centred = value.wrapping_sub(self.input_zero_point);
        let scaled = self.multiplier.apply_with(centred, linked(self.rounding));
        let shifted = scaled.wrapping_add(self.output_zero_point);
        shifted.min(range.max).max(range.min)
    }
}

/// INT8 to INT8 of other parameters, as TFLM's `reference_ops::Requantize`.
///
/// # Errors
/// [`InvokeError::Length`] when the slices' lengths differ.
pub fn requantize_i8(
    requantization: &Requantization,
    input: &[i8],
    output: &mut [i8],
) -> Result<(), InvokeError> {
    map(input, output, |x: i8| {
        requantization.apply(i32::from(x), IntegerRange::INT8) as i8
    })
}

impl Kernel for op::Dequantize {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        use ElementType::{Float16, Float32, Int4, Int8, Int16, UInt8};
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        let from = input.one_of(&[Int8, UInt8, Int16, Int4, Float16])?;
        output.one_of(&[Float32])?;
        from.write(plan);
        if from == Float16 {
            return Ok(());
        }
        let channels = input.info.quantization.channels();
        let inner = match channels {
            0 | 1 => input.elements()?,
            _ => inner_len(&input, channels)?,
        };
        inner.max(1).write(plan);
        channels.max(1).write(plan);
        for channel in 0..channels.max(1) {
            input.channel_affine(channel)?.write(plan);
        }
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let from = ElementType::read(&mut plan)?;
        let output = io.output(0)?;
        let io = io.freeze();
        match from {
            ElementType::Int8 => dequantize::<i8>(plan, io.input(0)?, output),
            ElementType::UInt8 => dequantize::<u8>(plan, io.input(0)?, output),
            ElementType::Int16 => dequantize::<i16>(plan, io.input(0)?, output),
            ElementType::Int4 => dequantize_nibbles(plan, io.input(0)?, output),
            _ => map(io.input(0)?, output, binary16::to_f32),
        }
    }
}

/// Elements that follow each other with the same channel.
fn inner_len(input: &Operand<'_>, channels: usize) -> Result<usize, Refusal> {
    let (dims, axis) = (input.info.shape.dims(), input.info.quantization.axis());
    let (found, expected) = (channels, dims.get(axis).copied().unwrap_or(0));
    if found != expected {
        return Err(input.refuse(Reason::ChannelCount { found, expected }));
    }
    input.inner_len(axis.saturating_add(1))
}

/// Runs of `inner` elements have the parameters of one channel after the other.
fn dequantize<T: Copy + Into<i32>>(
    plan: PlanReader<'_>,
    input: &[T],
    output: &mut [f32],
) -> Result<(), InvokeError> {
    check_len(Memory::output(0), output.len(), input.len())?;
    dequantize_runs(plan, input.iter().map(|&x| x.into()), output)
}

/// As [`dequantize`], of elements two in a byte, the first in the low half.
fn dequantize_nibbles(
    plan: PlanReader<'_>,
    packed: &[i8],
    output: &mut [f32],
) -> Result<(), InvokeError> {
    check_len(Memory::input(0), packed.len(), output.len().div_ceil(2))?;
    let pairs = packed.iter().map(|&pair| [pair << 4 >> 4, pair >> 4]);
    dequantize_runs(plan, pairs.flatten().map(i32::from), output)
}

fn dequantize_runs(
    mut plan: PlanReader<'_>,
    mut input: impl Iterator<Item = i32>,
    output: &mut [f32],
) -> Result<(), InvokeError> {
    let (inner, channels) = (plan.read_usize()?, plan.read_usize()?);
    let parameters = plan;
    let (mut parameters_left, mut left) = (parameters, channels);
    for output in output.chunks_mut(inner.max(1)) {
        if left == 0 {
            (parameters_left, left) = (parameters, channels);
        }
        let affine = Affine::read(&mut parameters_left)?;
        left = left.saturating_sub(1);
        for (output, x) in output.iter_mut().zip(&mut input) {
            *output = affine.dequantize(x);
        }
    }
    Ok(())
}

/// INT8 to real numbers.
///
/// # Errors
/// [`InvokeError::Length`] when the slices' lengths differ.
pub fn dequantize_i8(affine: Affine, input: &[i8], output: &mut [f32]) -> Result<(), InvokeError> {
    map(input, output, |x: i8| affine.dequantize(x))
}
