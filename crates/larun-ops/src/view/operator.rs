//! One step of a subgraph, and its options read by the operator table.

use core::cell::Cell;
use core::convert::Infallible;

use crate::{IntList, Op, OpInfo, OpKind, Options, OptionsSource};

use super::error::{Field, ViewError, ViewErrorKind};
use super::flatbuffer::{List, Table, position};
#[cfg(feature = "custom-options")]
use super::flexbuffer::CustomOptions;
use crate::view::fields::operator;

/// An operator.
#[derive(Clone, Copy)]
pub struct Operator<'a> {
    table: Table<'a>,
}

impl<'a> Operator<'a> {
    pub(super) const fn new(table: Table<'a>) -> Self {
        Self { table }
    }

    /// The table itself.
    pub const fn table(&self) -> &Table<'a> {
        &self.table
    }

    /// The number of its operator code.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn code_index(&self) -> Result<u32, ViewError> {
        self.table.scalar_or(operator::OPCODE_INDEX, 0)
    }

    /// The numbers of the tensors it reads, -1 for an optional one that is absent.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn inputs(&self) -> Result<List<'a, i32>, ViewError> {
        self.table.list_or_empty(operator::INPUTS)
    }

    /// The numbers of the tensors it writes.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn outputs(&self) -> Result<List<'a, i32>, ViewError> {
        self.table.list_or_empty(operator::OUTPUTS)
    }

    /// The numbers of the tensors that carry the quantisation of values inside it.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn intermediates(&self) -> Result<List<'a, i32>, ViewError> {
        self.table.list_or_empty(operator::INTERMEDIATES)
    }

    /// Whether it changes each of its inputs, a byte an input; empty where it changes none.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn mutating_variable_inputs(&self) -> Result<&'a [u8], ViewError> {
        let flags = self.table.bytes(operator::MUTATING_VARIABLE_INPUTS)?;
        Ok(flags.unwrap_or_default())
    }

    /// The options of an operator that the table knows; default ones where the file has none. Those of a custom operator
    /// are found by name in its flexbuffer.
    ///
    /// # Errors
    /// When the file is damaged there or the options are another operator's.
    pub fn op(&self, kind: OpKind) -> Result<Op, ViewError> {
        let info = kind.info();
        match self.source(info.options_table, info.option_fields)? {
            Some(source) => Op::read(kind, &source),
            None => Ok(kind.with_default_options()),
        }
    }

    /// The options of the operator with this row, read by `read`, which links no other operator's.
    ///
    /// # Errors
    /// When the file is damaged there or the options are another operator's.
    pub fn op_by(
        &self,
        info: &OpInfo,
        read: fn(&dyn OptionsSource<Error = Infallible>) -> Op,
    ) -> Result<Op, ViewError> {
        let source = self.source(info.options_table, info.option_fields)?;
        let source = Remembering::new(source.unwrap_or(Source::Table(OptionsTable::EMPTY)));
        let op = read(&source);
        match source.error.get() {
            None => Ok(op),
            Some(error) => Err(error),
        }
    }

    /// The options as those of one operator, for a program that links few of them; default ones
    /// where the file has none.
    ///
    /// # Errors
    /// When the file is damaged there or the options are another operator's.
    pub fn options_as<O: Options>(&self) -> Result<O, ViewError> {
        match self.source(O::TABLE, O::FIELDS)? {
            Some(source) => O::read(&source),
            None => Ok(O::default()),
        }
    }

    /// Where options are that have this table or, without one, these names: `None` where there are none or none are
    /// wanted.
    fn source(
        &self,
        table: u8,
        names: &'static [(u16, &'static str)],
    ) -> Result<Option<Source<'a>>, ViewError> {
        if table != 0 {
            let options = self.options_numbered(table)?;
            return Ok(options.map(Source::Table));
        }
        if names.is_empty() {
            return Ok(None);
        }
        self.map(names)
    }

    /// The options of a custom operator.
    #[cfg(feature = "custom-options")]
    fn map(&self, names: &'static [(u16, &'static str)]) -> Result<Option<Source<'a>>, ViewError> {
        match self.custom_options_format()? {
            0 => {}
            format => {
                let kind = ViewErrorKind::Unknown(format.into());
                return Err(operator::CUSTOM_OPTIONS_FORMAT.error(kind));
            }
        }
        let Some(bytes) = self.custom_option_bytes()? else {
            return Ok(None);
        };
        CustomOptions::new(bytes, names).map(|options| Some(Source::Map(options)))
    }

    #[cfg(not(feature = "custom-options"))]
    fn map(&self, _: &[(u16, &str)]) -> Result<Option<Source<'a>>, ViewError> {
        Err(operator::CUSTOM_OPTIONS.error(ViewErrorKind::LeftOut))
    }

    /// The custom options, in the flatbuffer or behind it.
    #[cfg(feature = "custom-options")]
    fn custom_option_bytes(&self) -> Result<Option<&'a [u8]>, ViewError> {
        match self.large_custom_options()? {
            (0 | 1, _) => self.custom_options(),
            (offset, size) => {
                let field = operator::LARGE_CUSTOM_OPTIONS_OFFSET;
                self.table.beside(field, offset, size).map(Some)
            }
        }
    }

    /// The options if they have this number in the first union, `None` where there are none.
    fn options_numbered(&self, wanted: u8) -> Result<Option<OptionsTable<'a>>, ViewError> {
        match self.options()? {
            Some(options) if options.union == OptionsUnion::First && options.number == wanted => {
                Ok(Some(options))
            }
            Some(options) => {
                let kind = ViewErrorKind::WrongOptions(options.number);
                Err(operator::BUILTIN_OPTIONS.error(kind))
            }
            None => Ok(None),
        }
    }

    /// The table of options, whichever union it is in.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn options(&self) -> Result<Option<OptionsTable<'a>>, ViewError> {
        let (union, found) = match self.table.union(operator::BUILTIN_OPTIONS)? {
            None => (
                OptionsUnion::Second,
                self.table.union(operator::BUILTIN_OPTIONS_2)?,
            ),
            found => (OptionsUnion::First, found),
        };
        Ok(found.map(|(number, table)| OptionsTable {
            union,
            number,
            table,
        }))
    }

    /// The options of a custom operator, as its maker encodes them.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn custom_options(&self) -> Result<Option<&'a [u8]>, ViewError> {
        self.table.bytes(operator::CUSTOM_OPTIONS)
    }

    /// The number of the encoding of custom options; the format defines 0, flexbuffers.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn custom_options_format(&self) -> Result<i8, ViewError> {
        self.table.scalar_or(operator::CUSTOM_OPTIONS_FORMAT, 0)
    }

    /// Offset and size of custom options behind the flatbuffer, which count only where the offset
    /// is above 1.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn large_custom_options(&self) -> Result<(u64, u64), ViewError> {
        let offset = operator::LARGE_CUSTOM_OPTIONS_OFFSET;
        let size = operator::LARGE_CUSTOM_OPTIONS_SIZE;
        Ok((
            self.table.scalar_or(offset, 0)?,
            self.table.scalar_or(size, 0)?,
        ))
    }

    /// Its entry in the debug metadata, -1 for none.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn debug_metadata_index(&self) -> Result<i32, ViewError> {
        self.table.scalar_or(operator::DEBUG_METADATA_INDEX, -1)
    }
}

/// The options of any operator: one type to read from, so that the reading of all operators is linked once.
enum Source<'a> {
    Table(OptionsTable<'a>),
    #[cfg(feature = "custom-options")]
    Map(CustomOptions<'a>),
}

impl Source<'_> {
    fn get(&self) -> &dyn OptionsSource<Error = ViewError> {
        match self {
            Self::Table(table) => table,
            #[cfg(feature = "custom-options")]
            Self::Map(map) => map,
        }
    }
}

impl OptionsSource for Source<'_> {
    type Error = ViewError;

    fn byte(&self, id: u16) -> Result<Option<i8>, ViewError> {
        self.get().byte(id)
    }

    fn int(&self, id: u16) -> Result<Option<i32>, ViewError> {
        self.get().int(id)
    }

    fn float(&self, id: u16) -> Result<Option<f32>, ViewError> {
        self.get().float(id)
    }

    fn ints(&self, id: u16) -> Result<Option<IntList>, ViewError> {
        self.get().ints(id)
    }

    fn unknown_value(&self, id: u16, value: i8) -> Result<(), ViewError> {
        self.get().unknown_value(id, value)
    }
}

/// The union that an operator's options are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionsUnion {
    /// `builtin_options`.
    First,
    /// `builtin_options_2`, for operators that came after the first was full.
    Second,
}

/// A table of options: what [`Options::read`] reads from.
#[derive(Clone, Copy)]
pub struct OptionsTable<'a> {
    union: OptionsUnion,
    number: u8,
    table: Table<'a>,
}

impl<'a> OptionsTable<'a> {
    /// A table in which every field is absent.
    const EMPTY: Self = Self {
        union: OptionsUnion::First,
        number: 0,
        table: Table::EMPTY,
    };

    /// The table itself.
    pub const fn table(&self) -> &Table<'a> {
        &self.table
    }

    /// The union it is in.
    #[inline]
    pub const fn union(&self) -> OptionsUnion {
        self.union
    }

    /// Its number there.
    #[inline]
    pub const fn number(&self) -> u8 {
        self.number
    }

    /// The bytes of the string or byte vector of field `id`, or `None` where the field is absent.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn bytes(&self, id: u16) -> Result<Option<&'a [u8]>, ViewError> {
        self.table.bytes(self.field(id))
    }

    fn field(&self, id: u16) -> Field {
        Field::of_options(self.number, id)
    }
}

impl OptionsSource for OptionsTable<'_> {
    type Error = ViewError;

    fn byte(&self, id: u16) -> Result<Option<i8>, ViewError> {
        self.table.scalar(self.field(id))
    }

    fn int(&self, id: u16) -> Result<Option<i32>, ViewError> {
        self.table.scalar(self.field(id))
    }

    fn float(&self, id: u16) -> Result<Option<f32>, ViewError> {
        self.table.scalar(self.field(id))
    }

    fn ints(&self, id: u16) -> Result<Option<IntList>, ViewError> {
        let Some(values) = self.table.list(self.field(id))? else {
            return Ok(None);
        };
        let mut list = IntList::default();
        let full = values.iter().any(|value| list.push(value).is_none());
        if full {
            let len = position(values.len());
            return Err(self.field(id).error(ViewErrorKind::TooLong(len)));
        }
        Ok(Some(list))
    }

    fn unknown_value(&self, id: u16, value: i8) -> Result<(), ViewError> {
        let kind = ViewErrorKind::Unknown(value.into());
        Err(self.field(id).error(kind))
    }
}

/// A source that keeps its first error and goes on without the field, so that one reader serves every kind of source and
/// no field needs a way out.
struct Remembering<S> {
    source: S,
    error: Cell<Option<ViewError>>,
}

impl<S: OptionsSource<Error = ViewError>> Remembering<S> {
    const fn new(source: S) -> Self {
        let error = Cell::new(None);
        Self { source, error }
    }

    fn keep<T>(&self, read: Result<Option<T>, ViewError>) -> Result<Option<T>, Infallible> {
        Ok(read.unwrap_or_else(|error| {
            self.remember(error);
            None
        }))
    }

    #[cold]
    fn remember(&self, error: ViewError) {
        self.error.set(self.error.get().or(Some(error)));
    }
}

impl<S: OptionsSource<Error = ViewError>> OptionsSource for Remembering<S> {
    type Error = Infallible;

    fn byte(&self, id: u16) -> Result<Option<i8>, Infallible> {
        self.keep(self.source.byte(id))
    }

    fn int(&self, id: u16) -> Result<Option<i32>, Infallible> {
        self.keep(self.source.int(id))
    }

    fn float(&self, id: u16) -> Result<Option<f32>, Infallible> {
        self.keep(self.source.float(id))
    }

    fn ints(&self, id: u16) -> Result<Option<IntList>, Infallible> {
        self.keep(self.source.ints(id))
    }

    fn unknown_value(&self, id: u16, value: i8) -> Result<(), Infallible> {
        if let Err(error) = self.source.unknown_value(id, value) {
            self.remember(error);
        }
        Ok(())
    }
}
