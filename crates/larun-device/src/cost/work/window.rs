//! Sliding windows: how many taps meet the input, and how many windows stick out.

use larun_ops::{Padding, Window};

/// Positions of an axis that are looked at.
const MOST: usize = 1 << 16;

/// One axis of a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) filter: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) pad: usize,
}

impl Axis {
    pub(super) fn new(
        input: usize,
        filter: usize,
        stride: i32,
        dilation: i32,
        padding: Padding,
    ) -> Option<Self> {
        let (stride, dilation) = (stride.try_into().ok()?, dilation.try_into().ok()?);
        let window = Window::new(input, filter, stride, dilation, padding)?;
        Some(Self {
            input,
            output: window.output,
            filter,
            stride,
            dilation,
            pad: window.pad_before,
        })
    }

    /// Taps inside of the input at an output position.
    fn taps(&self, at: usize) -> usize {
        let start = at.saturating_mul(self.stride);
        // Taps from `first` on begin at or after the input's first element, those before `end` at or before its last.
        let first = self.pad.saturating_sub(start).div_ceil(self.dilation);
        let end = (self.pad.saturating_add(self.input))
            .saturating_sub(start)
            .div_ceil(self.dilation);
        end.min(self.filter).saturating_sub(first)
    }

    /// Taps inside of the input, all positions together.
    pub(super) fn all_taps(&self) -> f64 {
        // No network has an axis so long; a file that says so shall not make this loop.
        let positions = 0..self.output.min(MOST);
        positions.map(|at| self.taps(at) as f64).sum()
    }

    /// Positions whose taps are all inside.
    pub(super) fn whole(&self) -> f64 {
        let positions = 0..self.output.min(MOST);
        positions.filter(|&at| self.is_whole(at)).count() as f64
    }

    /// Whether all taps of a position are inside.
    fn is_whole(&self, at: usize) -> bool {
        self.taps(at) == self.filter
    }

    /// Elements of the input that some window meets, those that are missing before and behind included.
    pub(super) const fn met(&self) -> usize {
        let moved = self.output.saturating_sub(1).saturating_mul(self.stride);
        moved.saturating_add(self.filter)
    }

    pub(super) const fn is_point(&self) -> bool {
        self.filter == 1 && self.stride == 1
    }
}

/// Rows and columns of a window over `batch` images.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image {
    pub(super) batch: usize,
    pub(super) rows: Axis,
    pub(super) columns: Axis,
}

impl Image {
    /// Rows and columns as the kernels take them: images of one column, under filters of one, as images of one row.
    pub(super) const fn new(batch: usize, rows: Axis, columns: Axis) -> Self {
        let (rows, columns) = match (columns.input, columns.filter) {
            (1, 1) => (columns, rows),
            _ => (rows, columns),
        };
        Self {
            batch,
            rows,
            columns,
        }
    }

    /// Output pixels.
    pub(super) fn pixels(&self) -> f64 {
        self.batch as f64 * self.rows.output as f64 * self.columns.output as f64
    }

    /// Taps that meet the images, all pixels together.
    pub(super) fn taps(&self) -> f64 {
        self.batch as f64 * self.rows.all_taps() * self.columns.all_taps()
    }

    /// Rows of taps that meet the images, all pixels together.
    pub(super) fn tap_rows(&self) -> f64 {
        self.batch as f64 * self.rows.all_taps() * self.columns.output as f64
    }

    /// Pixels whose windows stick out of their image.
    pub(super) fn border(&self) -> f64 {
        self.pixels() - self.batch as f64 * self.rows.whole() * self.columns.whole()
    }

    /// Blocks of `side` pixels, one after the other through rows, that lie in one row and see nothing but their image.
    pub(super) fn whole_blocks(&self, side: usize) -> f64 {
        let (width, pixels) = (
            self.columns.output,
            self.rows.output.saturating_mul(self.columns.output),
        );
        let is_whole = |block: &usize| {
            let (y, x) = (
                (block * side).checked_div(width),
                (block * side).checked_rem(width),
            );
            let (Some(y), Some(x)) = (y, x) else {
                return false;
            };
            x + side <= width
                && self.rows.is_whole(y)
                && self.columns.is_whole(x)
                && self.columns.is_whole(x + side - 1)
        };
        let blocks = 0..(pixels / side.max(1)).min(MOST);
        self.batch as f64 * blocks.filter(is_whole).count() as f64
    }

    /// Rows of output pixels.
    pub(super) fn output_rows(&self) -> f64 {
        self.batch as f64 * self.rows.output as f64
    }
}

#[cfg(test)]
mod tests {
    use super::{Axis, Padding};

    #[test]
    fn taps_are_those_inside_of_the_input() {
        for (input, filter, stride, dilation) in [
            (7, 3, 1, 1),
            (8, 3, 2, 1),
            (5, 5, 1, 1),
            (9, 3, 1, 2),
            (4, 4, 3, 1),
        ] {
            let axis = Axis::new(input, filter, stride, dilation, Padding::Same).unwrap();
            for at in 0..axis.output {
                let place = |tap: usize| at * axis.stride + tap * axis.dilation;
                let inside = |tap: &usize| (axis.pad..axis.pad + axis.input).contains(&place(*tap));
                assert_eq!(axis.taps(at), (0..axis.filter).filter(inside).count());
            }
        }
    }
}
