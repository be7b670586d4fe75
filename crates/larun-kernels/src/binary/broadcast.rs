//! How two operands are stretched to a common shape, and the one walk over both.

use larun_ops::Shape;

use crate::axes::{Axes, broadcast};
use crate::lanes::SMALL_DEFINITIONS;
use crate::plan::Record;
use crate::{InvokeError, Memory, PlanReader, PlanWriter, check_len};

/// How two operands are stretched to a common shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broadcast {
    axes: Axes<2>,
}

impl Broadcast {
    /// Aligns two shapes at their innermost axes; axes of size 1 stretch. `None` when sizes disagree or overflow.
    #[must_use]
    pub fn new(a: &Shape, b: &Shape) -> Option<Self> {
        let axes = broadcast([a, b])?;
        Some(Self { axes })
    }

    /// Elements of the common shape.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.axes.points().unwrap_or(0)
    }

    /// The elements of operands of one shape, `None` where one is stretched.
    #[cfg(feature = "processors")]
    pub(crate) fn of_one_shape(&self) -> Option<usize> {
        let elements = self.elements();
        let whole = |index| self.axes.operand_len(index) == elements;
        (whole(0) && whole(1)).then_some(elements)
    }

    /// Checks the lengths of both operands and the output.
    pub(super) fn check<A, B, T>(&self, a: &[A], b: &[B], output: &[T]) -> Result<(), InvokeError> {
        check_len(Memory::input(0), a.len(), self.axes.operand_len(0))?;
        check_len(Memory::input(1), b.len(), self.axes.operand_len(1))?;
        check_len(Memory::output(0), output.len(), self.elements())
    }

    /// Combines each pair of elements.
    #[inline]
    pub(crate) fn zip<A: Copy, B: Copy, T>(
        &self,
        a: &[A],
        b: &[B],
        output: &mut [T],
        combine: impl Fn(A, B) -> T,
    ) -> Result<(), InvokeError> {
        self.check(a, b, output)?;
        let (outer, inner) = self.axes.split_innermost();
        let mut rows = output.chunks_exact_mut(inner.len.max(1));
        outer.for_each(&mut |[mut from_a, mut from_b]| {
            let row = rows.next().unwrap_or_default().iter_mut();
            if SMALL_DEFINITIONS {
                let [step_a, step_b] = inner.strides;
                for to in row {
                    if let (Some(&a), Some(&b)) = (a.get(from_a), b.get(from_b)) {
                        *to = combine(a, b);
                    }
                    (from_a, from_b) = (from_a + step_a, from_b + step_b);
                }
                return;
            }
            let a = a.get(from_a..).unwrap_or(&[]);
            let b = b.get(from_b..).unwrap_or(&[]);
            match (a, b, inner.strides) {
                ([a, ..], b, [0, _]) => row.zip(b).for_each(|(to, &b)| *to = combine(*a, b)),
                (a, [b, ..], [_, 0]) => row.zip(a).for_each(|(to, &a)| *to = combine(a, *b)),
                _ => row
                    .zip(a.iter().zip(b))
                    .for_each(|(to, (&a, &b))| *to = combine(a, b)),
            }
        });
        Ok(())
    }
}

impl Record for Broadcast {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        self.axes.write(plan);
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        Axes::read(plan).map(|axes| Self { axes })
    }
}
