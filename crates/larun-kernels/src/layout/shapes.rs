//! Operators about shapes: SHAPE, FILL, BROADCAST_TO and BROADCAST_ARGS.

use larun_ops::{MAX_RANK, op};

use super::bytes::{Integers, are_wide, copy, repeat};
use super::transfer::{Transfer, axes, moved};
use crate::operand::Operand;
use crate::plan::Record;
use crate::{
    FrozenIo, InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal,
    check_len,
};

impl Kernel for op::Shape {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        are_wide(&output)?.write(plan);
        write_dims(&input, plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let is_wide = bool::read(&mut plan)?;
        let dims = read_dims(&mut plan)?;
        let output = io.output::<u8>(0)?;
        write_integers(output, is_wide, dims.iter().map(|&dim| dim.into()))
    }
}

/// Writes integers of 8 bytes, or of 4, that fill the output.
fn write_integers(
    output: &mut [u8],
    are_wide: bool,
    values: impl ExactSizeIterator<Item = i64>,
) -> Result<(), InvokeError> {
    let width = if are_wide { 8 } else { 4 };
    check_len(Memory::output(0), output.len() / width, values.len())?;
    for (place, value) in output.chunks_exact_mut(width).zip(values) {
        copy(place, &value.to_le_bytes());
    }
    Ok(())
}

impl Kernel for op::Fill {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let (value, output, _) = moved(node, 1)?;
        let (found, expected) = (value.elements()?, 1);
        if found != expected {
            return Err(value.refuse(Reason::Elements { found, expected }));
        }
        expect_dims(node, 0, &output, plan)
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let output = io.output::<u8>(0)?;
        let io = io.freeze();
        check_dims(&mut plan, &io, 0)?;
        repeat(output, io.input(1)?);
        Ok(())
    }
}

impl Kernel for op::BroadcastTo {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let (input, output, element) = moved(node, 0)?;
        expect_dims(node, 1, &output, plan)?;
        let (dims, from) = (output.info.shape.dims(), input.info.shape.dims());
        let (found, expected) = (from.len(), dims.len());
        let rank = input.refuse(Reason::Rank { found, expected });
        let added = expected.checked_sub(found).ok_or(rank)?;
        let mut steps = [0; MAX_RANK];
        let inner = dims.iter().enumerate().skip(added);
        let inner = inner.zip(from.iter().zip(input.strides()?));
        for ((axis, &expected), (&found, step)) in inner {
            if found != expected && found != 1 {
                let axis = axis - added;
                return Err(input.refuse(Reason::Dimension {
                    axis,
                    found,
                    expected,
                }));
            }
            if let Some(place) = steps.get_mut(axis).filter(|_| found != 1) {
                *place = step;
            }
        }
        let parts = dims.iter().zip(output.strides()?.into_iter().zip(steps));
        let axes = axes(parts.map(|(&dim, (to, from))| (dim, [to, from])))?;
        Transfer::new(axes, [0, 0], element).write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let output = io.output::<u8>(0)?;
        let io = io.freeze();
        check_dims(&mut plan, &io, 1)?;
        let transfer = Transfer::read(&mut plan)?;
        let bytes = transfer.bytes().ok_or(InvokeError::Plan)?;
        check_len(Memory::output(0), output.len(), bytes)?;
        transfer.run(output, io.input(0)?)
    }
}

impl Kernel for op::BroadcastArgs {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let output = Operand::output(node, 0)?;
        Operand::all_have_type(node, output.info.element_type)?;
        are_wide(&output)?.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let is_wide = bool::read(&mut plan)?;
        let output = io.output::<u8>(0)?;
        let io = io.freeze();
        let shapes = [io.input(0)?, io.input(1)?].map(|bytes| Integers::new(bytes, is_wide));
        let rank = shapes[0].len().max(shapes[1].len());
        // Shapes are aligned at their inner ends, and one that has no such axis counts as 1.
        let dim = |shape: &Integers<'_>, axis: usize| {
            let at = (shape.len() + axis).checked_sub(rank);
            at.and_then(|at| shape.get(at)).unwrap_or(1)
        };
        let pairs = (0..rank).map(|axis| (dim(&shapes[0], axis), dim(&shapes[1], axis)));
        if pairs.clone().any(|(a, b)| a != b && a != 1 && b != 1) {
            return Err(InvokeError::OutOfRange(Memory::input(1)));
        }
        let joined = pairs.map(|(a, b)| if a == 1 { b } else { a });
        write_integers(output, is_wide, joined)
    }
}

fn write_dims(operand: &Operand<'_>, plan: &mut PlanWriter<'_>) {
    let dims = operand.info.shape.dims();
    plan.push_usize(dims.len());
    dims.iter().for_each(|&dim| plan.push_usize(dim));
}

fn read_dims<'m>(plan: &mut PlanReader<'m>) -> Result<&'m [u32], InvokeError> {
    let rank = plan.read_usize()?;
    plan.take_words(rank)
}

/// Notes that input `index` must hold the dimensions of the output, where it is no constant that the shape rule has
/// seen.
fn expect_dims(
    node: &dyn NodeView,
    index: usize,
    output: &Operand<'_>,
    plan: &mut PlanWriter<'_>,
) -> Result<(), Refusal> {
    let input = Operand::input(node, index)?;
    let is_known = input.info.ints().is_some();
    is_known.write(plan);
    if !is_known {
        are_wide(&input)?.write(plan);
        write_dims(output, plan);
    }
    Ok(())
}

/// Checks what [`expect_dims`] noted.
fn check_dims(
    plan: &mut PlanReader<'_>,
    io: &FrozenIo<'_>,
    index: usize,
) -> Result<(), InvokeError> {
    if bool::read(plan)? {
        return Ok(());
    }
    let is_wide = bool::read(plan)?;
    let dims = read_dims(plan)?;
    let found = Integers::new(io.input(index)?, is_wide);
    let mut pairs = dims.iter().enumerate();
    let agree = pairs.all(|(i, &dim)| found.get(i) == Some(dim.into()));
    if agree && found.len() == dims.len() {
        return Ok(());
    }
    Err(InvokeError::OutOfRange(Memory::input(index)))
}
