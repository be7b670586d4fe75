//! Operators that put elements in another order: TRANSPOSE and REVERSE_V2.

use larun_ops::{MAX_RANK, op};

use super::transfer::{Transfer, axes, invoke_transfer, moved};
use crate::operand::Operand;
use crate::plan::Record;
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Reason, Refusal};

impl Kernel for op::Transpose {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let (input, output, element) = moved(node, 0)?;
        let from = input.strides()?;
        let permutation = Operand::input(node, 1)?.constant_ints()?;
        let steps = permutation.iter().map(|&axis| {
            let axis = input.info.shape.axis(axis);
            axis.and_then(|axis| from.get(axis)).copied().unwrap_or(0)
        });
        let steps = output.strides()?.into_iter().zip(steps);
        let dims = output.info.shape.dims().iter().zip(steps);
        let axes = axes(dims.map(|(&dim, (to, from))| (dim, [to, from])))?;
        Transfer::new(axes, [0, 0], element).write(plan);
        Ok(())
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke_transfer(plan, io, 0)
    }
}

impl Kernel for op::ReverseV2 {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let (input, _, element) = moved(node, 0)?;
        let list = Operand::input(node, 1)?;
        let mut reversed = [false; MAX_RANK];
        for &axis in list.constant_ints()?.iter() {
            let (what, found) = ("axis", axis);
            let at = input.info.shape.axis(axis);
            let place = at.and_then(|at| reversed.get_mut(at));
            *place.ok_or(list.refuse(Reason::Option { what, found }))? = true;
        }
        let mut start = 0usize;
        let steps = input.strides()?.into_iter().zip(reversed);
        let dims = input.info.shape.dims().iter().zip(steps);
        let axes = axes(dims.map(|(&dim, (step, is_reversed))| {
            if !is_reversed {
                return (dim, [step, step]);
            }
            start = start.wrapping_add(dim.saturating_sub(1).wrapping_mul(step));
            (dim, [step, step.wrapping_neg()])
        }))?;
        Transfer::new(axes, [0, start], element).write(plan);
        Ok(())
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke_transfer(plan, io, 0)
    }
}
