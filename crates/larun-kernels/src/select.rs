//! SELECT and SELECT_V2: elements of one tensor or another, all three operands stretched to a common shape.

use larun_ops::{ElementType, Shape, op};

use crate::axes::{Axes, broadcast};
use crate::operand::Operand;
use crate::plan::Record;
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_len,
};

impl Kernel for op::Select {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let (condition, a) = (Operand::input(node, 0)?, Operand::input(node, 1)?);
        let mut shape = condition.info.shape;
        // A value for each slice lies along the first axis, not the last.
        if shape.rank() == 1 {
            while shape.rank() < a.info.shape.rank() {
                let full = Refusal::options(Reason::TooLarge);
                shape.push(1).ok_or(full)?;
            }
        }
        prepare(node, &shape, plan)
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke(plan, io)
    }
}

impl Kernel for op::SelectV2 {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let condition = Operand::input(node, 0)?;
        prepare(node, &condition.info.shape, plan)
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke(plan, io)
    }
}

fn prepare(
    node: &dyn NodeView,
    condition: &Shape,
    plan: &mut PlanWriter<'_>,
) -> Result<(), Refusal> {
    let (a, b) = (Operand::input(node, 1)?, Operand::input(node, 2)?);
    let output = Operand::output(node, 0)?;
    Operand::input(node, 0)?.one_of(&[ElementType::Bool])?;
    for operand in [&a, &b] {
        output.takes_from(operand)?;
    }
    let axes = broadcast([condition, &a.info.shape, &b.info.shape]);
    let axes = axes.ok_or(Refusal::options(Reason::TooLarge))?;
    let (found, expected) = (output.elements()?, axes.points().unwrap_or(0));
    if found != expected {
        return Err(output.refuse(Reason::Elements { found, expected }));
    }
    output.element_len()?.write(plan);
    axes.write(plan);
    Ok(())
}

fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
    let len = plan.read_usize()?;
    let axes = Axes::read(&mut plan)?;
    let output = io.output(0)?;
    let io = io.freeze();
    let operands = [io.input(1)?, io.input(2)?];
    select(&axes, len, io.input(0)?, operands, output)
}

/// Moves elements of `len` bytes: of the first operand where the condition's byte is not 0, else of the second.
fn select(
    axes: &Axes<3>,
    len: usize,
    condition: &[u8],
    [a, b]: [&[u8]; 2],
    output: &mut [u8],
) -> Result<(), InvokeError> {
    let bytes = |elements: usize| elements.saturating_mul(len);
    check_len(Memory::input(0), condition.len(), axes.operand_len(0))?;
    check_len(Memory::input(1), a.len(), bytes(axes.operand_len(1)))?;
    check_len(Memory::input(2), b.len(), bytes(axes.operand_len(2)))?;
    let elements = axes.points().unwrap_or(0);
    check_len(Memory::output(0), output.len(), bytes(elements))?;
    let places = output.chunks_exact_mut(len.max(1));
    for (place, [at, from_a, from_b]) in places.zip(axes.walk()) {
        let (operand, from) = match condition.get(at) {
            Some(0) => (b, from_b),
            _ => (a, from_a),
        };
        let element = operand.get(bytes(from)..).unwrap_or(&[]);
        if let Some(element) = element.get(..len) {
            place.copy_from_slice(element);
        }
    }
    Ok(())
}
