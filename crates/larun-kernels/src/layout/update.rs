//! DYNAMIC_UPDATE_SLICE, and positions that are known at run time only.

use larun_ops::{MAX_RANK, op};

use super::bytes::{Integers, are_wide, copy};
use super::transfer::{Transfer, axes, moved};
use crate::operand::Operand;
use crate::plan::Record;
use crate::{
    FrozenIo, InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal,
    check_len,
};

/// Where a part may lie in a whole: for each axis, how far its start may be from the whole's, and how many bytes that
/// takes a step.
pub(super) struct Position {
    rank: usize,
    axes: [[usize; 2]; MAX_RANK],
}

impl Position {
    /// A part that fits into the whole along every axis, placed by as many numbers as there are axes.
    pub(super) fn new(
        whole: &Operand<'_>,
        part: &Operand<'_>,
        starts: &Operand<'_>,
    ) -> Result<Self, Refusal> {
        let rank = whole.info.shape.rank();
        let (found, expected) = (part.info.shape.rank(), rank);
        if found != expected {
            return Err(part.refuse(Reason::Rank { found, expected }));
        }
        let found = starts.elements()?;
        if found != expected {
            return Err(starts.refuse(Reason::Elements { found, expected }));
        }
        let element = whole.element_len()?;
        let mut axes = [[0; 2]; MAX_RANK];
        let dims = whole.info.shape.dims().iter().zip(part.info.shape.dims());
        let steps = dims.zip(whole.strides()?).enumerate();
        for (place, (axis, ((&expected, &found), step))) in axes.iter_mut().zip(steps) {
            let limit = expected.checked_sub(found);
            let limit = limit.ok_or(part.refuse(Reason::Dimension {
                axis,
                found,
                expected,
            }))?;
            *place = [limit, step.wrapping_mul(element)];
        }
        Ok(Self { rank, axes })
    }

    /// The bytes to the place that input `index` says; starts outside are moved inside.
    pub(super) fn clamped(
        &self,
        io: &FrozenIo<'_>,
        index: usize,
        is_wide: bool,
    ) -> Result<usize, InvokeError> {
        self.offset(io, index, is_wide, |start, limit| {
            let start = usize::try_from(start.max(0)).unwrap_or(usize::MAX);
            Some(start.min(limit))
        })
    }

    /// The bytes to the place that input `index` says.
    ///
    /// # Errors
    /// [`InvokeError::OutOfRange`] where the part does not lie inside the whole.
    pub(super) fn checked(
        &self,
        io: &FrozenIo<'_>,
        index: usize,
        is_wide: bool,
    ) -> Result<usize, InvokeError> {
        self.offset(io, index, is_wide, |start, limit| {
            let start = usize::try_from(start).ok();
            start.filter(|&start| start <= limit)
        })
    }

    fn offset(
        &self,
        io: &FrozenIo<'_>,
        index: usize,
        is_wide: bool,
        start: impl Fn(i64, usize) -> Option<usize>,
    ) -> Result<usize, InvokeError> {
        let memory = Memory::input(index);
        let starts = Integers::new(io.input(index)?, is_wide);
        check_len(memory, starts.len(), self.rank)?;
        let mut offset = 0usize;
        for (i, [limit, step]) in self.axes.into_iter().enumerate().take(self.rank) {
            let start = starts.get(i).and_then(|at| start(at, limit));
            let start = start.ok_or(InvokeError::OutOfRange(memory))?;
            offset = offset.wrapping_add(start.wrapping_mul(step));
        }
        Ok(offset)
    }
}

impl Record for Position {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        self.rank.write(plan);
        self.axes
            .iter()
            .take(self.rank)
            .for_each(|axis| axis.write(plan));
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        let rank = plan.read_usize()?;
        let mut axes = [[0; 2]; MAX_RANK];
        for axis in axes.get_mut(..rank).ok_or(InvokeError::Plan)? {
            *axis = Record::read(plan)?;
        }
        Ok(Self { rank, axes })
    }
}

impl Kernel for op::DynamicUpdateSlice {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let (_, output, element) = moved(node, 0)?;
        let (update, starts) = (Operand::input(node, 1)?, Operand::input(node, 2)?);
        output.takes_from(&update)?;
        are_wide(&starts)?.write(plan);
        Position::new(&output, &update, &starts)?.write(plan);
        let steps = output.strides()?.into_iter().zip(update.strides()?);
        let dims = update.info.shape.dims().iter().zip(steps);
        let axes = axes(dims.map(|(&dim, (to, from))| (dim, [to, from])))?;
        Transfer::new(axes, [0, 0], element).write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let is_wide = bool::read(&mut plan)?;
        let position = Position::read(&mut plan)?;
        let transfer = Transfer::read(&mut plan)?;
        let output = io.output::<u8>(0)?;
        let io = io.freeze();
        let input = io.input::<u8>(0)?;
        check_len(Memory::input(0), input.len(), output.len())?;
        copy(output, input);
        let start = position.clamped(&io, 2, is_wide)?;
        transfer.offset([start, 0]).run(output, io.input(1)?)
    }
}
