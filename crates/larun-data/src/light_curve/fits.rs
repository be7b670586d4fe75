//! Light curves from FITS files.

use super::{FLUX_COLUMNS, LightCurve, ReadOptions};
use crate::clean::Mission;
use crate::fits::{Column, Fits, FitsError, Table};

const TIME_COLUMNS: [&str; 2] = ["TIME", "T"];
const QUALITY_COLUMNS: [&str; 2] = ["SAP_QUALITY", "QUALITY"];
/// Counts of days, by these words: `BJD - 2454833`, `d`, `days`.
const DAYS: &str = "days, such as \"d\" or \"BJD - 2454833\"";
const LINEAR: &str = "a linear flux, such as \"e-/s\": turn magnitudes into fluxes first";

impl LightCurve {
    /// Reads the first binary table with a time and a flux.
    ///
    /// # Errors
    /// [`FitsError`], naming file, table and column: there is no such table or column, it holds no numbers, the time is not in days, the
    /// flux is in magnitudes, or nothing is left of it.
    pub fn read_fits(file: &Fits, options: &ReadOptions) -> Result<Self, FitsError> {
        let table = table(file, options)?;
        let time = first(&table, &TIME_COLUMNS)?;
        let flux = match &options.flux_column {
            Some(name) => table.column(name)?,
            None => first(&table, &FLUX_COLUMNS)?,
        };
        if !time.unit.as_deref().is_none_or(is_days) {
            return Err(time.wrong_unit(DAYS));
        }
        if flux.unit.as_deref().is_some_and(is_magnitude) {
            return Err(flux.wrong_unit(LINEAR));
        }
        let flags = QUALITY_COLUMNS.iter().find_map(|name| table.find(name));
        let flags = flags.map(Column::integers).transpose()?;
        let mission = mission(file);
        let mask = options.quality.mask(mission);
        let (times, fluxes) = (time.values()?, flux.values()?);
        let mut curve = Self::from_columns(&times, &fluxes, flags.as_deref(), mask);
        if curve.time.is_empty() {
            let is_time = !times.iter().any(|time| time.is_finite());
            let column = if is_time { time } else { flux };
            return Err(column.all_missing(curve.rows));
        }
        curve.mission = mission;
        curve.flux_column.clone_from(&flux.name);
        let object = file.primary().and_then(|header| header.text("OBJECT"));
        curve.object = object.map(str::to_owned);
        Ok(curve)
    }
}

/// The table to read: the one that has a time and the flux that is asked for.
fn table<'f>(file: &'f Fits, options: &'f ReadOptions) -> Result<Table<'f>, FitsError> {
    let wanted: Vec<&str> = match &options.flux_column {
        Some(name) => vec![name],
        None => FLUX_COLUMNS.to_vec(),
    };
    let mut candidates = wanted.iter().flat_map(|flux| {
        let with = |time: &&'static str| file.table_with(&[time, flux]).ok();
        TIME_COLUMNS.iter().find_map(with)
    });
    match candidates.next() {
        Some(table) => Ok(table),
        // The error names what the first table lacks.
        None => file.table_with(&[]),
    }
}

/// The first of these columns that is there; the error names the first.
fn first<'t, 'f>(table: &'t Table<'f>, names: &[&str]) -> Result<&'t Column<'f>, FitsError> {
    match names.iter().find_map(|name| table.find(name)) {
        Some(column) => Ok(column),
        None => table.column(names.first().copied().unwrap_or_default()),
    }
}

fn is_days(unit: &str) -> bool {
    let unit = unit.trim().to_ascii_lowercase();
    unit.is_empty() || unit == "d" || unit.contains("day") || unit.contains("jd")
}

fn is_magnitude(unit: &str) -> bool {
    let unit = unit.to_ascii_lowercase();
    unit.contains("mag") || unit == "db"
}

/// The telescope by the primary header's `TELESCOP` or `MISSION`.
fn mission(file: &Fits) -> Option<Mission> {
    let header = file.primary()?;
    ["TELESCOP", "MISSION"].iter().find_map(|keyword| {
        let name = header.text(keyword)?.to_ascii_uppercase();
        match name.as_str() {
            _ if name.contains("TESS") => Some(Mission::Tess),
            "K2" => Some(Mission::Kepler),
            _ if name.contains("KEPLER") => Some(Mission::Kepler),
            _ => None,
        }
    })
}
