//! Sliding windows over images: which taps of a filter meet the input at each output position.

#[cfg(any(test, feature = "processors"))]
mod bands;

use core::ops::Range;

use larun_ops::{Padding, Window};

use crate::plan::Record;
use crate::{InvokeError, Memory, PlanReader, PlanWriter, check_len};

/// An axis along which a window of `filter` taps, `dilation` apart, moves by `stride`.
///
/// Every position `o` has its first tap at input element `o * stride - pad`; taps outside the input are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowAxis {
    input: usize,
    output: usize,
    filter: usize,
    stride: usize,
    dilation: usize,
    pad: usize,
}

impl WindowAxis {
    /// The axis with `input` elements; `None` when the filter, stride or dilation is zero, the window does not fit, or
    /// a size overflows.
    #[must_use]
    pub fn new(
        input: usize,
        filter: usize,
        stride: usize,
        dilation: usize,
        padding: Padding,
    ) -> Option<Self> {
        let window = Window::new(input, filter, stride, dilation, padding)?;
        let axis = Self {
            input,
            output: window.output,
            filter,
            stride,
            dilation,
            pad: window.pad_before,
        };
        axis.checked()
    }

    /// Elements of the input.
    #[must_use]
    pub const fn input(&self) -> usize {
        self.input
    }

    /// Positions of the window: elements of the output.
    #[must_use]
    pub const fn output(&self) -> usize {
        self.output
    }

    /// Taps of the filter.
    #[must_use]
    pub const fn filter(&self) -> usize {
        self.filter
    }

    /// Elements between neighbouring positions of the window.
    #[cfg_attr(not(larun_arch = "armv7em"), allow(dead_code))]
    pub(crate) const fn stride(&self) -> usize {
        self.stride
    }

    /// Elements between neighbouring taps.
    #[cfg_attr(not(larun_arch = "armv7em"), allow(dead_code))]
    pub(crate) const fn dilation(&self) -> usize {
        self.dilation
    }

    /// Elements that are missing before the first one, where the window begins.
    #[cfg_attr(not(larun_arch = "armv7em"), allow(dead_code))]
    pub(crate) const fn pad(&self) -> usize {
        self.pad
    }

    /// The axis where neither [`taps`](Self::taps) nor an index made of them can overflow.
    fn checked(self) -> Option<Self> {
        let sizes = [
            self.input,
            self.output,
            self.filter,
            self.stride,
            self.dilation,
        ];
        let covered = self.output.checked_mul(self.stride)?;
        let extent = self.filter.checked_mul(self.dilation)?;
        let reach = covered
            .checked_add(extent)?
            .checked_add(self.input)?
            .checked_add(self.pad.checked_mul(2)?)?;
        (!sizes.contains(&0) && i32::try_from(reach).is_ok()).then_some(self)
    }

    /// The taps inside the input at output position `at`, which is below `output`.
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn taps(&self, at: usize) -> Taps {
        let start = at * self.stride;
        let missing = self.pad.saturating_sub(start);
        let first = self.over_dilation(missing + self.dilation - 1);
        let input = start - self.pad.min(start) + first * self.dilation - missing;
        let covered = match self.input.checked_sub(input + 1) {
            Some(rest) => self.over_dilation(rest) + 1,
            None => 0,
        };
        Taps {
            input,
            step: self.dilation,
            first,
            count: covered.min(self.filter.saturating_sub(first)),
        }
    }

    /// The positions at which all taps are inside the input.
    #[cfg_attr(not(larun_arch = "armv7em"), allow(dead_code))]
    pub(crate) const fn inside(&self) -> Range<usize> {
        let reach = (self.filter - 1) * self.dilation + 1;
        match (self.input + self.pad).checked_sub(reach) {
            Some(last) => {
                let stride = nonzero(self.stride);
                let (first, end) = (self.pad.div_ceil(stride), last / stride + 1);
                let end = if end < self.output { end } else { self.output };
                first..if end > first { end } else { first }
            }
            None => 0..0,
        }
    }

    /// Most windows are not dilated, and a division is dear on small processors.
    #[inline]
    fn over_dilation(&self, n: usize) -> usize {
        match self.dilation {
            1 => n,
            dilation => n / dilation.max(1),
        }
    }
}

impl Record for WindowAxis {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        let words = [
            self.input,
            self.output,
            self.filter,
            self.stride,
            self.dilation,
            self.pad,
        ];
        words.write(plan);
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        let [input, output, filter, stride, dilation, pad] = plan.take_sizes()?;
        let axis = Self {
            input,
            output,
            filter,
            stride,
            dilation,
            pad,
        };
        axis.checked().ok_or(InvokeError::Plan)
    }
}

/// The taps that lie inside the input at one output position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taps {
    /// The input element of the first of them.
    pub(crate) input: usize,
    /// The distance of their input elements.
    pub(crate) step: usize,
    /// The first of them.
    pub(crate) first: usize,
    /// How many.
    pub(crate) count: usize,
}

impl Taps {
    /// Each tap with its input element.
    #[inline]
    pub(crate) fn iter(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.count).map(move |i| (self.first + i, self.input + i * self.step))
    }
}

/// A size that is above zero already, so that the compiler sees it too and leaves out the panic of a division.
#[inline]
pub(crate) const fn nonzero(size: usize) -> usize {
    if size == 0 { 1 } else { size }
}

/// Pieces of an input with pieces of the output of it, whose lengths are given; what is left over has no pair.
///
/// The standard library's pieces divide to know their number, and bring the panic of a division by zero along.
#[inline]
pub(crate) fn piece_pairs<'a, T, U>(
    (mut input, input_len): (&'a [T], usize),
    (mut output, output_len): (&'a mut [U], usize),
) -> impl Iterator<Item = (&'a [T], &'a mut [U])> {
    core::iter::from_fn(move || {
        let (from, input_rest) = input.split_at_checked(nonzero(input_len))?;
        let (to, output_rest) =
            core::mem::take(&mut output).split_at_mut_checked(nonzero(output_len))?;
        (input, output) = (input_rest, output_rest);
        Some((from, to))
    })
}

/// Windows that slide over images: input `[N, H, W, C]`, output `[N, H', W', C']`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageWindow {
    batch: usize,
    rows: WindowAxis,
    columns: WindowAxis,
    input_channels: usize,
    output_channels: usize,
}

impl ImageWindow {
    /// `batch` images with `rows` along the height and `columns` along the width; `None` when a number is zero or a
    /// tensor would have 2^31 elements or more.
    #[must_use]
    pub fn new(
        batch: usize,
        rows: WindowAxis,
        columns: WindowAxis,
        input_channels: usize,
        output_channels: usize,
    ) -> Option<Self> {
        let fits = |count: usize, height: usize, width: usize, channels: usize| {
            let pixels = count.checked_mul(height)?.checked_mul(width)?;
            let elements = pixels.checked_mul(channels)?;
            (elements > 0 && i32::try_from(elements).is_ok()).then_some(())
        };
        fits(batch, rows.input, columns.input, input_channels)?;
        fits(batch, rows.output, columns.output, output_channels)?;
        fits(1, rows.filter, columns.filter, output_channels)?;
        Some(Self {
            batch,
            rows,
            columns,
            input_channels,
            output_channels,
        })
    }

    /// The axis of height.
    #[must_use]
    pub const fn rows(&self) -> &WindowAxis {
        &self.rows
    }

    /// The axis of width.
    #[must_use]
    pub const fn columns(&self) -> &WindowAxis {
        &self.columns
    }

    /// Channels of the input.
    #[must_use]
    pub const fn input_channels(&self) -> usize {
        self.input_channels
    }

    /// Channels of the output.
    #[must_use]
    pub const fn output_channels(&self) -> usize {
        self.output_channels
    }

    /// Elements of one image of the input.
    pub(crate) const fn image_len(&self) -> usize {
        self.rows.input * self.columns.input * self.input_channels
    }

    /// Elements of one row of the output.
    const fn row_len(&self) -> usize {
        self.columns.output * self.output_channels
    }

    /// The element of an image where pixel `(y, x)` begins.
    #[inline]
    pub(crate) const fn pixel(&self, y: usize, x: usize) -> usize {
        (y * self.columns.input + x) * self.input_channels
    }

    /// Checks that input and output have the sizes of the geometry.
    pub(crate) fn check<T, U>(&self, input: &[T], output: &[U]) -> Result<(), InvokeError> {
        check_len(Memory::input(0), input.len(), self.batch * self.image_len())?;
        let outputs = self.batch * self.rows.output * self.row_len();
        check_len(Memory::output(0), output.len(), outputs)
    }

    /// Calls `body` for each row of the output with the image it comes from and the taps along the height.
    #[inline]
    pub(crate) fn for_each_row<T, U>(
        &self,
        input: &[T],
        output: &mut [U],
        mut body: impl FnMut(&[T], Taps, &mut [U]),
    ) {
        let row_len = self.row_len();
        let images = (input, self.image_len());
        for (image, output) in piece_pairs(images, (output, self.rows.output * row_len)) {
            for (y, row) in output.chunks_exact_mut(nonzero(row_len)).enumerate() {
                body(image, self.rows.taps(y), row);
            }
        }
    }

    /// The number of images, and the elements of one in input and output.
    pub(crate) const fn images(&self) -> (usize, usize, usize) {
        (
            self.batch,
            self.image_len(),
            self.rows.output * self.row_len(),
        )
    }

    /// Where the window stands first.
    pub(crate) fn first_position(&self) -> Position<'_> {
        Position {
            window: self,
            image: 0,
            y: 0,
            x: 0,
            rows: self.rows.taps(0),
            columns: self.columns.taps(0),
        }
    }

    /// Calls `body` for each position of the window on some images, in the order of the output's pixels, with the image
    /// and the taps of both axes.
    #[inline]
    pub(crate) fn for_each_position<T>(
        &self,
        images: &[T],
        mut body: impl FnMut(&[T], Taps, Taps),
    ) {
        for image in images.chunks_exact(nonzero(self.image_len())) {
            for y in 0..self.rows.output {
                let rows = self.rows.taps(y);
                for x in 0..self.columns.output {
                    body(image, rows, self.columns.taps(x));
                }
            }
        }
    }

    /// Calls `body` for each pixel of the output with the image it comes from, and what lies behind it, and the taps of
    /// both axes.
    #[inline]
    pub(crate) fn for_each_pixel<T, U>(
        &self,
        input: &[T],
        output: &mut [U],
        mut body: impl FnMut(&[T], Taps, Taps, &mut [U]),
    ) {
        let mut position = self.first_position();
        for pixel in output.chunks_exact_mut(nonzero(self.output_channels)) {
            let image = position.image(input);
            body(image, position.rows, position.columns, pixel);
            position.advance();
        }
    }
}

/// Where a window stands. The positions come in the order of the output's pixels.
#[derive(Clone, Copy)]
pub(crate) struct Position<'w> {
    window: &'w ImageWindow,
    /// The element of the input at which the image begins.
    image: usize,
    y: usize,
    x: usize,
    rows: Taps,
    columns: Taps,
}

impl Position<'_> {
    /// The image, and what lies behind it.
    #[inline]
    pub(crate) fn image<'a, T>(&self, input: &'a [T]) -> &'a [T] {
        input.get(self.image..).unwrap_or(&[])
    }

    /// The taps along the height.
    #[cfg_attr(not(larun_arch = "armv7em"), allow(dead_code))]
    pub(crate) const fn rows(&self) -> Taps {
        self.rows
    }

    /// The taps along the width.
    #[cfg_attr(not(larun_arch = "armv7em"), allow(dead_code))]
    pub(crate) const fn columns(&self) -> Taps {
        self.columns
    }

    /// Goes to the next position; from the last of an image to the first of the next.
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub(crate) fn advance(&mut self) {
        let window = self.window;
        self.x += 1;
        if self.x >= window.columns.output {
            self.x = 0;
            self.y += 1;
            if self.y >= window.rows.output {
                self.y = 0;
                self.image += window.image_len();
            }
            self.rows = window.rows.taps(self.y);
        }
        self.columns = window.columns.taps(self.x);
    }
}

impl Record for ImageWindow {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        self.batch.write(plan);
        self.rows.write(plan);
        self.columns.write(plan);
        self.input_channels.write(plan);
        self.output_channels.write(plan);
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        let [batch] = plan.take_sizes()?;
        let (rows, columns) = (Record::read(plan)?, Record::read(plan)?);
        let [inputs, outputs] = plan.take_sizes()?;
        Self::new(batch, rows, columns, inputs, outputs).ok_or(InvokeError::Plan)
    }
}
