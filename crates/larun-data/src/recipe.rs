//! From a light curve to samples for a network: every step of cleaning in order, as one value that can be written down.

use serde::{Deserialize, Serialize};

use crate::clean::{
    CleanError, Detrend, GapFill, Normalisation, SigmaClip, bin, even, filled, fold, rebin,
};
use crate::light_curve::LightCurve;

/// How light curves become samples.
///
/// In order: outliers go, slow variation is taken away, the rest is brought to a fixed length and normalised.
///
/// ```
/// use larun_data::clean::{Detrend, Normalisation};
/// use larun_data::recipe::{Ephemeris, Form, Recipe};
///
/// # let time: Vec<f64> = (0..2000).map(|i| f64::from(i) * 0.0204).collect();
/// # let flux = time.iter().map(|t| if (t - 1.0) % 3.0 < 0.2 { 990.0 } else { 1000.0 }).collect();
/// # let curve = larun_data::light_curve::LightCurve { time, flux, object: None, mission: None, flux_column: "FLUX".into(), rows: 2000, flagged: 0, missing: 0 };
/// // The two views of LarunNet-Transit: the whole turn and the event, 201 points each.
/// let recipe = Recipe {
///     detrend: Detrend::Biweight { window: 1.5 },
///     form: Form::Views { points: 201, local_width: 200 },
///     normalisation: Normalisation::Depth,
///     ..Recipe::default()
/// };
/// let ephemeris = Ephemeris { period: 3.0, epoch: 1.1 };
/// let samples = recipe.apply(&curve, Some(ephemeris))?;
/// assert_eq!(samples[0].len(), 2 * 201);
/// # Ok::<(), larun_data::clean::CleanError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Which outliers go.
    pub clip: Option<SigmaClip>,
    /// How slow variation is found.
    pub detrend: Detrend,
    /// The samples' form.
    pub form: Form,
    /// What fills gaps and empty bins.
    pub fill: GapFill,
    /// How samples are scaled.
    pub normalisation: Normalisation,
    /// The most that a value may be from 0 after that.
    pub limit: Option<f64>,
}

/// The form of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The whole curve at so many points.
    Whole {
        /// Points.
        points: usize,
    },
    /// Stretches of so many measurements, one sample each; a stretch at the end that is shorter is left out.
    Windows {
        /// Points.
        points: usize,
    },
    /// Folded at the period, phase -0.5 to 0.5 at so many points.
    Folded {
        /// Points.
        points: usize,
    },
    /// Folded, as two channels: the whole turn, and the turn's middle alone, both at so many points.
    Views {
        /// Points of each channel.
        points: usize,
        /// The share of the turn that the second channel shows, in thousandths.
        #[serde(rename = "local_thousandths")]
        local_width: Thousandths,
    },
}

/// A share in thousandths.
pub type Thousandths = u16;

/// When something repeats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ephemeris {
    /// Days from one event to the next.
    pub period: f64,
    /// The time of one.
    pub epoch: f64,
}

impl Default for Recipe {
    /// As the simulated light curves are made: windows of 1024 points, median 0, standard deviation 1, clipped to 8.
    fn default() -> Self {
        Self {
            clip: None,
            detrend: Detrend::None,
            form: Form::Windows { points: 1024 },
            fill: GapFill::Linear,
            normalisation: Normalisation::Deviation,
            limit: Some(8.0),
        }
    }
}

impl Form {
    /// The shape of a sample.
    #[must_use]
    pub fn shape(self) -> [usize; 2] {
        match self {
            Self::Whole { points } | Self::Windows { points } | Self::Folded { points } => {
                [points, 1]
            }
            Self::Views { points, .. } => [points, 2],
        }
    }

    fn is_folded(self) -> bool {
        matches!(self, Self::Folded { .. } | Self::Views { .. })
    }
}

impl Recipe {
    /// The samples of a light curve: one, or for windows as many as there are.
    ///
    /// # Errors
    /// [`CleanError`]: a step leaves too little, a setting makes no sense, or the form folds and there is no ephemeris.
    pub fn apply(
        &self,
        curve: &LightCurve,
        ephemeris: Option<Ephemeris>,
    ) -> Result<Vec<Vec<f32>>, CleanError> {
        let [points, _] = self.form.shape();
        if points == 0 {
            return Err(CleanError::Setting {
                name: "the number of points",
                found: 0.0,
                expected: "1 or more",
            });
        }
        let (time, flux) = self.clipped(curve);
        let least = 2;
        if time.len() < least {
            let (step, left) = ("leaving out outliers", time.len());
            return Err(CleanError::TooFew { step, left, least });
        }
        let flux = self.detrend.apply(&time, &flux)?;
        let samples = match self.form {
            Form::Whole { points } => vec![rebin(&even(&time, &flux, self.fill)?, points)],
            Form::Windows { points } => windows(&even(&time, &flux, self.fill)?, points)?,
            Form::Folded { .. } | Form::Views { .. } => {
                vec![self.folded(&time, &flux, ephemeris)?]
            }
        };
        Ok(samples
            .into_iter()
            .map(|sample| self.scaled(sample))
            .collect())
    }

    fn clipped(&self, curve: &LightCurve) -> (Vec<f64>, Vec<f64>) {
        let Some(clip) = self.clip else {
            return (curve.time.clone(), curve.flux.clone());
        };
        let keep = clip.keep(&curve.flux);
        let pairs = curve.time.iter().zip(&curve.flux).zip(keep);
        pairs
            .filter(|(_, keep)| *keep)
            .map(|((&time, &flux), _)| (time, flux))
            .unzip()
    }

    /// The folded forms, channels of a point together.
    fn folded(
        &self,
        time: &[f64],
        flux: &[f64],
        ephemeris: Option<Ephemeris>,
    ) -> Result<Vec<f64>, CleanError> {
        let Some(Ephemeris { period, epoch }) = ephemeris else {
            return Err(CleanError::Setting {
                name: "the period",
                found: f64::NAN,
                expected: "days, more than 0: this form folds at it",
            });
        };
        let phase = fold(time, period, epoch)?;
        let view = |width: f64, points: usize| {
            let range = [-width / 2.0, width / 2.0];
            bin(&phase, flux, range, points).map(|bins| filled(&bins, self.fill))
        };
        let mut whole = view(1.0, self.form.shape()[0])?;
        let Form::Views {
            points,
            local_width,
        } = self.form
        else {
            return Ok(whole);
        };
        let width = f64::from(local_width.clamp(1, 1000)) / 1000.0;
        let mut local = view(width, points)?;
        // Each view on its own scale, as the network was trained.
        self.normalisation.apply(&mut whole);
        self.normalisation.apply(&mut local);
        let pairs = whole.into_iter().zip(local);
        Ok(pairs.flat_map(|(whole, local)| [whole, local]).collect())
    }

    fn scaled(&self, mut sample: Vec<f64>) -> Vec<f32> {
        // Views are scaled one by one already.
        if !matches!(self.form, Form::Views { .. }) {
            self.normalisation.apply(&mut sample);
        }
        let limit = self.limit.unwrap_or(f64::MAX).abs();
        let limited = |value: f64| value.clamp(-limit, limit) as f32;
        sample.into_iter().map(limited).collect()
    }

    /// Whether samples need a period and an epoch.
    #[must_use]
    pub fn folds(&self) -> bool {
        self.form.is_folded()
    }
}

/// Stretches of so many points.
fn windows(series: &[f64], points: usize) -> Result<Vec<Vec<f64>>, CleanError> {
    if series.len() < points {
        return Err(CleanError::TooFew {
            step: "filling gaps, to cut into windows",
            left: series.len(),
            least: points,
        });
    }
    Ok(series.chunks_exact(points).map(<[f64]>::to_vec).collect())
}
