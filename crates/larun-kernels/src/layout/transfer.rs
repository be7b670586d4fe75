//! Copies elements of any type from one tensor to another along common axes.

use super::bytes::copy;
use crate::axes::{Axes, Axis};
use crate::operand::Operand;
use crate::plan::Record;
use crate::{InvokeError, Io, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal};

/// Which elements of one tensor go where in another. Places come in pairs: in the output, in the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    /// Bytes that are neighbours in both.
    run: usize,
    /// The places of the first run, in bytes.
    starts: [usize; 2],
    /// From run to run, in bytes.
    axes: Axes<2>,
}

impl Transfer {
    /// Elements of `element` bytes along axes whose steps, as the starts, count elements.
    pub(super) fn new(axes: Axes<2>, starts: [usize; 2], element: usize) -> Self {
        let (axes, run) = axes.split_run();
        Self {
            run: run.wrapping_mul(element),
            starts: starts.map(|start| start.wrapping_mul(element)),
            axes: axes.scaled(element),
        }
    }

    /// The same with the first run somewhere else.
    pub(super) fn offset(mut self, by: [usize; 2]) -> Self {
        for (start, by) in self.starts.iter_mut().zip(by) {
            *start = start.wrapping_add(by);
        }
        self
    }

    /// The way back.
    pub(super) fn swapped(self) -> Self {
        let [to, from] = self.starts;
        Self {
            starts: [from, to],
            axes: self.axes.swapped(),
            ..self
        }
    }

    /// The bytes that are copied, or `None` where they are too many.
    pub(super) fn bytes(&self) -> Option<usize> {
        self.axes.points()?.checked_mul(self.run)
    }

    /// Copies.
    ///
    /// # Errors
    /// [`InvokeError::Plan`] when a place lies outside its tensor.
    pub(super) fn run(&self, output: &mut [u8], input: &[u8]) -> Result<(), InvokeError> {
        // No byte is written twice, so that a plan without sense ends here.
        let bytes = self.bytes().filter(|&bytes| bytes <= output.len());
        match bytes.ok_or(InvokeError::Plan)? {
            0 => Some(()),
            _ => match self.run {
                1 => self.elements::<1>(output, input),
                2 => self.elements::<2>(output, input),
                4 => self.elements::<4>(output, input),
                8 => self.elements::<8>(output, input),
                _ => self.each(|to, from| {
                    let from = input.get(from..)?.get(..self.run)?;
                    copy(output.get_mut(to..)?.get_mut(..self.run)?, from);
                    Some(())
                }),
            },
        }
        .ok_or(InvokeError::Plan)
    }

    fn elements<const N: usize>(&self, output: &mut [u8], input: &[u8]) -> Option<()> {
        self.each(|to, from| {
            let from = input.get(from..)?.first_chunk::<N>()?;
            *output.get_mut(to..)?.first_chunk_mut::<N>()? = *from;
            Some(())
        })
    }

    #[inline]
    fn each(&self, mut run: impl FnMut(usize, usize) -> Option<()>) -> Option<()> {
        let (outer, inner) = self.axes.split_innermost();
        let [to_step, from_step] = inner.strides;
        for [to, from] in outer.walk() {
            let mut to = to.wrapping_add(self.starts[0]);
            let mut from = from.wrapping_add(self.starts[1]);
            for _ in 0..inner.len {
                run(to, from)?;
                to = to.wrapping_add(to_step);
                from = from.wrapping_add(from_step);
            }
        }
        Some(())
    }
}

impl Record for Transfer {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        self.run.write(plan);
        self.starts.write(plan);
        self.axes.write(plan);
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        Ok(Self {
            run: Record::read(plan)?,
            starts: Record::read(plan)?,
            axes: Record::read(plan)?,
        })
    }
}

/// Checks that the first output takes elements of input `index`; gives both, and the bytes of an element.
pub(super) fn moved(
    node: &dyn NodeView,
    index: usize,
) -> Result<(Operand<'_>, Operand<'_>, usize), Refusal> {
    let (input, output) = (Operand::input(node, index)?, Operand::output(node, 0)?);
    output.takes_from(&input)?;
    Ok((input, output, output.element_len()?))
}

/// The axes of `(length, [steps in output and input])`.
pub(super) fn axes(
    parts: impl IntoIterator<Item = (usize, [usize; 2])>,
) -> Result<Axes<2>, Refusal> {
    let mut axes = Axes::POINT;
    for (len, strides) in parts {
        let axis = Axis { len, strides };
        axes.push(axis).ok_or(Refusal::options(Reason::TooLarge))?;
    }
    Ok(axes)
}

/// Runs a node whose plan is one transfer from input `index` that fills its output.
pub(super) fn invoke_transfer(
    mut plan: PlanReader<'_>,
    mut io: Io<'_>,
    index: usize,
) -> Result<(), InvokeError> {
    let transfer = Transfer::read(&mut plan)?;
    let output = io.output::<u8>(0)?;
    let bytes = transfer.bytes().ok_or(InvokeError::Plan)?;
    crate::check_len(Memory::output(0), output.len(), bytes)?;
    transfer.run(output, io.freeze().input(index)?)
}
