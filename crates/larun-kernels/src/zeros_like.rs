//! ZEROS_LIKE: stored zeros, whatever the zero point, as by TFLM.

use larun_ops::op;

use crate::operand::Operand;
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Refusal};

impl Kernel for op::ZerosLike {
    fn prepare(node: &dyn NodeView, _plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let input = Operand::input(node, 0)?;
        input.element_len()?;
        Operand::output(node, 0)?.has_type(input.info.element_type)
    }

    fn invoke(_plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        io.output::<u8>(0)?.fill(0);
        Ok(())
    }
}
