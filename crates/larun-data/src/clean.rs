//! Cleaning of light curves: what an astronomer does between a file and a classifier.
//!
//! | step | functions |
//! |---|---|
//! | leave out flagged cadences | [`Quality`] with the default bit masks of Kepler and TESS |
//! | leave out outliers | [`SigmaClip`], iterative, with its own limit on either side |
//! | take away slow variation | [`Detrend`]: median filter, Savitzky-Golay, Tukey's biweight, each within the segments between gaps |
//! | normalise | [`Normalisation`] |
//! | fill gaps | [`even`] |
//! | fold at a period | [`fold`] |
//! | bin to a fixed length | [`bin`], [`rebin`] |
//!
//! [`Recipe`](crate::recipe::Recipe) does them in order. Times are days, fluxes anything linear.
//!
//! ```
//! use larun_data::clean::{SigmaClip, bin, fold};
//!
//! // A dip of one per cent every two days, and one cosmic ray.
//! let time: Vec<f64> = (0..1000).map(|i| f64::from(i) * 0.02).collect();
//! let mut flux: Vec<f64> = time.iter().map(|t| if t % 2.0 < 0.1 { 0.99 } else { 1.0 }).collect();
//! flux[500] = 1.5;
//!
//! let keep = SigmaClip { lower: f64::INFINITY, upper: 5.0, iterations: 5 }.keep(&flux);
//! assert_eq!(keep.iter().filter(|&&kept| !kept).count(), 1);
//!
//! let phase = fold(&time, 2.0, 0.05)?;
//! let binned = bin(&phase, &flux, [-0.5, 0.5], 40)?;
//! assert!(binned[20].unwrap() < 0.995 && binned[3] == Some(1.0));
//! # Ok::<(), larun_data::clean::CleanError>(())
//! ```

mod bins;
mod detrend;
mod gaps;
mod outliers;
mod quality;
mod scale;

pub use bins::{bin, fold, rebin};
pub use detrend::{Detrend, biweight_location};
pub(crate) use gaps::filled;
pub use gaps::{GapFill, cadence, even, segments};
pub use outliers::SigmaClip;
pub use quality::{KEPLER_FLAGS, Mission, Quality, TESS_FLAGS};
pub use scale::Normalisation;
pub(crate) use scale::median;

/// Why data cannot be cleaned as asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CleanError {
    /// Too few measurements are left.
    #[error("{left} measurements are left after {step}, expected {least} or more")]
    TooFew {
        /// After which step.
        step: &'static str,
        /// How many are left.
        left: usize,
        /// How many are needed.
        least: usize,
    },
    /// A number that a step is given makes no sense.
    #[error("{name} is {found}, expected {expected}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        found: f64,
        /// The values that would do.
        expected: &'static str,
    },
    /// Times and fluxes are of different number.
    #[error("{times} times and {values} values do not belong together")]
    Lengths {
        /// The times.
        times: usize,
        /// The values.
        values: usize,
    },
    /// An even series would have far more points than there are measurements.
    #[error(
        "{points} points of {cadence} days from first to last measurement, where {found} were measured: cut the series, or give bins"
    )]
    Sparse {
        /// The points that an even series would have.
        points: f64,
        /// Days from one to the next.
        cadence: f64,
        /// The measurements.
        found: usize,
    },
}

pub(crate) fn same_length(times: &[f64], values: &[f64]) -> Result<(), CleanError> {
    if times.len() == values.len() {
        return Ok(());
    }
    Err(CleanError::Lengths {
        times: times.len(),
        values: values.len(),
    })
}
