//! MiniMalloc's file format for memory planning problems and their solutions.
//!
//! A table in CSV with the columns `id`, `lower`, `upper`, `size` and perhaps `offset`, in any order. A buffer lives in the half-open
//! interval of steps `[lower, upper)`. In a problem, `offset` is where a buffer must lie (empty: anywhere); in a solution it is where
//! it lies. Source: the `minimalloc` project's converter and benchmarks, <https://github.com/google/minimalloc>.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};

use crate::{Buffer, Problem};

/// The contents of a file: buffers with their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The name of each buffer: its `id`.
    pub ids: Vec<String>,
    /// The buffers, lifetimes inclusive; [`Buffer::fixed`] is the column `offset`.
    pub buffers: Vec<Buffer>,
}

impl Problem for Table {
    fn len(&self) -> usize {
        self.buffers.len()
    }

    fn buffer(&self, i: usize) -> Buffer {
        self.buffers.as_slice().buffer(i)
    }
}

/// What is wrong with a file. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CsvError {
    /// The file has no header line.
    Empty,
    /// The header names a column twice, or one that the format does not have.
    UnexpectedColumn(String),
    /// The header lacks a column.
    MissingColumn(&'static str),
    /// A line has more or fewer fields than the header.
    FieldCount {
        /// The line.
        line: usize,
        /// Fields in the header.
        expected: usize,
        /// Fields on the line.
        found: usize,
    },
    /// A field is not a whole number that fits in a `u32` (for `upper`: up to 2^32).
    NotANumber {
        /// The line.
        line: usize,
        /// The column.
        column: &'static str,
        /// The field.
        text: String,
    },
    /// A lifetime is empty: `upper` is not above `lower`.
    EmptyLifetime {
        /// The line.
        line: usize,
    },
}

impl fmt::Display for CsvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => {
                f.write_str("the file is empty: expected the header id,lower,upper,size[,offset]")
            }
            Self::UnexpectedColumn(name) => {
                write!(
                    f,
                    "line 1: unexpected column {name:?}: expected each of id,lower,upper,size[,offset] once"
                )
            }
            Self::MissingColumn(name) => write!(
                f,
                "line 1: no column {name:?}: expected id,lower,upper,size[,offset]"
            ),
            Self::FieldCount {
                line,
                expected,
                found,
            } => {
                write!(f, "line {line}: {found} fields, the header has {expected}")
            }
            Self::NotANumber { line, column, text } => {
                write!(
                    f,
                    "line {line}: {column} is {text:?}, expected a whole number that fits in 32 bits, not negative"
                )
            }
            Self::EmptyLifetime { line } => write!(
                f,
                "line {line}: upper must be above lower (a buffer lives in [lower, upper))"
            ),
        }
    }
}

impl core::error::Error for CsvError {}

/// Reads a table.
///
/// # Errors
/// [`CsvError`], naming the line and column.
///
/// ```
/// use larun_arena::{Buffer, csv};
///
/// let table = csv::read("id,lower,upper,size\nlogits,0,3,4\n")?;
/// assert_eq!(table.ids, ["logits"]);
/// assert_eq!(table.buffers, [Buffer::new(4, 0, 2)]);
/// # Ok::<(), csv::CsvError>(())
/// ```
pub fn read(text: &str) -> Result<Table, CsvError> {
    let mut lines = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty());
    let (header, _) = lines.next().ok_or(CsvError::Empty)?;
    let columns = Columns::parse(header)?;

    let mut table = Table::default();
    for (text, line) in lines {
        let (id, buffer) = columns.row(text, line)?;
        table.ids.push(id);
        table.buffers.push(buffer);
    }
    Ok(table)
}

/// Writes a table, with the column `offset` where `offsets` are given (a solution) or any buffer has a fixed one.
///
/// Buffers without a name, or without an offset in `offsets`, get their index and an empty field.
#[must_use]
pub fn write(table: &Table, offsets: Option<&[u32]>) -> String {
    let with_offsets =
        offsets.is_some() || table.buffers.iter().any(|buffer| buffer.fixed.is_some());
    let mut text = String::from(if with_offsets {
        "id,lower,upper,size,offset\n"
    } else {
        "id,lower,upper,size\n"
    });
    for (i, buffer) in table.buffers.iter().enumerate() {
        let id = table.ids.get(i).cloned().unwrap_or_else(|| i.to_string());
        let upper = u64::from(buffer.last) + 1;
        let offset = match offsets {
            Some(offsets) => offsets.get(i).copied(),
            None => buffer.fixed,
        };
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{id},{},{upper},{}", buffer.first, buffer.size);
        let _ = match offset {
            Some(offset) => writeln!(text, ",{offset}"),
            None if with_offsets => writeln!(text, ","),
            None => writeln!(text),
        };
    }
    text
}

/// Which field of a line holds what.
struct Columns {
    id: usize,
    lower: usize,
    upper: usize,
    size: usize,
    offset: Option<usize>,
    count: usize,
}

impl Columns {
    fn parse(header: &str) -> Result<Self, CsvError> {
        const NAMES: [&str; 5] = ["id", "lower", "upper", "size", "offset"];
        let mut found = [None; NAMES.len()];
        let mut count = 0;
        for (i, name) in header.split(',').map(str::trim).enumerate() {
            let slot = NAMES
                .iter()
                .position(|known| *known == name)
                .and_then(|column| found.get_mut(column));
            match slot {
                Some(slot @ None) => *slot = Some(i),
                _ => return Err(CsvError::UnexpectedColumn(name.to_string())),
            }
            count = i + 1;
        }
        let [id, lower, upper, size, offset] = found;
        let need = |column: Option<usize>, name| column.ok_or(CsvError::MissingColumn(name));
        Ok(Self {
            id: need(id, "id")?,
            lower: need(lower, "lower")?,
            upper: need(upper, "upper")?,
            size: need(size, "size")?,
            offset,
            count,
        })
    }

    fn row(&self, text: &str, line: usize) -> Result<(String, Buffer), CsvError> {
        let fields: Vec<&str> = text.split(',').map(str::trim).collect();
        if fields.len() != self.count {
            return Err(CsvError::FieldCount {
                line,
                expected: self.count,
                found: fields.len(),
            });
        }
        let field = |i: usize| fields.get(i).copied().unwrap_or_default();
        let lower: u32 = number(field(self.lower), line, "lower")?;
        let upper: u64 = number(field(self.upper), line, "upper")?;
        let last = upper
            .checked_sub(1)
            .filter(|&last| last >= u64::from(lower));
        let last = last.ok_or(CsvError::EmptyLifetime { line })?;
        let last =
            u32::try_from(last).map_err(|_| not_a_number(field(self.upper), line, "upper"))?;
        let size = number(field(self.size), line, "size")?;
        let offset = self.offset.map(field).filter(|text| !text.is_empty());
        let fixed = offset
            .map(|text| number(text, line, "offset"))
            .transpose()?;
        Ok((
            field(self.id).to_string(),
            Buffer {
                size,
                first: lower,
                last,
                fixed,
            },
        ))
    }
}

fn number<T: core::str::FromStr>(
    text: &str,
    line: usize,
    column: &'static str,
) -> Result<T, CsvError> {
    text.parse().map_err(|_| not_a_number(text, line, column))
}

fn not_a_number(text: &str, line: usize, column: &'static str) -> CsvError {
    CsvError::NotANumber {
        line,
        column,
        text: text.to_string(),
    }
}
