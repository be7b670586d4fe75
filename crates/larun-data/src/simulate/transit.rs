//! Transits of a planet on a circular orbit across a limb-darkened star.
//!
//! | parameter | drawn | source |
//! |---|---|---|
//! | period | 0.6 to 10 days, log-uniform: two transits or more in the curve | confirmed Kepler planets of short period |
//! | mean density of the star | 0.15 to 3 times the Sun's, log-uniform | dwarfs and subgiants, spectral types F to M |
//! | radius ratio | 0.01 to 0.16, log-uniform | Earth to Jupiter across such stars |
//! | impact parameter | 0 to 0.95, uniform | orbits in any direction |
//! | limb darkening | u1 0.2 to 0.6, u2 0.05 to 0.35 | Kepler's band, Claret and Bloemen 2011, A&A 529, A75 |
//! | depth over noise of a point | 1.3 to 25, log-uniform, and 10 or more for all points in transit together | |
//!
//! The orbit's size follows from period and density by Kepler's third law, `(a/R)^3 = G rho P^2 / (3 pi)` (Seager and Mallén-Ornelas
//! 2003, ApJ 585, 1038), so that duration, depth and shape belong together. Each exposure averages seven instants, because half an hour
//! smears an ingress (Kipping 2010, MNRAS 408, 1758).

use core::f64::consts::{PI, TAU};

use super::disc::LimbDarkening;
use super::random::Random;
use super::{Signal, expose};

/// `G rho_sun / (3 pi)` in 1/day^2, from the Sun's mean density of 1408 kg/m^3.
const SUN_DENSITY_TERM: f64 = 6.6743e-11 * 1408.0 * 86400.0 * 86400.0 / (3.0 * PI);

/// A planet on a circular orbit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Planet {
    /// Days from one transit to the next.
    pub period: f64,
    /// The day of the middle of a transit.
    pub epoch: f64,
    /// The orbit's radius in radii of the star.
    pub orbit: f64,
    /// The planet's radius in radii of the star.
    pub radius: f64,
    /// The distance of the centres in the middle of a transit, in radii of the star.
    pub impact: f64,
    /// The star's brightness from centre to limb.
    pub limb: LimbDarkening,
}

impl Planet {
    /// The share of the star's light that the planet hides at `time` in days.
    #[must_use]
    pub fn hidden(&self, time: f64) -> f64 {
        let phase = TAU * (time - self.epoch) / self.period;
        let (along, depth) = (self.orbit * libm::sin(phase), libm::cos(phase));
        // Behind the star the planet hides nothing.
        if depth <= 0.0 {
            return 0.0;
        }
        let across = self.impact * depth;
        self.limb
            .hidden(libm::sqrt(along * along + across * across), self.radius)
    }

    pub(crate) fn draw(random: &mut Random) -> Self {
        let period = random.log_uniform(0.6, 10.0);
        let density = random.log_uniform(0.15, 3.0);
        Self {
            period,
            epoch: random.uniform(0.0, period),
            orbit: libm::cbrt(SUN_DENSITY_TERM * density * period * period),
            radius: random.log_uniform(0.01, 0.16),
            impact: random.uniform(0.0, 0.95),
            limb: LimbDarkening {
                u1: random.uniform(0.2, 0.6),
                u2: random.uniform(0.05, 0.35),
            },
        }
    }
}

pub(crate) fn signal(random: &mut Random) -> Signal {
    let planet = Planet::draw(random);
    let flux = expose(7, |time| -planet.hidden(time));
    let depth = flux.iter().fold(0.0, |depth: f64, value| depth.max(-value));
    let in_transit = flux
        .iter()
        .filter(|value| -**value > depth / 2.0)
        .count()
        .max(1);
    let least = 10.0 / libm::sqrt(in_transit as f64);
    let ratio = random.log_uniform(1.3, 25.0).max(least);
    Signal::with_ratio(flux, depth, ratio)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{CADENCE, POINTS};

    #[test]
    fn the_geometry_is_that_of_earth_and_sun() {
        let orbit = libm::cbrt(SUN_DENSITY_TERM * 365.25 * 365.25);
        assert!(
            (orbit - 215.0).abs() < 0.5,
            "an astronomical unit is 215 solar radii, not {orbit}"
        );
        let earth = Planet {
            period: 365.25,
            epoch: 0.0,
            orbit,
            radius: 0.00917,
            impact: 0.0,
            limb: LimbDarkening { u1: 0.0, u2: 0.0 },
        };
        assert!((earth.hidden(0.0) - 84e-6).abs() < 1e-6);
        // Thirteen hours from first to last contact.
        assert!(earth.hidden(6.5 / 24.0) > 0.0 && earth.hidden(6.6 / 24.0) == 0.0);
        assert_eq!(earth.hidden(365.25 / 2.0), 0.0);
    }

    #[test]
    fn every_curve_has_two_transits_worth_seeing() {
        for index in 0..300 {
            let signal = signal(&mut Random::new(1, 2, index));
            let depth = signal
                .flux
                .iter()
                .fold(0.0f64, |depth, value| depth.max(-value));
            let dark: Vec<usize> = (0..POINTS)
                .filter(|&i| -signal.flux[i] > depth / 2.0)
                .collect();
            let transits = 1 + dark.windows(2).filter(|pair| pair[1] - pair[0] > 4).count();
            assert!(transits >= 2, "{index}: {transits} transits");
            assert!(
                depth / signal.sigma * (dark.len() as f64).sqrt() > 9.99,
                "{index}"
            );
            let fraction = dark.len() as f64 * CADENCE / (POINTS as f64 * CADENCE);
            assert!(
                fraction < 0.35,
                "{index}: in transit {fraction} of the time"
            );
        }
    }
}
