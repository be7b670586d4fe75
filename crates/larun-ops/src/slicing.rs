//! Parts of a tensor: where SLICE and STRIDED_SLICE begin along each axis, how they step, and how far they go.

use crate::options::StridedSliceOptions;
use crate::rules::ShapeError;
use crate::shape::{MAX_RANK, Shape};

/// The part that is taken of one axis of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// The first element.
    pub start: usize,
    /// From one element to the next, below zero for backwards.
    pub step: i32,
    /// How many elements.
    pub len: usize,
}

/// A part of a tensor and the shape that it has as an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slicing {
    cuts: [Cut; MAX_RANK],
    rank: usize,
    output: Shape,
}

impl Slicing {
    const NONE: Self = Self {
        cuts: [Cut {
            start: 0,
            step: 1,
            len: 0,
        }; MAX_RANK],
        rank: 0,
        output: Shape::SCALAR,
    };

    /// The cuts, one for each axis of the input. Every element of a cut lies inside its axis.
    pub fn cuts(&self) -> &[Cut] {
        self.cuts.get(..self.rank).unwrap_or(&[])
    }

    /// The shape of the output, to whose axes those of the input that are not dropped belong in order.
    pub fn output(&self) -> Shape {
        self.output
    }

    /// `size[i]` elements from `begin[i]` on; a size of -1 stands for the rest.
    ///
    /// # Errors
    /// When the part does not lie inside the input.
    pub fn of_sizes(input: &Shape, begin: &[i32], size: &[i32]) -> Result<Self, ShapeError> {
        for given in [begin, size] {
            same_len(given, input.rank())?;
        }
        let mut slicing = Self::NONE;
        for ((&dim, &begin), &size) in input.dims().iter().zip(begin).zip(size) {
            let outside = ShapeError::Option {
                what: "a slice begins outside its axis",
                value: begin,
            };
            let start = usize::try_from(begin).map_err(|_| outside)?;
            let rest = dim.checked_sub(start).ok_or(outside)?;
            let len = match size {
                -1 => Some(rest),
                size => usize::try_from(size).ok().filter(|&len| len <= rest),
            };
            let len = len.ok_or(ShapeError::Option {
                what: "the size of a slice that does not lie inside its axis",
                value: size,
            })?;
            let step = 1;
            slicing.keep(Cut { start, step, len })?;
        }
        Ok(slicing)
    }

    /// The elements from `begin[i]` up to `end[i]`, `strides[i]` apart, as the masks of the options say.
    ///
    /// # Errors
    /// When there are fewer or more entries than axes, a stride is 0, or a single element lies outside its axis.
    pub fn of_strides(
        options: &StridedSliceOptions,
        input: &Shape,
        begin: &[i32],
        end: &[i32],
        strides: &[i32],
    ) -> Result<Self, ShapeError> {
        for given in [end, strides] {
            same_len(given, begin.len())?;
        }
        let mut slicing = Self::NONE;
        let mut implied = implied_axes(options, input.rank(), begin.len())?;
        let mut dims = input.dims().iter();
        let entries = begin.iter().zip(end).zip(strides);
        for (i, ((&begin, &end), &stride)) in entries.enumerate() {
            let is = |mask: i32| mask & 1 << i != 0;
            if is(options.ellipsis_mask) {
                for &dim in dims.by_ref().take(core::mem::take(&mut implied)) {
                    slicing.keep(whole(dim))?;
                }
            } else if is(options.new_axis_mask) {
                let full = ShapeError::TooManyDimensions;
                slicing.output.push(1).ok_or(full)?;
            } else if let Some(&dim) = dims.next() {
                let entry = Entry {
                    begin: (!is(options.begin_mask)).then_some(begin),
                    end: (!is(options.end_mask)).then_some(end),
                    stride,
                    is_offset: options.offset,
                };
                if is(options.shrink_axis_mask) {
                    slicing.push(entry.single(dim)?)?;
                } else {
                    slicing.keep(entry.cut(dim)?)?;
                }
            }
        }
        for &dim in dims {
            slicing.keep(whole(dim))?;
        }
        Ok(slicing)
    }

    fn push(&mut self, cut: Cut) -> Result<(), ShapeError> {
        let place = self.cuts.get_mut(self.rank);
        *place.ok_or(ShapeError::TooManyDimensions)? = cut;
        self.rank += 1;
        Ok(())
    }

    fn keep(&mut self, cut: Cut) -> Result<(), ShapeError> {
        self.push(cut)?;
        let full = ShapeError::TooManyDimensions;
        self.output.push(cut.len).ok_or(full)
    }
}

/// How many axes have no entry of their own; they stand where the ellipsis is, or at the end.
fn implied_axes(
    options: &StridedSliceOptions,
    rank: usize,
    entries: usize,
) -> Result<usize, ShapeError> {
    let of_axes = |i: &usize| (options.ellipsis_mask | options.new_axis_mask) & 1 << i == 0;
    // A mask has 32 bits, and lists of integers are shorter.
    let named = (0..entries.min(31)).filter(of_axes).count();
    let too_many = ShapeError::Mismatch {
        what: "axes named by begin, end and strides",
        expected: rank,
        found: named,
    };
    rank.checked_sub(named).ok_or(too_many)
}

fn same_len(given: &[i32], expected: usize) -> Result<(), ShapeError> {
    if given.len() == expected {
        return Ok(());
    }
    Err(ShapeError::Mismatch {
        what: "values of an operand that says where a slice lies",
        expected,
        found: given.len(),
    })
}

fn whole(len: usize) -> Cut {
    let (start, step) = (0, 1);
    Cut { start, step, len }
}

/// What begin, end and strides say of one axis.
struct Entry {
    begin: Option<i32>,
    end: Option<i32>,
    stride: i32,
    is_offset: bool,
}

impl Entry {
    /// The elements of an axis of `dim`: negative positions count from its end, and those outside are clamped.
    fn cut(&self, dim: usize) -> Result<Cut, ShapeError> {
        let dim = i64::try_from(dim).map_err(|_| ShapeError::Overflow)?;
        let step = i64::from(self.stride);
        let (low, high) = if step > 0 { (0, dim) } else { (-1, dim - 1) };
        let clamp = |at: i64| if at < 0 { at + dim } else { at }.min(high).max(low);
        let (first, last) = if step > 0 { (low, high) } else { (high, low) };
        let start = self.begin.map_or(first, |at| clamp(at.into()));
        let end = match self.end {
            None => last,
            Some(end) if self.is_offset => clamp(i64::from(end) + start),
            Some(end) => clamp(end.into()),
        };
        let len = match step {
            0 => {
                return Err(ShapeError::Option {
                    what: "a stride",
                    value: self.stride,
                });
            }
            1.. => (end - start + step - 1) / step,
            _ => (start - end - step - 1) / -step,
        };
        Ok(Cut {
            start: usize::try_from(start).unwrap_or(0),
            step: self.stride,
            len: usize::try_from(len).unwrap_or(0),
        })
    }

    /// The one element at `begin`.
    fn single(&self, dim: usize) -> Result<Cut, ShapeError> {
        let only = Self { end: None, ..*self };
        let cut = only.cut(dim)?;
        if cut.len > 0 {
            return Ok(Cut { len: 1, ..cut });
        }
        Err(ShapeError::Option {
            what: "the position of a single element lies outside its axis",
            value: self.begin.unwrap_or(0),
        })
    }
}
