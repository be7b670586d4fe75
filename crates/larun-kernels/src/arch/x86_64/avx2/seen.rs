//! What the windows of a depthwise convolution see, some channels at a time.

use crate::ImageWindow;
use crate::window::{Taps, nonzero};

/// Taps of a window, at most.
pub(super) const TAPS: usize = 64;

/// What the taps of a window see: tap `t` the channels from `values[places[t]]` on.
pub(super) struct Seen<'a> {
    pub(super) values: &'a [i8],
    pub(super) places: &'a Places,
}

/// Where each tap is, relative to the first. A tap without weights is where the first one is.
pub(super) struct Places {
    pub(super) places: [usize; TAPS],
    /// The largest.
    farthest: usize,
}

impl Places {
    fn new(window: &ImageWindow, row: usize, column: usize) -> Self {
        let filter_w = nonzero(window.columns().filter());
        let mut places = [0; TAPS];
        let taps = window.rows().filter() * filter_w;
        for (tap, place) in places.iter_mut().enumerate().take(taps) {
            *place = tap / filter_w * row + tap % filter_w * column;
        }
        let farthest = places.iter().copied().max().unwrap_or_default();
        Self { places, farthest }
    }
}

impl Seen<'_> {
    /// Whether so many channels are there at each place.
    #[inline]
    pub(super) fn has(&self, count: usize) -> bool {
        self.values.len() >= self.places.farthest + count
    }
}

/// Some channels of a layer with as many outputs as inputs.
pub(super) struct View<'a> {
    pub(super) window: &'a ImageWindow,
    /// What a tap outside of the image sees.
    pub(super) border: i8,
    pub(super) first: usize,
    pub(super) count: usize,
}

impl View<'_> {
    /// Calls `pixel` with what the window sees at each position, and the outputs of these channels there. `copy` has room
    /// for what a window sees.
    pub(super) fn for_each_pixel(
        &self,
        input: &[i8],
        output: &mut [i8],
        copy: &mut [i8],
        mut pixel: impl FnMut(&Seen<'_>, &mut [i8]),
    ) {
        let window = self.window;
        let (rows, columns) = (window.rows(), window.columns());
        let (filter_h, filter_w) = (rows.filter(), columns.filter());
        let channels = nonzero(window.output_channels());
        let (_, image_len, output_len) = window.images();
        let row = rows.dilation() * columns.input() * channels;
        let inside = Places::new(window, row, columns.dilation() * channels);
        // Windows that reach beyond the image are copied, the border filled in.
        let copied = Places::new(window, filter_w * self.count, self.count);
        let copy_len = filter_h * filter_w * self.count;
        let copy = copy.get_mut(..copy_len).unwrap_or_default();
        let images = input.chunks_exact(nonzero(image_len));
        let outputs = output.chunks_exact_mut(nonzero(output_len));
        for (image, output) in images.zip(outputs) {
            let lines = output.chunks_exact_mut(nonzero(columns.output() * channels));
            for (y, line) in lines.enumerate() {
                let y = rows.taps(y);
                for (x, outputs) in line.chunks_exact_mut(channels).enumerate() {
                    let x = columns.taps(x);
                    let seen = if y.count == filter_h && x.count == filter_w {
                        let first = window.pixel(y.input, x.input) + self.first;
                        Seen {
                            values: image.get(first..).unwrap_or_default(),
                            places: &inside,
                        }
                    } else {
                        self.copy(image, y, x, copy);
                        Seen {
                            values: copy,
                            places: &copied,
                        }
                    };
                    let outputs = outputs.get_mut(self.first..).unwrap_or_default();
                    pixel(&seen, outputs.get_mut(..self.count).unwrap_or_default());
                }
            }
        }
    }

    /// Copies what each tap sees.
    #[inline]
    fn copy(&self, image: &[i8], rows: Taps, columns: Taps, copy: &mut [i8]) {
        copy.fill(self.border);
        let filter_w = self.window.columns().filter();
        for (tap_y, y) in rows.iter() {
            for (tap_x, x) in columns.iter() {
                let from = self.window.pixel(y, x) + self.first;
                let to = (tap_y * filter_w + tap_x) * self.count;
                let place = copy.get_mut(to..to + self.count);
                if let Some((place, values)) = place.zip(image.get(from..from + self.count)) {
                    place.copy_from_slice(values);
                }
            }
        }
    }
}
