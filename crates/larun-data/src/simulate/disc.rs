//! The light that a round body hides when it passes before a limb-darkened star.
//!
//! The star's disc has the brightness `I(mu) = 1 - u1 (1 - mu) - u2 (1 - mu)^2`, where `mu` is the cosine of the angle between the line of
//! sight and the surface: the quadratic law for which Mandel and Agol (2002, ApJ 580, L171) give the hidden light in elliptic integrals.
//! Here the same quantity is integrated over rings of the star, to 1e-6 of its light, for bodies of any size: planets and stars alike.

use core::f64::consts::{PI, TAU};

/// Points of the integration over rings.
const NODES: usize = 32;

/// The brightness of a stellar disc from centre to limb.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimbDarkening {
    /// Coefficient of `1 - mu`.
    pub u1: f64,
    /// Coefficient of `(1 - mu)^2`.
    pub u2: f64,
}

impl LimbDarkening {
    /// The share of the star's light that a body hides: 0 none, 1 all.
    ///
    /// `distance` between the centres and `radius` of the body are in radii of the star; neither is negative.
    #[must_use]
    pub fn hidden(&self, distance: f64, radius: f64) -> f64 {
        if distance >= 1.0 + radius {
            return 0.0;
        }
        // Rings that lie wholly behind the body, then those that it cuts.
        let whole = (radius - distance).clamp(0.0, 1.0);
        let (inner, outer) = (
            (distance - radius).abs().min(1.0),
            (distance + radius).min(1.0),
        );
        (self.light_within(whole) + self.cut_rings(inner, outer, distance, radius))
            / self.light_within(1.0)
    }

    fn brightness(&self, r: f64) -> f64 {
        let shade = 1.0 - libm::sqrt((1.0 - r * r).max(0.0));
        1.0 - self.u1 * shade - self.u2 * shade * shade
    }

    /// The light of the disc within `r` of its centre.
    fn light_within(&self, r: f64) -> f64 {
        let Self { u1, u2 } = *self;
        let mu = libm::sqrt((1.0 - r * r).max(0.0));
        let primitive = |mu: f64| {
            mu * mu * ((1.0 - u1 - u2) / 2.0 + mu * ((u1 + 2.0 * u2) / 3.0 - mu * u2 / 4.0))
        };
        TAU * (primitive(1.0) - primitive(mu))
    }

    /// The light behind the body of the rings from `inner` to `outer`.
    ///
    /// The arc of a ring grows like a square root at either end of the interval. The radius runs as a cosine, whose angle starts and ends
    /// slowly: so the integrand is smooth and flat at the ends, and equal steps converge fast.
    fn cut_rings(&self, inner: f64, outer: f64, distance: f64, radius: f64) -> f64 {
        let (middle, half) = ((inner + outer) / 2.0, (outer - inner) / 2.0);
        if half <= 0.0 || distance <= 0.0 {
            return 0.0;
        }
        let ring = |i: usize| {
            let step = (i as f64 + 0.5) / NODES as f64;
            let angle = PI * step * step * (3.0 - 2.0 * step);
            let r = middle - half * libm::cos(angle);
            let cosine = (r * r + distance * distance - radius * radius) / (2.0 * r * distance);
            let arc = 2.0 * libm::acos(cosine.clamp(-1.0, 1.0));
            let speed = 6.0 * PI * step * (1.0 - step) * half * libm::sin(angle);
            self.brightness(r) * arc * r * speed
        };
        (0..NODES).map(ring).sum::<f64>() / NODES as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The hidden light by adding up small patches of the disc.
    fn by_patches(law: LimbDarkening, distance: f64, radius: f64) -> f64 {
        const RINGS: usize = 1500;
        const SECTORS: usize = 1500;
        let (mut hidden, mut all) = (0.0, 0.0);
        for ring in 0..RINGS {
            let r = (ring as f64 + 0.5) / RINGS as f64;
            let light = law.brightness(r) * r;
            for sector in 0..SECTORS {
                let angle = TAU * (sector as f64 + 0.5) / SECTORS as f64;
                let (x, y) = (r * libm::cos(angle) - distance, r * libm::sin(angle));
                all += light;
                hidden += if x * x + y * y < radius * radius {
                    light
                } else {
                    0.0
                };
            }
        }
        hidden / all
    }

    const SUN: LimbDarkening = LimbDarkening { u1: 0.4, u2: 0.26 };

    #[test]
    fn hidden_light_agrees_with_patches() {
        for (distance, radius) in [
            (0.0, 0.1),
            (0.5, 0.1),
            (0.95, 0.1),
            (1.05, 0.1),
            (0.3, 0.5),
            (0.9, 0.9),
            (0.4, 1.3),
        ] {
            for law in [
                SUN,
                LimbDarkening { u1: 0.0, u2: 0.0 },
                LimbDarkening { u1: 0.7, u2: -0.1 },
            ] {
                let (fast, slow) = (
                    law.hidden(distance, radius),
                    by_patches(law, distance, radius),
                );
                assert!(
                    (fast - slow).abs() < 2e-4,
                    "{law:?} at {distance}, {radius}: {fast}, not {slow}"
                );
            }
        }
    }

    #[test]
    fn a_uniform_disc_hides_its_overlap() {
        let uniform = LimbDarkening { u1: 0.0, u2: 0.0 };
        for radius in [0.05, 0.3, 1.0, 1.4] {
            for step in 1..50 {
                let distance = f64::from(step) * (1.0 + radius) / 50.0;
                let error = uniform.hidden(distance, radius) - lens(distance, radius) / PI;
                assert!(error.abs() < 1e-6, "{distance}, {radius}: {error}");
            }
        }
    }

    /// The area common to the unit disc and one of radius `radius` (the textbook formula).
    fn lens(d: f64, radius: f64) -> f64 {
        if d <= (1.0 - radius).abs() {
            return PI * radius.min(1.0).powi(2);
        }
        let wedge = |cosine: f64| cosine.clamp(-1.0, 1.0).acos();
        let a = wedge((d * d + 1.0 - radius * radius) / (2.0 * d));
        let b = wedge((d * d + radius * radius - 1.0) / (2.0 * d * radius));
        let kite =
            ((1.0 + radius + d) * (1.0 + radius - d) * (1.0 - radius + d) * (radius - 1.0 + d))
                .max(0.0);
        a + radius * radius * b - kite.sqrt() / 2.0
    }

    proptest! {
        #[test]
        fn hidden_light_is_a_share_that_falls_with_distance(
            radius in 0.001f64..2.0,
            near in 0.0f64..1.0,
            far in 0.0f64..1.0,
            u1 in 0.0f64..0.8,
            u2 in 0.0f64..0.2,
        ) {
            let law = LimbDarkening { u1, u2 };
            let at = |share: f64| law.hidden(share * (1.0 + radius), radius);
            let (closer, further) = (at(near.min(far)), at(near.max(far)));
            prop_assert!((0.0..=1.0 + 1e-6).contains(&closer));
            prop_assert!(further <= closer + 1e-6);
        }
    }
}
