//! Functions of real numbers alone: LOG, SQRT, SQUARE, SIN, COS, FLOOR, CEIL, ROUND.

use larun_ops::{ElementType, op};

use crate::byte_function::map_operands;
use crate::operand::Operand;
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Refusal};

/// One loop serves all of them, and calls the function by its address.
macro_rules! real_functions {
    ($($name:ident: $function:expr;)*) => {$(
        impl Kernel for op::$name {
            fn prepare(node: &dyn NodeView, _: &mut PlanWriter<'_>) -> Result<(), Refusal> {
                prepare(node)
            }

            fn invoke(_: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
                invoke(io, $function)
            }
        }
    )*};
}

real_functions! {
    Log: libm::logf;
    Sqrt: libm::sqrtf;
    Square: |x| x * x;
    Sin: libm::sinf;
    Cos: libm::cosf;
    Floor: libm::floorf;
    Ceil: libm::ceilf;
    // Ties go to the even number.
    Round: libm::rintf;
}

fn prepare(node: &dyn NodeView) -> Result<(), Refusal> {
    let element_type = Operand::input(node, 0)?.one_of(&[ElementType::Float32])?;
    Operand::output(node, 0)?.has_type(element_type)
}

/// Calls a function of real numbers for each element.
#[inline(never)]
pub(crate) fn invoke(io: Io<'_>, function: fn(f32) -> f32) -> Result<(), InvokeError> {
    map_operands(io, function)
}
