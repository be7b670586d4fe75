//! Operators that join their inputs: CONCATENATION and PACK.

use larun_ops::{Activation, Op, op};

use super::bytes::copy;
use crate::operand::{Operand, wrong_op};
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_len,
};

impl Kernel for op::Concatenation {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::Concatenation(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        if options.activation != Activation::None {
            return Err(Refusal::options(Reason::Activation(options.activation)));
        }
        prepare_join(node, options.axis, plan)
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke_join(plan, io)
    }
}

impl Kernel for op::Pack {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::Pack(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        prepare_join(node, options.axis, plan)
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke_join(plan, io)
    }
}

/// Writes the bytes that each input gives to every step along the axes outside of the joined one.
fn prepare_join(node: &dyn NodeView, axis: i32, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
    let output = Operand::output(node, 0)?;
    let element = output.element_len()?;
    let axis = output.info.shape.axis(axis).unwrap_or(0);
    plan.push_usize(node.input_count());
    for index in 0..node.input_count() {
        let input = Operand::input(node, index)?;
        output.takes_from(&input)?;
        let run = input.inner_len(axis)?.checked_mul(element);
        plan.push_usize(run.ok_or(input.refuse(Reason::TooLarge))?);
    }
    Ok(())
}

fn invoke_join(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
    let count = plan.read_usize()?;
    let runs = plan.take_words(count)?;
    let stride = sum(runs)?;
    let output = io.output::<u8>(0)?;
    let io = io.freeze();
    let mut start = 0;
    for (index, &run) in runs.iter().enumerate() {
        let input = io.input::<u8>(index)?;
        let run = run as usize;
        check_runs(Memory::input(index), input, output.len(), run, stride)?;
        if run > 0 {
            let places = output.chunks_exact_mut(stride);
            for (place, run) in places.zip(input.chunks_exact(run)) {
                copy(place.get_mut(start..).unwrap_or(&mut []), run);
            }
        }
        start += run;
    }
    Ok(())
}

/// The bytes that all parts together have in each step.
pub(super) fn sum(runs: &[u32]) -> Result<usize, InvokeError> {
    let mut runs = runs.iter();
    let sum = runs.try_fold(0usize, |sum, &run| sum.checked_add(run as usize));
    sum.ok_or(InvokeError::Plan)
}

/// Checks that a part has a run for every step of the whole.
pub(super) fn check_runs(
    memory: Memory,
    part: &[u8],
    whole: usize,
    run: usize,
    stride: usize,
) -> Result<(), InvokeError> {
    let steps = whole.checked_div(stride).unwrap_or(0);
    check_len(memory, part.len(), steps.saturating_mul(run))
}
