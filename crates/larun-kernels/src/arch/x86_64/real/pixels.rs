//! Layers that compute each channel from the same channel of the input: vectors of neighbouring channels.

use core::arch::x86_64::*;

use super::vector::{LANES, load, store};
use crate::ImageWindow;
use crate::window::Taps;

/// Vectors side by side, at most.
const MOST: usize = 4;

/// A layer that folds the values which the window sees, one after the other.
///
/// `fold` takes what is folded so far, the values of eight channels, and which element of a filter `[KH, KW, C]` the first
/// of them meets. `finish` makes outputs of that, given the first channel and the number of taps.
pub(super) struct Folded<F, G> {
    pub(super) start: f32,
    pub(super) fold: F,
    pub(super) finish: G,
}

impl<F, G> Folded<F, G>
where
    F: Fn(__m256, __m256, usize) -> __m256,
    G: Fn(__m256, usize, usize) -> __m256,
{
    /// Computes every pixel; `false` where the channels are not those of the input or fewer than eight.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn compute(&self, window: &ImageWindow, input: &[f32], output: &mut [f32]) -> bool {
        let channels = window.output_channels();
        if channels < LANES || channels != window.input_channels() {
            return false;
        }
        let columns = window.columns();
        window.for_each_row(input, output, |image, rows, row| {
            for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
                let view = View {
                    window,
                    image,
                    rows,
                    columns: columns.taps(x),
                };
                let mut at = 0;
                while at < channels {
                    at += match channels - at {
                        32.. => self.block::<MOST>(&view, at, pixel),
                        16.. => self.block::<2>(&view, at, pixel),
                        8.. => self.block::<1>(&view, at, pixel),
                        // The last eight: some of them are there already.
                        left => {
                            self.block::<1>(&view, channels - LANES, pixel);
                            left
                        }
                    };
                }
            }
        });
        true
    }

    /// Computes `H` vectors of channels from `channel` on; returns how many channels those are.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn block<const H: usize>(&self, view: &View<'_>, channel: usize, pixel: &mut [f32]) -> usize {
        let channels = view.window.output_channels();
        let filter_w = view.window.columns().filter();
        let mut folded = [_mm256_set1_ps(self.start); H];
        for (tap_y, y) in view.rows.iter() {
            for (tap_x, x) in view.columns.iter() {
                let place = (tap_y * filter_w + tap_x) * channels + channel;
                let values = view.image.get(view.window.pixel(y, x) + channel..);
                let values = values.unwrap_or_default().as_chunks::<LANES>().0;
                for (half, (folded, values)) in folded.iter_mut().zip(values).enumerate() {
                    *folded = (self.fold)(*folded, load(values), place + half * LANES);
                }
            }
        }
        let taps = view.rows.count * view.columns.count;
        let places = pixel.get_mut(channel..).unwrap_or_default();
        let places = places.as_chunks_mut::<LANES>().0.iter_mut();
        for (half, (place, folded)) in places.zip(folded).enumerate() {
            store(place, (self.finish)(folded, channel + half * LANES, taps));
        }
        H * LANES
    }
}

/// What the window sees at one position.
struct View<'a> {
    window: &'a ImageWindow,
    image: &'a [f32],
    rows: Taps,
    columns: Taps,
}
