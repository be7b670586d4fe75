//! Operators that take their input apart: SPLIT, SPLIT_V and UNPACK.

use larun_ops::{Op, op};

use super::bytes::copy;
use super::join::{check_runs, sum};
use crate::operand::{Operand, wrong_op};
use crate::{InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal};

impl Kernel for op::Split {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let input = Operand::input(node, 1)?;
        prepare_split(node, &input, constant_axis(node, 0)?, plan)
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke_split(plan, io, 1)
    }
}

impl Kernel for op::SplitV {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let input = Operand::input(node, 0)?;
        let axis = constant_axis(node, 2)?;
        // Sizes that are no constant, or too many for the shape rule, are taken from the outputs.
        for index in 0..node.output_count() {
            let output = Operand::output(node, index)?;
            let (found, expected) = (output.info.shape.rank(), input.info.shape.rank());
            if found != expected {
                return Err(output.refuse(Reason::Rank { found, expected }));
            }
            let pairs = output.info.shape.dims().iter().zip(input.info.shape.dims());
            for (at, (&found, &expected)) in pairs.enumerate() {
                if found != expected && Some(at) != input.info.shape.axis(axis) {
                    let axis = at;
                    return Err(output.refuse(Reason::Dimension {
                        axis,
                        found,
                        expected,
                    }));
                }
            }
        }
        prepare_split(node, &input, axis, plan)
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke_split(plan, io, 0)
    }
}

impl Kernel for op::Unpack {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::Unpack(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        prepare_split(node, &Operand::input(node, 0)?, options.axis, plan)
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke_split(plan, io, 0)
    }
}

fn constant_axis(node: &dyn NodeView, index: usize) -> Result<i32, Refusal> {
    let operand = Operand::input(node, index)?;
    let axis = operand.constant_ints()?;
    axis.first().copied().ok_or(operand.refuse(Reason::Empty))
}

/// Writes the bytes that each output takes of every step along the axes outside of the split one.
fn prepare_split(
    node: &dyn NodeView,
    input: &Operand<'_>,
    axis: i32,
    plan: &mut PlanWriter<'_>,
) -> Result<(), Refusal> {
    let element = input.element_len()?;
    let what = "axis";
    let outside = Refusal::options(Reason::Option { what, found: axis });
    let axis = input.info.shape.axis(axis).ok_or(outside)?;
    plan.push_usize(node.output_count());
    let mut elements = 0usize;
    for index in 0..node.output_count() {
        let output = Operand::output(node, index)?;
        output.takes_from(input)?;
        let run = output.inner_len(axis)?;
        elements = elements.saturating_add(run);
        let bytes = run.checked_mul(element);
        plan.push_usize(bytes.ok_or(output.refuse(Reason::TooLarge))?);
    }
    let expected = input.inner_len(axis)?;
    if elements == expected {
        return Ok(());
    }
    let found = node.output_count();
    Err(Refusal::options(Reason::Outputs { found }))
}

fn invoke_split(mut plan: PlanReader<'_>, mut io: Io<'_>, index: usize) -> Result<(), InvokeError> {
    let count = plan.read_usize()?;
    let runs = plan.take_words(count)?;
    let stride = sum(runs)?;
    let mut start = 0;
    for (at, &run) in runs.iter().enumerate() {
        let mut io = io.lend();
        let output = io.output::<u8>(at)?;
        let input = io.freeze().input::<u8>(index)?;
        let run = run as usize;
        check_runs(Memory::output(at), output, input.len(), run, stride)?;
        if run > 0 {
            let steps = input.chunks_exact(stride);
            for (place, step) in output.chunks_exact_mut(run).zip(steps) {
                copy(place, step.get(start..).unwrap_or(&[]));
            }
        }
        start += run;
    }
    Ok(())
}
