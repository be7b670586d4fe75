//! What is neither noise, star, planet, binary nor instrument.
//!
//! | kind | drawn | size over noise | source |
//! |---|---|---|---|
//! | irregular dips | 1 to 4, falling within 0.1 to 1 day and recovering 1 to 4 times as slowly, or the other way round | 5 to 50 | KIC 8462852, Boyajian et al. 2016, MNRAS 457, 3988 |
//! | flares | 1 to 5, half as bright for 0.02 to 0.25 days | 8 to 80 | the shape of Davenport et al. 2014, ApJ 797, 122 |
//! | microlensing | closest approach 0.05 to 0.8 Einstein radii, which are crossed in 0.5 to 5 days | 6 to 80 | Paczyński 1986, ApJ 304, 1 |
//! | outburst | rises within 0.1 to 1.5 days, stays up to 3, falls within 0.5 to 6 | 6 to 80 | dwarf novae, Cannizzo et al. 2012, ApJ 747, 117 |
//! | chirp | a sinusoid from 0.1 to 0.8 to 2 to 12 cycles a day or back, the frequency growing evenly or by even factors | 2 to 30 | inspirals |
//!
//! Kinds are equally frequent; sizes are log-uniform.

use core::f64::consts::TAU;

use super::random::Random;
use super::{SPAN, Signal, expose};

pub(crate) fn signal(random: &mut Random) -> Signal {
    let (flux, least, most) = match random.whole(0, 4) {
        0 => (dips(random), 5.0, 50.0),
        1 => (flares(random), 8.0, 80.0),
        2 => (microlensing(random), 6.0, 80.0),
        3 => (outburst(random), 6.0, 80.0),
        _ => (chirp(random), 2.0, 30.0),
    };
    let amplitude = flux
        .iter()
        .fold(f64::MIN_POSITIVE, |highest, value| highest.max(value.abs()));
    let ratio = random.log_uniform(least, most);
    Signal::with_ratio(flux, amplitude, ratio)
}

/// A day away from the ends of the curve.
fn inside(random: &mut Random) -> f64 {
    random.uniform(0.06, 0.94) * SPAN
}

fn dips(random: &mut Random) -> Vec<f64> {
    let dips: Vec<_> = (0..random.whole(1, 4))
        .map(|_| {
            let (short, factor) = (random.log_uniform(0.1, 1.0), random.log_uniform(1.0, 4.0));
            let days = if random.chance(0.7) {
                (short, short * factor)
            } else {
                (short * factor, short)
            };
            (
                inside(random),
                days,
                random.uniform(0.2, 1.0),
                random.uniform(1.0, 2.0),
            )
        })
        .collect();
    expose(2, |time| {
        -dips
            .iter()
            .map(|&(middle, days, depth, sharpness)| {
                depth * two_sided(time - middle, days, sharpness)
            })
            .sum::<f64>()
    })
}

/// 1 at 0, falling to either side within its own number of days.
fn two_sided(time: f64, (before, after): (f64, f64), sharpness: f64) -> f64 {
    let days = if time < 0.0 { before } else { after };
    libm::exp(-libm::pow(time.abs() / days, sharpness))
}

fn flares(random: &mut Random) -> Vec<f64> {
    let flares: Vec<_> = (0..random.whole(1, 5))
        .map(|_| {
            (
                inside(random),
                random.log_uniform(0.02, 0.25),
                random.uniform(0.15, 1.0),
            )
        })
        .collect();
    expose(10, |time| {
        flares
            .iter()
            .map(|(peak, width, height)| height * flare((time - peak) / width))
            .sum()
    })
}

/// The template of a flare of M dwarfs; time in full widths at half of its height.
fn flare(time: f64) -> f64 {
    if time < -1.0 {
        0.0
    } else if time <= 0.0 {
        1.0 + time * (1.941 + time * (-0.175 + time * (-2.246 - 1.125 * time)))
    } else {
        0.6890 * libm::exp(-1.600 * time) + 0.3030 * libm::exp(-0.2783 * time)
    }
}

fn microlensing(random: &mut Random) -> Vec<f64> {
    let (middle, closest) = (inside(random), random.log_uniform(0.05, 0.8));
    let crossing = random.log_uniform(0.5, 5.0);
    expose(2, |time| {
        magnification(libm::hypot(closest, (time - middle) / crossing)) - 1.0
    })
}

/// How much brighter a point lens makes a star `u` Einstein radii away.
fn magnification(u: f64) -> f64 {
    (u * u + 2.0) / (u * libm::sqrt(u * u + 4.0))
}

fn outburst(random: &mut Random) -> Vec<f64> {
    let (start, rise) = (
        random.uniform(0.05, 0.85) * SPAN,
        random.log_uniform(0.1, 1.5),
    );
    let (plateau, fall) = (random.uniform(0.0, 3.0), random.log_uniform(0.5, 6.0));
    expose(2, |time| {
        let since = time - start;
        if since < 0.0 {
            0.0
        } else if since < rise {
            since / rise
        } else {
            libm::exp(-(since - rise - plateau).max(0.0) / fall)
        }
    })
}

fn chirp(random: &mut Random) -> Vec<f64> {
    let (slow, fast) = (random.log_uniform(0.1, 0.8), random.log_uniform(2.0, 12.0));
    let (geometric, phase, growth) = (random.chance(0.5), random.angle(), random.uniform(0.0, 1.0));
    let rate = libm::log(fast / slow) / SPAN;
    let sweep = |time: f64| {
        let cycles = if geometric {
            slow * (libm::exp(rate * time) - 1.0) / rate
        } else {
            time * (slow + (fast - slow) * time / SPAN / 2.0)
        };
        (1.0 - growth / 2.0 + growth * time / SPAN / 2.0) * libm::sin(TAU * cycles + phase)
    };
    let mut flux = expose(4, sweep);
    if random.chance(0.5) {
        flux.reverse();
    }
    flux
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flare_template_peaks_at_zero_and_is_half_as_wide_as_named() {
        assert!((flare(0.0) - 1.0).abs() < 1e-9);
        assert!((flare(1e-9) - 0.992).abs() < 1e-6);
        assert!(flare(-1.0).abs() < 0.01 && flare(-1.1) == 0.0);
        // Where the template is at half of its height, before and after the peak.
        let half = |from: f64, to: f64| {
            let steps = (0..10_000).map(|i| from + (to - from) * f64::from(i) / 1e4);
            steps
                .min_by(|a, b| (flare(*a) - 0.5).abs().total_cmp(&(flare(*b) - 0.5).abs()))
                .unwrap()
        };
        let width = half(0.0, 3.0) - half(-1.0, 0.0);
        assert!((width - 1.0).abs() < 0.15, "{width}");
    }

    #[test]
    fn magnification_is_that_of_a_point_lens() {
        assert!((magnification(1.0) - 3.0 / 5f64.sqrt()).abs() < 1e-12);
        assert!((magnification(0.01) - 100.0).abs() < 0.01);
        assert!((magnification(10.0) - 1.0).abs() < 2e-4);
    }
}
