//! Eclipsing binaries: two limb-darkened stars that eclipse each other in turn.
//!
//! | parameter | drawn | source |
//! |---|---|---|
//! | period | 0.35 to 9 days, log-uniform | the Kepler catalogue, Prša et al. 2011, AJ 141, 83 |
//! | sum of the radii | 0.08 to 0.75 of the orbit, log-uniform, less at long periods | detached to nearly in contact |
//! | radius ratio | 0.3 to 1.2, uniform | |
//! | surface brightness ratio | 0.05 to 1, uniform: eclipses of unequal depth | |
//! | inclination | any with an eclipse of a tenth of the smaller star at least | |
//! | eccentricity | 0 below 3 days, else 0 to 0.4 | tides make close orbits round, Zahn 1977, A&A 57, 383 |
//! | mass ratio | 0.3 to 1, uniform | |
//! | third light | none in half of them, else up to 0.6 of all | blended neighbours |
//! | depth over noise of a point | 4 to 100, log-uniform | |
//!
//! Each star is drawn out by the other, which doubles the variation of a revolution, and lit by it. The amplitudes are those of
//! Morris and Naftilan (1993, ApJ 419, 344): `alpha q (R/a)^3 sin^2 i` with `alpha = 0.15 (15 + u) (1 + g) / (3 - u)`, for the linear
//! limb darkening u and gravity darkening g of a star with a convective shell (u 0.6, g 0.32), and `(R/a)^2 / 4` of the other's light.

use core::f64::consts::{PI, TAU};

use super::disc::LimbDarkening;
use super::random::Random;
use super::{Signal, expose};

/// `0.15 (15 + u) (1 + g) / (3 - u)` for u = 0.6 and g = 0.32.
const ELLIPSOIDAL: f64 = 0.15 * 15.6 * 1.32 / 2.4;

/// Two stars on a Keplerian orbit. Radii are in semi-major axes of the orbit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Binary {
    /// Days of a revolution.
    pub period: f64,
    /// A day at which the stars are closest.
    pub periastron: f64,
    /// The eccentricity of the orbit, less than 1.
    pub eccentricity: f64,
    /// The angle from the sky's plane to the periastron, in radians.
    pub argument: f64,
    /// The angle between the orbit's axis and the line of sight, in radians.
    pub inclination: f64,
    /// The radii of the two stars.
    pub radii: [f64; 2],
    /// The light of each star, and that of neighbours.
    pub light: [f64; 2],
    /// The mass of the other star over the star's own.
    pub mass_ratios: [f64; 2],
    /// The brightness of both discs from centre to limb.
    pub limb: LimbDarkening,
}

impl Binary {
    /// The light of both at `time` in days, the sum of `light` where neither eclipses, deforms or lights the other.
    #[must_use]
    pub fn brightness(&self, time: f64) -> f64 {
        let anomaly = true_anomaly(
            TAU * (time - self.periastron) / self.period,
            self.eccentricity,
        );
        let separation = (1.0 - self.eccentricity * self.eccentricity)
            / (1.0 + self.eccentricity * libm::cos(anomaly));
        let angle = anomaly + self.argument;
        let toward = libm::sin(angle) * libm::sin(self.inclination);
        let apart = separation * libm::sqrt((1.0 - toward * toward).max(0.0));
        let [first, second] = self.light;
        let [big, small] = self.radii;
        // The second star is in front where `toward` is positive.
        let (first, second) = if toward > 0.0 {
            (
                first * (1.0 - self.limb.hidden(apart / big, small / big)),
                second,
            )
        } else {
            (
                first,
                second * (1.0 - self.limb.hidden(apart / small, big / small)),
            )
        };
        first * (1.0 + self.deformation(0, angle))
            + second * (1.0 + self.deformation(1, angle))
            + self.reflection(toward)
    }

    /// How much brighter a star is for being drawn out: twice a revolution it shows its long side.
    fn deformation(&self, star: usize, angle: f64) -> f64 {
        let (Some(radius), Some(mass_ratio)) = (self.radii.get(star), self.mass_ratios.get(star))
        else {
            return 0.0;
        };
        let sine = libm::sin(self.inclination);
        ELLIPSOIDAL * mass_ratio * radius * radius * radius * sine * sine * libm::cos(2.0 * angle)
    }

    /// The light of each star that the other's lit side sends here.
    fn reflection(&self, toward: f64) -> f64 {
        let [first, second] = self.light;
        let [big, small] = self.radii;
        // The second star shows its lit side when it is behind.
        0.25 * (first * small * small * (1.0 - toward) / 2.0
            + second * big * big * (1.0 + toward) / 2.0)
    }

    pub(crate) fn draw(random: &mut Random) -> Self {
        let period = random.log_uniform(0.35, 9.0);
        // Stars of the main sequence are a smaller part of a wider orbit.
        let widest = (0.75 / libm::cbrt((period / 0.5) * (period / 0.5))).clamp(0.16, 0.75);
        let sum = random.log_uniform(0.08, widest);
        let ratio = random.uniform(0.3, 1.2);
        let radii = [sum / (1.0 + ratio), sum * ratio / (1.0 + ratio)];
        let surface = random.uniform(0.05, 1.0);
        let light = [1.0, surface * ratio * ratio];
        let mass = random.uniform(0.3, 1.0);
        let eccentricity = if period < 3.0 {
            0.0
        } else {
            random.uniform(0.0, 0.4)
        };
        let smaller = radii.into_iter().fold(1.0, f64::min);
        // The distance in projection at mid-eclipse leaves a tenth of the smaller star at least to be hidden.
        let closest = random.uniform(0.0, 1.0) * (sum - 0.2 * smaller);
        Self {
            period,
            periastron: random.uniform(0.0, period),
            eccentricity,
            argument: random.angle(),
            inclination: libm::acos(closest.clamp(0.0, 1.0)),
            radii,
            light,
            mass_ratios: [mass, 1.0 / mass],
            limb: LimbDarkening {
                u1: random.uniform(0.2, 0.6),
                u2: random.uniform(0.05, 0.35),
            },
        }
    }
}

/// The angle from periastron to where the star is, from the angle to where it would be at an even pace: Kepler's equation.
fn true_anomaly(mean: f64, eccentricity: f64) -> f64 {
    let mean = mean - TAU * libm::floor(mean / TAU);
    let mut eccentric = if eccentricity < 0.8 { mean } else { PI };
    for _ in 0..12 {
        let error = eccentric - eccentricity * libm::sin(eccentric) - mean;
        eccentric -= error / (1.0 - eccentricity * libm::cos(eccentric));
    }
    let (sine, cosine) = (libm::sin(eccentric / 2.0), libm::cos(eccentric / 2.0));
    2.0 * libm::atan2(
        libm::sqrt(1.0 + eccentricity) * sine,
        libm::sqrt(1.0 - eccentricity) * cosine,
    )
}

pub(crate) fn signal(random: &mut Random) -> Signal {
    let binary = Binary::draw(random);
    let third = if random.chance(0.5) {
        0.0
    } else {
        random.uniform(0.0, 0.6)
    };
    let flux = expose(5, |time| {
        (1.0 - third) * binary.brightness(time) / (binary.light[0] + binary.light[1])
    });
    let (lowest, highest) = flux.iter().fold((f64::MAX, f64::MIN), |(low, high), &v| {
        (low.min(v), high.max(v))
    });
    let ratio = random.log_uniform(4.0, 100.0);
    Signal::with_ratio(flux, highest - lowest, ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWINS: Binary = Binary {
        period: 2.0,
        periastron: 0.0,
        eccentricity: 0.0,
        argument: PI / 2.0,
        inclination: PI / 2.0,
        radii: [0.1, 0.1],
        light: [1.0, 1.0],
        mass_ratios: [0.0, 0.0],
        limb: LimbDarkening { u1: 0.3, u2: 0.2 },
    };

    #[test]
    fn equal_stars_hide_each_other_in_turn() {
        let reflected = 0.25 * 0.01;
        for eclipse in [0.0, 1.0, 2.0] {
            assert!(
                (TWINS.brightness(eclipse) - 1.0 - reflected).abs() < 1e-6,
                "{}",
                TWINS.brightness(eclipse)
            );
        }
        assert!((TWINS.brightness(0.5) - 2.0 - reflected).abs() < 1e-6);
    }

    #[test]
    fn a_fainter_star_is_the_lesser_loss() {
        let unequal = Binary {
            light: [1.0, 0.2],
            ..TWINS
        };
        // The second star is in front at time 0: the bright one is hidden, and the deeper eclipse is there.
        assert!((unequal.brightness(0.0) - 0.2).abs() < 0.01);
        assert!((unequal.brightness(1.0) - 1.0).abs() < 0.01);
    }

    #[test]
    fn tides_double_the_variation() {
        let close = Binary {
            radii: [0.3, 0.3],
            mass_ratios: [1.0, 1.0],
            inclination: 1.0,
            ..TWINS
        };
        let (quarter, half) = (close.brightness(0.5), close.brightness(0.01));
        assert!(quarter > half);
        assert!((close.brightness(1.5) - quarter).abs() < 1e-9);
        let expected = 2.0 * ELLIPSOIDAL * 0.027 * libm::sin(1.0) * libm::sin(1.0);
        let amplitude = quarter - 2.0 - 0.25 * 0.09;
        assert!(
            (amplitude - expected).abs() < 1e-9,
            "{amplitude}, not {expected}"
        );
    }

    #[test]
    fn keplers_equation_holds() {
        for eccentricity in [0.0, 0.1, 0.4, 0.9] {
            for step in -20..40 {
                let mean = f64::from(step) * 0.37;
                let anomaly = true_anomaly(mean, eccentricity);
                let half = libm::tan(anomaly / 2.0)
                    * libm::sqrt((1.0 - eccentricity) / (1.0 + eccentricity));
                let eccentric = 2.0 * libm::atan(half);
                let back = eccentric - eccentricity * libm::sin(eccentric) - mean;
                let turns = back / TAU;
                assert!(
                    (turns - turns.round()).abs() < 1e-9,
                    "{eccentricity} {mean}"
                );
            }
        }
    }

    #[test]
    fn every_binary_eclipses() {
        for index in 0..300 {
            let mut random = Random::new(5, 3, index);
            let binary = Binary::draw(&mut random);
            let quiet = Binary {
                mass_ratios: [0.0; 2],
                ..binary
            };
            let curve: Vec<f64> = (0..2000)
                .map(|i| quiet.brightness(f64::from(i) * binary.period / 2000.0))
                .collect();
            let (low, high) = curve
                .iter()
                .fold((f64::MAX, f64::MIN), |(l, h), &v| (l.min(v), h.max(v)));
            assert!(
                binary.eccentricity > 0.0 || (high - low) / high > 0.002,
                "{index}: {binary:?}"
            );
        }
    }
}
