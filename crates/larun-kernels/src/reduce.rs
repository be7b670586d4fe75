//! REDUCE_MAX, REDUCE_MIN and REDUCE_ALL over any axes.

use larun_ops::{ElementType, op};

use crate::operand::Operand;
use crate::plan::Record;
use crate::reduction::{Reduction, reduction};
use crate::{Element, InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Refusal};

impl Kernel for op::ReduceMax {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        prepare_extreme(node, plan)
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        match ElementType::read(&mut plan)? {
            ElementType::Int8 => fold(plan, io, i8::MIN, i8::max),
            ElementType::Int16 => fold(plan, io, i16::MIN, i16::max),
            ElementType::Int32 => fold(plan, io, i32::MIN, i32::max),
            _ => fold(plan, io, f32::MIN, |a, x| if x > a { x } else { a }),
        }
    }
}

impl Kernel for op::ReduceMin {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        prepare_extreme(node, plan)
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        match ElementType::read(&mut plan)? {
            ElementType::Int8 => fold(plan, io, i8::MAX, i8::min),
            ElementType::Int16 => fold(plan, io, i16::MAX, i16::min),
            ElementType::Int32 => fold(plan, io, i32::MAX, i32::min),
            _ => fold(plan, io, f32::MAX, |a, x| if x < a { x } else { a }),
        }
    }
}

impl Kernel for op::ReduceAll {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let element_type = Operand::input(node, 0)?.one_of(&[ElementType::Bool])?;
        Operand::output(node, 0)?.has_type(element_type)?;
        reduction(node)?.write(plan);
        Ok(())
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        fold(plan, io, 1, |all: u8, x: u8| all & u8::from(x != 0))
    }
}

/// Quantised elements are compared as they are, so output and input have the same parameters.
fn prepare_extreme(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
    use ElementType::{Float32, Int8, Int16, Int32};
    let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
    let element_type = input.one_of(&[Int8, Int16, Int32, Float32])?;
    output.has_type(element_type)?;
    if input.is_quantized() && element_type != Float32 {
        output.has_affine(input.affine()?, 0.0)?;
    }
    element_type.write(plan);
    reduction(node)?.write(plan);
    Ok(())
}

fn fold<T: Element>(
    mut plan: PlanReader<'_>,
    mut io: Io<'_>,
    start: T,
    combine: impl Fn(T, T) -> T,
) -> Result<(), InvokeError> {
    let reduction = Reduction::read(&mut plan)?;
    let output = io.output(0)?;
    reduction.fold(io.freeze().input(0)?, output, start, combine, |value| value)
}
