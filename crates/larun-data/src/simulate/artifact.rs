//! What instruments do to light curves.
//!
//! | kind | what happens | size over noise | source |
//! |---|---|---|---|
//! | jump | a pixel loses sensitivity at once and regains part of it within 0.2 to 4 days, or nothing; in one of four more than one | 4 to 40 | Kolodziejczak and Morris 2011, LPI contribution 1608 |
//! | thermal recovery | after the telescope turned to the ground the curve settles within 0.3 to 4 days | 5 to 50 | Van Cleve et al. 2016, KSCI-19040 |
//! | roll drift | a saw-tooth of 5.9 hours as the spacecraft rolls and is pushed back, larger and smaller over days | 2 to 15 | Howell et al. 2014, PASP 126, 398 |
//! | spikes | up to three dark or bright points in a row at every momentum dump, 1.5 to 4 days apart | 6 to 40 | same |
//! | brightenings | the whole field brightens for one to four points, 2 to 6 times | 8 to 60 | "Argabrightening", Witteborn et al. 2011, SPIE 8151 |
//! | offset after a gap | a gap of 5 to 60 points, and another level and slope after it | 4 to 40 | aperture changes at a break in observation |
//!
//! Kinds are equally frequent; sizes are log-uniform. In one curve of four a second kind is added, half as large.

use core::f64::consts::TAU;

use super::random::Random;
use super::{CADENCE, POINTS, Signal};

pub(crate) fn signal(random: &mut Random) -> Signal {
    let mut flux = draw(random);
    if random.chance(0.25) {
        let second = draw(random);
        flux.iter_mut()
            .zip(second)
            .for_each(|(value, second)| *value += second / 2.0);
    }
    Signal { flux, sigma: 1.0 }
}

/// One artifact, in units of the noise.
fn draw(random: &mut Random) -> Vec<f64> {
    match random.whole(0, 5) {
        0 => jumps(random),
        1 => thermal_recovery(random),
        2 => roll_drift(random),
        3 => spikes(random),
        4 => brightenings(random),
        _ => offset_after_gap(random),
    }
}

/// `height` at `start`, falling towards `rest` of it within `days`; nothing before.
fn settling(flux: &mut [f64], start: usize, height: f64, rest: f64, days: f64) {
    for (i, value) in flux.iter_mut().skip(start).enumerate() {
        let left = libm::exp(-(i as f64) * CADENCE / days);
        *value += height * (rest + (1.0 - rest) * left);
    }
}

fn jumps(random: &mut Random) -> Vec<f64> {
    let mut flux = vec![0.0; POINTS];
    let count = if random.chance(0.25) {
        random.whole(2, 3)
    } else {
        1
    };
    for _ in 0..count {
        let height = -random.log_uniform(4.0, 40.0) * if random.chance(0.8) { 1.0 } else { -1.0 };
        let rest = if random.chance(0.4) {
            1.0
        } else {
            random.uniform(0.1, 0.8)
        };
        let (start, days) = (random.whole(40, POINTS - 40), random.log_uniform(0.2, 4.0));
        settling(&mut flux, start, height, rest, days);
    }
    flux
}

fn thermal_recovery(random: &mut Random) -> Vec<f64> {
    let mut flux = vec![0.0; POINTS];
    let start = if random.chance(0.4) {
        0
    } else {
        random.whole(0, POINTS - 150)
    };
    let height = random.log_uniform(5.0, 50.0) * random.sign();
    settling(&mut flux, start, height, 0.0, random.log_uniform(0.3, 4.0));
    flux
}

fn roll_drift(random: &mut Random) -> Vec<f64> {
    const PERIOD: f64 = 5.9 / 24.0;
    let height = random.log_uniform(2.0, 15.0);
    let (phase, slow_phase) = (random.uniform(0.0, 1.0), random.angle());
    let slow = TAU / random.uniform(5.0, 30.0);
    let point = |i: usize| {
        let time = i as f64 * CADENCE;
        let turns = time / PERIOD + phase;
        let change = 0.6 + 0.4 * libm::sin(slow * time + slow_phase);
        height * change * (turns - libm::floor(turns) - 0.5)
    };
    (0..POINTS).map(point).collect()
}

fn spikes(random: &mut Random) -> Vec<f64> {
    let mut flux = vec![0.0; POINTS];
    let height = random.log_uniform(6.0, 40.0) * random.sign();
    let apart = random.uniform(1.5, 4.0) / CADENCE;
    let mut at = random.uniform(0.0, apart);
    while at < POINTS as f64 {
        let len = random.whole(1, 3);
        for value in flux.iter_mut().skip(at as usize).take(len) {
            *value += height * random.uniform(0.4, 1.0);
        }
        at += apart * random.uniform(0.97, 1.03);
    }
    flux
}

fn brightenings(random: &mut Random) -> Vec<f64> {
    let mut flux = vec![0.0; POINTS];
    for _ in 0..random.whole(2, 6) {
        let height = random.log_uniform(8.0, 60.0);
        let (start, len) = (random.whole(0, POINTS - 1), random.whole(1, 4));
        for value in flux.iter_mut().skip(start).take(len) {
            *value += height * random.uniform(0.3, 1.0);
        }
    }
    flux
}

fn offset_after_gap(random: &mut Random) -> Vec<f64> {
    let (start, len) = (random.whole(80, POINTS - 160), random.whole(5, 60));
    let height = random.log_uniform(4.0, 40.0) * random.sign();
    let slope = random.uniform(-0.5, 0.5) * height / POINTS as f64;
    let point = |i: usize| match i.checked_sub(start) {
        None => 0.0,
        Some(into) if into < len => height * into as f64 / len as f64,
        Some(into) => height + slope * (into - len) as f64,
    };
    (0..POINTS).map(point).collect()
}
