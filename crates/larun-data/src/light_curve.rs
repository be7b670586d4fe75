//! Light curves: brightness over time, from FITS files as Kepler and TESS write them and from CSV.
//!
//! ```no_run
//! use larun_data::light_curve::{LightCurve, ReadOptions};
//!
//! let curve = LightCurve::open("tess2018206045859-s0001-0000000038846515-0120-s_lc.fits".as_ref(), &ReadOptions::default())?;
//! println!("{} of {} measurements of {}", curve.time.len(), curve.rows, curve.object.unwrap_or_default());
//! # Ok::<(), larun_data::DataError>(())
//! ```

mod csv;
mod fits;

use std::path::Path;

use crate::DataError;
use crate::clean::{Mission, Quality};

/// A light curve: measurements in ascending order of time, all finite, those left out that the quality flags or their values rule out.
#[derive(Clone, Debug, PartialEq)]
pub struct LightCurve {
    /// Days, from whatever epoch the file counts.
    pub time: Vec<f64>,
    /// Flux, in whatever linear unit the file has.
    pub flux: Vec<f64>,
    /// What was observed, where the file says.
    pub object: Option<String>,
    /// The telescope, where the file says.
    pub mission: Option<Mission>,
    /// The column that the flux is from.
    pub flux_column: String,
    /// Rows of the file.
    pub rows: usize,
    /// Rows left out for their flags.
    pub flagged: usize,
    /// Rows left out for a time or flux that is no number.
    pub missing: usize,
}

/// What to read of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadOptions {
    /// The column of the flux; `None` takes the first that is there of `PDCSAP_FLUX`, `KSPSAP_FLUX`, `SAP_FLUX`, `FLUX` and, in CSV
    /// files, `flux`.
    pub flux_column: Option<String>,
    /// Which flagged measurements to leave out.
    pub quality: Quality,
}

/// Columns that a flux is looked for in: with systematics removed first.
const FLUX_COLUMNS: [&str; 4] = ["PDCSAP_FLUX", "KSPSAP_FLUX", "SAP_FLUX", "FLUX"];

impl LightCurve {
    /// Reads a FITS file, or a CSV file by its extension `.csv`.
    ///
    /// # Errors
    /// [`DataError`], naming the file and the column.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self, DataError> {
        let is_csv = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        Ok(match is_csv {
            true => Self::read_csv(path, options)?,
            false => Self::read_fits(&crate::fits::Fits::open(path)?, options)?,
        })
    }

    /// Picks the usable measurements and sorts them.
    fn from_columns(time: &[f64], flux: &[f64], flags: Option<&[i64]>, mask: u32) -> Self {
        let mut rows: Vec<(f64, f64)> = Vec::with_capacity(time.len());
        let (mut flagged, mut missing) = (0, 0);
        for (i, (&time, &flux)) in time.iter().zip(flux).enumerate() {
            let flags = flags.and_then(|flags| flags.get(i)).copied().unwrap_or(0);
            if flags & i64::from(mask) != 0 {
                flagged += 1;
            } else if time.is_finite() && flux.is_finite() {
                rows.push((time, flux));
            } else {
                missing += 1;
            }
        }
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self {
            rows: time.len(),
            time: rows.iter().map(|row| row.0).collect(),
            flux: rows.iter().map(|row| row.1).collect(),
            object: None,
            mission: None,
            flux_column: String::new(),
            flagged,
            missing,
        }
    }
}
