//! Simulated transit candidates: light curves folded at the period that a search found.
//!
//! A candidate has two channels of 201 points each: the whole turn, and the event in its middle (six durations wide, or all of the turn
//! where that is less), both scaled to median 0 and depth -1 as Shallue and Vanderburg (2018, AJ 155, 94) do.
//!
//! | class | what is in it |
//! |---|---|
//! | `junk` | what searches find that is none: noise alone, pulsation and spots folded at a chance period or their own, jumps and thermal drifts of the instrument, a few deep outliers |
//! | `transit_like` | a planet across a limb-darkened star, or two stars that eclipse each other, at their true period |
//!
//! Shapes are those of [`transit`](super::transit) and [`binary`](super::binary); noise is white with a red part. The depth over the noise
//! of a bin of the event is 3 to 60, log-uniform.

use core::f64::consts::TAU;

use super::binary::Binary;
use super::random::Random;
use super::transit::Planet;
use crate::clean::Normalisation;
use crate::dataset::Dataset;

/// Points of a channel.
pub const POINTS: usize = 201;
/// The classes, in the order of the labels.
pub const CLASSES: [&str; 2] = ["junk", "transit_like"];

/// Keeps these random numbers apart from those of the other simulators.
const STREAM: u64 = 300;
/// How far a value may be from 0 once scaled.
const LIMITS: [f64; 2] = [-2.0, 3.0];

/// Candidates of both classes, `samples_per_class` of each, class after class: samples of shape `[201, 2]`.
#[must_use]
pub fn candidates(samples_per_class: usize, seed: u64) -> Dataset {
    let name = format!("simulated transit candidates, seed {seed}");
    super::dataset(
        name,
        vec![POINTS, 2],
        &CLASSES,
        samples_per_class,
        seed,
        |class, index| candidate(class, seed, index),
    )
}

/// The candidate number `index` of a class, by its label; a label beyond the last is taken for the last.
#[must_use]
pub fn candidate(class: u32, seed: u64, index: u64) -> Vec<f32> {
    let mut random = Random::new(seed, STREAM + u64::from(class), index);
    let event = match class {
        0 => junk(&mut random),
        _ if random.chance(0.5) => planet(&mut random),
        _ => binary(&mut random),
    };
    let Event {
        curve,
        width,
        noise,
    } = event;
    let whole = view(&curve, 1.0, noise, &mut random);
    // A bin of the narrower view holds fewer measurements.
    let local = view(&curve, width, noise / libm::sqrt(width), &mut random);
    let pairs = whole.into_iter().zip(local);
    pairs.flat_map(|(whole, local)| [whole, local]).collect()
}

/// A folded brightness: a function of the phase from -0.5 to 0.5.
struct Event {
    curve: Box<dyn Fn(f64) -> f64>,
    /// The share of the turn that the local view shows.
    width: f64,
    /// The noise of a bin of the whole turn.
    noise: f64,
}

fn view(curve: &dyn Fn(f64) -> f64, width: f64, noise: f64, random: &mut Random) -> Vec<f32> {
    let red = random.uniform(0.0, 0.6);
    let mut slow = 0.0;
    let mut values: Vec<f64> = (0..POINTS)
        .map(|point| {
            let middle = (point as f64 + 0.5) / POINTS as f64 - 0.5;
            slow = 0.9 * slow + 0.44 * random.normal();
            curve(middle * width) + noise * (random.normal() + red * slow)
        })
        .collect();
    Normalisation::Depth.apply(&mut values);
    values
        .into_iter()
        .map(|value| value.clamp(LIMITS[0], LIMITS[1]) as f32)
        .collect()
}

fn planet(random: &mut Random) -> Event {
    let planet = Planet::draw(random);
    let period = planet.period;
    let depth = planet.hidden(planet.epoch).max(f64::MIN_POSITIVE);
    // From first to last contact of a central transit.
    let duration = (1.0 + planet.radius) / (core::f64::consts::PI * planet.orbit);
    Event {
        curve: Box::new(move |phase| -planet.hidden(planet.epoch + phase * period)),
        width: (6.0 * duration).clamp(0.02, 1.0),
        noise: depth / random.log_uniform(3.0, 60.0),
    }
}

fn binary(random: &mut Random) -> Event {
    let binary = Binary::draw(random);
    let at = move |phase: f64| binary.brightness(binary.periastron + phase * binary.period);
    // The fold is centred on the deeper eclipse, as a search does.
    let phases = (0..400).map(|i| f64::from(i) / 400.0);
    let deepest = phases.fold((0.0, f64::MAX), |best, phase| {
        let light = at(phase);
        if light < best.1 { (phase, light) } else { best }
    });
    let top = (0..400)
        .map(|i| at(f64::from(i) / 400.0))
        .fold(f64::MIN, f64::max);
    let depth = (top - deepest.1).max(f64::MIN_POSITIVE);
    let sum = binary.radii[0] + binary.radii[1];
    Event {
        curve: Box::new(move |phase| at(deepest.0 + phase)),
        width: (6.0 * sum / core::f64::consts::PI).clamp(0.02, 1.0),
        noise: depth / random.log_uniform(3.0, 60.0),
    }
}

fn junk(random: &mut Random) -> Event {
    let width = random.log_uniform(0.03, 1.0);
    let noise = 1.0 / random.log_uniform(0.5, 20.0);
    let curve: Box<dyn Fn(f64) -> f64> = match random.whole(0, 4) {
        0 => Box::new(|_| 0.0),
        1 => {
            // Pulsation or spots: whole turns, and sometimes their harmonic.
            let (turns, phase) = (random.whole(1, 4) as f64, random.angle());
            let second = random.uniform(0.0, 0.6);
            Box::new(move |at| {
                libm::sin(TAU * turns * at + phase) + second * libm::sin(2.0 * TAU * turns * at)
            })
        }
        2 => {
            // A drift that the fold cuts: a saw-tooth.
            let (phase, sign) = (random.uniform(0.0, 1.0), random.sign());
            Box::new(move |at| sign * (at + phase - libm::floor(at + phase)))
        }
        3 => {
            // A jump that settles at the event.
            let (scale, sign) = (width * random.uniform(0.1, 1.0), random.sign());
            Box::new(move |at| {
                let past = if at < 0.0 { at + 1.0 } else { at };
                -libm::exp(-past / scale) * sign.max(0.3)
            })
        }
        _ => {
            // A few outliers that fell together.
            let places =
                [(); 3].map(|()| (random.normal() * width * 0.1, random.uniform(0.2, 1.0)));
            let narrow = 0.6 / POINTS as f64;
            Box::new(move |at| {
                let dip = |&(place, depth): &(f64, f64)| {
                    if (at - place).abs() < narrow {
                        -depth
                    } else {
                        0.0
                    }
                };
                places.iter().map(dip).sum()
            })
        }
    };
    Event {
        curve,
        width,
        noise,
    }
}
