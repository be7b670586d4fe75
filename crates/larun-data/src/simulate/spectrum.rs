//! Simulated spectra of stars: black bodies with absorption lines, types O to M.
//!
//! A spectrum has 1024 points from 3850 to 5550 Å (air), as a survey of moderate resolution takes them. It is divided by its continuum,
//! a Gaussian mean over 110 points, less 1, and clipped to [-1, 1.5]: what slope is left of reddening goes with it.
//!
//! | parameter | drawn |
//! |---|---|
//! | temperature | within the class: M 2,500 to 3,900 K, K to 5,200, G to 6,000, F to 7,500, A to 10,000, B to 30,000, O to 45,000 |
//! | radial velocity | normal, 60 km/s |
//! | width of lines | 2 to 8 Å, of hydrogen up to 22 |
//! | abundance | lines 0.7 to 1.3 as strong |
//! | reddening | a slope of up to 40 per cent |
//! | signal over noise | 10 to 160 a point, log-uniform |
//!
//! How strong a line is at a temperature is drawn after Gray and Corbally (2009, "Stellar Spectral Classification"): helium II in O,
//! helium I strongest at B2, hydrogen at A0, ionised calcium from A on, metals and the G band from F to K, titanium oxide in M.

use super::random::Random;
use crate::dataset::Dataset;

/// Points of a spectrum.
pub const POINTS: usize = 1024;
/// The first and the last wavelength, in Å.
pub const RANGE: [f64; 2] = [3850.0, 5550.0];
/// The classes, in the order of the labels.
pub const CLASSES: [&str; 7] = ["O", "B", "A", "F", "G", "K", "M"];

/// Temperatures of the classes in kelvin, hottest first.
const TEMPERATURES: [[f64; 2]; 7] = [
    [30_000.0, 45_000.0],
    [10_000.0, 30_000.0],
    [7_500.0, 10_000.0],
    [6_000.0, 7_500.0],
    [5_200.0, 6_000.0],
    [3_900.0, 5_200.0],
    [2_500.0, 3_900.0],
];

/// Keeps these random numbers apart from those of light curves and galaxies.
const STREAM: u64 = 200;

/// A family of lines: how strong it is at which temperature, and its lines with their own strengths.
struct Family {
    /// Temperature of the greatest strength, in kelvin.
    peak: f64,
    /// How far from there the strength has fallen to 0.6, in powers of e towards cooler and hotter stars.
    spread: [f64; 2],
    /// The depth of the deepest line at the peak.
    depth: f64,
    /// The width over that of other lines.
    width: f64,
    /// Wavelengths in Å, and strengths.
    lines: &'static [(f64, f64)],
}

const FAMILIES: [Family; 8] = [
    // Balmer lines of hydrogen.
    Family {
        peak: 9_500.0,
        spread: [0.28, 0.55],
        depth: 0.72,
        width: 2.6,
        lines: &[
            (4861.3, 1.0),
            (4340.5, 0.98),
            (4101.7, 0.95),
            (3970.1, 0.9),
            (3889.1, 0.8),
        ],
    },
    // Neutral helium.
    Family {
        peak: 20_000.0,
        spread: [0.22, 0.35],
        depth: 0.26,
        width: 1.0,
        lines: &[
            (4471.5, 1.0),
            (4026.2, 0.9),
            (4387.9, 0.6),
            (4921.9, 0.6),
            (4143.8, 0.5),
            (5015.7, 0.4),
            (4713.1, 0.3),
        ],
    },
    // Ionised helium, and the blends of carbon and nitrogen beside it.
    Family {
        peak: 42_000.0,
        spread: [0.2, 0.6],
        depth: 0.25,
        width: 1.1,
        lines: &[
            (4685.7, 1.0),
            (4541.6, 0.9),
            (4199.8, 0.7),
            (5411.5, 0.9),
            (4088.9, 0.5),
            (4649.0, 0.4),
        ],
    },
    // Ionised calcium, H and K.
    Family {
        peak: 4_600.0,
        spread: [0.6, 0.3],
        depth: 0.85,
        width: 1.8,
        lines: &[(3933.7, 1.0), (3968.5, 0.95)],
    },
    // Iron and its like.
    Family {
        peak: 4_600.0,
        spread: [0.4, 0.25],
        depth: 0.42,
        width: 1.0,
        lines: &[
            (4045.8, 0.8),
            (4063.6, 0.7),
            (4271.8, 0.8),
            (4325.8, 0.7),
            (4383.5, 0.9),
            (4404.8, 0.7),
            (4528.6, 0.5),
            (4668.0, 0.5),
            (4957.6, 0.6),
            (5227.2, 0.7),
            (5269.5, 1.0),
            (5328.0, 0.9),
            (5371.5, 0.6),
            (5446.9, 0.6),
        ],
    },
    // The G band of CH.
    Family {
        peak: 5_300.0,
        spread: [0.18, 0.16],
        depth: 0.45,
        width: 2.5,
        lines: &[(4300.0, 1.0), (4310.0, 0.8)],
    },
    // Neutral calcium and magnesium, which grow towards cool stars.
    Family {
        peak: 3_900.0,
        spread: [0.5, 0.22],
        depth: 0.62,
        width: 1.4,
        lines: &[
            (4226.7, 1.0),
            (5167.3, 0.7),
            (5172.7, 0.8),
            (5183.6, 0.9),
            (5207.0, 0.6),
        ],
    },
    // Metals of early stars: ionised magnesium and silicon.
    Family {
        peak: 10_500.0,
        spread: [0.35, 0.4],
        depth: 0.16,
        width: 1.0,
        lines: &[(4481.2, 1.0), (4128.1, 0.7), (4130.9, 0.6), (4233.2, 0.5)],
    },
];

/// Heads of titanium oxide's bands in Å, and their depths; each falls off towards the red.
const TITANIUM_OXIDE: [(f64, f64); 6] = [
    (4584.0, 0.25),
    (4626.0, 0.2),
    (4761.0, 0.45),
    (4954.0, 0.55),
    (5167.0, 0.6),
    (5448.0, 0.5),
];

/// Spectra of all seven types, `samples_per_class` of each, class after class: samples of shape `[1024, 1]`.
#[must_use]
pub fn spectra(samples_per_class: usize, seed: u64) -> Dataset {
    let name = format!("simulated spectra, seed {seed}");
    super::dataset(
        name,
        vec![POINTS, 1],
        &CLASSES,
        samples_per_class,
        seed,
        |class, index| spectrum(class, seed, index),
    )
}

/// The spectrum number `index` of a type, by its label; a label beyond the last is taken for the last.
#[must_use]
pub fn spectrum(class: u32, seed: u64, index: u64) -> Vec<f32> {
    let mut random = Random::new(seed, STREAM + u64::from(class), index);
    let last = TEMPERATURES.len() - 1;
    let [cool, hot] = TEMPERATURES[(class as usize).min(last)];
    let star = Star::draw(&mut random, cool, hot);
    let mut flux: Vec<f64> = (0..POINTS).map(|i| star.flux(wavelength(i))).collect();
    let middle = super::median(&flux).max(f64::MIN_POSITIVE);
    let noise = 1.0 / random.log_uniform(10.0, 160.0);
    for value in &mut flux {
        let light = *value / middle;
        // Fewer photons, more noise for what is left.
        *value = light + noise * libm::sqrt(light.max(0.01)) * random.normal();
    }
    let continuum = smooth(&flux, 110.0);
    let pairs = flux.iter().zip(continuum);
    pairs
        .map(|(flux, level)| (flux / level.max(0.02) - 1.0).clamp(-1.0, 1.5) as f32)
        .collect()
}

/// The wavelength of a point, in Å.
fn wavelength(point: usize) -> f64 {
    RANGE[0] + (RANGE[1] - RANGE[0]) * point as f64 / (POINTS - 1) as f64
}

/// A star and how it is seen.
struct Star {
    temperature: f64,
    /// Wavelengths are longer by this factor.
    shift: f64,
    width: f64,
    abundance: f64,
    hydrogen: f64,
    reddening: f64,
}

impl Star {
    fn draw(random: &mut Random, cool: f64, hot: f64) -> Self {
        const LIGHT: f64 = 299_792.458;
        Self {
            temperature: random.log_uniform(cool, hot),
            shift: 1.0 + 60.0 * random.normal() / LIGHT,
            width: random.uniform(2.0, 8.0),
            abundance: random.uniform(0.7, 1.3),
            hydrogen: random.uniform(0.7, 1.1),
            reddening: random.uniform(-0.1, 0.4),
        }
    }

    /// The light at a wavelength, of any scale.
    fn flux(&self, observed: f64) -> f64 {
        let wavelength = observed / self.shift;
        let along = (observed - RANGE[0]) / (RANGE[1] - RANGE[0]);
        let lines: f64 = FAMILIES
            .iter()
            .map(|family| self.absorption(family, wavelength))
            .sum();
        // Lines that overlap do not go below zero.
        let passed = libm::exp(-lines) * (1.0 - self.bands(wavelength));
        planck(observed, self.temperature) * passed * (1.0 + self.reddening * (along - 0.5))
    }

    /// The optical depth of a family of lines.
    fn absorption(&self, family: &Family, wavelength: f64) -> f64 {
        let off = libm::log(self.temperature / family.peak);
        let spread = if off < 0.0 {
            family.spread[0]
        } else {
            family.spread[1]
        };
        let is_hydrogen = family.width > 2.55;
        let own = if is_hydrogen {
            self.hydrogen
        } else {
            self.abundance
        };
        let strength = family.depth * own * libm::exp(-off * off / (2.0 * spread * spread));
        let width = self.width * family.width;
        let lines = family.lines.iter().map(|&(centre, share)| {
            let distance = (wavelength - centre) / width;
            // Half Gaussian core, half Lorentzian wings.
            share
                * (0.6 * libm::exp(-distance * distance) + 0.4 / (1.0 + 2.0 * distance * distance))
        });
        -libm::log((1.0 - strength).max(0.05)) * lines.sum::<f64>()
    }

    /// The share of the light that titanium oxide takes.
    fn bands(&self, wavelength: f64) -> f64 {
        let strength = ((4_100.0 - self.temperature) / 1_100.0).clamp(0.0, 1.0);
        let band = |&(head, depth): &(f64, f64)| match wavelength - head {
            past if past < 0.0 => 0.0,
            past => depth * libm::exp(-past / 90.0),
        };
        let deepest = TITANIUM_OXIDE.iter().map(band).fold(0.0, f64::max);
        (strength * deepest * self.abundance).min(0.95)
    }
}

/// A black body's light at a wavelength in Å, of any scale (Planck 1901).
fn planck(wavelength: f64, temperature: f64) -> f64 {
    // h c / k in Å K.
    const SECOND: f64 = 1.438_777e8;
    let x = wavelength / 5000.0;
    1.0 / (x * x * x * x * x * (libm::exp(SECOND / (wavelength * temperature)) - 1.0))
        * libm::exp(SECOND / (5000.0 * temperature))
}

/// A Gaussian mean over so many points, the ends repeated.
fn smooth(values: &[f64], sigma: f64) -> Vec<f64> {
    let reach = (3.0 * sigma) as usize;
    let weights: Vec<f64> = (0..=2 * reach)
        .map(|i| {
            let distance = (i as f64 - reach as f64) / sigma;
            libm::exp(-distance * distance / 2.0)
        })
        .collect();
    let total: f64 = weights.iter().sum();
    let last = values.len().saturating_sub(1);
    (0..values.len())
        .map(|point| {
            let at = |i: usize| {
                let index = (point + i).saturating_sub(reach).min(last);
                values.get(index).copied().unwrap_or(0.0)
            };
            let sum: f64 = weights.iter().enumerate().map(|(i, w)| w * at(i)).sum();
            sum / total
        })
        .collect()
}
