//! Images of galaxies: cut out, resized, stretched.
//!
//! ```
//! use larun_data::image::Picture;
//!
//! // A bright pixel in the middle of 6 by 6.
//! let mut picture = Picture::new(6, 6, 1, vec![0.0; 36])?;
//! picture.values[14] = 100.0;
//! let small = picture.cut_out(4).resize(2).stretch(5.0);
//! assert_eq!((small.height, small.width), (2, 2));
//! assert!(small.values[0] == 1.0 && small.values[3] == 0.0);
//! # Ok::<(), larun_data::clean::CleanError>(())
//! ```

use crate::clean::{CleanError, median, rebin};
use crate::fits::Image;

/// An image `[height, width, channels]`, the channels of a pixel together, rows from the top of the array on.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Values a pixel.
    pub channels: usize,
    /// The values, rows one after another.
    pub values: Vec<f32>,
}

impl Picture {
    /// An image of these values.
    ///
    /// # Errors
    /// [`CleanError::Lengths`] where there are not `height * width * channels`, or none.
    pub fn new(
        height: usize,
        width: usize,
        channels: usize,
        values: Vec<f32>,
    ) -> Result<Self, CleanError> {
        let wanted = height
            .checked_mul(width)
            .and_then(|pixels| pixels.checked_mul(channels));
        if wanted != Some(values.len()) || values.is_empty() {
            return Err(CleanError::Lengths {
                times: wanted.unwrap_or(usize::MAX),
                values: values.len(),
            });
        }
        Ok(Self {
            height,
            width,
            channels,
            values,
        })
    }

    /// An image of two axes, or of three with up to four planes, from a FITS file; blank pixels become the median of the rest. `None` for
    /// other axes, or where every pixel is blank.
    #[must_use]
    pub fn from_fits(image: &Image) -> Option<Self> {
        let (width, height, channels) = match image.axes[..] {
            [width, height] => (width, height, 1),
            [width, height, planes @ 1..=4] => (width, height, planes),
            _ => return None,
        };
        let finite = image.values.iter().filter(|value| value.is_finite());
        let finite: Vec<f64> = finite.map(|&value| f64::from(value)).collect();
        if finite.is_empty() {
            return None;
        }
        let blank = median(&finite) as f32;
        let pixels = width.checked_mul(height)?;
        // Planes one after another, to channels of a pixel together.
        let value = |index: usize| {
            let (pixel, channel) = (index / channels, index % channels);
            match image.values.get(channel * pixels + pixel) {
                Some(&value) if value.is_finite() => value,
                _ => blank,
            }
        };
        let count = pixels.checked_mul(channels)?;
        if count != image.values.len() {
            return None;
        }
        Self::new(height, width, channels, (0..count).map(value).collect()).ok()
    }

    /// The middle `size` by `size` pixels; as many as there are where the image is smaller.
    #[must_use]
    pub fn cut_out(&self, size: usize) -> Self {
        let (height, width) = (size.clamp(1, self.height), size.clamp(1, self.width));
        let (top, left) = ((self.height - height) / 2, (self.width - width) / 2);
        let rows = self.values.chunks_exact(self.width * self.channels);
        let part = left * self.channels..(left + width) * self.channels;
        let cut = rows
            .skip(top)
            .take(height)
            .filter_map(|row| row.get(part.clone()));
        Self {
            height,
            width,
            channels: self.channels,
            values: cut.flatten().copied().collect(),
        }
    }

    /// The image at `size` by `size` pixels, each the mean of what it covers.
    #[must_use]
    pub fn resize(&self, size: usize) -> Self {
        let size = size.max(1);
        let at = |y: usize, x: usize, c: usize| {
            let index = (y * self.width + x) * self.channels + c;
            f64::from(self.values.get(index).copied().unwrap_or(0.0))
        };
        let mut values = vec![0.0; size * size * self.channels];
        for channel in 0..self.channels {
            // Rows first, then columns.
            let mut narrow = Vec::with_capacity(self.height);
            for y in 0..self.height {
                let row: Vec<f64> = (0..self.width).map(|x| at(y, x, channel)).collect();
                narrow.push(rebin(&row, size));
            }
            for x in 0..size {
                let column: Vec<f64> = narrow
                    .iter()
                    .map(|row| row.get(x).copied().unwrap_or(0.0))
                    .collect();
                for (y, value) in rebin(&column, size).into_iter().enumerate() {
                    let index = (y * size + x) * self.channels + channel;
                    if let Some(place) = values.get_mut(index) {
                        *place = value as f32;
                    }
                }
            }
        }
        Self {
            height: size,
            width: size,
            channels: self.channels,
            values,
        }
    }

    /// Brightness as the eye and the network like it: `asinh(softening * x) / asinh(softening)`, with x 0 at the median, which is the sky,
    /// and 1 at the brightest pixel of all channels (Lupton et al. 2004, PASP 116, 133); clipped to [0, 1].
    #[must_use]
    pub fn stretch(&self, softening: f64) -> Self {
        let values: Vec<f64> = self.values.iter().map(|&value| f64::from(value)).collect();
        let sky = median(&values);
        let brightest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let softening = softening.max(1e-6);
        let full = libm::asinh(softening);
        let span = brightest - sky;
        let stretched = |value: f64| {
            let share = if span > 0.0 {
                (value - sky) / span
            } else {
                0.0
            };
            (libm::asinh(softening * share) / full).clamp(0.0, 1.0) as f32
        };
        Self {
            values: values.into_iter().map(stretched).collect(),
            ..*self
        }
    }
}
