//! Simulated data for four tasks, to train on without a download.
//!
//! | task | samples | classes |
//! |---|---|---|
//! | [`light_curves`] | `[1024, 1]` | what a light curve shows, see below |
//! | [`views::candidates`] | `[201, 2]` | transit-like events and junk, folded |
//! | [`galaxy::galaxies`] | `[64, 64, 3]` | elliptical, spiral, edge-on, merger |
//! | [`spectrum::spectra`] | `[1024, 1]` | spectral types O B A F G K M |
//!
//! # Light curves
//!
//! A curve has [`POINTS`] brightness measurements, one every [`CADENCE`] days as the Kepler mission's long cadence took them
//! (29.4244 minutes, 20.9 days in all; Jenkins et al. 2010, ApJ 713, L120). Each is simulated from physics, buried in noise, and
//! normalised: median 0, standard deviation 1, clipped to ±[`CLIP`].
//!
//! | class | what is in it |
//! |---|---|
//! | `noise` | white and red noise alone |
//! | `stellar_signal` | rotation with evolving spots; pulsation with many modes; saw-tooth pulsation; granulation |
//! | `planetary_transit` | transits of a planet across a limb-darkened star |
//! | `eclipsing_binary` | two stars that eclipse each other, with ellipsoidal variation and reflection |
//! | `instrument_artifact` | jumps, thermal recovery, roll drift, momentum-dump spikes, brightenings of the whole field, offsets after gaps |
//! | `unknown_anomaly` | irregular dips, flares, microlensing, outbursts, chirps |
//!
//! Every class has white noise, red noise, gaps filled by a straight line, and outliers, so that none of these gives a class away. The
//! modules' own pages say which parameters are drawn from where: [`background`], [`stellar`], [`transit`], [`binary`], [`artifact`],
//! [`anomaly`].
//!
//! A curve depends on the seed, its class and its number alone: any number of threads gives the same, and so does any number of curves
//! asked for. Mathematical functions come from `libm`, so that processors agree too.
//!
//! ```
//! use larun_data::dataset::Split;
//! use larun_data::simulate::{self, Class};
//!
//! let stars = simulate::light_curves(20, 42);
//! assert_eq!((stars.len(), &stars.sample_shape[..]), (120, &[1024, 1][..]));
//! assert_eq!(stars.class_counts(Split::Test), [3; 6]);
//! assert_eq!(stars.sample(0), simulate::light_curve(Class::Noise, 42, 0));
//! ```

pub mod anomaly;
pub mod artifact;
pub mod background;
pub mod binary;
pub mod disc;
pub mod galaxy;
mod random;
pub mod spectrum;
pub mod stellar;
pub mod transit;
pub mod views;

use rayon::prelude::*;

use crate::dataset::{Dataset, stratified_split};
use random::Random;

/// Measurements in a light curve.
pub const POINTS: usize = 1024;
/// Days from one measurement to the next, which is also how long each lasts.
pub const CADENCE: f64 = 29.4244 / 1440.0;
/// Days that a light curve spans.
pub const SPAN: f64 = POINTS as f64 * CADENCE;
/// The most that a normalised measurement is from the median, in standard deviations.
pub const CLIP: f64 = 8.0;

/// What a light curve shows. The numbers are the labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Nothing but noise.
    Noise = 0,
    /// The star itself varies.
    StellarSignal = 1,
    /// A planet crosses the star.
    PlanetaryTransit = 2,
    /// Two stars eclipse each other.
    EclipsingBinary = 3,
    /// The instrument varies.
    InstrumentArtifact = 4,
    /// Something else.
    UnknownAnomaly = 5,
}

impl Class {
    /// Every class, in the order of the labels.
    pub const ALL: [Self; 6] = [
        Self::Noise,
        Self::StellarSignal,
        Self::PlanetaryTransit,
        Self::EclipsingBinary,
        Self::InstrumentArtifact,
        Self::UnknownAnomaly,
    ];

    /// The class's name in a dataset.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::StellarSignal => "stellar_signal",
            Self::PlanetaryTransit => "planetary_transit",
            Self::EclipsingBinary => "eclipsing_binary",
            Self::InstrumentArtifact => "instrument_artifact",
            Self::UnknownAnomaly => "unknown_anomaly",
        }
    }
}

/// A curve before noise is added.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Signal {
    /// How far each measurement is from the quiet star, in any unit.
    pub(crate) flux: Vec<f64>,
    /// The standard deviation of the white noise to add, in the same unit.
    pub(crate) sigma: f64,
}

impl Signal {
    /// A signal of which `amplitude` (a depth, a height, a standard deviation) is to be `ratio` times the noise.
    pub(crate) fn with_ratio(flux: Vec<f64>, amplitude: f64, ratio: f64) -> Self {
        Self {
            flux,
            sigma: amplitude / ratio,
        }
    }
}

/// Light curves of all six classes, `samples_per_class` of each, class after class: samples of shape `[1024, 1]`.
///
/// They are split 70, 15 and 15 per cent as [`stratified_split`] does; from three a class on, no split is empty.
#[must_use]
pub fn light_curves(samples_per_class: usize, seed: u64) -> Dataset {
    let name = format!("simulated light curves, seed {seed}");
    let names = Class::ALL.map(Class::name);
    dataset(
        name,
        vec![POINTS, 1],
        &names,
        samples_per_class,
        seed,
        |class, index| {
            let class = Class::ALL.get(class as usize);
            light_curve(class.copied().unwrap_or(Class::Noise), seed, index)
        },
    )
}

/// Samples of every class, made in parallel and split as [`stratified_split`] does.
fn dataset(
    name: String,
    sample_shape: Vec<usize>,
    class_names: &[&str],
    samples_per_class: usize,
    seed: u64,
    sample: impl Fn(u32, u64) -> Vec<f32> + Sync,
) -> Dataset {
    let classes = 0..class_names.len() as u32;
    let each = |class: u32| (0..samples_per_class as u64).map(move |index| (class, index));
    let wanted: Vec<(u32, u64)> = classes.flat_map(each).collect();
    let samples: Vec<_> = wanted
        .par_iter()
        .map(|&(class, index)| sample(class, index))
        .collect();
    let y: Vec<u32> = wanted.iter().map(|&(class, _)| class).collect();
    Dataset {
        x: samples.concat(),
        sample_shape,
        split: stratified_split(&y, seed),
        y,
        soft_labels: Vec::new(),
        class_names: class_names.iter().map(|&name| name.to_owned()).collect(),
        name,
    }
}

/// The normalised light curve number `index` of a class.
#[must_use]
pub fn light_curve(class: Class, seed: u64, index: u64) -> Vec<f32> {
    let mut random = Random::new(seed, class as u64, index);
    let signal = match class {
        Class::Noise => Signal {
            flux: vec![0.0; POINTS],
            sigma: 1.0,
        },
        Class::StellarSignal => stellar::signal(&mut random),
        Class::PlanetaryTransit => transit::signal(&mut random),
        Class::EclipsingBinary => binary::signal(&mut random),
        Class::InstrumentArtifact => artifact::signal(&mut random),
        Class::UnknownAnomaly => anomaly::signal(&mut random),
    };
    normalise(&background::observe(signal, &mut random))
}

/// Median 0, standard deviation 1, clipped.
fn normalise(flux: &[f64]) -> Vec<f32> {
    let middle = median(flux);
    let deviation = standard_deviation(flux).max(f64::MIN_POSITIVE);
    flux.iter()
        .map(|value| ((value - middle) / deviation).clamp(-CLIP, CLIP) as f32)
        .collect()
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match (sorted.get(half.wrapping_sub(1)), sorted.get(half)) {
        (Some(below), Some(above)) if sorted.len().is_multiple_of(2) => (below + above) / 2.0,
        (_, Some(middle)) => *middle,
        _ => 0.0,
    }
}

pub(crate) fn standard_deviation(values: &[f64]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values
        .iter()
        .map(|value| (value - mean) * (value - mean))
        .sum();
    libm::sqrt(squares / count)
}

/// The mean of `brightness` (a function of time in days) over each exposure, sampled at `samples` instants of it.
pub(crate) fn expose(samples: usize, brightness: impl Fn(f64) -> f64) -> Vec<f64> {
    let instant = |point: usize, sample: usize| {
        (point as f64 + (sample as f64 + 0.5) / samples as f64) * CADENCE
    };
    let mean = |point| {
        (0..samples)
            .map(|sample| brightness(instant(point, sample)))
            .sum::<f64>()
            / samples as f64
    };
    (0..POINTS).map(mean).collect()
}
