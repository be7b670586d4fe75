//! Operators that take a part of their input: SLICE and STRIDED_SLICE.

use larun_ops::{Op, Slicing, op};

use super::bytes::are_wide;
use super::transfer::{Transfer, axes, invoke_transfer, moved};
use super::update::Position;
use crate::operand::{Operand, wrong_op};
use crate::plan::Record;
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_len,
};

impl Kernel for op::StridedSlice {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::StridedSlice(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let input = Operand::input(node, 0)?;
        let list = |index| Operand::input(node, index)?.constant_ints();
        let [begin, end, strides] = [list(1)?, list(2)?, list(3)?];
        let slicing = Slicing::of_strides(options, &input.info.shape, &begin, &end, &strides);
        let refusal = |error| Refusal::options(Reason::Shape(error));
        cut(node, &slicing.map_err(refusal)?)?.write(plan);
        Ok(())
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke_transfer(plan, io, 0)
    }
}

/// The part as a transfer that fills the output.
fn cut(node: &dyn NodeView, slicing: &Slicing) -> Result<Transfer, Refusal> {
    let (input, _, element) = moved(node, 0)?;
    let cuts = slicing.cuts();
    let (mut to, mut start) = ([0; larun_ops::MAX_RANK], 0usize);
    let mut inner = 1usize;
    for (to, cut) in to.iter_mut().zip(cuts).rev() {
        *to = inner;
        inner = inner.wrapping_mul(cut.len);
    }
    let steps = to.into_iter().zip(input.strides()?);
    let axes = axes(cuts.iter().zip(steps).map(|(cut, (to, from))| {
        start = start.wrapping_add(cut.start.wrapping_mul(from));
        (cut.len, [to, from.wrapping_mul(cut.step as usize)])
    }))?;
    Ok(Transfer::new(axes, [0, start], element))
}

impl Kernel for op::Slice {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let (input, output, element) = moved(node, 0)?;
        let (begin, size) = (Operand::input(node, 1)?, Operand::input(node, 2)?);
        let sizes = size.constant_ints()?;
        match begin.info.ints() {
            Some(begin) => {
                let slicing = Slicing::of_sizes(&input.info.shape, &begin, &sizes);
                let slicing = slicing.map_err(|e| Refusal::options(Reason::Shape(e)))?;
                false.write(plan);
                cut(node, &slicing)?.write(plan);
            }
            // The shape of the output must not depend on where the part begins.
            None => {
                let dims = output.info.shape.dims();
                let differs = |&(&size, &dim): &(&i32, &usize)| usize::try_from(size) != Ok(dim);
                if let Some((&found, _)) = sizes.iter().zip(dims).find(differs) {
                    return Err(size.refuse(Reason::Option {
                        what: "size",
                        found,
                    }));
                }
                true.write(plan);
                are_wide(&begin)?.write(plan);
                let position = Position::new(&input, &output, &begin)?;
                position.write(plan);
                let steps = output.strides()?.into_iter().zip(input.strides()?);
                let dims = dims.iter().zip(steps);
                let axes = axes(dims.map(|(&dim, (to, from))| (dim, [to, from])))?;
                Transfer::new(axes, [0, 0], element).write(plan);
            }
        }
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        if !bool::read(&mut plan)? {
            return invoke_transfer(plan, io, 0);
        }
        let is_wide = bool::read(&mut plan)?;
        let position = Position::read(&mut plan)?;
        let transfer = Transfer::read(&mut plan)?;
        let output = io.output::<u8>(0)?;
        let io = io.freeze();
        let bytes = transfer.bytes().ok_or(InvokeError::Plan)?;
        check_len(Memory::output(0), output.len(), bytes)?;
        let start = position.checked(&io, 1, is_wide)?;
        transfer.offset([0, start]).run(output, io.input(0)?)
    }
}
