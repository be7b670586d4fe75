//! Changes of a whole dataset: classes merged, values scaled, samples stacked.

use super::Dataset;
use crate::DataError;
use crate::npy::NpyArray;

impl Dataset {
    /// Gives the samples of class `from` to class `into`, and renumbers the classes behind it.
    ///
    /// # Errors
    /// [`DataError::Usage`] where there is no such class, the two are one, or less than two would be left.
    pub fn merge_classes(&mut self, from: &str, into: &str) -> Result<(), DataError> {
        let (from, into) = (self.class(from)?, self.class(into)?);
        if from == into || self.class_names.len() < 3 {
            return Err(DataError::Usage(format!(
                "{}: merging {:?} leaves fewer than two classes",
                self.name, self.class_names
            )));
        }
        for label in &mut self.y {
            if *label as usize == from {
                *label = into as u32;
            }
            if *label as usize > from {
                *label -= 1;
            }
        }
        let merge = |row: &[f32]| -> Vec<f32> {
            let share = |class: usize| row.get(class).copied().unwrap_or(0.0);
            let kept = (0..row.len()).filter(|&class| class != from);
            kept.map(|class| match class == into {
                true => share(class) + share(from),
                false => share(class),
            })
            .collect()
        };
        let rows = self.soft_labels.chunks(self.class_names.len());
        self.soft_labels = rows.flat_map(merge).collect();
        self.class_names.remove(from);
        Ok(())
    }

    /// Takes `[N, classes]` shares of the classes as soft labels.
    ///
    /// # Errors
    /// [`DataError::Usage`] where they are of another shape or type, or a row does not sum to 1.
    pub fn set_soft_labels(&mut self, shares: &NpyArray) -> Result<(), DataError> {
        let shape = [self.len(), self.class_names.len()];
        let shares = super::load::shares("soft labels", shares, shape);
        self.soft_labels =
            shares.map_err(|fault| DataError::Usage(format!("{}: {fault}", self.name)))?;
        Ok(())
    }

    /// The index of a class.
    fn class(&self, name: &str) -> Result<usize, DataError> {
        let position = self.class_names.iter().position(|class| class == name);
        position.ok_or_else(|| {
            DataError::Usage(format!(
                "{}: there is no class {name:?}: there are {}",
                self.name,
                self.class_names.join(", ")
            ))
        })
    }

    /// Replaces every value `x` by `(x - offset) * scale`, limited to `limits` from lowest to highest.
    pub fn rescale(&mut self, offset: f32, scale: f32, limits: [f32; 2]) {
        for value in &mut self.x {
            // Not `clamp`, which panics where the limits are the wrong way round.
            *value = ((*value - offset) * scale).max(limits[0]).min(limits[1]);
        }
    }

    /// Puts signals side by side as channels: samples `[W]` or `[W, C]` of several datasets with the same labels, shorter ones stretched
    /// to the longest by straight lines between their points. Labels, names and splits are the first one's.
    ///
    /// # Errors
    /// [`DataError::Usage`] where samples are no signals, or differ in number.
    pub fn stack(parts: Vec<Self>) -> Result<Self, DataError> {
        let usage = |message: String| Err(DataError::Usage(message));
        let mut shapes = Vec::new();
        for part in &parts {
            match part.sample_shape[..] {
                [points] => shapes.push((points, 1)),
                [points, channels] => shapes.push((points, channels)),
                _ => {
                    return usage(format!(
                        "{}: samples of shape {:?} are no signals [W] or [W, C] to stack",
                        part.name, part.sample_shape
                    ));
                }
            }
        }
        let points = shapes.iter().map(|shape| shape.0).max().unwrap_or(0);
        let channels: usize = shapes.iter().map(|shape| shape.1).sum();
        let Some(first) = parts.first() else {
            return usage("there is nothing to stack".to_owned());
        };
        let count = first.len();
        if let Some(other) = parts.iter().find(|part| part.len() != count) {
            return usage(format!(
                "{}: {} samples do not stack on {count}",
                other.name,
                other.len()
            ));
        }
        let mut x = Vec::with_capacity(count.saturating_mul(points).saturating_mul(channels));
        for index in 0..count {
            for point in 0..points {
                for (part, &(own, channels)) in parts.iter().zip(&shapes) {
                    let sample = part.sample(index);
                    x.extend(
                        (0..channels).map(|c| between(sample, own, channels, c, point, points)),
                    );
                }
            }
        }
        let mut parts = parts.into_iter();
        let first = parts.next().unwrap_or_default();
        Ok(Self {
            x,
            sample_shape: vec![points, channels],
            ..first
        })
    }
}

/// The value of a signal of `own` points at `point` of `points`, ends on ends.
fn between(
    sample: &[f32],
    own: usize,
    channels: usize,
    channel: usize,
    point: usize,
    points: usize,
) -> f32 {
    let at = |i: usize| sample.get(i * channels + channel).copied().unwrap_or(0.0);
    if own == points || points < 2 {
        return at(point.min(own.saturating_sub(1)));
    }
    let place = point as f64 * own.saturating_sub(1) as f64 / (points - 1) as f64;
    let (below, share) = (place as usize, (place - libm::floor(place)) as f32);
    let above = (below + 1).min(own.saturating_sub(1));
    at(below) + (at(above) - at(below)) * share
}
