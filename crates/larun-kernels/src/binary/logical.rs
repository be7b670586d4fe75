//! LOGICAL_AND, LOGICAL_OR and LOGICAL_NOT. Any byte but 0 is true.

use larun_ops::{ElementType, op};

use super::{Operands, Pairs};
use crate::activation::map;
use crate::operand::Operand;
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Refusal};

impl Kernel for op::LogicalAnd {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        Operands::of_one_type(node, &[ElementType::Bool])?.write(plan)
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        let pairs = Pairs::read(&mut plan)?;
        pairs.combine(io, |a: u8, b| u8::from(a != 0 && b != 0))
    }
}

impl Kernel for op::LogicalOr {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        Operands::of_one_type(node, &[ElementType::Bool])?.write(plan)
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        let pairs = Pairs::read(&mut plan)?;
        pairs.combine(io, |a: u8, b| u8::from(a != 0 || b != 0))
    }
}

impl Kernel for op::LogicalNot {
    fn prepare(node: &dyn NodeView, _plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        Operand::input(node, 0)?.one_of(&[ElementType::Bool])?;
        Operand::output(node, 0)?.has_type(ElementType::Bool)
    }

    fn invoke(_plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let output = io.output(0)?;
        map(io.freeze().input(0)?, output, |x: u8| u8::from(x == 0))
    }
}
