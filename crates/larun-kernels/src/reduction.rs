//! Which axes of a tensor are reduced, and the loops that do it.

use larun_ops::Shape;

use crate::axes::{Axes, Axis, row_major};
use crate::lanes::{Block, for_each_block, lanes, lanes_mut};
use crate::operand::Operand;
use crate::plan::Record;
use crate::{InvokeError, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_len};

/// The axes that input 1, a constant, names in input 0.
pub(crate) fn reduction(node: &dyn NodeView) -> Result<Reduction, Refusal> {
    let (input, axes) = (Operand::input(node, 0)?, Operand::input(node, 1)?);
    let listed = axes.info.ints().ok_or(axes.refuse(Reason::NotConstant))?;
    let mut reduced = [false; larun_ops::MAX_RANK];
    for &axis in listed.iter() {
        let what = "axis";
        let at = input.info.shape.axis(axis);
        let place = at.and_then(|at| reduced.get_mut(at));
        *place.ok_or(axes.refuse(Reason::Option { what, found: axis }))? = true;
    }
    Reduction::new(&input.info.shape, &reduced).ok_or(input.refuse(Reason::Empty))
}

/// Which axes of a tensor are reduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reduction {
    kept: Axes<1>,
    reduced: Axes<1>,
}

impl Reduction {
    /// Reduces the axes `i` of a shape where `reduced[i]`; `None` when the shape is empty or too large.
    #[must_use]
    pub fn new(shape: &Shape, reduced: &[bool]) -> Option<Self> {
        let strides = row_major(shape.dims())?;
        let mut reduction = Self {
            kept: Axes::POINT,
            reduced: Axes::POINT,
        };
        for (i, (&len, &stride)) in shape.dims().iter().zip(&strides).enumerate() {
            let axes = match reduced.get(i) {
                Some(true) => &mut reduction.reduced,
                _ => &mut reduction.kept,
            };
            axes.push(Axis {
                len,
                strides: [stride],
            })?;
        }
        (shape.elements()? > 0).then_some(reduction)
    }

    /// How many elements become one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.reduced.points().unwrap_or(0)
    }

    /// Channels, where all else is reduced and a channel's elements are as far apart: over the pixels of an image.
    pub(crate) fn channels_over_pixels(&self) -> Option<usize> {
        match (self.kept.as_slice(), self.reduced.as_slice()) {
            ([kept], [reduced]) if kept.strides == [1] && reduced.strides == [kept.len] => {
                Some(kept.len)
            }
            _ => None,
        }
    }

    fn outputs(&self) -> usize {
        self.kept.points().unwrap_or(0)
    }

    /// Sums with `add` from `start` on; `finish` makes the output of each sum.
    pub(crate) fn fold<T: Copy, S: Copy>(
        &self,
        input: &[T],
        output: &mut [T],
        start: S,
        add: impl Fn(S, T) -> S,
        finish: impl Fn(S) -> T,
    ) -> Result<(), InvokeError> {
        let inputs = self.outputs().checked_mul(self.count());
        check_len(
            Memory::input(0),
            input.len(),
            inputs.ok_or(InvokeError::Plan)?,
        )?;
        check_len(Memory::output(0), output.len(), self.outputs())?;
        let (outer, inner) = self.kept.split_innermost();
        let rows = output.chunks_exact_mut(inner.len.max(1));
        for (row, [from]) in rows.zip(outer.walk()) {
            if inner.strides == [1] {
                let mut block = RowBlock {
                    reduced: &self.reduced,
                    input: input.get(from..).unwrap_or(&[]),
                    row,
                    start,
                    add: &add,
                    finish: &finish,
                };
                for_each_block(0..inner.len, &mut block);
                continue;
            }
            for (i, output) in row.iter_mut().enumerate() {
                let from = from.wrapping_add(i.wrapping_mul(inner.strides[0]));
                *output = finish(self.run_sum(input.get(from..).unwrap_or(&[]), start, &add));
            }
        }
        Ok(())
    }

    /// The sum of one output where the innermost axis is reduced.
    fn run_sum<T: Copy, S>(&self, input: &[T], start: S, add: impl Fn(S, T) -> S) -> S {
        let (outer, inner) = self.reduced.split_innermost();
        outer.walk().fold(start, |sum, [from]| {
            let run = input.get(from..).unwrap_or(&[]);
            let values = run.iter().step_by(inner.strides[0].max(1)).take(inner.len);
            values.fold(sum, |sum, &value| add(sum, value))
        })
    }
}

impl Record for Reduction {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        self.kept.write(plan);
        self.reduced.write(plan);
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        Ok(Self {
            kept: Record::read(plan)?,
            reduced: Record::read(plan)?,
        })
    }
}

/// A row of outputs whose inputs are neighbours.
struct RowBlock<'a, T, S, A, F> {
    reduced: &'a Axes<1>,
    input: &'a [T],
    row: &'a mut [T],
    start: S,
    add: &'a A,
    finish: &'a F,
}

impl<T: Copy, S: Copy, A: Fn(S, T) -> S, F: Fn(S) -> T> Block for RowBlock<'_, T, S, A, F> {
    #[inline]
    fn run<const L: usize>(&mut self, channel: usize) {
        let mut sums = [self.start; L];
        for [from] in self.reduced.walk() {
            if let Some(values) = lanes::<_, L>(self.input, from.wrapping_add(channel)) {
                for (sum, &value) in sums.iter_mut().zip(values) {
                    *sum = (self.add)(*sum, value);
                }
            }
        }
        if let Some(outputs) = lanes_mut::<_, L>(self.row, channel) {
            for (output, sum) in outputs.iter_mut().zip(sums) {
                *output = (self.finish)(sum);
            }
        }
    }
}
