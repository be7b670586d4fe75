//! CSV files: columns by name, with errors that name file, line and column.
//!
//! The first line names the columns. Lines that begin with `#` are comments. Fields are separated by commas.

use std::path::{Path, PathBuf};

/// What is wrong with which file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", file.display())]
pub struct CsvError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub fault: Box<CsvFault>,
}

/// What is wrong with a CSV file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CsvFault {
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file is not UTF-8 text.
    #[error("not a CSV file: it is not UTF-8 text")]
    NotText,
    /// A line has another number of fields than the first.
    #[error("not a CSV file: line {line} has {found} fields, the first line {expected}")]
    Fields {
        /// The line, from 1.
        line: u64,
        /// Its fields.
        found: usize,
        /// The fields of the first line.
        expected: usize,
    },
    /// There is no column of that name.
    #[error("no column {column:?}: the file has {}", found.join(", "))]
    NoColumn {
        /// The column.
        column: String,
        /// The columns that are there.
        found: Vec<String>,
    },
    /// A field is not what its column must hold.
    #[error("column {column:?}, line {line}: {found:?}, expected {expected}")]
    Field {
        /// The column.
        column: String,
        /// The line, from 1.
        line: u64,
        /// The field.
        found: String,
        /// What would do.
        expected: String,
    },
    /// A column has nothing that is a number.
    #[error("column {column:?} has no usable value: all {rows} rows are empty or NaN")]
    AllMissing {
        /// The column.
        column: String,
        /// The rows.
        rows: usize,
    },
    /// There are no lines below the first.
    #[error("the file has no rows")]
    Empty,
}

/// The fields of some lines, each with the line it is on.
type Rows = Vec<(u64, Vec<String>)>;

/// A CSV file in memory.
#[derive(Clone, Debug)]
pub struct CsvTable {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The fields, row by row, each with the line it is on.
    rows: Rows,
    file: PathBuf,
}

impl CsvTable {
    /// Reads a file.
    ///
    /// # Errors
    /// [`CsvError`] naming the file and the line.
    pub fn open(path: &Path) -> Result<Self, CsvError> {
        let of_file = |fault| CsvError {
            file: path.to_owned(),
            fault: Box::new(fault),
        };
        let bytes = std::fs::read(path).map_err(|error| of_file(CsvFault::Io(error)))?;
        Self::from_bytes(path, &bytes)
    }

    /// Reads the bytes of a file; `path` is what errors call it.
    ///
    /// # Errors
    /// As [`CsvTable::open`].
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, CsvError> {
        Self::parse(bytes)
            .map(|(columns, rows)| Self {
                columns,
                rows,
                file: path.to_owned(),
            })
            .map_err(|fault| CsvError {
                file: path.to_owned(),
                fault: Box::new(fault),
            })
    }

    fn parse(bytes: &[u8]) -> Result<(Vec<String>, Rows), CsvFault> {
        let mut records = records(bytes)?.into_iter();
        let columns = records.next().map_or_else(Vec::new, |(_, fields)| fields);
        let rows: Vec<_> = records.collect();
        if rows.is_empty() {
            return Err(CsvFault::Empty);
        }
        let expected = columns.len();
        match rows.iter().find(|(_, fields)| fields.len() != expected) {
            Some((line, fields)) => Err(CsvFault::Fields {
                line: *line,
                found: fields.len(),
                expected,
            }),
            None => Ok((columns, rows)),
        }
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The index of the first of these columns that is there, in any case of letters.
    #[must_use]
    pub fn find(&self, names: &[&str]) -> Option<usize> {
        let is = |name: &&str| {
            self.columns
                .iter()
                .position(|c| c.eq_ignore_ascii_case(name))
        };
        names.iter().find_map(is)
    }

    /// The index of the first of these columns that is there.
    ///
    /// # Errors
    /// [`CsvFault::NoColumn`], calling the column by the first name.
    pub fn column(&self, names: &[&str]) -> Result<usize, CsvError> {
        self.find(names).ok_or_else(|| {
            self.error(CsvFault::NoColumn {
                column: names.first().copied().unwrap_or_default().to_owned(),
                found: self.columns.clone(),
            })
        })
    }

    /// The text of a column in every row.
    pub fn text(&self, column: usize) -> impl Iterator<Item = &str> {
        self.rows
            .iter()
            .map(move |(_, row)| row.get(column).map_or("", String::as_str))
    }

    /// The numbers of a column; empty fields are NaN.
    ///
    /// # Errors
    /// [`CsvFault::Field`] for anything that is no number.
    pub fn numbers(&self, column: usize) -> Result<Vec<f64>, CsvError> {
        let number = |(row, text): (usize, &str)| match text {
            "" => Ok(f64::NAN),
            _ => text
                .parse()
                .map_err(|_| self.wrong(column, row, "a number".to_owned())),
        };
        self.text(column).enumerate().map(number).collect()
    }

    /// The error that a field is not what its column must hold.
    pub(crate) fn wrong(&self, column: usize, row: usize, expected: String) -> CsvError {
        let (line, found) = self.rows.get(row).map_or((0, ""), |(line, record)| {
            (*line, record.get(column).map_or("", String::as_str))
        });
        self.error(CsvFault::Field {
            column: self.columns.get(column).cloned().unwrap_or_default(),
            line,
            found: found.to_owned(),
            expected,
        })
    }

    pub(crate) fn error(&self, fault: CsvFault) -> CsvError {
        CsvError {
            file: self.file.clone(),
            fault: Box::new(fault),
        }
    }
}

/// The fields of every line, without the spaces around them, each with the line that it ends on. Empty lines and comments are left out.
fn records(bytes: &[u8]) -> Result<Rows, CsvFault> {
    let text = core::str::from_utf8(bytes).map_err(|_| CsvFault::NotText)?;
    // One kind of line end, and one at the end: so that lines are counted alike.
    let text = text.replace("\r\n", "\n") + "\n";
    let mut reader = csv_core::ReaderBuilder::new().comment(Some(b'#')).build();
    let mut rest = text.as_bytes();
    // Fields are no longer than the text, and no more than its commas and line ends.
    let mut fields = vec![0; rest.len()];
    let separators = rest
        .iter()
        .filter(|byte| matches!(byte, b',' | b'\n' | b'\r'));
    let mut ends = vec![0; separators.count() + 1];
    // What a quote that is not closed has left unfinished.
    let (mut filled, mut ended) = (0, 0);
    let mut records = Vec::new();
    loop {
        let (space, room) = (fields.get_mut(filled..), ends.get_mut(ended..));
        let (space, room) = (space.unwrap_or_default(), room.unwrap_or_default());
        let (result, read, written, count) = reader.read_record(rest, space, room);
        rest = rest.get(read..).unwrap_or_default();
        filled += written;
        ended += count;
        match result {
            csv_core::ReadRecordResult::Record => {
                let all = fields.get(..filled).unwrap_or_default();
                let ends = ends.get(..ended).unwrap_or_default();
                records.push((reader.line().saturating_sub(1), split(all, ends)));
                (filled, ended) = (0, 0);
            }
            // The next turn, with nothing to read, ends the file.
            csv_core::ReadRecordResult::InputEmpty => {}
            _ => return Ok(records),
        }
    }
}

fn split(fields: &[u8], ends: &[usize]) -> Vec<String> {
    let starts = core::iter::once(0).chain(ends.iter().copied());
    let field = |(start, &end): (usize, &usize)| {
        let field = fields.get(start..end).unwrap_or_default();
        String::from_utf8_lossy(field).trim().to_owned()
    };
    starts.zip(ends).map(field).collect()
}

/// A field as it is written: in quotes where it must be.
pub(crate) fn quoted(field: &str) -> String {
    let is_plain = !field.contains([',', '"', '\n', '\r', '#']) && field.trim() == field;
    match is_plain && !field.is_empty() {
        true => field.to_owned(),
        false => format!("\"{}\"", field.replace('"', "\"\"")),
    }
}
