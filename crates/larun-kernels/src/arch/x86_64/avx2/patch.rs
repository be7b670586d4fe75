//! What the window of a convolution sees, widened to 16 bits, less the zero point.

use core::arch::x86_64::*;

use super::super::positions::has_dense_rows;
use super::vector::{load_i8x16, store_i16x16};
use crate::ConvGeometry;
use crate::window::Taps;

/// Values that are widened at a time.
const STEP: usize = 16;
/// Room that a patch needs past its end.
pub(super) const SLACK: usize = STEP;

/// Gathers patches.
pub(super) struct Gather<'a> {
    geometry: &'a ConvGeometry,
    zero_point: i8,
    /// Whether a row of the window is one run of neighbouring elements.
    dense: bool,
}

impl<'a> Gather<'a> {
    pub(super) fn new(geometry: &'a ConvGeometry, zero_point: i32) -> Self {
        Self {
            geometry,
            zero_point: zero_point as i8,
            dense: has_dense_rows(geometry),
        }
    }

    /// Copies a pixel of a pointwise convolution.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn pixel(&self, image: &[i8], index: usize, patch: &mut [i16]) {
        let depth = self.geometry.filter_depth();
        let source = image.get(index * depth..).unwrap_or_default();
        self.widen(source, patch, depth, true);
    }

    /// Copies what the window sees of a group's channels; the border is 0. What lies behind the patch is any value.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn gather(
        &self,
        image: &[i8],
        (rows, columns): (Taps, Taps),
        group: usize,
        patch: &mut [i16],
    ) {
        let window = self.geometry.window();
        let depth = self.geometry.filter_depth();
        let filter_w = window.columns().filter();
        let whole = rows.count == window.rows().filter() && columns.count == filter_w;
        if !whole {
            patch.fill(0);
        }
        let (runs, len) = match self.dense {
            true => (1, columns.count * depth),
            false => (columns.count, depth),
        };
        for (tap, y) in rows.iter() {
            for run in 0..runs {
                let from = window.pixel(y, columns.input + run * columns.step) + group * depth;
                let to = (tap * filter_w + columns.first + run) * depth;
                let source = image.get(from..).unwrap_or_default();
                let place = patch.get_mut(to..).unwrap_or_default();
                self.widen(source, place, len, whole);
            }
        }
    }

    /// Widens the first `len` values of a slice. With `freely` it may write anything behind them.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn widen(&self, source: &[i8], place: &mut [i16], len: usize, freely: bool) {
        let padded = len.next_multiple_of(STEP);
        let whole = if freely && source.len() >= padded && place.len() >= padded {
            padded
        } else {
            len - len % STEP
        };
        let zero_point = _mm256_set1_epi16(i16::from(self.zero_point));
        let (sources, places) = (source.as_chunks().0, place.as_chunks_mut().0);
        for (source, place) in sources.iter().zip(places).take(whole / STEP) {
            let values = _mm256_cvtepi8_epi16(load_i8x16(source));
            store_i16x16(place, _mm256_sub_epi16(values, zero_point));
        }
        if whole >= len {
            return;
        }
        if let (Some(source), Some(place)) = (source.get(whole..len), place.get_mut(whole..len)) {
            for (&source, place) in source.iter().zip(place) {
                *place = i16::from(source).wrapping_sub(i16::from(self.zero_point));
            }
        }
    }
}
