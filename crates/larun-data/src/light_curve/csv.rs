//! Light curves from CSV files.

use std::path::Path;

use super::{FLUX_COLUMNS, LightCurve, ReadOptions};
use crate::csv::{CsvError, CsvFault, CsvTable};

const TIME_COLUMNS: [&str; 6] = ["time", "t", "bjd", "hjd", "jd", "mjd"];
const QUALITY_COLUMNS: [&str; 3] = ["quality", "sap_quality", "flags"];

impl LightCurve {
    /// Reads a file with a column of times in days (`time`, `t`, `bjd`, `hjd`, `jd` or `mjd`), one of fluxes, and perhaps one of quality
    /// flags (`quality`, `sap_quality` or `flags`). Empty fields are missing measurements.
    ///
    /// # Errors
    /// [`CsvError`], naming file, line and column.
    pub fn read_csv(path: &Path, options: &ReadOptions) -> Result<Self, CsvError> {
        let table = CsvTable::open(path)?;
        let time = table.column(&TIME_COLUMNS)?;
        let flux = match &options.flux_column {
            Some(name) => table.column(&[name])?,
            None => table.column(&FLUX_COLUMNS)?,
        };
        let flags = table.find(&QUALITY_COLUMNS);
        let flags = flags.map(|column| flags_of(&table, column)).transpose()?;
        let (times, fluxes) = (table.numbers(time)?, table.numbers(flux)?);
        let mask = options.quality.mask(None);
        let mut curve = Self::from_columns(&times, &fluxes, flags.as_deref(), mask);
        let name = |column: usize| table.columns.get(column).cloned().unwrap_or_default();
        if curve.time.is_empty() {
            let is_time = !times.iter().any(|time| time.is_finite());
            return Err(table.error(CsvFault::AllMissing {
                column: name(if is_time { time } else { flux }),
                rows: curve.rows,
            }));
        }
        curve.flux_column = name(flux);
        Ok(curve)
    }
}

fn flags_of(table: &CsvTable, column: usize) -> Result<Vec<i64>, CsvError> {
    let flag = |(row, text): (usize, &str)| match text {
        "" => Ok(0),
        _ => text
            .parse()
            .map_err(|_| table.wrong(column, row, "a whole number of flag bits".to_owned())),
    };
    table.text(column).enumerate().map(flag).collect()
}
