//! Operators that leave the bytes as they are: RESHAPE, SQUEEZE and EXPAND_DIMS.

use larun_ops::op;

use super::bytes::copy;
use crate::operand::{Operand, operands};
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_len,
};

macro_rules! view_kernels {
    ($($name:ident $({ $($own:tt)* })?)*) => {$(
        impl Kernel for op::$name {
            $($($own)*)?

            fn prepare(node: &dyn NodeView, _: &mut PlanWriter<'_>) -> Result<(), Refusal> {
                prepare_view(node)
            }

            fn invoke(_: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
                invoke_view(io)
            }
        }
    )*};
}

view_kernels! {
    Reshape {
        // As TFLM: what shape is asked for does not matter where the elements are as many.
        const SHAPES_ARE_GIVEN: bool = true;
    }
    Squeeze
    ExpandDims
}

fn prepare_view(node: &dyn NodeView) -> Result<(), Refusal> {
    operands! {
        input = Operand::input(node, 0);
        output = Operand::output(node, 0);
    }
    output.takes_from(input)?;
    let (found, expected) = (output.elements()?, input.elements()?);
    if found == expected {
        return Ok(());
    }
    Err(output.refuse(Reason::Elements { found, expected }))
}

/// Nothing to do where input and output share memory.
fn invoke_view(mut io: Io<'_>) -> Result<(), InvokeError> {
    if io.is_view() {
        return Ok(());
    }
    let output = io.output::<u8>(0)?;
    let input = io.freeze().input(0)?;
    check_len(Memory::output(0), output.len(), input.len())?;
    copy(output, input);
    Ok(())
}
