//! The shapes of layers that several files here ask about: which convolutions are dense layers, and where a window is.

use crate::window::{Taps, WindowAxis};
use crate::{ConvGeometry, DenseGeometry, ImageWindow};
use larun_ops::Padding;

/// Fewer pixels than this are not worth packing filters for.
const FEW: usize = 3;

/// Whether each output pixel comes from the input pixel at its place alone.
pub(super) fn is_pointwise(geometry: &ConvGeometry) -> bool {
    let window = geometry.window();
    let is_point = |axis: &WindowAxis| axis.filter() == 1 && axis.stride() == 1;
    let whole = geometry.filter_depth() == window.input_channels();
    whole && is_point(window.rows()) && is_point(window.columns())
}

/// Whether a row of the window is one run of neighbouring elements.
pub(super) fn has_dense_rows(geometry: &ConvGeometry) -> bool {
    let window = geometry.window();
    window.columns().dilation() == 1 && geometry.filter_depth() == window.input_channels()
}

/// The same layer as a dense one, where each pixel comes from one of the input.
pub(super) fn as_dense(geometry: &ConvGeometry) -> Option<DenseGeometry> {
    let window = geometry.window();
    let (batch, _, _) = window.images();
    is_pointwise(geometry).then(|| DenseGeometry {
        batch: batch * window.rows().output() * window.columns().output(),
        inputs: geometry.filter_depth(),
        units: geometry.output_channels(),
    })
}

/// Whether a dense layer has so few rows of the input that packing the filters is not worth it.
pub(super) const fn are_few(dense: &DenseGeometry) -> bool {
    dense.batch < FEW
}

/// A dense layer as a convolution of as many pixels as its input has rows, where those are not few and their length is
/// `most` at most.
pub(super) fn of_dense(dense: &DenseGeometry, most: usize) -> Option<ConvGeometry> {
    let axis = |len| WindowAxis::new(len, 1, 1, 1, Padding::Valid);
    let (rows, columns) = (axis(1)?, axis(dense.batch)?);
    let window = ImageWindow::new(1, rows, columns, dense.inputs, dense.units)?;
    let is_worth_it = !are_few(dense) && dense.inputs <= most;
    ConvGeometry::new(window, dense.inputs).filter(|_| is_worth_it)
}

/// Goes through the positions of a window on an image, in the order of the output's pixels.
pub(super) struct Positions<'a> {
    window: &'a ImageWindow,
    rows: Taps,
    y: usize,
    x: usize,
}

impl<'a> Positions<'a> {
    pub(super) fn new(window: &'a ImageWindow) -> Self {
        Self {
            window,
            rows: window.rows().taps(0),
            y: 0,
            x: 0,
        }
    }

    /// The taps of the next position, of which there must be one.
    #[inline]
    pub(super) fn next(&mut self) -> (Taps, Taps) {
        let (rows, columns) = (self.window.rows(), self.window.columns());
        let taps = (self.rows, columns.taps(self.x));
        self.x += 1;
        if self.x == columns.output() {
            (self.x, self.y) = (0, self.y + 1);
            if self.y < rows.output() {
                self.rows = rows.taps(self.y);
            }
        }
        taps
    }
}
