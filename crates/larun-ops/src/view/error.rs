//! What a damaged file is refused with: small, and naming the table and field.

use core::fmt;

use crate::OpKind;

use crate::view::fields::NAMES;

/// Set in [`Field::table`] where the table holds an operator's options; the other bits are its
/// number in the union.
const OPTIONS: u8 = 1 << 7;

/// A field of the format: the number of its table in the generated list, above its id there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field(u16);

impl Field {
    pub(crate) const fn new(table: u8, id: u8) -> Self {
        Self((table as u16) << 8 | id as u16)
    }

    /// A field of the option table `number`.
    pub const fn of_options(number: u8, id: u16) -> Self {
        let id = if id > u8::MAX as u16 {
            u8::MAX
        } else {
            id as u8
        };
        Self::new(OPTIONS | number, id)
    }

    /// Its id, which is its place in the vtable.
    pub const fn id(self) -> usize {
        (self.0 & 0xFF) as usize
    }

    const fn table(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// The field that holds which member a union has: the one before the union.
    pub const fn union_type(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The error that this field is the cause of.
    #[inline(always)]
    pub const fn error(self, kind: ViewErrorKind) -> ViewError {
        ViewError {
            kind: kind.kept(),
            field: self,
        }
    }

    /// The name of its table, such as `Tensor`; empty for options that the operator table lacks.
    pub fn table_name(self) -> &'static str {
        if self.table() & OPTIONS == 0 {
            return NAMES
                .get(usize::from(self.table()))
                .map_or("", |(table, _)| table);
        }
        let number = self.table() & !OPTIONS;
        OpKind::ALL
            .iter()
            .map(|kind| kind.info())
            .find(|info| info.options_table == number)
            .map_or("", |info| info.options_table_name)
    }

    fn name(self) -> Option<&'static str> {
        self.siblings().get(self.id()).copied()
    }

    /// The names of the fields of its table, by id; none for options.
    pub fn siblings(self) -> &'static [&'static str] {
        NAMES
            .get(usize::from(self.table()))
            .map_or(&[], |(_, fields)| fields)
    }
}

/// As much of what was wrong as a program keeps: with the feature `explain` all of it, else which it is.
#[cfg(feature = "explain")]
type Kept = ViewErrorKind;
#[cfg(not(feature = "explain"))]
type Kept = Fault;

/// Why a file cannot be read.
///
/// What was found, and where in the file, is kept with the feature `explain` alone: without it an error takes three
/// bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Whole words are moved in fewer instructions than three bytes.
#[cfg_attr(not(feature = "explain"), repr(align(4)))]
pub struct ViewError {
    kind: Kept,
    field: Field,
}

impl ViewError {
    /// What was wrong.
    #[cfg(feature = "explain")]
    pub const fn kind(&self) -> ViewErrorKind {
        self.kind
    }

    /// The table of the format in which it was found, such as `Tensor`; empty for the options of
    /// an operator that the operator table lacks.
    pub fn table(&self) -> &'static str {
        self.field.table_name()
    }

    /// The field in which it was found, such as `shape`, or `None` for a field of an operator's
    /// options.
    pub fn field(&self) -> Option<&'static str> {
        self.field.name()
    }
}

/// What was wrong with a file. Positions are in bytes from its start, or from that of custom options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ViewErrorKind {
    /// There are fewer bytes than the header has.
    TooShort,
    /// Bytes 4 to 8 are not `TFL3`.
    NotTflite,
    /// The version of the format is not 3.
    Version(u32),
    /// What stands at this position leads outside the file.
    OutOfBounds(u32),
    /// There is no table where one should begin.
    NoTable(u32),
    /// A vector has no entry of this number.
    NoEntry(u32),
    /// Options of a custom operator, in a program that leaves them out.
    LeftOut,
    /// An enumeration or union does not define this number.
    Unknown(i32),
    /// A number is below zero that must not be.
    Negative(i32),
    /// A vector has more entries, this many, than a model may have there.
    TooLong(u32),
    /// An operator carries the options of another: the table of this number.
    WrongOptions(u8),
    /// What stands at this position of a custom operator's options is not a number of 32 bits.
    NoNumber(u32),
}

impl fmt::Display for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[cfg(feature = "explain")]
        match self.kind {
            ViewErrorKind::TooShort => return f.write_str("too short to be a .tflite file"),
            ViewErrorKind::NotTflite => {
                return f.write_str("not a .tflite file: bytes 4 to 8 are not \"TFL3\"");
            }
            _ => {}
        }
        match self.field() {
            Some(field) => write!(f, "{}.{field}: ", self.table())?,
            None => write!(f, "{} field {}: ", self.table(), self.field.id())?,
        }
        self.kind.fmt(f)
    }
}

#[cfg(feature = "explain")]
impl fmt::Display for ViewErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooShort | Self::NotTflite => Ok(()),
            Self::Version(found) => write!(f, "version {found} of the format; only 3 is known"),
            Self::OutOfBounds(at) => write!(
                f,
                "byte {at} leads outside the file, which is damaged or cut short"
            ),
            Self::NoTable(at) => write!(f, "no table begins at byte {at}; the file is damaged"),
            Self::NoEntry(index) => write!(f, "there is no entry {index}"),
            Self::Unknown(value) => write!(f, "{value} is not a number that the format defines"),
            Self::LeftOut => f.write_str(
                "options of custom operators are left out of this program: enable feature `custom-options`",
            ),
            Self::Negative(value) => write!(f, "{value} is below zero"),
            Self::TooLong(len) => write!(f, "{len} entries are more than a model may have here"),
            Self::NoNumber(at) => {
                write!(f, "what stands at byte {at} is not a number of 32 bits")
            }
            Self::WrongOptions(number) => {
                write!(f, "option table {number} is not the operator's own")
            }
        }
    }
}

/// Declares the faults without what they carry.
macro_rules! faults {
    ($($name:ident,)*) => {
        /// What was wrong, without the numbers that show it.
        #[cfg(not(feature = "explain"))]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Fault {
            $($name,)*
        }

        impl ViewErrorKind {
            #[cfg(feature = "explain")]
            const fn kept(self) -> Self {
                self
            }

            /// Inlined wherever an error is made, of which nothing else is linked then.
            #[cfg(not(feature = "explain"))]
            #[inline(always)]
            const fn kept(self) -> Kept {
                match self {
                    $(Self::$name { .. } => Fault::$name,)*
                }
            }
        }
    };
}

faults! {
    TooShort,
    NotTflite,
    Version,
    OutOfBounds,
    NoTable,
    NoEntry,
    LeftOut,
    Unknown,
    Negative,
    TooLong,
    WrongOptions,
    NoNumber,
}

/// Names the fault; the feature `explain` says it in words, with what was found.
#[cfg(not(feature = "explain"))]
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl core::error::Error for ViewError {}
