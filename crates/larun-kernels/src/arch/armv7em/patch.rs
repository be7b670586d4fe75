//! What a window sees, as 16-bit lanes in the order in which weights are widened.
//!
//! A word of four weights widens to two words of lanes: its bytes 0 and 2, and its bytes 1 and 3. A patch has its
//! values, less the zero point, in the same order. Several patches lie side by side: first the low words of all, then the
//! high words of all, and so on.

use super::dsp::lanes;
use super::moves::{copy, widen};
use crate::ConvGeometry;
use crate::window::{Position, nonzero};

/// Copies windows of an image to patches.
#[derive(Clone, Copy)]
pub(super) struct Gather<'a> {
    geometry: &'a ConvGeometry,
    zero_point: i8,
    /// The zero point's negative in both lanes.
    offset: u32,
}

impl<'a> Gather<'a> {
    pub(super) const fn new(geometry: &'a ConvGeometry, zero_point: i32) -> Self {
        Self {
            geometry,
            zero_point: zero_point as i8,
            offset: lanes(-zero_point, -zero_point),
        }
    }

    /// Whether every run of a window is made of whole words at a multiple of four in the patch.
    pub(super) const fn in_words(geometry: &ConvGeometry) -> bool {
        geometry.filter_depth().is_multiple_of(4)
    }

    /// Whole words of values to the patch whose first word is `patch[0]`, one of `side` side by side.
    #[inline]
    pub(super) fn widen(&self, values: &[i8], patch: &mut [u32], side: usize) {
        widen(values, self.offset, patch, side);
    }

    /// Fills the patch whose first word is `patch[0]`, one of `side` side by side, with what a window sees of a group's
    /// channels. `bytes` has as many bytes as a patch has lanes, or none where windows are [in words](Self::in_words).
    #[inline]
    pub(super) fn gather(
        &self,
        (images, position): (&[i8], &Position<'_>),
        group: usize,
        patch: &mut [u32],
        side: usize,
        bytes: &mut [i8],
    ) {
        let window = self.geometry.window();
        let (rows, columns) = (position.rows(), position.columns());
        let image = position.image(images);
        let whole =
            rows.count == window.rows().filter() && columns.count == window.columns().filter();
        let in_words = Self::in_words(self.geometry);
        if !whole && in_words {
            let words = patch.iter_mut().step_by(nonzero(side));
            words.for_each(|word| *word = 0);
        } else if !whole {
            bytes.fill(self.zero_point);
        }
        self.geometry
            .for_each_run(rows, columns, group, |from, to, len| {
                let values = image.get(from..from + len).unwrap_or(&[]);
                if in_words {
                    // Four values are 2 words in each of `side` patches.
                    let place = patch.get_mut(to / 2 * side..).unwrap_or_default();
                    self.widen(values, place, side);
                } else {
                    copy(values, bytes.get_mut(to..).unwrap_or_default());
                }
            });
        if !in_words {
            self.widen(bytes, patch, side);
        }
    }
}
