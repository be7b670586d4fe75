//! Operators that surround their input: PAD, PADV2 and MIRROR_PAD.

use larun_ops::{MirrorPadMode, Op, op};

use super::bytes::{copy, repeat};
use super::transfer::{Transfer, axes, moved};
use crate::operand::{Operand, wrong_op};
use crate::plan::Record;
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_len,
};

impl Kernel for op::Pad {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        zeros(&Operand::output(node, 0)?)?.write(plan);
        interior(node)?.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let zeros = plan.read_u32()?;
        let interior = Transfer::read(&mut plan)?;
        let output = io.output::<u8>(0)?;
        repeat(output, &zeros.to_le_bytes());
        place(&interior, output, io.freeze().input(0)?)
    }
}

impl Kernel for op::PadV2 {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let (output, value) = (Operand::output(node, 0)?, Operand::input(node, 2)?);
        output.takes_from(&value)?;
        let (found, expected) = (value.elements()?, 1);
        if found != expected {
            return Err(value.refuse(Reason::Elements { found, expected }));
        }
        interior(node)?.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let interior = Transfer::read(&mut plan)?;
        let output = io.output::<u8>(0)?;
        let io = io.freeze();
        repeat(output, io.input(2)?);
        place(&interior, output, io.input(0)?)
    }
}

/// Four bytes of elements that stand for the real number 0.
pub(super) fn zeros(output: &Operand<'_>) -> Result<u32, Refusal> {
    if !output.holds_codes() {
        return Ok(0);
    }
    output.affine()?;
    Ok(output.info.zeros())
}

/// Copies the whole input to its place.
fn place(interior: &Transfer, output: &mut [u8], input: &[u8]) -> Result<(), InvokeError> {
    let bytes = interior.bytes().ok_or(InvokeError::Plan)?;
    check_len(Memory::input(0), input.len(), bytes)?;
    interior.run(output, input)
}

/// Where in the output the elements of the input go.
fn interior(node: &dyn NodeView) -> Result<Transfer, Refusal> {
    let (input, output, element) = moved(node, 0)?;
    let paddings = Operand::input(node, 1)?.constant_ints()?;
    let before = paddings.iter().step_by(2);
    let before = before.map(|&before| usize::try_from(before).unwrap_or(0));
    let steps = output.strides()?.into_iter().zip(input.strides()?);
    let dims = input.info.shape.dims().iter().zip(steps);
    let mut start = 0usize;
    let axes = axes(dims.zip(before).map(|((&dim, (to, from)), before)| {
        start = start.wrapping_add(before.wrapping_mul(to));
        (dim, [to, from])
    }))?;
    Ok(Transfer::new(axes, [start, 0], element))
}

impl Kernel for op::MirrorPad {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::MirrorPad(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        // Reflected, the border itself is not repeated.
        let skip = match options.mode {
            MirrorPadMode::Reflect => 1,
            MirrorPadMode::Symmetric => 0,
        };
        interior(node)?.write(plan);
        let (input, output, element) = moved(node, 0)?;
        let paddings = Operand::input(node, 1)?;
        let pairs = paddings.constant_ints()?;
        let steps = output.strides()?;
        let dims = input.info.shape.dims();
        plan.push_usize(dims.len());
        plan.push_usize(skip);
        // The innermost axis first: each mirrors all that lies inside.
        let axes = dims.iter().zip(steps).zip(pairs.chunks_exact(2));
        for ((&dim, step), pair) in axes.rev() {
            let mut sides = [0; 2];
            for (side, &found) in sides.iter_mut().zip(pair) {
                let what = "padding";
                let size = usize::try_from(found).ok();
                let size = size.filter(|&size| size == 0 || size <= dim.saturating_sub(skip));
                *side = size.ok_or(paddings.refuse(Reason::Option { what, found }))?;
            }
            let block = step.wrapping_mul(element);
            [sides[0], dim, sides[1], block].write(plan);
        }
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let interior = Transfer::read(&mut plan)?;
        let (rank, skip) = (plan.read_usize()?, plan.read_usize()?);
        let output = io.output::<u8>(0)?;
        place(&interior, output, io.freeze().input(0)?)?;
        for _ in 0..rank {
            let [before, len, after, block]: [usize; 4] = Record::read(&mut plan)?;
            let row = before.saturating_add(len).saturating_add(after);
            let row = row.saturating_mul(block);
            if before == 0 && after == 0 || row == 0 {
                continue;
            }
            for row in output.chunks_exact_mut(row) {
                mirror(row, [before, len, after], skip, block).ok_or(InvokeError::Plan)?;
            }
        }
        Ok(())
    }
}

/// Fills the blocks before and after those in the middle with their mirror images.
fn mirror(
    row: &mut [u8],
    [before, len, after]: [usize; 3],
    skip: usize,
    block: usize,
) -> Option<()> {
    let start = before.checked_mul(block)?;
    let (head, rest) = row.split_at_mut_checked(start)?;
    let (middle, tail) = rest.split_at_mut_checked(len.checked_mul(block)?)?;
    let skipped = skip.checked_mul(block)?;
    let first = middle.get(skipped..).unwrap_or(&[]);
    let heads = head.rchunks_exact_mut(block).take(before);
    for (to, from) in heads.zip(first.chunks_exact(block)) {
        copy(to, from);
    }
    let last = middle.get(..middle.len().saturating_sub(skipped))?;
    let tails = tail.chunks_exact_mut(block).take(after);
    for (to, from) in tails.zip(last.rchunks_exact(block)) {
        copy(to, from);
    }
    Some(())
}
