//! Turned, magnified and moved images, by linear interpolation between pixels.

use super::Extent;

/// How a sample is laid out anew around its centre.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Placing {
    /// Turn, in radians.
    pub(super) angle: f32,
    /// Magnification.
    pub(super) zoom: f32,
    /// Pixels down and to the right.
    pub(super) moved: [f32; 2],
}

/// Replaces the values by those that lie where `placing` looks; beyond the border its values go on.
pub(super) fn resample(values: &mut [f32], extent: Extent, placing: Placing) {
    let before = values.to_vec();
    let Extent {
        rows,
        columns,
        channels,
    } = extent;
    let centre = [half(rows), half(columns)];
    let (sin, cos) = (libm::sinf(placing.angle), libm::cosf(placing.angle));
    let pixels = values.chunks_exact_mut(channels);
    for (index, pixel) in pixels.enumerate() {
        let (row, column) = (index / columns, index % columns);
        let down = row as f32 - centre[0] - placing.moved[0];
        let right = column as f32 - centre[1] - placing.moved[1];
        let y = centre[0] + (cos * down - sin * right) / placing.zoom;
        let x = centre[1] + (sin * down + cos * right) / placing.zoom;
        let (y, x) = (Between::of(y, rows), Between::of(x, columns));
        for (channel, value) in pixel.iter_mut().enumerate() {
            let at = |row: usize, column: usize| {
                let index = (row * columns + column) * channels + channel;
                before.get(index).copied().unwrap_or(0.0)
            };
            let above = x.mix(at(y.low, x.low), at(y.low, x.high));
            let below = x.mix(at(y.high, x.low), at(y.high, x.high));
            *value = y.mix(above, below);
        }
    }
}

/// The middle of an axis.
fn half(side: usize) -> f32 {
    side.saturating_sub(1) as f32 / 2.0
}

/// A place between two neighbours on an axis.
#[derive(Clone, Copy)]
struct Between {
    low: usize,
    high: usize,
    share: f32,
}

impl Between {
    fn of(place: f32, side: usize) -> Self {
        let last = side.saturating_sub(1);
        let place = place.clamp(0.0, last as f32);
        let low = (place as usize).min(last);
        Self {
            low,
            high: (low + 1).min(last),
            share: place - low as f32,
        }
    }

    fn mix(self, low: f32, high: f32) -> f32 {
        low + self.share * (high - low)
    }
}

#[cfg(test)]
mod tests {
    use super::{Extent, Placing, resample};

    const IMAGE: Extent = Extent {
        rows: 3,
        columns: 3,
        channels: 2,
    };

    fn placed(placing: Placing) -> Vec<f32> {
        let mut values: Vec<f32> = (0..9u8)
            .flat_map(|i| [f32::from(i), -f32::from(i)])
            .collect();
        resample(&mut values, IMAGE, placing);
        assert!(values.chunks(2).all(|pixel| pixel[0] == -pixel[1]));
        values.chunks(2).map(|pixel| pixel[0]).collect()
    }

    #[test]
    fn a_quarter_turn_turns() {
        let turned = placed(Placing {
            angle: core::f32::consts::FRAC_PI_2,
            zoom: 1.0,
            moved: [0.0, 0.0],
        });
        let expected = [6.0, 3.0, 0.0, 7.0, 4.0, 1.0, 8.0, 5.0, 2.0];
        let mirrored = [2.0, 5.0, 8.0, 1.0, 4.0, 7.0, 0.0, 3.0, 6.0];
        let near = |to: [f32; 9]| turned.iter().zip(to).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near(expected) || near(mirrored), "{turned:?}");
    }

    #[test]
    fn twice_as_large_keeps_the_centre() {
        let larger = placed(Placing {
            angle: 0.0,
            zoom: 2.0,
            moved: [0.0, 0.0],
        });
        assert_eq!(larger, [2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0]);
    }

    #[test]
    fn one_row_moves_along_itself_alone() {
        let mut values = [1.0, 2.0, 3.0, 4.0];
        let extent = Extent {
            rows: 1,
            columns: 4,
            channels: 1,
        };
        let placing = Placing {
            angle: 0.0,
            zoom: 1.0,
            moved: [5.0, 1.0],
        };
        resample(&mut values, extent, placing);
        assert_eq!(values, [1.0, 1.0, 2.0, 3.0]);
    }
}
