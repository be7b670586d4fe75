//! Stars that vary by themselves: spots, pulsation, granulation.
//!
//! | kind | share | drawn | source |
//! |---|---|---|---|
//! | rotation | 3/10 | 2 to 6 spots at any longitude, latitude up to 50°, lifetimes of 0.7 to 6 turns; period 0.5 to 14 days, log-uniform; the poles turn up to 20 % slower; inclination 30° to 90° | McQuillan et al. 2014, ApJS 211, 24 |
//! | many modes | 3/10 | 3 to 12 sinusoids of falling amplitude, 4 to 22 cycles a day (delta Scuti) or 0.3 to 3.5 (gamma Doradus) | Uytterhoeven et al. 2011, A&A 534, A125 |
//! | saw-tooth | 1/5 | one period of 0.35 to 7 days, log-uniform, rising fast and falling slowly, in one of three with a slow change of amplitude | RR Lyrae and Cepheid stars, Blazhko 1907 |
//! | granulation | 1/5 | two scales, 0.06 to 1 day, and in half of them a hump of damped oscillations at 1 to 15 cycles a day | Kallinger et al. 2014, A&A 570, A41 |
//!
//! The standard deviation of the variation is 1.2 to 30 times that of the white noise, log-uniform (granulation: 1.2 to 10). A sinusoid
//! of frequency f is smaller by `sinc(pi f exposure)` for being averaged over half an hour.

use core::f64::consts::{PI, TAU};

use super::background::ornstein_uhlenbeck;
use super::random::Random;
use super::{CADENCE, POINTS, SPAN, Signal, expose, standard_deviation};

pub(crate) fn signal(random: &mut Random) -> Signal {
    let (flux, most) = match random.whole(0, 9) {
        0..3 => (rotation(random), 30.0),
        3..6 => (modes(random), 30.0),
        6..8 => (saw_tooth(random), 30.0),
        _ => (granulation(random), 10.0),
    };
    let amplitude = standard_deviation(&flux).max(f64::MIN_POSITIVE);
    let ratio = random.log_uniform(1.2, most);
    Signal::with_ratio(flux, amplitude, ratio)
}

/// A dark region of the star's surface that comes and goes.
struct Spot {
    longitude: f64,
    latitude: f64,
    /// The light it takes away when it faces us at its largest.
    depth: f64,
    /// The day at which it is largest.
    peak: f64,
    /// Days from there until it has lost 40 per cent.
    lifetime: f64,
    /// Days of a turn at its latitude.
    period: f64,
}

impl Spot {
    fn draw(random: &mut Random, period: f64, shear: f64) -> Self {
        let latitude = random.uniform(-0.87, 0.87);
        let sine = libm::sin(latitude);
        Self {
            longitude: random.angle(),
            latitude,
            depth: random.uniform(0.3, 1.0),
            peak: random.uniform(-0.2, 1.2) * SPAN,
            lifetime: period * random.log_uniform(0.7, 6.0),
            period: period / (1.0 - shear * sine * sine),
        }
    }

    /// The light it takes away on a star seen at this inclination.
    fn hidden(&self, time: f64, inclination: f64) -> f64 {
        let longitude = self.longitude + TAU * time / self.period;
        let facing = libm::cos(inclination) * libm::sin(self.latitude)
            + libm::sin(inclination) * libm::cos(self.latitude) * libm::cos(longitude);
        if facing <= 0.0 {
            return 0.0;
        }
        let age = (time - self.peak) / self.lifetime;
        // Foreshortened, and darker towards the limb.
        self.depth * libm::exp(-age * age / 2.0) * facing * (0.4 + 0.6 * facing)
    }
}

fn rotation(random: &mut Random) -> Vec<f64> {
    let period = random.log_uniform(0.5, 14.0);
    let shear = random.uniform(0.0, 0.2);
    let inclination = random.uniform(PI / 6.0, PI / 2.0);
    let count = random.whole(2, 6);
    let mut spots: Vec<_> = (0..count)
        .map(|_| Spot::draw(random, period, shear))
        .collect();
    // One spot at least is there for all to see.
    if let Some(spot) = spots.first_mut() {
        spot.peak = random.uniform(0.2, 0.8) * SPAN;
        spot.lifetime = spot.lifetime.max(SPAN / 3.0);
    }
    expose(1, |time| {
        -spots
            .iter()
            .map(|spot| spot.hidden(time, inclination))
            .sum::<f64>()
    })
}

fn modes(random: &mut Random) -> Vec<f64> {
    let (lowest, highest) = if random.chance(0.5) {
        (4.0, 22.0)
    } else {
        (0.3, 3.5)
    };
    let fall = random.uniform(0.6, 0.95);
    let mut amplitude = 1.0;
    let modes: Vec<_> = (0..random.whole(3, 12))
        .map(|_| {
            let frequency = random.uniform(lowest, highest);
            amplitude *= fall;
            (
                TAU * frequency,
                random.angle(),
                amplitude * random.uniform(0.5, 1.0) * smearing(frequency),
            )
        })
        .collect();
    expose(1, |time| {
        modes
            .iter()
            .map(|(speed, phase, height)| height * libm::sin(speed * time + phase))
            .sum()
    })
}

/// What is left of a sinusoid of so many cycles a day after averaging over an exposure.
fn smearing(frequency: f64) -> f64 {
    let half = PI * frequency * CADENCE;
    libm::sin(half) / half
}

fn saw_tooth(random: &mut Random) -> Vec<f64> {
    let period = random.log_uniform(0.35, 7.0);
    let (phase, damping) = (random.angle(), random.uniform(0.05, 0.5));
    let blazhko = if random.chance(1.0 / 3.0) {
        random.uniform(0.1, 0.5)
    } else {
        0.0
    };
    let (slow, slow_phase) = (TAU / random.uniform(8.0, 40.0), random.angle());
    // Harmonics of the saw-tooth, the higher ones rounded off: it rises fast where they are in step.
    let wave = |turn: f64| -> f64 {
        let harmonic = |k: f64| libm::exp(-damping * k) * libm::sin(k * turn) / k;
        (1..=10).map(f64::from).map(harmonic).sum()
    };
    expose(3, |time| {
        let change = 1.0 + blazhko * libm::sin(slow * time + slow_phase);
        -change * wave(phase - TAU * time / period)
    })
}

fn granulation(random: &mut Random) -> Vec<f64> {
    let scale = random.log_uniform(0.06, 1.0);
    let (slow, fast) = (
        ornstein_uhlenbeck(random, scale),
        ornstein_uhlenbeck(random, scale / 3.0),
    );
    let mut flux: Vec<f64> = slow
        .iter()
        .zip(&fast)
        .map(|(slow, fast)| slow + 0.7 * fast)
        .collect();
    if random.chance(0.5) {
        let (frequency, share) = (random.log_uniform(1.0, 15.0), random.uniform(0.4, 1.5));
        for _ in 0..random.whole(3, 7) {
            let mode = damped_oscillation(random, frequency);
            flux.iter_mut()
                .zip(mode)
                .for_each(|(value, mode)| *value += share * mode);
        }
    }
    flux
}

/// A mode near so many cycles a day that convection kicks again and again: a damped oscillator driven by noise.
fn damped_oscillation(random: &mut Random, frequency: f64) -> Vec<f64> {
    let turn = TAU * CADENCE * frequency * random.uniform(0.85, 1.15);
    let keep = libm::exp(-CADENCE / random.log_uniform(2.0, 20.0));
    let (mut last, mut before) = (random.normal(), random.normal());
    let mut step = || {
        let now = 2.0 * keep * libm::cos(turn) * last - keep * keep * before + random.normal();
        before = last;
        last = now;
        now
    };
    let mode: Vec<f64> = (0..POINTS).map(|_| step()).collect();
    let size = standard_deviation(&mode).max(f64::MIN_POSITIVE);
    mode.into_iter().map(|value| value / size / 2.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_sinusoid_is_smeared_as_an_exposure_does() {
        for frequency in [0.5, 5.0, 20.0] {
            let exposed = expose(200, |time| libm::sin(TAU * frequency * time));
            let sampled = expose(1, |time| {
                smearing(frequency) * libm::sin(TAU * frequency * time)
            });
            let error = exposed
                .iter()
                .zip(&sampled)
                .fold(0.0f64, |worst, (a, b)| worst.max((a - b).abs()));
            assert!(error < 1e-4, "{frequency}: {error}");
        }
    }

    #[test]
    fn a_saw_tooth_rises_faster_than_it_falls() {
        let mut steeper = 0;
        for index in 0..50 {
            let flux = saw_tooth(&mut Random::new(3, 9, index));
            let steps = flux.windows(2).map(|pair| pair[1] - pair[0]);
            let (up, down) = steps.fold((0.0f64, 0.0f64), |(up, down), step| {
                (up.max(step), down.max(-step))
            });
            steeper += usize::from(up > down);
        }
        assert!(steeper > 45, "{steeper} of 50");
    }

    #[test]
    fn spots_darken_the_star_and_only_when_they_face_us() {
        let spot = Spot {
            longitude: 0.0,
            latitude: 0.0,
            depth: 0.5,
            peak: 0.0,
            lifetime: 1e9,
            period: 4.0,
        };
        assert!((spot.hidden(0.0, PI / 2.0) - 0.5).abs() < 1e-12);
        assert_eq!(spot.hidden(2.0, PI / 2.0), 0.0);
        for index in 0..50 {
            assert!(
                rotation(&mut Random::new(3, 8, index))
                    .iter()
                    .all(|value| *value <= 0.0)
            );
        }
    }
}
