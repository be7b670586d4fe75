//! Strips of an image: the rows that windows side by side see, as unsigned bytes, with the border filled in.
//!
//! A strip costs a copy of a few rows for each row of the output, and saves a copy for each window: behind it no window
//! reaches beyond the image, and what neighbours see overlaps where it lies.

use core::arch::x86_64::*;

use super::FLIP;
use super::vector::{load_bytes, store_i8x64};
use crate::ImageWindow;
use crate::window::{Taps, nonzero};

/// Bytes that are copied at a time.
const STEP: usize = 64;
/// Bytes behind the last row, which may be read and overwritten.
const SLACK: usize = STEP;
/// Bytes of a strip: where some positions fit into the small one, it is enough.
const SMALL: usize = 1 << 12;
const LARGE: usize = 1 << 15;
/// Positions in a strip come by so many, where they are not all of a row.
const POSITIONS: usize = 8;

/// What strips show: some channels of the images that a window slides over.
pub(super) struct View<'a> {
    window: &'a ImageWindow,
    border: i8,
    /// The first channel, and how many.
    first: usize,
    depth: usize,
    /// Positions of the window side by side in a strip, at most.
    positions: usize,
    /// Bytes from one row of a strip to the next.
    row: usize,
}

impl<'a> View<'a> {
    /// `None` where a strip has no room for a few positions.
    pub(super) fn new(
        window: &'a ImageWindow,
        zero_point: i32,
        first: usize,
        depth: usize,
    ) -> Option<Self> {
        let columns = window.columns();
        let span = (columns.filter() - 1) * columns.dilation() + 1;
        let height = nonzero(window.rows().filter() * depth);
        let positions = |room: usize| {
            let fit = (room / height).checked_sub(span)? / nonzero(columns.stride()) + 1;
            match columns.output() {
                all if all <= fit => Some(all),
                _ => Some(fit - fit % POSITIONS).filter(|&some| some > 0),
            }
        };
        let positions = positions(SMALL).or_else(|| positions(LARGE))?;
        let width = (positions - 1) * columns.stride() + span;
        Some(Self {
            window,
            border: zero_point as i8 ^ FLIP,
            first,
            depth,
            positions,
            row: width * depth,
        })
    }

    /// Bytes from one row of a strip to the next.
    pub(super) const fn row(&self) -> usize {
        self.row
    }

    /// Bytes from one position to the next.
    pub(super) const fn position(&self) -> usize {
        self.window.columns().stride() * self.depth
    }

    /// Bytes from one tap of a row to the next.
    pub(super) const fn tap(&self) -> usize {
        self.window.columns().dilation() * self.depth
    }

    /// Calls `each` with every strip, and the outputs at its positions: whole pixels side by side.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn for_each_strip(
        &self,
        input: &[i8],
        output: &mut [i8],
        each: impl FnMut(&[i8], &mut [i8]),
    ) {
        if self.row * self.window.rows().filter() <= SMALL {
            self.strips(&mut [0; SMALL + SLACK], input, output, each);
        } else {
            self.strips(&mut [0; LARGE + SLACK], input, output, each);
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn strips(
        &self,
        strip: &mut [i8],
        input: &[i8],
        output: &mut [i8],
        mut each: impl FnMut(&[i8], &mut [i8]),
    ) {
        let part_len = nonzero(self.positions * self.window.output_channels());
        self.window.for_each_row(input, output, |image, rows, row| {
            for (part, outputs) in row.chunks_mut(part_len).enumerate() {
                self.fill(strip, image, rows, part * self.positions);
                each(strip, outputs);
            }
        });
    }

    /// Copies what the windows from a position on see. `rows` are the taps inside the image.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn fill(&self, strip: &mut [i8], image: &[i8], rows: Taps, position: usize) {
        let columns = self.window.columns();
        let (start, width) = (position * columns.stride(), self.row / nonzero(self.depth));
        let before = columns.pad().saturating_sub(start).min(width);
        let first = (start + before).saturating_sub(columns.pad());
        let inside = columns.input().saturating_sub(first).min(width - before);
        let [begin, end] = [before, before + inside].map(|column| column * self.depth);
        for tap in 0..self.window.rows().filter() {
            // The end of a row may be overwritten by what is copied in whole steps, before it is written itself.
            let row = strip.get_mut(tap * self.row..).unwrap_or_default();
            let seen = tap.checked_sub(rows.first).filter(|&tap| tap < rows.count);
            let Some(seen) = seen else {
                row.get_mut(..self.row)
                    .unwrap_or_default()
                    .fill(self.border);
                continue;
            };
            let from = self.window.pixel(rows.input + seen * rows.step, first);
            if begin > 0 {
                row.get_mut(..begin).unwrap_or_default().fill(self.border);
            }
            self.copy(image.get(from..), row.get_mut(begin..), inside);
            if end < self.row {
                row.get_mut(end..self.row)
                    .unwrap_or_default()
                    .fill(self.border);
            }
        }
    }

    /// Copies so many pixels.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn copy(&self, source: Option<&[i8]>, place: Option<&mut [i8]>, pixels: usize) {
        let (source, place) = (source.unwrap_or_default(), place.unwrap_or_default());
        let stride = nonzero(self.window.input_channels());
        if stride == self.depth {
            let source = source.get(..pixels * stride);
            return copy(source.unwrap_or_default(), place);
        }
        for pixel in 0..pixels {
            let at = pixel * stride + self.first;
            let source = source.get(at..at + self.depth).unwrap_or_default();
            let place = place.get_mut(pixel * self.depth..);
            copy(source, place.unwrap_or_default());
        }
    }
}

/// Copies values in whole steps, for which there is room.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn copy(source: &[i8], place: &mut [i8]) {
    let flip = _mm512_set1_epi8(FLIP);
    for (source, place) in source.chunks(STEP).zip(place.as_chunks_mut().0) {
        store_i8x64(place, _mm512_xor_si512(load_bytes(source), flip));
    }
}
