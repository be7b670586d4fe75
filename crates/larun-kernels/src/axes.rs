//! Steps through several tensors along common axes.

use larun_ops::{MAX_RANK, Shape};

use crate::plan::Record;
use crate::{InvokeError, PlanReader, PlanWriter};

/// An axis: its length, and how far apart neighbouring elements are in each of `N` tensors; steps backwards are in
/// two's complement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis<const N: usize> {
    pub(crate) len: usize,
    pub(crate) strides: [usize; N],
}

impl<const N: usize> Axis<N> {
    const POINT: Self = Self {
        len: 1,
        strides: [0; N],
    };
}

/// Axes, the outermost first. Those that can be walked as one are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axes<const N: usize> {
    rank: usize,
    axes: [Axis<N>; MAX_RANK],
}

impl<const N: usize> Axes<N> {
    pub(crate) const POINT: Self = Self {
        rank: 0,
        axes: [Axis::POINT; MAX_RANK],
    };

    pub(crate) fn as_slice(&self) -> &[Axis<N>] {
        self.axes.get(..self.rank).unwrap_or(&[])
    }

    /// Adds an axis inside the others; `None` when there are too many.
    pub(crate) fn push(&mut self, inner: Axis<N>) -> Option<()> {
        if inner.len == 1 {
            return Some(());
        }
        if let Some(outer) = self.rank.checked_sub(1).and_then(|i| self.axes.get_mut(i)) {
            let spans = inner.strides.map(|stride| stride.wrapping_mul(inner.len));
            if spans == outer.strides {
                outer.len = outer.len.checked_mul(inner.len)?;
                outer.strides = inner.strides;
                return Some(());
            }
        }
        *self.axes.get_mut(self.rank)? = inner;
        self.rank += 1;
        Some(())
    }

    /// The axes without the innermost, and that one; a point has an axis of one element.
    pub(crate) fn split_innermost(mut self) -> (Self, Axis<N>) {
        let Some(last) = self.rank.checked_sub(1) else {
            return (self, Axis::POINT);
        };
        self.rank = last;
        (self, self.axes.get(last).copied().unwrap_or(Axis::POINT))
    }

    /// The axes without the innermost, and the length of that one, where its elements are neighbours in every tensor;
    /// else all axes, and 1.
    pub(crate) fn split_run(self) -> (Self, usize) {
        match self.split_innermost() {
            (outer, inner) if inner.strides == [1; N] => (outer, inner.len),
            _ => (self, 1),
        }
    }

    /// The same axes, with every step `by` times as far.
    pub(crate) fn scaled(mut self, by: usize) -> Self {
        for axis in self.axes.iter_mut().take(self.rank) {
            axis.strides = axis.strides.map(|stride| stride.wrapping_mul(by));
        }
        self
    }

    /// The number of points, or `None` when it does not fit.
    pub(crate) fn points(&self) -> Option<usize> {
        let mut lens = self.as_slice().iter().map(|axis| axis.len);
        lens.try_fold(1usize, usize::checked_mul)
    }

    /// Elements of tensor `index`, of axes along which it is stretched only one.
    pub(crate) fn operand_len(&self, index: usize) -> usize {
        let axes = self.as_slice().iter();
        axes.filter(|axis| axis.strides.get(index) != Some(&0))
            .fold(1, |len, axis| len.saturating_mul(axis.len))
    }

    /// Calls `visit` with the element of each tensor at every point, the innermost axis running fastest: one walk for
    /// every caller, where [`walk`](Self::walk) becomes part of each.
    pub(crate) fn for_each(&self, visit: &mut dyn FnMut([usize; N])) {
        self.walk().for_each(visit);
    }

    /// The element of each tensor at every point, the innermost axis running fastest.
    pub(crate) fn walk(&self) -> Walk<'_, N> {
        let empty = self.as_slice().iter().any(|axis| axis.len == 0);
        Walk {
            axes: self.as_slice(),
            index: [0; MAX_RANK],
            next: (!empty).then_some([0; N]),
        }
    }
}

impl Axes<2> {
    /// The same axes with the two tensors exchanged.
    pub(crate) fn swapped(mut self) -> Self {
        for axis in self.axes.iter_mut().take(self.rank) {
            axis.strides.reverse();
        }
        self
    }
}

impl<const N: usize> Record for Axes<N> {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        self.rank.write(plan);
        for axis in self.as_slice() {
            axis.len.write(plan);
            // A step is shorter than the tensor, and so than 2 GiB, in either direction.
            axis.strides.map(|stride| stride as i32).write(plan);
        }
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        let mut axes = Self::POINT;
        axes.rank = plan.read_usize()?;
        let used = axes.axes.get_mut(..axes.rank).ok_or(InvokeError::Plan)?;
        for axis in used {
            axis.len = plan.read_usize()?;
            let strides: [i32; N] = Record::read(plan)?;
            axis.strides = strides.map(|stride| stride as usize);
        }
        Ok(axes)
    }
}

/// The points of [`Axes`].
pub(crate) struct Walk<'a, const N: usize> {
    axes: &'a [Axis<N>],
    index: [usize; MAX_RANK],
    next: Option<[usize; N]>,
}

impl<const N: usize> Iterator for Walk<'_, N> {
    type Item = [usize; N];

    #[inline]
    fn next(&mut self) -> Option<[usize; N]> {
        let point = self.next?;
        self.next = self.advance(point);
        Some(point)
    }
}

impl<const N: usize> Walk<'_, N> {
    /// Like an odometer: the innermost axis moves, and one that comes round moves the next.
    #[inline]
    fn advance(&mut self, mut point: [usize; N]) -> Option<[usize; N]> {
        for (axis, index) in self.axes.iter().zip(&mut self.index).rev() {
            *index += 1;
            let back = if *index == axis.len { axis.len } else { 0 };
            for (at, stride) in point.iter_mut().zip(axis.strides) {
                let moved = at.wrapping_add(stride);
                *at = moved.wrapping_sub(stride.wrapping_mul(back));
            }
            if back == 0 {
                return Some(point);
            }
            *index = 0;
        }
        None
    }
}

/// How far apart neighbours along each axis of a row-major tensor are; `None` when the size overflows.
pub(crate) fn row_major(dims: &[usize]) -> Option<[usize; MAX_RANK]> {
    let mut strides = [0; MAX_RANK];
    let mut stride = 1usize;
    for (place, &dim) in strides.iter_mut().zip(dims).rev() {
        *place = stride;
        stride = stride.checked_mul(dim)?;
    }
    Some(strides)
}

/// Aligns row-major tensors at their innermost axes; axes of size 1 stretch. `None` when sizes disagree or overflow.
pub(crate) fn broadcast<const N: usize>(shapes: [&Shape; N]) -> Option<Axes<N>> {
    let mut all = [Axis::POINT; MAX_RANK];
    for (at, shape) in shapes.iter().enumerate() {
        // The innermost axis is the last: shapes are aligned there.
        let mut step = 1usize;
        for (common, &dim) in all.iter_mut().rev().zip(shape.dims().iter().rev()) {
            if dim != 1 {
                if common.len != 1 && common.len != dim {
                    return None;
                }
                common.len = dim;
                *common.strides.get_mut(at)? = step;
            }
            step = step.checked_mul(dim)?;
        }
    }
    let mut axes = Axes::POINT;
    for common in all {
        axes.push(common)?;
    }
    axes.points()?;
    Some(axes)
}
