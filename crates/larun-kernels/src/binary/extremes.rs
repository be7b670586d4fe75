//! MAXIMUM and MINIMUM.

use larun_ops::{ElementType, op};

use super::{Operands, Pairs};
use crate::{Element, InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Refusal};

const TYPES: &[ElementType] = &[
    ElementType::Int8,
    ElementType::UInt8,
    ElementType::Int16,
    ElementType::Int32,
    ElementType::Int64,
    ElementType::Float32,
];

macro_rules! extreme {
    ($($op:ident: $largest:literal;)*) => {$(
        impl Kernel for op::$op {
            fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
                prepare(node, plan)
            }

            fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
                invoke(plan, io, $largest)
            }
        }
    )*};
}

extreme! {
    Maximum: true;
    Minimum: false;
}

/// Elements are compared as they are stored, which is right where all have the same scale and zero point.
fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
    let operands = Operands::of_one_type(node, TYPES)?;
    operands.output.takes_from(&operands.a)?;
    operands.output.takes_from(&operands.b)?;
    operands.write(plan)
}

fn invoke(mut plan: PlanReader<'_>, io: Io<'_>, largest: bool) -> Result<(), InvokeError> {
    let pairs = Pairs::read(&mut plan)?;
    match pairs.element_type {
        ElementType::Int8 => pick::<i8>(&pairs, io, largest),
        ElementType::UInt8 => pick::<u8>(&pairs, io, largest),
        ElementType::Int16 => pick::<i16>(&pairs, io, largest),
        ElementType::Int32 => pick::<i32>(&pairs, io, largest),
        ElementType::Int64 => pick::<i64>(&pairs, io, largest),
        _ => pick::<f32>(&pairs, io, largest),
    }
}

/// Where one of a pair is NaN, the second is taken, as by TFLM.
fn pick<T: Element + PartialOrd>(
    pairs: &Pairs,
    io: Io<'_>,
    largest: bool,
) -> Result<(), InvokeError> {
    pairs.combine(io, |a: T, b| {
        let first = if largest { a > b } else { a < b };
        if first { a } else { b }
    })
}
