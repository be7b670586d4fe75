//! QUANTIZE and DEQUANTIZE: between real numbers and integers, and from integers to integers of another scale.

use larun_ops::{ElementType, Op, op};
use larun_quant::fixed_point::FixedMultiplier;
use larun_quant::{Affine, IntegerRange};

use crate::activation::map;
use crate::operand::{Operand, multiplier, wrong_op};
use crate::plan::{Record, record};
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_len,
};

impl Kernel for op::Quantize {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        use ElementType::{Float32, Int8, Int16, Int32, UInt8};
        let Op::Quantize(_) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        let from = input.one_of(&[Float32, Int8, UInt8, Int16, Int32])?;
        let to = output.one_of(match from {
            Float32 => &[Int8, Int16],
            Int8 => &[Int8, UInt8, Int16, Int32],
            UInt8 => &[Int8],
            Int16 => &[Int8, Int16, Int32],
            _ => &[Int8, Int16],
        })?;
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
            multiplier: multiplier(f64::from(source.scale) / f64::from(target.scale))?,
            output_zero_point: target.zero_point,
        };
        requantization.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let from = ElementType::read(&mut plan)?;
        let to = ElementType::read(&mut plan)?;
        match (from, to) {
            (ElementType::Float32, ElementType::Int8) => {
                let affine = Affine::read(&mut plan)?;
                let output = io.output(0)?;
                quantize_i8(affine, io.freeze().input(0)?, output)
            }
            (ElementType::Float32, _) => {
                let affine = Affine::read(&mut plan)?;
                let output = io.output(0)?;
                quantize_i16(affine, io.freeze().input(0)?, output)
            }
            (ElementType::Int8, ElementType::Int8) => {
                let requantization = Requantization::read(&mut plan)?;
                let output = io.output(0)?;
                requantize_i8(&requantization, io.freeze().input(0)?, output)
            }
            _ => {
                let requantization = Requantization::read(&mut plan)?;
                let output = io.output(0)?;
                let input = io.freeze().input(0)?;
                requantize_bytes(&requantization, (from, input), (to, output))
            }
        }
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
        /// Zero point of the output.
        pub output_zero_point: i32,
    }
}

impl Requantization {
    #[inline]
    fn apply(&self, value: i32, range: IntegerRange) -> i32 {
        let centred = value.wrapping_sub(self.input_zero_point);
        let scaled = self.multiplier.apply(centred);
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

/// Between any two integer types. These conversions are rare, so that one loop which reads and writes by the type
/// serves them all.
fn requantize_bytes(
    requantization: &Requantization,
    (from, input): (ElementType, &[u8]),
    (to, output): (ElementType, &mut [u8]),
) -> Result<(), InvokeError> {
    let (from_len, to_len) = (byte_len(from)?, byte_len(to)?);
    let (expected, found) = (input.len() / from_len, output.len() / to_len);
    check_len(Memory::output(0), found, expected)?;
    let range = match to {
        ElementType::Int8 => IntegerRange::INT8,
        ElementType::Int16 => IntegerRange::INT16,
        ElementType::UInt8 => IntegerRange { min: 0, max: 255 },
        _ => IntegerRange {
            min: i32::MIN,
            max: i32::MAX,
        },
    };
    let inputs = input.chunks_exact(from_len);
    for (output, input) in output.chunks_exact_mut(to_len).zip(inputs) {
        let value = match *input {
            [byte] if from == ElementType::UInt8 => i32::from(byte),
            [byte] => i32::from(byte as i8),
            [a, b] => i32::from(i16::from_ne_bytes([a, b])),
            [a, b, c, d] => i32::from_ne_bytes([a, b, c, d]),
            _ => 0,
        };
        let value = requantization.apply(value, range);
        match output {
            [byte] => *byte = value as u8,
            [_, _] => output.copy_from_slice(&(value as i16).to_ne_bytes()),
            _ => output.copy_from_slice(&value.to_ne_bytes()),
        }
    }
    Ok(())
}

fn byte_len(element_type: ElementType) -> Result<usize, InvokeError> {
    match element_type {
        ElementType::Int8 | ElementType::UInt8 => Ok(1),
        ElementType::Int16 => Ok(2),
        ElementType::Int32 => Ok(4),
        _ => Err(InvokeError::Plan),
    }
}

impl Kernel for op::Dequantize {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        use ElementType::{Float32, Int8, Int16, UInt8};
        let Op::Dequantize(_) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        let from = input.one_of(&[Int8, UInt8, Int16])?;
        output.one_of(&[Float32])?;
        from.write(plan);
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
            _ => dequantize::<i16>(plan, io.input(0)?, output),
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
    mut plan: PlanReader<'_>,
    input: &[T],
    output: &mut [f32],
) -> Result<(), InvokeError> {
    check_len(Memory::output(0), output.len(), input.len())?;
    let (inner, channels) = (plan.read_usize()?, plan.read_usize()?);
    let parameters = plan;
    let (mut parameters_left, mut left) = (parameters, channels);
    let runs = input.chunks(inner.max(1));
    for (input, output) in runs.zip(output.chunks_mut(inner.max(1))) {
        if left == 0 {
            (parameters_left, left) = (parameters, channels);
        }
        let affine = Affine::read(&mut parameters_left)?;
        left = left.saturating_sub(1);
        for (output, &x) in output.iter_mut().zip(input) {
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
