//! FITS files: headers, images and binary tables.
//!
//! Written from the FITS Standard 4.0 (Pence et al. 2010, A&A 524, A42, and its later versions). A file is read whole, and every
//! header-data unit in it is found before any data is looked at: a file that is shorter than its headers say is refused with the unit and
//! the bytes that are missing. Nothing is allocated beyond what the file's own length justifies, and no bytes make the reader panic.
//!
//! Read are primary arrays and image extensions of all six `BITPIX` with `BSCALE`, `BZERO` and `BLANK`, and binary tables with columns
//! `L X B I J K A E D` and their `TSCAL`, `TZERO`, `TNULL` and `TUNIT`. ASCII tables, variable-length arrays and compressed images are
//! told from the others and refused by name where they are asked for.
//!
//! ```no_run
//! use larun_data::fits::Fits;
//!
//! let file = Fits::open("kplr011446443-2009131110544_slc.fits".as_ref())?;
//! let table = file.table("LIGHTCURVE")?;
//! let time = table.column("TIME")?;
//! assert_eq!(time.unit.as_deref(), Some("BJD - 2454833"));
//! let days: Vec<f64> = time.values()?;
//! # Ok::<(), larun_data::fits::FitsError>(())
//! ```

mod error;
mod header;
mod image;
mod table;

use std::path::{Path, PathBuf};

pub use error::{FitsError, FitsFault};
pub use header::{Card, Header, Value};
pub use image::Image;
pub use table::{Column, ColumnType, Table};

/// Bytes of a block: headers and data are padded to whole ones.
const BLOCK: usize = 2880;

/// A file in memory, its units found.
#[derive(Clone, Debug)]
pub struct Fits {
    bytes: Vec<u8>,
    units: Vec<Unit>,
    file: PathBuf,
}

/// A header-data unit.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The header.
    pub header: Header,
    /// Where the data begins and ends in the file, without the padding.
    data: core::ops::Range<usize>,
}

impl Unit {
    /// `PRIMARY` for the first unit, else what `XTENSION` says: `IMAGE`, `BINTABLE`, `TABLE`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.header.text("XTENSION").unwrap_or("PRIMARY")
    }

    /// `EXTNAME`, or the kind where there is none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.header.text("EXTNAME").unwrap_or_else(|| self.kind())
    }
}

impl Fits {
    /// Reads a file.
    ///
    /// # Errors
    /// [`FitsError`] naming the file: it cannot be read, is no FITS file, or is cut off.
    pub fn open(path: &Path) -> Result<Self, FitsError> {
        let of_file = |fault| FitsError::new(path, fault);
        let bytes = std::fs::read(path).map_err(|error| of_file(FitsFault::Io(error)))?;
        let units = units(&bytes).map_err(of_file)?;
        Ok(Self {
            bytes,
            units,
            file: path.to_owned(),
        })
    }

    /// Reads the bytes of a file; `name` is what errors call it.
    ///
    /// # Errors
    /// As [`Fits::open`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self, FitsError> {
        let file = PathBuf::from(name);
        match units(&bytes) {
            Ok(units) => Ok(Self { bytes, units, file }),
            Err(fault) => Err(FitsError::new(&file, fault)),
        }
    }

    /// The units, the primary one first.
    #[must_use]
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// The file's path.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The header of the first unit.
    #[must_use]
    pub fn primary(&self) -> Option<&Header> {
        self.units.first().map(|unit| &unit.header)
    }

    /// The binary table of that extension name, in any case of letters.
    ///
    /// # Errors
    /// [`FitsError`]: there is none, with the names that there are; or its header is malformed.
    pub fn table(&self, extension: &str) -> Result<Table<'_>, FitsError> {
        let unit = self
            .units
            .iter()
            .find(|unit| unit.name().eq_ignore_ascii_case(extension));
        match unit {
            Some(unit) => self.table_of(unit),
            None => Err(self.error(FitsFault::NoUnit {
                wanted: format!("extension {extension:?}"),
                found: self.names(),
            })),
        }
    }

    /// The first binary table that has all of these columns.
    ///
    /// # Errors
    /// [`FitsError`]: there is no binary table; or none has them all, with the first that is missing in the first table.
    pub fn table_with(&self, columns: &[&str]) -> Result<Table<'_>, FitsError> {
        let mut first = None;
        for unit in self.units.iter().filter(|unit| unit.kind() == "BINTABLE") {
            let table = self.table_of(unit)?;
            let missing = columns.iter().find(|name| !table.contains(name));
            match missing {
                None => return Ok(table),
                Some(name) => {
                    first.get_or_insert_with(|| table.missing(name));
                }
            }
        }
        Err(first.unwrap_or_else(|| {
            self.error(FitsFault::NoUnit {
                wanted: "a binary table".to_owned(),
                found: self.names(),
            })
        }))
    }

    /// The image of the unit with that index; with `None`, the first unit that has one.
    ///
    /// # Errors
    /// [`FitsError`]: there is no image; or its header is malformed.
    pub fn image(&self, unit: Option<usize>) -> Result<Image, FitsError> {
        let is_image =
            |unit: &&Unit| matches!(unit.kind(), "PRIMARY" | "IMAGE") && !unit.data.is_empty();
        let found = match unit {
            Some(index) => self.units.get(index).filter(is_image),
            None => self.units.iter().find(is_image),
        };
        let Some(unit) = found else {
            let wanted = match unit {
                Some(index) => format!("an image in unit {index}"),
                None => "an image".to_owned(),
            };
            let found = self.names();
            return Err(self.error(FitsFault::NoUnit { wanted, found }));
        };
        let data = self.bytes.get(unit.data.clone()).unwrap_or_default();
        Image::new(unit, data).map_err(|fault| self.error(fault))
    }

    fn table_of<'f>(&'f self, unit: &'f Unit) -> Result<Table<'f>, FitsError> {
        let data = self.bytes.get(unit.data.clone()).unwrap_or_default();
        Table::new(&self.file, unit, data).map_err(|fault| self.error(fault))
    }

    /// The units as a message lists them.
    fn names(&self) -> Vec<String> {
        let name = |(index, unit): (usize, &Unit)| match unit.header.text("EXTNAME") {
            Some(name) => format!("{index} {name} ({})", unit.kind()),
            None => format!("{index} {}", unit.kind()),
        };
        self.units.iter().enumerate().map(name).collect()
    }

    fn error(&self, fault: FitsFault) -> FitsError {
        FitsError::new(&self.file, fault)
    }
}

/// Finds every unit.
fn units(bytes: &[u8]) -> Result<Vec<Unit>, FitsFault> {
    if !bytes.starts_with(b"SIMPLE  =") {
        return Err(FitsFault::NotFits);
    }
    let mut units = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        // What follows the last unit may be filled with anything, by the standard's section on special records.
        if !units.is_empty() && !rest.starts_with(b"XTENSION") {
            break;
        }
        let index = units.len();
        let (header, header_len) = Header::read(rest, index)?;
        let len = header.data_len(index)?;
        // The padding of a last header that has no data may be left off too.
        let start = (at + header_len).min(bytes.len());
        let end = start.checked_add(len).filter(|&end| end <= bytes.len());
        let Some(end) = end else {
            let name = header.text("EXTNAME").unwrap_or("").to_owned();
            return Err(FitsFault::Truncated {
                unit: index,
                name,
                expected: len,
                found: bytes.len().saturating_sub(start),
            });
        };
        units.push(Unit {
            header,
            data: start..end,
        });
        // The padding of the last unit is often left off.
        at = start.saturating_add(len.div_ceil(BLOCK).saturating_mul(BLOCK));
    }
    Ok(units)
}
