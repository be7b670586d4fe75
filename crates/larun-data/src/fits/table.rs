//! Binary tables: rows of fields with types of their own.

use std::path::Path;

use super::image::{integer, real};
use super::{FitsError, FitsFault, Header, Unit};

/// A binary table.
#[derive(Clone, Debug)]
pub struct Table<'f> {
    /// The table's extension name.
    pub name: String,
    /// The columns, in order.
    columns: Vec<Column<'f>>,
    /// The rows.
    pub rows: usize,
    file: &'f Path,
}

/// The element type of a column, from the letter of its `TFORM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `L`: `T` or `F`.
    Logical,
    /// `X`: bits.
    Bits,
    /// `B`: one byte, unsigned.
    U8,
    /// `I`: two bytes.
    I16,
    /// `J`: four bytes.
    I32,
    /// `K`: eight bytes.
    I64,
    /// `A`: characters.
    Text,
    /// `E`: single precision.
    F32,
    /// `D`: double precision.
    F64,
    /// `C`, `M`, `P`, `Q`: complex numbers and descriptors of variable-length arrays, which are not read here.
    Other,
}

impl ColumnType {
    const fn of(letter: u8) -> Option<(Self, usize)> {
        Some(match letter {
            b'L' => (Self::Logical, 1),
            b'X' => (Self::Bits, 1),
            b'B' => (Self::U8, 1),
            b'I' => (Self::I16, 2),
            b'J' => (Self::I32, 4),
            b'K' => (Self::I64, 8),
            b'A' => (Self::Text, 1),
            b'E' => (Self::F32, 4),
            b'D' => (Self::F64, 8),
            b'C' | b'P' => (Self::Other, 8),
            b'M' | b'Q' => (Self::Other, 16),
            _ => return None,
        })
    }
}

/// A column of a table.
#[derive(Clone, Debug)]
pub struct Column<'f> {
    /// `TTYPE`.
    pub name: String,
    /// `TUNIT`.
    pub unit: Option<String>,
    /// `TFORM`.
    pub form: String,
    /// The type of its elements.
    pub element: ColumnType,
    /// Elements in a row.
    pub repeat: usize,
    scale: f64,
    zero: f64,
    null: Option<i64>,
    /// Where the field begins in a row, and its bytes.
    offset: usize,
    width: usize,
    row_len: usize,
    data: &'f [u8],
    table: String,
    file: &'f Path,
}

impl<'f> Table<'f> {
    pub(super) fn new(file: &'f Path, unit: &'f Unit, data: &'f [u8]) -> Result<Self, FitsFault> {
        let header = &unit.header;
        if unit.kind() != "BINTABLE" {
            return Err(header.wrong("XTENSION", 0, "BINTABLE, a binary table"));
        }
        let (row_len, rows) = (header.size("NAXIS1", 0)?, header.size("NAXIS2", 0)?);
        let fields = header.size("TFIELDS", 0)?;
        if fields > 999 {
            return Err(header.wrong("TFIELDS", 0, "999 at most"));
        }
        // The heap of variable-length arrays lies behind the rows.
        let data = data.get(..row_len.saturating_mul(rows)).unwrap_or_default();
        let mut columns = Vec::new();
        let mut offset = 0usize;
        for index in 1..=fields {
            let mut column = Column::new(header, index)?;
            column.table = unit.name().to_owned();
            (column.file, column.data, column.row_len) = (file, data, row_len);
            column.offset = offset;
            offset = offset.saturating_add(column.width);
            columns.push(column);
        }
        if offset > row_len {
            return Err(header.wrong("NAXIS1", 0, "the width of all columns at least"));
        }
        Ok(Self {
            name: unit.name().to_owned(),
            columns,
            rows,
            file,
        })
    }

    /// The columns, in order.
    #[must_use]
    pub fn columns(&self) -> &[Column<'f>] {
        &self.columns
    }

    /// Whether there is a column of that name, in any case of letters.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The column of that name, in any case of letters.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Column<'f>> {
        let mut columns = self.columns.iter();
        columns.find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The column of that name.
    ///
    /// # Errors
    /// [`FitsFault::NoColumn`] with the columns that are there.
    pub fn column(&self, name: &str) -> Result<&Column<'f>, FitsError> {
        self.find(name).ok_or_else(|| self.missing(name))
    }

    pub(super) fn missing(&self, name: &str) -> FitsError {
        let fault = FitsFault::NoColumn {
            table: self.name.clone(),
            column: name.to_owned(),
            found: self.columns.iter().map(|c| c.name.clone()).collect(),
        };
        FitsError::new(self.file, fault)
    }
}

impl Column<'_> {
    /// What the header says of column number `index`, from 1.
    fn new(header: &Header, index: usize) -> Result<Self, FitsFault> {
        let keyword = |name: &str| format!("{name}{index}");
        let form_keyword = keyword("TFORM");
        let form = header.text(&form_keyword).unwrap_or_default().trim();
        let wrong = || header.wrong(&form_keyword, 0, "a number and a letter of LXBIJKAEDCMPQ");
        let digits = form.bytes().take_while(u8::is_ascii_digit).count();
        let repeat: usize = match form.get(..digits).unwrap_or_default() {
            "" => 1,
            number => number.parse().map_err(|_| wrong())?,
        };
        let letter = form.as_bytes().get(digits).copied().ok_or_else(wrong)?;
        let (element, bytes) = ColumnType::of(letter.to_ascii_uppercase()).ok_or_else(wrong)?;
        let elements = match element {
            ColumnType::Bits => repeat.div_ceil(8),
            _ => repeat,
        };
        let width = elements.checked_mul(bytes).ok_or_else(wrong)?;
        Ok(Self {
            name: header
                .text(&keyword("TTYPE"))
                .unwrap_or_default()
                .to_owned(),
            unit: header.text(&keyword("TUNIT")).map(str::to_owned),
            form: form.to_owned(),
            element,
            repeat,
            scale: header.number(&keyword("TSCAL")).unwrap_or(1.0),
            zero: header.number(&keyword("TZERO")).unwrap_or(0.0),
            null: header.integer(&keyword("TNULL")),
            offset: 0,
            width,
            row_len: 0,
            data: &[],
            table: String::new(),
            file: Path::new(""),
        })
    }

    /// The values, one a row, as `TZERO + TSCAL * stored`; nulls are NaN.
    ///
    /// # Errors
    /// [`FitsFault::ColumnForm`] for a column of text, of bits, of other than one number a row.
    pub fn values(&self) -> Result<Vec<f64>, FitsError> {
        let number: fn(&[u8]) -> f64 = match self.element {
            ColumnType::F32 | ColumnType::F64 => real,
            ColumnType::U8 | ColumnType::I16 | ColumnType::I32 | ColumnType::I64 => {
                |bytes| integer(bytes) as f64
            }
            _ => return Err(self.wrong_form("one number a row: 1B, 1I, 1J, 1K, 1E or 1D")),
        };
        if self.repeat != 1 {
            return Err(self.wrong_form("one number a row: 1B, 1I, 1J, 1K, 1E or 1D"));
        }
        let is_whole = !matches!(self.element, ColumnType::F32 | ColumnType::F64);
        let value = |field: &[u8]| {
            if is_whole && self.null == Some(integer(field)) {
                return f64::NAN;
            }
            self.zero + self.scale * number(field)
        };
        Ok(self.fields().map(value).collect())
    }

    /// Whole numbers, one a row, such as flags; nulls are 0. Unsigned ones are stored with a `TZERO`.
    ///
    /// # Errors
    /// [`FitsFault::ColumnForm`] for a column of anything else.
    pub fn integers(&self) -> Result<Vec<i64>, FitsError> {
        let is_whole = matches!(
            self.element,
            ColumnType::U8 | ColumnType::I16 | ColumnType::I32 | ColumnType::I64
        );
        if !is_whole || self.repeat != 1 || self.scale != 1.0 {
            return Err(self.wrong_form("one whole number a row: 1B, 1I, 1J or 1K"));
        }
        // Exact: the offsets in use are powers of two.
        let zero = self.zero as i64;
        let value = |field: &[u8]| match integer(field) {
            stored if self.null == Some(stored) => 0,
            stored => stored.wrapping_add(zero),
        };
        Ok(self.fields().map(value).collect())
    }

    /// The bytes of the column in each row.
    fn fields(&self) -> impl Iterator<Item = &[u8]> {
        let rows = self.data.chunks_exact(self.row_len.max(1));
        rows.map(|row| {
            row.get(self.offset..)
                .and_then(|rest| rest.get(..self.width))
                .unwrap_or_default()
        })
    }

    fn wrong_form(&self, expected: &'static str) -> FitsError {
        let fault = FitsFault::ColumnForm {
            table: self.table.clone(),
            column: self.name.clone(),
            found: self.form.clone(),
            expected,
        };
        FitsError::new(self.file, fault)
    }

    /// The error that the column is in the wrong unit.
    pub(crate) fn wrong_unit(&self, expected: &'static str) -> FitsError {
        let fault = FitsFault::Unit {
            table: self.table.clone(),
            column: self.name.clone(),
            found: self.unit.clone().unwrap_or_default(),
            expected,
        };
        FitsError::new(self.file, fault)
    }

    /// The error that the column has nothing to use.
    pub(crate) fn all_missing(&self, rows: usize) -> FitsError {
        let fault = FitsFault::AllMissing {
            table: self.table.clone(),
            column: self.name.clone(),
            rows,
        };
        FitsError::new(self.file, fault)
    }
}
