//! Quality flags of Kepler, K2 and TESS.

use serde::{Deserialize, Serialize};

/// The telescope that a light curve is from, which says what its flags mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mission {
    /// Kepler and K2.
    Kepler,
    /// TESS.
    Tess,
}

/// Kepler's and K2's flags by bit, from the Kepler Archive Manual (Thompson et al. 2016, KDMC-10008-006, table 2-3).
pub const KEPLER_FLAGS: [&str; 21] = [
    "attitude tweak",
    "safe mode",
    "coarse point",
    "Earth point",
    "zero crossing",
    "desaturation",
    "argabrightening",
    "cosmic ray in aperture",
    "manual exclude",
    "reserved",
    "sudden sensitivity dropout",
    "impulsive outlier",
    "argabrightening on CCD",
    "cosmic ray in collateral data",
    "detector anomaly",
    "no fine point",
    "no data",
    "rolling band in aperture",
    "rolling band in mask",
    "possible thruster firing",
    "thruster firing",
];

/// TESS's flags by bit, from the TESS Science Data Products Description (Twicken et al. 2020, table 32).
pub const TESS_FLAGS: [&str; 16] = [
    "attitude tweak",
    "safe mode",
    "coarse point",
    "Earth point",
    "argabrightening",
    "desaturation",
    "cosmic ray in aperture",
    "manual exclude",
    "discontinuity",
    "impulsive outlier",
    "cosmic ray in collateral data",
    "straylight",
    "second straylight",
    "planet search exclude",
    "bad calibration",
    "insufficient targets",
];

/// Which flagged cadences are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// None.
    None,
    /// Those that are severe: the default mask of Lightkurve (2018), 1130799 for Kepler and 17087 for TESS.
    #[default]
    Default,
    /// Those that are likely bad too: cosmic rays, stray light, drops of sensitivity.
    Hard,
    /// All that have any flag which says something.
    Hardest,
    /// Those with any of these bits.
    Mask(u32),
}

impl Quality {
    /// The bits that leave a cadence out. Without a mission any flag does, but for [`Quality::None`] and a mask.
    #[must_use]
    pub const fn mask(self, mission: Option<Mission>) -> u32 {
        match (self, mission) {
            (Self::None, _) => 0,
            (Self::Mask(mask), _) => mask,
            (Self::Default, Some(Mission::Kepler)) => 1_130_799,
            (Self::Hard, Some(Mission::Kepler)) => 1_664_431,
            (Self::Hardest, Some(Mission::Kepler)) => 2_096_639,
            (Self::Default, Some(Mission::Tess)) => 17_087,
            (Self::Hard, Some(Mission::Tess)) => 24_319,
            (Self::Hardest, Some(Mission::Tess)) => 65_535,
            (_, None) => u32::MAX,
        }
    }
}

impl Mission {
    /// What the flags mean, by bit.
    #[must_use]
    pub const fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Kepler => &KEPLER_FLAGS,
            Self::Tess => &TESS_FLAGS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mask whose bits have these names.
    fn of(names: &[&str], mission: Mission) -> u32 {
        let bit = |name: &&str| mission.flags().iter().position(|flag| flag == name);
        names.iter().map(|name| 1 << bit(name).unwrap()).sum()
    }

    #[test]
    fn the_masks_are_made_of_what_they_say() {
        let severe = [
            "attitude tweak",
            "safe mode",
            "coarse point",
            "Earth point",
            "desaturation",
            "manual exclude",
        ];
        let rays = ["cosmic ray in aperture", "cosmic ray in collateral data"];
        let kepler = of(&severe, Mission::Kepler)
            + of(
                &["detector anomaly", "no data", "thruster firing"],
                Mission::Kepler,
            );
        assert_eq!(Quality::Default.mask(Some(Mission::Kepler)), kepler);
        let hard = kepler
            + of(&rays, Mission::Kepler)
            + of(
                &["sudden sensitivity dropout", "possible thruster firing"],
                Mission::Kepler,
            );
        assert_eq!(Quality::Hard.mask(Some(Mission::Kepler)), hard);
        let tess = of(&severe, Mission::Tess)
            + of(
                &["argabrightening", "impulsive outlier", "bad calibration"],
                Mission::Tess,
            );
        assert_eq!(Quality::Default.mask(Some(Mission::Tess)), tess);
        let stray = of(&["straylight", "second straylight"], Mission::Tess);
        assert_eq!(
            Quality::Hard.mask(Some(Mission::Tess)),
            tess + of(&rays, Mission::Tess) + stray
        );
    }
}
