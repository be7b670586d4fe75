//! ARG_MAX and ARG_MIN: where along an axis the largest or smallest element is, the first of equals.

use larun_ops::{ElementType, op};

use crate::operand::Operand;
use crate::plan::{Record, record};
use crate::window::nonzero;
use crate::{
    Element, InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal,
    check_len,
};

impl Kernel for op::ArgMax {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        prepare(node, plan)
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke(plan, io, true)
    }
}

impl Kernel for op::ArgMin {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        prepare(node, plan)
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke(plan, io, false)
    }
}

record! {
    /// An axis and the elements inside of it.
    pub(crate) struct Lines {
        pub(crate) len: usize,
        pub(crate) inner: usize,
    }
}

impl Lines {
    /// The axis that input 1, a constant, names in input 0.
    pub(crate) fn of(node: &dyn NodeView) -> Result<Self, Refusal> {
        let (input, axis) = (Operand::input(node, 0)?, Operand::input(node, 1)?);
        let listed = axis.info.ints().ok_or(axis.refuse(Reason::NotConstant))?;
        let &[found] = listed.as_slice() else {
            let (found, expected) = (listed.as_slice().len(), 1);
            return Err(axis.refuse(Reason::Elements { found, expected }));
        };
        let what = "axis";
        let outside = axis.refuse(Reason::Option { what, found });
        let at = input.info.shape.axis(found).ok_or(outside)?;
        let len = input.info.shape.dims().get(at).copied();
        Ok(Self {
            len: len.ok_or(outside)?,
            inner: input.inner_len(at.saturating_add(1))?,
        })
    }

    /// The elements of all lines that lie side by side. Where there are none, the tensor is empty, and any size will do.
    pub(crate) fn block(&self) -> Result<usize, InvokeError> {
        match self.len.checked_mul(self.inner) {
            Some(0) => Ok(usize::MAX),
            Some(block) => Ok(block),
            None => Err(InvokeError::Plan),
        }
    }
}

fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
    use ElementType::{Float32, Int8, Int16, Int32, Int64};
    let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
    let lines = Lines::of(node)?;
    if lines.len == 0 {
        return Err(input.refuse(Reason::Empty));
    }
    input.one_of(&[Int8, Int16, Int32, Float32])?.write(plan);
    output.one_of(&[Int32, Int64])?.write(plan);
    lines.write(plan);
    Ok(())
}

fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>, largest: bool) -> Result<(), InvokeError> {
    let (from, to) = (ElementType::read(&mut plan)?, ElementType::read(&mut plan)?);
    let lines = Lines::read(&mut plan)?;
    let output = match to {
        ElementType::Int64 => Positions::Wide(io.output(0)?),
        _ => Positions::Narrow(io.output(0)?),
    };
    match from {
        ElementType::Int8 => search::<i8>(&lines, largest, &io, output),
        ElementType::Int16 => search::<i16>(&lines, largest, &io, output),
        ElementType::Int32 => search::<i32>(&lines, largest, &io, output),
        _ => search::<f32>(&lines, largest, &io, output),
    }
}

/// Where positions are written.
enum Positions<'a> {
    Narrow(&'a mut [i32]),
    Wide(&'a mut [i64]),
}

impl Positions<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Narrow(places) => places.len(),
            Self::Wide(places) => places.len(),
        }
    }

    /// A position fits, because every tensor has fewer than 2^31 elements.
    fn set(&mut self, at: usize, position: usize) {
        match self {
            Self::Narrow(places) => {
                if let Some(place) = places.get_mut(at) {
                    *place = position as i32;
                }
            }
            Self::Wide(places) => {
                if let Some(place) = places.get_mut(at) {
                    *place = position as i64;
                }
            }
        }
    }
}

/// A NaN in the first place stays, another never is the largest or smallest.
fn search<T: Element + PartialOrd>(
    lines: &Lines,
    largest: bool,
    io: &Io<'_>,
    mut output: Positions<'_>,
) -> Result<(), InvokeError> {
    let io = io.freeze();
    let input: &[T] = io.input(0)?;
    let Lines { len, inner } = *lines;
    let found = output.len().checked_mul(len).ok_or(InvokeError::Plan)?;
    check_len(Memory::input(0), input.len(), found)?;
    let mut at = 0;
    for block in input.chunks_exact(lines.block()?) {
        for first in 0..inner {
            let mut line = block.iter().skip(first).step_by(nonzero(inner)).enumerate();
            let Some((mut position, mut best)) = line.next() else {
                continue;
            };
            for (i, x) in line {
                if if largest { x > best } else { x < best } {
                    (position, best) = (i, x);
                }
            }
            output.set(at, position);
            at += 1;
        }
    }
    Ok(())
}
