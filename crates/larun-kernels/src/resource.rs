//! Resource variables: VAR_HANDLE, READ_VARIABLE and ASSIGN_VARIABLE.

use larun_ops::{ElementType, Op, op};

use crate::operand::{Operand, wrong_op};
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, Resource,
    check_len,
};

impl Kernel for op::VarHandle {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::VarHandle(_) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        is_handle(&Operand::output(node, 0)?)?;
        plan.request_resource(Resource::Named);
        Ok(())
    }

    /// The handle is known when the model is loaded, and nothing is left to do.
    fn invoke(_: PlanReader<'_>, _: Io<'_>) -> Result<(), InvokeError> {
        Ok(())
    }
}

impl Kernel for op::ReadVariable {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::ReadVariable(_) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        is_handle(&Operand::input(node, 0)?)?;
        plan.request_resource(used_as(&Operand::output(node, 0)?)?);
        Ok(())
    }

    fn invoke(_: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let output = io.output::<u8>(0)?;
        let variable = io.freeze().resource(0)?;
        check_len(Memory::resource(0), variable.len(), output.len())?;
        output.copy_from_slice(variable);
        Ok(())
    }
}

impl Kernel for op::AssignVariable {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::AssignVariable(_) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        is_handle(&Operand::input(node, 0)?)?;
        plan.request_resource(used_as(&Operand::input(node, 1)?)?);
        Ok(())
    }

    fn invoke(_: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let variable = io.resource(0)?;
        let value = io.freeze().input::<u8>(1)?;
        check_len(Memory::resource(0), variable.len(), value.len())?;
        variable.copy_from_slice(value);
        Ok(())
    }
}

fn is_handle(operand: &Operand<'_>) -> Result<(), Refusal> {
    operand.has_type(ElementType::Resource)?;
    match operand.elements()? {
        1 => Ok(()),
        found => Err(operand.refuse(Reason::Elements { found, expected: 1 })),
    }
}

/// The use of a variable that holds such values.
fn used_as(value: &Operand<'_>) -> Result<Resource, Refusal> {
    let bytes = value.info.byte_len();
    Ok(Resource::Used {
        bytes: bytes.ok_or(value.refuse(Reason::TooLarge))?,
        zeros: value.info.zeros(),
    })
}
