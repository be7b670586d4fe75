//! The geometry of windows that slide over an image: convolutions and pooling.

use larun_ops::{Padding, Window};

use super::{ShapeError, rank4};

/// A window that slides over the height and the width of `[N, H, W, C]`. Pairs are `[height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window2d {
    /// Size of the window, in taps.
    pub size: [usize; 2],
    /// Step between two positions.
    pub stride: [usize; 2],
    /// Distance of neighbouring taps.
    pub dilation: [usize; 2],
    /// What happens at the border.
    pub padding: Padding,
}

impl Window2d {
    /// A window of this size that steps by one, with the border filled up so that the size stays.
    pub fn same(size: [usize; 2]) -> Self {
        Self {
            size,
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding::Same,
        }
    }

    /// The same window with another stride.
    pub fn stride(self, stride: [usize; 2]) -> Self {
        Self { stride, ..self }
    }

    /// The same window with another dilation.
    pub fn dilation(self, dilation: [usize; 2]) -> Self {
        Self { dilation, ..self }
    }

    /// The same window with another border treatment.
    pub fn padding(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    /// The geometry on an input of this shape.
    pub(super) fn place(
        self,
        operator: &'static str,
        input: &[usize],
    ) -> Result<Placement, ShapeError> {
        let [batch, height, width, channels] = rank4(operator, "input", input)?;
        let [vertical, horizontal] = [(0, height), (1, width)].map(|(axis, size)| {
            let stride = self.stride[axis];
            Window::new(
                size,
                self.size[axis],
                stride,
                self.dilation[axis],
                self.padding,
            )
        });
        let (Some(vertical), Some(horizontal)) = (vertical, horizontal) else {
            return Err(ShapeError::new(
                operator,
                format!("the window {self:?} does not fit an input of shape {input:?}"),
            ));
        };
        Ok(Placement {
            window: self,
            batch,
            input: [height, width],
            channels,
            output: [vertical.output, horizontal.output],
            before: [vertical.pad_before, horizontal.pad_before],
        })
    }
}

/// A window on an input of a certain shape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placement {
    pub(super) window: Window2d,
    pub(super) batch: usize,
    /// Height and width of the input.
    pub(super) input: [usize; 2],
    /// Channels of the input.
    pub(super) channels: usize,
    /// Height and width of the output.
    pub(super) output: [usize; 2],
    /// Border above and to the left.
    pub(super) before: [usize; 2],
}

impl Placement {
    /// The placement of a window on shapes that were checked before.
    ///
    /// # Panics
    /// When they were not: a defect of the caller, not of the data.
    pub(super) fn checked(window: Window2d, operator: &'static str, input: &[usize]) -> Self {
        match window.place(operator, input) {
            Ok(placement) => placement,
            Err(error) => unreachable!("the shape was accepted before: {error}"),
        }
    }

    /// Elements of one sample of the input.
    pub(super) fn input_len(&self) -> usize {
        self.input[0] * self.input[1] * self.channels
    }

    /// Positions of the window in one sample.
    pub(super) fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// The input coordinate under tap `tap` of output coordinate `output` along `axis`, if inside.
    pub(super) fn source(&self, axis: usize, output: usize, tap: usize) -> Option<usize> {
        (output * self.window.stride[axis] + tap * self.window.dilation[axis])
            .checked_sub(self.before[axis])
            .filter(|&source| source < self.input[axis])
    }

    /// The output coordinates along `axis` whose tap `tap` lies inside the input.
    pub(super) fn inside(&self, axis: usize, tap: usize) -> core::ops::Range<usize> {
        let stride = self.window.stride[axis];
        let offset = tap * self.window.dilation[axis];
        let first = self.before[axis].saturating_sub(offset).div_ceil(stride);
        let last = (self.input[axis] + self.before[axis])
            .saturating_sub(offset)
            .div_ceil(stride);
        let last = last.min(self.output[axis]);
        first.min(last)..last
    }
}
