//! Functions of one INT8, element by element: computed, or looked up in a table of all 256 outputs.

use crate::activation::map;
use crate::operand::Operand;
use crate::plan::Record;
use crate::{Element, InvokeError, Io, NodeView, PlanReader, PlanWriter, Refusal};

/// A function of one INT8, with what it needs to know of the quantisation.
pub(crate) trait ByteFunction: Record {
    fn apply(&self, x: i8) -> i8;
}

/// From how many elements on a table of all 256 outputs is worth its memory and the time to fill it.
const TABLE_PAYS_FROM: usize = 256;

/// Writes the function, or its table where the node's input has many elements.
pub(crate) fn write(
    node: &dyn NodeView,
    function: &impl ByteFunction,
    plan: &mut PlanWriter<'_>,
) -> Result<(), Refusal> {
    let tabulated = Operand::input(node, 0)?.elements()? >= TABLE_PAYS_FROM;
    tabulated.write(plan);
    if tabulated {
        plan.push_i8s((i8::MIN..=i8::MAX).map(|x| function.apply(x)));
    } else {
        function.write(plan);
    }
    Ok(())
}

/// Applies what [`write`] wrote to the node's first input.
pub(crate) fn invoke<F: ByteFunction>(
    mut plan: PlanReader<'_>,
    io: Io<'_>,
) -> Result<(), InvokeError> {
    if bool::read(&mut plan)? {
        let table: &[i8; 256] = plan.take_i8s(256)?.first_chunk().ok_or(InvokeError::Plan)?;
        return map_operands(io, |x: i8| table[usize::from((x as u8) ^ 0x80)]);
    }
    let function = F::read(&mut plan)?;
    map_operands(io, |x: i8| function.apply(x))
}

/// Calls `function` for each element of the node's first input.
#[inline]
pub(crate) fn map_operands<T: Element, U: Element>(
    mut io: Io<'_>,
    function: impl Fn(T) -> U,
) -> Result<(), InvokeError> {
    let output = io.output(0)?;
    map(io.freeze().input(0)?, output, function)
}
