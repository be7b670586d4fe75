//! CAST: the same numbers in another element type.

use larun_ops::{ElementType, op};

use crate::number::{NUMBERS, convert};
use crate::operand::Operand;
use crate::plan::Record;
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Refusal};

impl Kernel for op::Cast {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        // The types that the options name are those of the tensors; files leave them out.
        for operand in [Operand::input(node, 0)?, Operand::output(node, 0)?] {
            operand.one_of(NUMBERS)?.write(plan);
        }
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        let (from, to) = (ElementType::read(&mut plan)?, ElementType::read(&mut plan)?);
        convert(io, from, to, |x| x)
    }
}
