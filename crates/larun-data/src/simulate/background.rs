//! What every light curve has: white noise, red noise, outliers and gaps.
//!
//! | part | drawn |
//! |---|---|
//! | white noise | normal, standard deviation 1 (the unit of the rest) |
//! | red noise | the sum of three Ornstein-Uhlenbeck processes with time scales of 0.1, 0.5 and 2.5 days, in all 0.02 to 0.5, log-uniform |
//! | outliers | 1.5 on average, 3 to 9 high, seven in ten of them bright (cosmic rays are) |
//! | gaps | 0.8 on average of 1 to 8 points; in one curve of five one of 10 to 50 points more (the monthly downlink takes a day) |
//!
//! A sum of processes with time scales in a geometric series has about the spectrum 1/f that is left in detrended photometry. Gaps are
//! filled by a straight line between the medians of the five points on either side, as a program that reads real curves does. Sizes and
//! rates follow the Kepler Data Characteristics Handbook (Van Cleve et al. 2016, KSCI-19040).

use super::random::Random;
use super::{CADENCE, POINTS, Signal, median};

/// Points on either side of a gap that say where its line begins and ends.
const SHOULDER: usize = 5;

/// The signal as a telescope would measure it.
pub(crate) fn observe(signal: Signal, random: &mut Random) -> Vec<f64> {
    let Signal { mut flux, sigma } = signal;
    let red_share = random.log_uniform(0.02, 0.5);
    let red = red_noise(random);
    for (value, red) in flux.iter_mut().zip(red) {
        *value += sigma * (random.normal() + red_share * red);
    }
    for _ in 0..random.poisson(1.5) {
        let height = random.uniform(3.0, 9.0) * if random.chance(0.7) { 1.0 } else { -1.0 };
        if let Some(value) = flux.get_mut(random.whole(0, POINTS - 1)) {
            *value += sigma * height;
        }
    }
    for _ in 0..random.poisson(0.8) {
        cut_gap(&mut flux, random, 1, 8);
    }
    if random.chance(0.2) {
        cut_gap(&mut flux, random, 10, 50);
    }
    flux
}

/// Noise with more power at low frequencies, standard deviation 1.
pub(crate) fn red_noise(random: &mut Random) -> Vec<f64> {
    let processes = [0.1, 0.5, 2.5].map(|scale| ornstein_uhlenbeck(random, scale));
    let share = libm::sqrt(1.0 / processes.len() as f64);
    (0..POINTS)
        .map(|i| {
            processes
                .iter()
                .filter_map(|process| process.get(i))
                .sum::<f64>()
                * share
        })
        .collect()
}

/// A random walk that is drawn back to zero within `scale` days, standard deviation 1.
pub(crate) fn ornstein_uhlenbeck(random: &mut Random, scale: f64) -> Vec<f64> {
    let keep = libm::exp(-CADENCE / scale);
    let kick = libm::sqrt(1.0 - keep * keep);
    let mut value = random.normal();
    let mut step = || {
        let now = value;
        value = keep * value + kick * random.normal();
        now
    };
    (0..POINTS).map(|_| step()).collect()
}

/// Replaces a run of `shortest` to `longest` points by a straight line.
fn cut_gap(flux: &mut [f64], random: &mut Random, shortest: usize, longest: usize) {
    let len = random.whole(shortest, longest);
    let start = random.whole(SHOULDER, POINTS - SHOULDER - len);
    let shoulder = |from: usize| median(flux.get(from..from + SHOULDER).unwrap_or_default());
    let (before, after) = (shoulder(start - SHOULDER), shoulder(start + len));
    for (i, value) in flux.iter_mut().skip(start).take(len).enumerate() {
        let along = (i + 1) as f64 / (len + 1) as f64;
        *value = before + (after - before) * along;
    }
}
