//! Simulated galaxies: colour images of four kinds.
//!
//! An image has 64 by 64 pixels of three bands from red to blue light (i, r, g, as colour images of the Sloan survey have them), blurred
//! by the atmosphere, with noise of the sky and of the light itself, and stretched as [`Picture::stretch`] does.
//!
//! | class | what is in it |
//! |---|---|
//! | `elliptical` | a Sersic profile of index 2 to 6, effective radius 4 to 10 pixels, axis ratio 0.4 to 1 (Sersic 1963; Graham and Driver 2005, PASA 22, 118) |
//! | `spiral` | an exponential disc (scale length 5 to 9 pixels, seen at 0° to 55°), a bulge, two to four logarithmic arms of pitch 10° to 28° (Kennicutt 1981, AJ 86, 1847) that are bluer, and knots of young stars in them |
//! | `edge_on` | a disc from the side: exponential along, sech² across (van der Kruit and Searle 1981, A&A 95, 105), a bulge, in two of three a lane of dust |
//! | `merger` | two galaxies within two effective radii of each other, a bridge and a curved tidal tail (Toomre and Toomre 1972, ApJ 178, 623) |
//!
//! Fainter neighbours stand in any of them. Old stars (bulges, ellipticals) are red, young ones (arms, tails) blue.

use core::f64::consts::{PI, TAU};

use super::random::Random;
use crate::dataset::Dataset;
use crate::image::Picture;

/// Pixels of a side.
pub const SIZE: usize = 64;
/// The classes, in the order of the labels.
pub const CLASSES: [&str; 4] = ["elliptical", "spiral", "edge_on", "merger"];

/// Keeps these random numbers apart from those of light curves.
const STREAM: u64 = 100;

/// The light of old and of young stars in i, r and g.
const OLD: [f64; 3] = [1.0, 0.85, 0.5];
const YOUNG: [f64; 3] = [0.75, 0.85, 1.0];

/// Galaxies of all four classes, `samples_per_class` of each, class after class: samples of shape `[64, 64, 3]`, values 0 to 1.
#[must_use]
pub fn galaxies(samples_per_class: usize, seed: u64) -> Dataset {
    let name = format!("simulated galaxies, seed {seed}");
    let shape = vec![SIZE, SIZE, 3];
    super::dataset(
        name,
        shape,
        &CLASSES,
        samples_per_class,
        seed,
        |class, index| galaxy(class, seed, index),
    )
}

/// The image number `index` of a class, by its label; a label beyond the last is taken for the last.
#[must_use]
pub fn galaxy(class: u32, seed: u64, index: u64) -> Vec<f32> {
    let mut random = Random::new(seed, STREAM + u64::from(class), index);
    let mut sky = Sky::new();
    match class {
        0 => elliptical(&mut sky, &mut random, Place::centre(), 1.0),
        1 => spiral(&mut sky, &mut random),
        2 => edge_on(&mut sky, &mut random),
        _ => merger(&mut sky, &mut random),
    }
    for _ in 0..random.poisson(0.6) {
        let place = Place {
            x: random.uniform(-28.0, 28.0),
            y: random.uniform(-28.0, 28.0),
        };
        let light = random.uniform(0.02, 0.15);
        compact(&mut sky, &mut random, place, light);
    }
    sky.observe(&mut random)
}

/// A position in pixels from the middle.
#[derive(Clone, Copy)]
struct Place {
    x: f64,
    y: f64,
}

impl Place {
    const fn centre() -> Self {
        Self { x: 0.0, y: 0.0 }
    }
}

/// Brightness of each pixel and band.
struct Sky {
    bands: [Vec<f64>; 3],
}

impl Sky {
    fn new() -> Self {
        Self {
            bands: [(); 3].map(|()| vec![0.0; SIZE * SIZE]),
        }
    }

    /// Adds a surface brightness, a function of the position along and across an axis at `angle` through `place`.
    fn add(
        &mut self,
        place: Place,
        angle: f64,
        colour: [f64; 3],
        brightness: impl Fn(f64, f64) -> f64,
    ) {
        let (sine, cosine) = (libm::sin(angle), libm::cos(angle));
        for pixel in 0..SIZE * SIZE {
            let half = (SIZE as f64 - 1.0) / 2.0;
            let x = (pixel % SIZE) as f64 - half - place.x;
            let y = (pixel / SIZE) as f64 - half - place.y;
            let light = brightness(x * cosine + y * sine, y * cosine - x * sine);
            for (band, colour) in self.bands.iter_mut().zip(colour) {
                if let Some(value) = band.get_mut(pixel) {
                    *value += light * colour;
                }
            }
        }
    }

    /// The image that a telescope takes of it.
    fn observe(self, random: &mut Random) -> Vec<f32> {
        let seeing = random.uniform(0.8, 1.5);
        let (depth, sky_noise) = (random.log_uniform(300.0, 4000.0), random.uniform(2.0, 6.0));
        let mut values = vec![0.0f32; SIZE * SIZE * 3];
        let peak = self.bands.iter().flatten().copied().fold(0.0, f64::max);
        for (channel, band) in self.bands.into_iter().enumerate() {
            let blurred = blur(&band, seeing);
            for (pixel, light) in blurred.into_iter().enumerate() {
                let photons = light / peak.max(f64::MIN_POSITIVE) * depth;
                let noise = libm::sqrt(photons + sky_noise * sky_noise) * random.normal();
                if let Some(value) = values.get_mut(pixel * 3 + channel) {
                    *value = (photons + noise) as f32;
                }
            }
        }
        let softening = random.uniform(4.0, 12.0);
        match Picture::new(SIZE, SIZE, 3, values) {
            Ok(picture) => picture.stretch(softening).values,
            Err(_) => vec![0.0; SIZE * SIZE * 3],
        }
    }
}

/// A Gaussian blur of so many pixels, rows first.
fn blur(band: &[f64], sigma: f64) -> Vec<f64> {
    const REACH: usize = 4;
    let weights: Vec<f64> = (0..=2 * REACH)
        .map(|i| {
            let distance = (i as f64 - REACH as f64) / sigma;
            libm::exp(-distance * distance / 2.0)
        })
        .collect();
    let total: f64 = weights.iter().sum();
    let pass = |from: &[f64], step: usize, across: usize| -> Vec<f64> {
        (0..SIZE * SIZE)
            .map(|pixel| {
                let (along, other) = ((pixel / step) % SIZE, (pixel / across) % SIZE);
                let sum: f64 = weights
                    .iter()
                    .enumerate()
                    .map(|(i, weight)| {
                        let at = (along + i).saturating_sub(REACH).min(SIZE - 1);
                        weight * from.get(at * step + other * across).copied().unwrap_or(0.0)
                    })
                    .sum();
                sum / total
            })
            .collect()
    };
    pass(&pass(band, 1, SIZE), SIZE, 1)
}

/// The Sersic profile: 1 at the effective radius.
fn sersic(radius: f64, effective: f64, index: f64) -> f64 {
    // The first terms of the series of Ciotti and Bertin (1999, A&A 352, 447).
    let b = 2.0 * index - 1.0 / 3.0 + 4.0 / (405.0 * index);
    // A pixel in the middle sees no cusp.
    let share = libm::hypot(radius, 0.5) / effective;
    libm::exp(-b * (libm::pow(share, 1.0 / index) - 1.0))
}

fn elliptical(sky: &mut Sky, random: &mut Random, place: Place, size: f64) {
    let index = random.uniform(2.0, 6.0);
    let effective = size * random.log_uniform(4.0, 10.0);
    let ratio = random.uniform(0.4, 1.0);
    sky.add(place, random.angle(), OLD, |along, across| {
        sersic(libm::hypot(along, across / ratio), effective, index)
    });
}

/// A small round neighbour: a star or a galaxy far behind.
fn compact(sky: &mut Sky, random: &mut Random, place: Place, light: f64) {
    let radius = random.uniform(0.7, 1.6);
    let colour = if random.chance(0.5) { OLD } else { YOUNG };
    // Beside the brightest galaxy's middle.
    let peak = sky.bands.iter().flatten().copied().fold(0.0, f64::max);
    sky.add(place, 0.0, colour, |along, across| {
        let distance = libm::hypot(along, across) / radius;
        light * peak * libm::exp(-distance * distance / 2.0)
    });
}

fn spiral(sky: &mut Sky, random: &mut Random) {
    let scale = random.uniform(5.0, 9.0);
    let ratio = libm::cos(random.uniform(0.0, 55.0) * PI / 180.0);
    let angle = random.angle();
    let arms = random.whole(2, 4) as f64;
    let pitch = libm::tan(random.uniform(10.0, 28.0) * PI / 180.0) * random.sign();
    let (turn, contrast) = (random.angle(), random.uniform(0.6, 0.95));
    let sharpness = random.uniform(1.5, 4.0);
    let arm = |along: f64, across: f64| {
        let across = across / ratio;
        let radius = libm::hypot(along, across).max(0.5);
        let phase = arms * (libm::atan2(across, along) - libm::log(radius / scale) / pitch) + turn;
        let crest = libm::pow((1.0 + libm::cos(phase)) / 2.0, sharpness);
        // No arms within the bulge.
        let begins = 1.0 - libm::exp(-(radius / (0.6 * scale)) * (radius / (0.6 * scale)));
        (radius, crest * begins)
    };
    let place = Place::centre();
    sky.add(place, angle, OLD, |along, across| {
        let (radius, crest) = arm(along, across);
        libm::exp(-radius / scale) * (1.0 - 0.5 * contrast + 0.3 * crest)
    });
    sky.add(place, angle, YOUNG, |along, across| {
        let (radius, crest) = arm(along, across);
        libm::exp(-radius / scale) * contrast * 1.6 * crest
    });
    let bulge = random.uniform(0.5, 2.5);
    let size = scale * random.uniform(0.2, 0.4);
    let roundness = ratio.max(0.6);
    sky.add(place, angle, OLD, |along, across| {
        bulge * sersic(libm::hypot(along, across / roundness), size, 1.5)
    });
    knots(sky, random, scale, angle, ratio, arms, pitch, turn);
}

/// Bright knots of young stars along the arms.
fn knots(
    sky: &mut Sky,
    random: &mut Random,
    scale: f64,
    angle: f64,
    ratio: f64,
    arms: f64,
    pitch: f64,
    turn: f64,
) {
    for _ in 0..random.whole(2, 10) {
        let radius = scale * random.uniform(0.8, 2.6);
        let which = random.whole(0, arms as usize - 1) as f64;
        let on = libm::log(radius / scale) / pitch + (TAU * which - turn) / arms;
        let (along, across) = (radius * libm::cos(on), radius * libm::sin(on) * ratio);
        let place = Place {
            x: along * libm::cos(angle) - across * libm::sin(angle),
            y: along * libm::sin(angle) + across * libm::cos(angle),
        };
        let (light, width) = (
            0.5 * libm::exp(-radius / scale) * random.uniform(0.5, 1.5),
            random.uniform(0.8, 1.6),
        );
        sky.add(place, 0.0, YOUNG, |x, y| {
            light * libm::exp(-(x * x + y * y) / (2.0 * width * width))
        });
    }
}

fn edge_on(sky: &mut Sky, random: &mut Random) {
    let scale = random.uniform(6.0, 11.0);
    let height = scale * random.uniform(0.08, 0.22);
    let angle = random.angle();
    let dust = if random.chance(2.0 / 3.0) {
        random.uniform(0.3, 0.8)
    } else {
        0.0
    };
    let shift = height * random.uniform(-0.3, 0.3);
    let colour = if random.chance(0.5) {
        [0.9, 0.85, 0.7]
    } else {
        YOUNG
    };
    sky.add(Place::centre(), angle, colour, |along, across| {
        let sech = 1.0 / libm::cosh(across / height);
        let lane = (across - shift) / (0.5 * height);
        let dimming = 1.0 - dust * libm::exp(-lane * lane);
        libm::exp(-along.abs() / scale) * sech * sech * dimming
    });
    let (bulge, size) = (random.uniform(0.2, 1.2), scale * random.uniform(0.12, 0.3));
    sky.add(Place::centre(), angle, OLD, |along, across| {
        bulge * sersic(libm::hypot(along, across / 0.8), size, 2.0)
    });
}

fn merger(sky: &mut Sky, random: &mut Random) {
    let apart = random.uniform(5.0, 14.0);
    let direction = random.angle();
    let (x, y) = (
        apart * libm::cos(direction) / 2.0,
        apart * libm::sin(direction) / 2.0,
    );
    for (place, light) in [
        (Place { x, y }, 1.0),
        (Place { x: -x, y: -y }, random.uniform(0.4, 1.0)),
    ] {
        let (index, effective) = (random.uniform(0.8, 3.0), random.uniform(2.5, 5.5));
        let ratio = random.uniform(0.35, 0.9);
        let colour = if random.chance(0.6) { YOUNG } else { OLD };
        sky.add(place, random.angle(), colour, |along, across| {
            light * sersic(libm::hypot(along, across / ratio), effective, index)
        });
    }
    // The bridge, and one tail or two: arcs that widen and fade.
    let bridge = random.uniform(0.1, 0.4);
    sky.add(Place::centre(), direction, YOUNG, |along, across| {
        let inside = along / (0.5 * apart);
        bridge * libm::exp(-inside * inside * inside * inside - across * across / 4.0)
    });
    for side in [0.0, PI].into_iter().take(random.whole(1, 2)) {
        let (curve, length) = (
            random.uniform(14.0, 30.0) * random.sign(),
            random.uniform(12.0, 26.0),
        );
        let (light, width) = (random.uniform(0.15, 0.5), random.uniform(1.2, 2.2));
        sky.add(Place::centre(), direction + side, YOUNG, |along, across| {
            if along <= 0.0 {
                return 0.0;
            }
            let off = (across - along * along / (2.0 * curve)) / width;
            light * libm::exp(-along / length - off * off / 2.0)
        });
    }
}
