//! What a window sees, as 16-bit lanes in the order in which weights are widened.
//!
//! A word of four weights widens to two words of lanes: its bytes 0 and 2, and its bytes 1 and 3. A patch has its
//! values, less the zero point, in the same order. Several patches lie side by side: first the low words of all, then the
//! high words of all, and so on.

use super::dsp::lanes;
use super::moves::{copy, widen};
use crate::ConvGeometry;
use crate::window::Taps;

/// Copies windows of an image to patches.
#[derive(Clone, Copy)]
pub(super) struct Gather<'a> {
    geometry: &'a ConvGeometry,
    zero_point: i8,
    /// The zero point's negative in both lanes.
    offset: u32,
}

/// The part of an image that a window sees.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) image: &'a [i8],
    pub(super) rows: Taps,
    pub(super) columns: Taps,
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

    /// Whole words of values to the patch whose first word is `patch[0]`, one of `SIDE` side by side.
    #[inline]
    pub(super) fn widen<const SIDE: usize>(&self, values: &[i8], patch: &mut [u32]) {
        widen::<SIDE>(values, self.offset, patch);
    }

    /// Fills the patch whose first word is `patch[0]`, one of `SIDE` side by side, with what a window sees of a group's
    /// channels. `bytes` has as many bytes as a patch has lanes, or none where windows are [in words](Self::in_words).
    #[inline]
    pub(super) fn gather<const SIDE: usize>(
        &self,
        seen: &Seen<'_>,
        group: usize,
        patch: &mut [u32],
        bytes: &mut [i8],
    ) {
        let window = self.geometry.window();
        let (image, rows, columns) = (seen.image, seen.rows, seen.columns);
        let whole =
            rows.count == window.rows().filter() && columns.count == window.columns().filter();
        let values = |from: usize, len: usize| image.get(from..from + len).unwrap_or(&[]);
        if Self::in_words(self.geometry) {
            if !whole {
                patch.iter_mut().step_by(SIDE).for_each(|word| *word = 0);
            }
            self.geometry
                .for_each_run(rows, columns, group, |from, to, len| {
                    // Four values are 2 words in each of `SIDE` patches.
                    let place = patch.get_mut(to / 2 * SIDE..).unwrap_or_default();
                    self.widen::<SIDE>(values(from, len), place);
                });
        } else {
            if !whole {
                bytes.fill(self.zero_point);
            }
            self.geometry
                .for_each_run(rows, columns, group, |from, to, len| {
                    copy(values(from, len), bytes.get_mut(to..).unwrap_or_default());
                });
            self.widen::<SIDE>(bytes, patch);
        }
    }
}
