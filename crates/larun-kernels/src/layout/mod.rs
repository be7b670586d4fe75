//! Operators that move elements without changing them: RESHAPE, SQUEEZE, EXPAND_DIMS, CONCATENATION and PAD.
//!
//! They work on bytes, and so on every element type.

use larun_ops::{Activation, ElementType, Op, op};

use crate::axes::{Axes, Axis, row_major};
use crate::operand::{Operand, wrong_op};
use crate::plan::Record;
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_len,
};

macro_rules! view_kernels {
    ($($name:ident)*) => {$(
        impl Kernel for op::$name {
            fn prepare(node: &dyn NodeView, _: &mut PlanWriter<'_>) -> Result<(), Refusal> {
                match node.op() {
                    Op::$name(_) => prepare_view(node),
                    _ => Err(wrong_op::<Self>(node)),
                }
            }

            fn invoke(_: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
                invoke_view(io)
            }
        }
    )*};
}

view_kernels!(Reshape Squeeze ExpandDims);

fn prepare_view(node: &dyn NodeView) -> Result<(), Refusal> {
    let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
    output.has_type(input.info.element_type)?;
    let (found, expected) = (output.elements()?, input.elements()?);
    if found == expected {
        return Ok(());
    }
    Err(output.refuse(Reason::Elements { found, expected }))
}

/// The bytes stay as they are: nothing to do where input and output share memory.
fn invoke_view(mut io: Io<'_>) -> Result<(), InvokeError> {
    if io.is_view() {
        return Ok(());
    }
    let output = io.output::<u8>(0)?;
    let io = io.freeze();
    let input = io.input(0)?;
    check_len(Memory::output(0), output.len(), input.len())?;
    output.copy_from_slice(input);
    Ok(())
}

impl Kernel for op::Concatenation {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::Concatenation(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        if options.activation != Activation::None {
            return Err(Refusal::options(Reason::Activation(options.activation)));
        }
        let output = Operand::output(node, 0)?;
        let element_type = output.info.element_type;
        let element = output.element_len()?;
        let axis = output.info.shape.axis(options.axis);
        plan.push_usize(node.input_count());
        for index in 0..node.input_count() {
            let input = Operand::input(node, index)?;
            input.has_type(element_type)?;
            if element_type == ElementType::Int8 && output.info.quantization.channels() > 0 {
                input.has_affine(output.affine()?, 0.0)?;
            }
            let run = input.inner_len(axis.unwrap_or(0))?.checked_mul(element);
            plan.push_usize(run.ok_or(input.refuse(Reason::TooLarge))?);
        }
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let count = plan.read_usize()?;
        let lens = plan.take_words(count)?;
        let stride = lens.iter().try_fold(0usize, |sum, &len| {
            sum.checked_add(usize::try_from(len).ok()?)
        });
        let output = io.output::<u8>(0)?;
        let io = io.freeze();
        let mut start = 0;
        for (index, &len) in lens.iter().enumerate() {
            let input = io.input(index)?;
            let len = len as usize;
            place_runs(
                input,
                len,
                output,
                start,
                stride.ok_or(InvokeError::Plan)?,
                index,
            )?;
            start += len;
        }
        Ok(())
    }
}

/// Copies runs of `len` bytes to places `stride` apart, the first at `start`.
fn place_runs(
    input: &[u8],
    len: usize,
    output: &mut [u8],
    start: usize,
    stride: usize,
    index: usize,
) -> Result<(), InvokeError> {
    if len == 0 {
        return check_len(Memory::input(index), input.len(), 0);
    }
    let expected = output.len() / stride.max(1) * len;
    check_len(Memory::input(index), input.len(), expected)?;
    let places = output.chunks_exact_mut(stride.max(1));
    for (place, run) in places.zip(input.chunks_exact(len)) {
        let place = place.get_mut(start..start + len);
        place.ok_or(InvokeError::Plan)?.copy_from_slice(run);
    }
    Ok(())
}

impl Kernel for op::Pad {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::Pad(_) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        output.has_type(input.info.element_type)?;
        let element = output.element_len()?;
        let zero = match output.info.element_type {
            ElementType::Int8 | ElementType::UInt8 if output.info.quantization.channels() > 0 => {
                output.affine()?.zero_point as u8
            }
            _ => 0,
        };
        let (axes, start) = pad_axes(node, element)?;
        plan.push_u32(u32::from(zero));
        plan.push_usize(start);
        axes.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let zero = plan.read_u32()? as u8;
        let start = plan.read_usize()?;
        let (rows, run_len) = Axes::<1>::read(&mut plan)?.split_run();
        let output = io.output::<u8>(0)?;
        let input = io.freeze().input::<u8>(0)?;
        let points = rows.points().and_then(|rows| rows.checked_mul(run_len));
        check_len(
            Memory::input(0),
            input.len(),
            points.ok_or(InvokeError::Plan)?,
        )?;
        output.fill(zero);
        let runs = input.chunks_exact(run_len.max(1));
        for (run, [from]) in runs.zip(rows.walk()) {
            let place = from
                .checked_add(start)
                .and_then(|from| output.get_mut(from..)?.get_mut(..run.len()));
            place.ok_or(InvokeError::Plan)?.copy_from_slice(run);
        }
        Ok(())
    }
}

/// The bytes of the input as axes of the output, and where in the output they begin.
fn pad_axes(node: &dyn NodeView, element: usize) -> Result<(Axes<1>, usize), Refusal> {
    let (input, paddings) = (Operand::input(node, 0)?, Operand::input(node, 1)?);
    let output = Operand::output(node, 0)?;
    let too_large = output.refuse(Reason::TooLarge);
    let pairs = paddings.info.ints();
    let pairs = pairs.ok_or(paddings.refuse(Reason::NotConstant))?;
    let strides = row_major(output.info.shape.dims()).ok_or(too_large)?;
    let (mut axes, mut start) = (Axes::POINT, 0usize);
    let dims = input.info.shape.dims().iter().zip(strides);
    for ((&len, stride), pair) in dims.zip(pairs.chunks_exact(2)) {
        let stride = stride.saturating_mul(element);
        let before = pair
            .first()
            .and_then(|&before| usize::try_from(before).ok());
        start = start.saturating_add(before.unwrap_or(0).saturating_mul(stride));
        let strides = [stride];
        axes.push(Axis { len, strides }).ok_or(too_large)?;
    }
    let strides = [1];
    let bytes = Axis {
        len: element,
        strides,
    };
    axes.push(bytes).ok_or(too_large)?;
    Ok((axes, start))
}
