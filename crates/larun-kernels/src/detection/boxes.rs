//! Boxes: from what a network says of them to their corners, and how far two overlap.

/// A box by its edges.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Corners {
    pub(super) y_min: f32,
    pub(super) x_min: f32,
    pub(super) y_max: f32,
    pub(super) x_max: f32,
}

impl Corners {
    /// From `[y_min, x_min, y_max, x_max]`.
    pub(super) const fn from_array([y_min, x_min, y_max, x_max]: [f32; 4]) -> Self {
        Self {
            y_min,
            x_min,
            y_max,
            x_max,
        }
    }

    pub(super) const fn to_array(self) -> [f32; 4] {
        [self.y_min, self.x_min, self.y_max, self.x_max]
    }

    /// The box at an anchor, both given as `[y, x, height, width]`: a centre that counts in sizes of the anchor, and
    /// logarithms of sizes. Computed in double precision, as TFLM does.
    pub(super) fn decode(encoded: [f32; 4], anchor: [f32; 4], scales: [f32; 4]) -> Self {
        let [y, x, h, w] = [0, 1, 2, 3].map(|i| f64::from(encoded[i]) / f64::from(scales[i]));
        let [anchor_y, anchor_x, anchor_h, anchor_w] = anchor.map(f64::from);
        let (y, x) = (
            (y * anchor_h + anchor_y) as f32,
            (x * anchor_w + anchor_x) as f32,
        );
        let half_h = (0.5 * libm::exp(h) * anchor_h) as f32;
        let half_w = (0.5 * libm::exp(w) * anchor_w) as f32;
        Self {
            y_min: y - half_h,
            x_min: x - half_w,
            y_max: y + half_h,
            x_max: x + half_w,
        }
    }

    /// Whether the edges are in disorder.
    pub(super) fn is_empty(&self) -> bool {
        self.y_min >= self.y_max || self.x_min >= self.x_max
    }

    fn area(&self) -> f32 {
        (self.y_max - self.y_min) * (self.x_max - self.x_min)
    }

    /// The area that two boxes share over the area that they cover.
    pub(super) fn overlap(&self, other: &Self) -> f32 {
        let (area, of_other) = (self.area(), other.area());
        if area <= 0.0 || of_other <= 0.0 {
            return 0.0;
        }
        let shared = Self {
            y_min: self.y_min.max(other.y_min),
            x_min: self.x_min.max(other.x_min),
            y_max: self.y_max.min(other.y_max),
            x_max: self.x_max.min(other.x_max),
        };
        let height = (shared.y_max - shared.y_min).max(0.0);
        let intersection = height * (shared.x_max - shared.x_min).max(0.0);
        intersection / (area + of_other - intersection)
    }
}
