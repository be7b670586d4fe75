//! Windows on some rows of an image: what a code generator makes plans of, so that a layer runs some rows at a time.

use core::ops::Range;

use super::{ImageWindow, WindowAxis};

impl WindowAxis {
    /// The input elements that the window meets at some positions, of which there is one at least.
    pub(crate) fn seen(&self, positions: &Range<usize>) -> Range<usize> {
        let last = positions.end.saturating_sub(1).max(positions.start);
        let reach = last * self.stride + (self.filter - 1) * self.dilation + 1;
        // A window outside of the input sees nothing; a kernel is given an element all the same.
        let start = (positions.start * self.stride).saturating_sub(self.pad);
        let start = start.min(self.input - 1);
        let end = reach.saturating_sub(self.pad).min(self.input);
        start..end.max(start + 1)
    }

    /// The axis at some positions alone, on the input elements that it meets there; `None` past the last position.
    fn narrowed(&self, positions: &Range<usize>) -> Option<Self> {
        if positions.is_empty() || positions.end > self.output {
            return None;
        }
        let axis = Self {
            input: self.seen(positions).len(),
            output: positions.len(),
            pad: self.pad.saturating_sub(positions.start * self.stride),
            ..*self
        };
        axis.checked()
    }
}

impl ImageWindow {
    /// Whether rows are along the width: images of one row, which an image of one column becomes as well.
    const fn is_one_row(&self) -> bool {
        self.rows.input == 1 && self.rows.output == 1 && self.rows.filter == 1
    }

    /// The axis of the rows that lie one after the other in memory, where there is one image.
    pub(crate) fn outer_axis(&self) -> Option<&WindowAxis> {
        let axis = match self.is_one_row() {
            true => &self.columns,
            false => &self.rows,
        };
        (self.batch == 1).then_some(axis)
    }

    /// The window at some of the positions of its outer axis.
    pub(crate) fn narrowed(&self, positions: &Range<usize>) -> Option<Self> {
        let axis = self.outer_axis()?.narrowed(positions)?;
        let (rows, columns) = match self.is_one_row() {
            true => (self.rows, axis),
            false => (axis, self.columns),
        };
        Self::new(1, rows, columns, self.input_channels, self.output_channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larun_ops::Padding;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        /// At each position the narrowed axis has the taps of the whole one, on the elements that it was given.
        #[test]
        fn narrowed_axes_have_the_same_taps(
            (input, filter, stride, dilation) in (1_usize..20, 1_usize..6, 1_usize..4, 1_usize..3),
            same in any::<bool>(),
            (first, count) in (0_usize..20, 1_usize..6),
        ) {
            let padding = if same { Padding::Same } else { Padding::Valid };
            let Some(axis) = WindowAxis::new(input, filter, stride, dilation, padding) else {
                return Ok(());
            };
            let positions = first..(first + count).min(axis.output());
            let Some(narrow) = axis.narrowed(&positions) else {
                prop_assert!(positions.is_empty());
                return Ok(());
            };
            let seen = axis.seen(&positions);
            prop_assert!(seen.end <= input);
            for (at, position) in positions.enumerate() {
                let whole: Vec<_> = axis.taps(position).iter().collect();
                let own: Vec<_> = narrow.taps(at).iter().map(|(tap, x)| (tap, x + seen.start)).collect();
                prop_assert_eq!(whole, own);
            }
        }
    }
}
