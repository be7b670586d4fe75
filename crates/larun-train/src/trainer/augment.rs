//! Random changes of training samples that leave their class as it is.

mod resample;

use core::fmt;
use core::str::FromStr;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::data::TrainingData;
use resample::Placing;

/// Which changes a training sample undergoes, drawn anew in every epoch. Validation and test samples stay as they are.
///
/// A series `[W, C]` is an image of one row. As text, changes stand with commas between them, with an amount where one is
/// needed:
///
/// ```
/// use larun_train::Augmentation;
///
/// let galaxies: Augmentation = "reverse,flip,rotate,shift=4,zoom=0.1".parse()?;
/// assert_eq!(galaxies.shift, 4);
/// assert_eq!(galaxies.to_string(), "reverse,flip,rotate,shift=4,zoom=0.1");
/// assert_eq!("none".parse::<Augmentation>()?, Augmentation::default());
/// assert!("spin".parse::<Augmentation>().is_err());
/// # Ok::<(), larun_train::AugmentationError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Augmentation {
    /// Rotates a series along its points by a random number of them, what leaves at the end coming back at the beginning: where
    /// it starts says nothing, as in a light curve that is folded or that begins whenever the telescope looked.
    pub roll: bool,
    /// Reverses half of all series, or mirrors half of all images left to right: for shapes that are the same forwards and
    /// backwards.
    pub reverse: bool,
    /// Turns half of all images upside down.
    pub flip: bool,
    /// Turns images around their centre by any angle: for what has no up and down, such as galaxies.
    pub rotate: bool,
    /// Moves by up to so many points along each axis; the values at the border go on beyond it.
    pub shift: u32,
    /// Magnifies by a factor of `1 - zoom` to `1 + zoom`; at most 0.9.
    pub zoom: f32,
    /// Mixes a sample with another one of its class, drawn at random, of which it takes a share of up to this: what lies between two
    /// examples of a class is one too, as a spectral subtype lies between its neighbours. At most 1.
    pub blend: f32,
    /// Multiplies all values by a factor of `1 - scale` to `1 + scale`.
    pub scale: f32,
    /// Adds normally distributed noise of a deviation between 0 and this, the same for all values of a sample.
    pub noise: f32,
}

/// What a text says of augmentation that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AugmentationError {
    /// A change of that name is not known.
    #[error(
        "no change is called {0:?}: there are none, roll, reverse, flip, rotate, shift=POINTS, zoom=SHARE, blend=SHARE, scale=SHARE and noise=DEVIATION"
    )]
    Unknown(String),
    /// An amount is missing, out of range, or given where none belongs.
    #[error("{change}: {problem}")]
    Amount {
        /// The change.
        change: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// The shape of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) channels: usize,
}

impl Extent {
    /// Of an input tensor with the batch in front: the last axis is that of channels, the one before it that of points or columns.
    pub(super) fn of(shape: &[usize]) -> Self {
        let sample = shape.get(1..).unwrap_or(&[]);
        let (channels, sides) = sample.split_last().unwrap_or((&1, &[]));
        let (columns, rows) = sides.split_last().unwrap_or((&1, &[]));
        Self {
            rows: rows.iter().product(),
            columns: *columns,
            channels: *channels,
        }
    }
}

/// Samples that are looked at for one of the same class.
const MOST_DRAWS: usize = 256;

/// Separates these random numbers from those of the order of samples.
const STREAMS: u64 = 1 << 63;

impl Augmentation {
    /// Whether samples stay as they are.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Changes the values of `sample`: a function of the arguments alone, so that a training can be taken up anywhere.
    pub(super) fn apply(
        self,
        seed: u64,
        epoch: usize,
        sample: usize,
        extent: Extent,
        data: &TrainingData<'_>,
        values: &mut [f32],
    ) {
        if self.is_none() || values.is_empty() {
            return;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(STREAMS | (epoch as u64) << 32 | sample as u64);
        let (roll, mirror) = (rng.next_u64(), rng.next_u64());
        if self.blend > 0.0 {
            self.mix(&mut rng, data, sample, values);
        }
        let row = extent.columns * extent.channels;
        if self.roll {
            // The high half of the product: a number in `0..columns`.
            let by = ((u128::from(roll) * extent.columns as u128) >> 64) as usize;
            let rows = values.chunks_exact_mut(row);
            rows.for_each(|row| row.rotate_right(by * extent.channels));
        }
        if self.reverse && mirror & 1 == 1 {
            let rows = values.chunks_exact_mut(row);
            rows.for_each(|row| reverse(row, extent.channels));
        }
        if self.flip && mirror & 2 == 2 {
            reverse(values, row);
        }
        if let Some(placing) = self.placing(&mut rng) {
            resample::resample(values, extent, placing);
        }
        self.change_values(&mut rng, values);
    }

    /// Mixes in another sample of the class.
    fn mix(self, rng: &mut ChaCha8Rng, data: &TrainingData<'_>, sample: usize, values: &mut [f32]) {
        if data.train.is_empty() {
            return;
        }
        let share = self.blend * rng.random::<f32>();
        // A rare class may not be met: its samples stay as they are then.
        for _ in 0..MOST_DRAWS {
            let other = data.train.get(rng.random_range(0..data.train.len()));
            let Some(&other) = other.filter(|&&other| data.y.get(other) == data.y.get(sample))
            else {
                continue;
            };
            for (value, &its) in values.iter_mut().zip(data.sample(other)) {
                *value += share * (its - *value);
            }
            return;
        }
    }

    /// Where the sample lies, drawn at random; `None` where it stays.
    fn placing(self, rng: &mut ChaCha8Rng) -> Option<Placing> {
        let still = !self.rotate && self.shift == 0 && self.zoom == 0.0;
        if still {
            return None;
        }
        let turn = if self.rotate {
            core::f32::consts::TAU
        } else {
            0.0
        };
        let shift = i64::from(self.shift);
        let mut moved = || rng.random_range(-shift..=shift) as f32;
        let moved = [moved(), moved()];
        Some(Placing {
            angle: turn * rng.random::<f32>(),
            zoom: 1.0 + self.zoom * rng.random_range(-1.0..=1.0),
            moved,
        })
    }

    fn change_values(self, rng: &mut ChaCha8Rng, values: &mut [f32]) {
        if self.scale > 0.0 {
            let factor = 1.0 + self.scale * rng.random_range(-1.0..=1.0);
            values.iter_mut().for_each(|value| *value *= factor);
        }
        if self.noise > 0.0 {
            let deviation = self.noise * rng.random::<f32>();
            for value in values {
                *value += deviation * rng.sample::<f32, _>(StandardNormal);
            }
        }
    }

    /// Checks the amounts.
    pub(super) fn check(self) -> Result<(), &'static str> {
        if !(0.0..=0.9).contains(&self.zoom) {
            return Err(ZOOM);
        }
        if !(0.0..=1.0).contains(&self.blend) {
            return Err(BLEND);
        }
        let amounts = [self.scale, self.noise];
        if !amounts.iter().all(|x| *x >= 0.0 && x.is_finite()) {
            return Err(AMOUNT);
        }
        Ok(())
    }
}

const ZOOM: &str = "zoom takes a share from 0 to 0.9";
const BLEND: &str = "blend takes a share from 0 to 1";
const AMOUNT: &str = "scale and noise take finite amounts of 0 or more";

/// Reverses the order of groups of `size` values, each keeping its own order.
fn reverse(values: &mut [f32], size: usize) {
    values.reverse();
    values.chunks_exact_mut(size).for_each(<[f32]>::reverse);
}

impl FromStr for Augmentation {
    type Err = AugmentationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::default();
        for change in text.split(',').map(str::trim) {
            let (name, amount) = match change.split_once('=') {
                Some((name, amount)) => (name, Some(amount)),
                None => (change, None),
            };
            match name {
                "none" => (),
                "roll" => all.roll = true,
                "reverse" => all.reverse = true,
                "flip" => all.flip = true,
                "rotate" => all.rotate = true,
                "shift" => all.shift = number(change, amount)?,
                "zoom" => all.zoom = number(change, amount)?,
                "blend" => all.blend = number(change, amount)?,
                "scale" => all.scale = number(change, amount)?,
                "noise" => all.noise = number(change, amount)?,
                _ => return Err(AugmentationError::Unknown(change.to_owned())),
            }
            let plain = ["none", "roll", "reverse", "flip", "rotate"].contains(&name);
            if plain && amount.is_some() {
                return Err(wrong(change, "takes no amount"));
            }
        }
        all.check().map_err(|problem| wrong(text, problem))?;
        Ok(all)
    }
}

fn wrong(change: &str, problem: &'static str) -> AugmentationError {
    AugmentationError::Amount {
        change: change.to_owned(),
        problem,
    }
}

fn number<T: FromStr>(change: &str, amount: Option<&str>) -> Result<T, AugmentationError> {
    let amount = amount.ok_or_else(|| wrong(change, "needs an amount, such as shift=4"))?;
    let number = amount.trim().parse();
    number.map_err(|_| wrong(change, "the amount is not a number that it takes"))
}

impl fmt::Display for Augmentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("none");
        }
        let mut separator = "";
        let mut item = |f: &mut fmt::Formatter<'_>, shown: bool, text: fmt::Arguments<'_>| {
            if !shown {
                return Ok(());
            }
            f.write_str(core::mem::replace(&mut separator, ","))?;
            f.write_fmt(text)
        };
        item(f, self.roll, format_args!("roll"))?;
        item(f, self.reverse, format_args!("reverse"))?;
        item(f, self.flip, format_args!("flip"))?;
        item(f, self.rotate, format_args!("rotate"))?;
        item(f, self.shift > 0, format_args!("shift={}", self.shift))?;
        item(f, self.zoom > 0.0, format_args!("zoom={}", self.zoom))?;
        item(f, self.blend > 0.0, format_args!("blend={}", self.blend))?;
        item(f, self.scale > 0.0, format_args!("scale={}", self.scale))?;
        item(f, self.noise > 0.0, format_args!("noise={}", self.noise))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::data::TrainingData;
    use super::{Augmentation, Extent};

    const BOTH: Augmentation = Augmentation {
        roll: true,
        reverse: true,
        flip: false,
        rotate: false,
        shift: 0,
        zoom: 0.0,
        blend: 0.0,
        scale: 0.0,
        noise: 0.0,
    };

    const NONE: TrainingData<'_> = TrainingData {
        x: &[],
        sample_len: 0,
        y: &[],
        soft_labels: None,
        targets: None,
        train: &[],
        validation: &[],
    };

    const SERIES: Extent = Extent {
        rows: 1,
        columns: 20,
        channels: 2,
    };

    fn changed(augmentation: Augmentation, seed: u64, epoch: usize, sample: usize) -> Vec<f32> {
        // Points of two channels: the second is the negative of the first.
        let mut values: Vec<f32> = (0..20).flat_map(|i| [i as f32, -(i as f32)]).collect();
        augmentation.apply(seed, epoch, sample, SERIES, &NONE, &mut values);
        values
    }

    #[test]
    fn points_keep_their_channels_and_neighbours() {
        for sample in 0..50 {
            let values = changed(BOTH, 3, 1, sample);
            let points: Vec<_> = values.chunks(2).map(|point| point[0]).collect();
            assert!(values.chunks(2).all(|point| point[0] == -point[1]));
            let step = (points[1] - points[0] + 20.0) % 20.0;
            assert!(step == 1.0 || step == 19.0, "{points:?}");
            for pair in points.windows(2) {
                assert_eq!((pair[1] - pair[0] + 20.0) % 20.0, step);
            }
        }
    }

    #[test]
    fn a_change_depends_on_seed_epoch_and_sample_alone() {
        assert_eq!(changed(BOTH, 1, 2, 3), changed(BOTH, 1, 2, 3));
        let differ = |other: Vec<Vec<f32>>| other.iter().any(|o| *o != changed(BOTH, 1, 2, 3));
        assert!(differ(
            (10..20).map(|seed| changed(BOTH, seed, 2, 3)).collect()
        ));
        assert!(differ(
            (10..20).map(|epoch| changed(BOTH, 1, epoch, 3)).collect()
        ));
        assert!(differ(
            (10..20).map(|sample| changed(BOTH, 1, 2, sample)).collect()
        ));
        assert_eq!(
            changed(Augmentation::default(), 1, 2, 3)[..4],
            [0.0, -0.0, 1.0, -1.0]
        );
    }

    /// An image of 8 by 8 pixels and one channel with the number of each pixel.
    fn image(changes: &str, sample: usize) -> Vec<f32> {
        let extent = Extent {
            rows: 8,
            columns: 8,
            channels: 1,
        };
        let mut values: Vec<f32> = (0..64u8).map(f32::from).collect();
        let changes: Augmentation = changes.parse().expect("changes");
        changes.apply(5, 0, sample, extent, &NONE, &mut values);
        values
    }

    #[test]
    fn images_are_mirrored_along_both_axes() {
        let corners = |values: &[f32]| [values[0], values[7], values[56], values[63]];
        let mut seen = Vec::new();
        for sample in 0..40 {
            seen.push(corners(&image("reverse,flip", sample)).map(|x| x as u8));
        }
        seen.sort_unstable();
        seen.dedup();
        let all = [
            [0, 7, 56, 63],
            [7, 0, 63, 56],
            [56, 63, 0, 7],
            [63, 56, 7, 0],
        ];
        assert_eq!(seen, all);
    }

    #[test]
    fn a_shift_moves_whole_pixels_and_keeps_the_border() {
        for sample in 0..20 {
            let values = image("shift=2", sample);
            assert!(values.iter().all(|x| x.fract() == 0.0));
            // The middle is still a window of the image: one to the right is one more, one below eight more.
            assert_eq!(values[3 * 8 + 4] - values[3 * 8 + 3], 1.0);
            assert_eq!(values[4 * 8 + 3] - values[3 * 8 + 3], 8.0);
        }
        assert!((0..20).any(|sample| image("shift=2", sample) != image("none", sample)));
    }

    #[test]
    fn noise_and_scale_leave_the_mean_about_where_it_was() {
        let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
        let (plain, changed) = (image("none", 1), image("scale=0.1,noise=0.5", 1));
        assert_ne!(plain, changed);
        assert!((mean(&changed) / mean(&plain) - 1.0).abs() < 0.15);
    }

    #[test]
    fn wrong_amounts_are_refused() {
        for text in [
            "zoom",
            "zoom=2",
            "shift=-1",
            "shift=x",
            "noise=nan",
            "roll=3",
            "",
        ] {
            assert!(text.parse::<Augmentation>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_changes_say_the_same(
            flags in any::<[bool; 4]>(),
            shift in 0u32..9,
            amounts in [0.0f32..0.9, 0.0f32..2.0, 0.0f32..2.0],
            blend in 0.0f32..1.0,
        ) {
            let changes = Augmentation {
                roll: flags[0],
                reverse: flags[1],
                flip: flags[2],
                rotate: flags[3],
                shift,
                zoom: amounts[0],
                blend,
                scale: amounts[1],
                noise: amounts[2],
            };
            prop_assert_eq!(changes.to_string().parse(), Ok(changes));
        }

        /// What is drawn from between the values of an image lies between them.
        #[test]
        fn turned_images_make_up_no_values(sample in 0usize..1000) {
            let values = image("rotate,zoom=0.3,shift=3", sample);
            prop_assert!(values.iter().all(|x| (0.0..=63.0).contains(x)));
        }
    }
}
