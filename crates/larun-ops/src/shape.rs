//! The shape of a tensor, held in place, with checked sizes.

use core::fmt;

/// The most dimensions that a [`Shape`] holds.
pub const MAX_RANK: usize = 8;

/// Up to [`MAX_RANK`] dimensions, outermost first; `[N, H, W, C]` for images.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Shape {
    rank: u8,
    dims: [usize; MAX_RANK],
}

impl Shape {
    /// The shape of a single value.
    pub const SCALAR: Self = Self {
        rank: 0,
        dims: [0; MAX_RANK],
    };

    /// The shape with these dimensions, or `None` when there are more than [`MAX_RANK`].
    pub fn new(dims: &[usize]) -> Option<Self> {
        let mut shape = Self::SCALAR;
        shape.dims.get_mut(..dims.len())?.copy_from_slice(dims);
        shape.rank = dims.len() as u8;
        Some(shape)
    }

    /// Adds an innermost dimension; `None` when the shape is full.
    pub fn push(&mut self, dim: usize) -> Option<()> {
        *self.dims.get_mut(usize::from(self.rank))? = dim;
        self.rank += 1;
        Some(())
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        usize::from(self.rank)
    }

    /// The dimensions, outermost first.
    pub fn dims(&self) -> &[usize] {
        self.dims.get(..self.rank()).unwrap_or(&[])
    }

    /// The dimensions, to change.
    pub fn dims_mut(&mut self) -> &mut [usize] {
        let rank = self.rank();
        self.dims.get_mut(..rank).unwrap_or(&mut [])
    }

    /// The innermost dimension, 1 for a scalar: the channels of an NHWC tensor.
    pub fn last(&self) -> usize {
        self.dims().last().copied().unwrap_or(1)
    }

    /// The number of elements, or `None` when it does not fit a `usize`.
    pub fn elements(&self) -> Option<usize> {
        product(self.dims())
    }

    /// The four dimensions of a rank-4 shape.
    pub fn nhwc(&self) -> Option<[usize; 4]> {
        self.dims().try_into().ok()
    }

    /// The shape as rank 4 with leading ones, as broadcasting sees it; `None` above rank 4.
    pub fn extended_to_4(&self) -> Option<[usize; 4]> {
        let mut dims = [1; 4];
        let at = 4usize.checked_sub(self.rank())?;
        dims.get_mut(at..)?.copy_from_slice(self.dims());
        Some(dims)
    }

    /// The index of a possibly negative axis, counted from the end when below zero.
    pub fn axis(&self, axis: i32) -> Option<usize> {
        axis_of(axis, self.rank())
    }
}

/// The product of dimensions, `None` on overflow. A zero anywhere makes it zero.
pub(crate) fn product(dims: &[usize]) -> Option<usize> {
    if dims.contains(&0) {
        return Some(0);
    }
    dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

/// Resolves `axis` in `-rank..rank`.
pub(crate) fn axis_of(axis: i32, rank: usize) -> Option<usize> {
    let rank = i32::try_from(rank).ok()?;
    let axis = if axis < 0 {
        axis.checked_add(rank)?
    } else {
        axis
    };
    (0..rank).contains(&axis).then_some(axis as usize)
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, dim) in self.dims().iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{dim}")?;
        }
        f.write_str("]")
    }
}
