//! LOGISTIC and TANH.

use larun_ops::{ElementType, op};
use larun_quant::Affine;
use larun_quant::fixed_point::{SigmoidInput, SigmoidInput16};

use crate::activation::map;
use crate::byte_function::{self, ByteFunction, map_operands};
use crate::integer::QUANTIZED_OR_FLOAT32;
use crate::operand::Operand;
use crate::plan::Record;
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Refusal};

/// How far an INT16 output's scale may be from 1/32768: TFLM allows a thousandth of a power of two.
const SCALE_TOLERANCE: f32 = 6.9e-4 / 32768.0;

impl Kernel for op::Logistic {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let output = Operand::output(node, 0)?;
        match write_type(node, plan)? {
            ElementType::Int8 => {
                output.is_unit_interval()?;
                let function = Logistic8(argument(node)?);
                byte_function::write(node, &function, plan)
            }
            ElementType::Int16 => write_16(node, 0, plan),
            _ => Ok(()),
        }
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        match ElementType::read(&mut plan)? {
            ElementType::Int8 => byte_function::invoke::<Logistic8>(plan, io),
            ElementType::Int16 => {
                let argument = SigmoidInput16::read(&mut plan)?;
                map_operands(io, |x: i16| argument.logistic(x))
            }
            _ => {
                let output = io.output(0)?;
                logistic_f32(io.freeze().input(0)?, output)
            }
        }
    }
}

impl Kernel for op::Tanh {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let output = Operand::output(node, 0)?;
        match write_type(node, plan)? {
            ElementType::Int8 => {
                output.has_affine(Affine::new(1.0 / 128.0, 0), 0.0)?;
                byte_function::write(node, &Tanh8(argument(node)?), plan)
            }
            ElementType::Int16 => write_16(node, 1, plan),
            _ => Ok(()),
        }
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        match ElementType::read(&mut plan)? {
            ElementType::Int8 => byte_function::invoke::<Tanh8>(plan, io),
            ElementType::Int16 => {
                let argument = SigmoidInput16::read(&mut plan)?;
                map_operands(io, |x: i16| argument.tanh(x))
            }
            _ => map_operands(io, libm::tanhf),
        }
    }
}

/// Writes the element type that input and output have.
fn write_type(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<ElementType, Refusal> {
    let element_type = Operand::input(node, 0)?.one_of(QUANTIZED_OR_FLOAT32)?;
    Operand::output(node, 0)?.has_type(element_type)?;
    element_type.write(plan);
    Ok(element_type)
}

fn argument(node: &dyn NodeView) -> Result<SigmoidInput, Refusal> {
    let from = Operand::input(node, 0)?.affine()?;
    Ok(SigmoidInput::new(from.scale, from.zero_point))
}

/// Writes how INT16 inputs are read. Scales of `2^-12` up to `2^(largest - 12)` are, like in TFLM, taken for exact.
fn write_16(node: &dyn NodeView, largest: i32, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
    let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
    input.has_zero_point(0, 0)?;
    output.has_affine(Affine::new(1.0 / 32768.0, 0), SCALE_TOLERANCE)?;
    let scale = input.affine()?.scale;
    let argument = match near_power_of_two(scale) {
        Some(exponent) if (-12..=largest.saturating_sub(12)).contains(&exponent) => {
            SigmoidInput16::from_power_of_two(exponent)
        }
        _ => SigmoidInput16::from_scale(scale),
    };
    argument.write(plan);
    Ok(())
}

/// The exponent of a scale that is, to a thousandth of a power, one of two: TFLM's `CheckedLog2`.
pub(crate) fn near_power_of_two(scale: f32) -> Option<i32> {
    let exponent = libm::logf(scale) * (1.0 / core::f32::consts::LN_2);
    let rounded = libm::roundf(exponent);
    ((exponent - rounded).abs() < 1e-3).then_some(rounded as i32)
}

impl Record for SigmoidInput {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        self.zero_point.write(plan);
        self.radius.write(plan);
        self.multiplier.write(plan);
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        Ok(Self {
            zero_point: Record::read(plan)?,
            radius: Record::read(plan)?,
            multiplier: Record::read(plan)?,
        })
    }
}

impl Record for SigmoidInput16 {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        self.multiplier.write(plan);
        self.shift.write(plan);
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        Ok(Self {
            multiplier: Record::read(plan)?,
            shift: Record::read(plan)?,
        })
    }
}

/// Functions of [`SigmoidInput`] as functions of a byte.
macro_rules! byte_functions {
    ($($name:ident: $function:ident;)*) => {$(
        struct $name(SigmoidInput);

        impl ByteFunction for $name {
            fn apply(&self, x: i8) -> i8 {
                self.0.$function(x)
            }
        }

        impl Record for $name {
            fn write(&self, plan: &mut PlanWriter<'_>) {
                self.0.write(plan);
            }

            fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
                Record::read(plan).map(Self)
            }
        }
    )*};
}

byte_functions! {
    Logistic8: logistic_i8;
    Tanh8: tanh_i8;
}

/// INT8 logistic with output scale 1/256 and zero point -128, as TFLM's `reference_integer_ops::Logistic`.
///
/// # Errors
/// [`InvokeError::Length`] when the slices' lengths differ.
pub fn logistic_i8(
    quantization: &SigmoidInput,
    input: &[i8],
    output: &mut [i8],
) -> Result<(), InvokeError> {
    map(input, output, |x: i8| quantization.logistic_i8(x))
}

/// `1 / (1 + exp(-x))`, with TFLM's cut-offs: 1 above 16.62, `exp(x)` below -9.
///
/// # Errors
/// [`InvokeError::Length`] when the slices' lengths differ.
pub fn logistic_f32(input: &[f32], output: &mut [f32]) -> Result<(), InvokeError> {
    map(input, output, logistic)
}

/// [`logistic_f32`] of one number.
pub(crate) fn logistic(x: f32) -> f32 {
    if x > 16.619_047 {
        1.0
    } else if x < -9.0 {
        libm::expf(x)
    } else {
        1.0 / (1.0 + libm::expf(-x))
    }
}
