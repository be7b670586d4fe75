//! Tables carried over field by field: options typed by the operator table, and options and
//! quantisation schemes that nobody here understands.

use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, VOffsetT, WIPOffset};
use larun_ops::OptionsSink;

use crate::generated::layouts::{BUILTIN_OPTIONS, BUILTIN_OPTIONS2, QUANTIZATION_DETAILS};
use crate::view::{Field, List, OptionsUnion, Scalar, Table, ViewError};

/// A table of the format whose fields are numbers, vectors of numbers and strings.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Its number in its union.
    pub(crate) number: u8,
    /// Its name.
    pub(crate) name: &'static str,
    /// Each field's id and how it is stored.
    pub(crate) fields: &'static [(u8, Wire)],
}

/// How a field is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wire {
    Scalar8,
    Scalar32,
    Scalar64,
    Vector8,
    Vector32,
    Vector64,
    Text,
}

impl Layout {
    /// The layout of an operator's options.
    pub(crate) fn of_options(union: OptionsUnion, number: u8) -> Option<&'static Self> {
        let layouts = match union {
            OptionsUnion::First => BUILTIN_OPTIONS,
            OptionsUnion::Second => BUILTIN_OPTIONS2,
        };
        layouts.iter().find(|layout| layout.number == number)
    }

    /// The layout of a quantisation scheme.
    pub(crate) fn of_details(number: u8) -> Option<&'static Self> {
        QUANTIZATION_DETAILS
            .iter()
            .find(|layout| layout.number == number)
    }

    fn wire(&self, id: usize) -> Option<(u8, Wire)> {
        let mut fields = self.fields.iter().copied();
        fields.find(|(field, _)| usize::from(*field) == id)
    }
}

/// The fields of a table, ascending by id.
#[derive(Debug, Default)]
pub(crate) struct RawTable {
    fields: Vec<(u16, Value)>,
}

/// Numbers by their bits.
#[derive(Debug)]
enum Value {
    Scalar8(u8),
    Scalar32(u32),
    Scalar64(u64),
    Vector8(Vec<u8>),
    Vector32(Vec<u32>),
    Vector64(Vec<u64>),
    Text(Vec<u8>),
}

/// Why a table cannot be carried over.
#[derive(Debug)]
pub(crate) enum RawError {
    Damaged(ViewError),
    /// A field that the layout does not have.
    Newer(usize),
}

impl From<ViewError> for RawError {
    fn from(error: ViewError) -> Self {
        Self::Damaged(error)
    }
}

impl RawTable {
    /// Every field of `table`.
    pub(crate) fn read(table: &Table<'_>, layout: &Layout) -> Result<Self, RawError> {
        let mut fields = Vec::new();
        for id in table.present() {
            let (id, wire) = layout.wire(id).ok_or(RawError::Newer(id))?;
            let field = Field::of_options(layout.number, id.into());
            if let Some(value) = Value::read(table, field, wire)? {
                fields.push((id.into(), value));
            }
        }
        Ok(Self { fields })
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gave.
    pub(crate) fn from_bytes(bytes: &[u8], layout: &Layout) -> Result<Self, RawError> {
        let root = Table::root(bytes, Field::of_options(layout.number, 0))?;
        Self::read(&root, layout)
    }

    /// The table as a flatbuffer of its own.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut fbb = FlatBufferBuilder::new();
        let root = self.emit(&mut fbb);
        fbb.finish_minimal(root);
        fbb.finished_data().to_vec()
    }

    /// Bytes that the table takes in a file, at most.
    pub(crate) fn size(&self) -> usize {
        let bytes = |value: &Value| match value {
            Value::Scalar8(_) | Value::Scalar32(_) | Value::Scalar64(_) => 8,
            Value::Vector8(v) | Value::Text(v) => v.len(),
            Value::Vector32(v) => 4 * v.len(),
            Value::Vector64(v) => 8 * v.len(),
        };
        let fields = self.fields.iter();
        fields.map(|(_, value)| 16 + bytes(value)).sum::<usize>() + 16
    }

    /// Writes the table.
    pub(crate) fn emit(&self, fbb: &mut FlatBufferBuilder<'_>) -> WIPOffset<UnionWIPOffset> {
        let parts: Vec<_> = self
            .fields
            .iter()
            .map(|(id, value)| (slot(*id), value.emit(fbb)))
            .collect();
        let start = fbb.start_table();
        // Wide fields first, so that none is padded.
        for (slot, part) in &parts {
            if let Part::Scalar64(bits) = part {
                fbb.push_slot_always(*slot, *bits);
            }
        }
        for (slot, part) in &parts {
            match part {
                Part::Scalar32(bits) => fbb.push_slot_always(*slot, *bits),
                Part::Offset(offset) => fbb.push_slot_always(*slot, *offset),
                Part::Scalar8(_) | Part::Scalar64(_) => {}
            }
        }
        for (slot, part) in &parts {
            if let Part::Scalar8(bits) = part {
                fbb.push_slot_always(*slot, *bits);
            }
        }
        WIPOffset::new(fbb.end_table(start).value())
    }
}

/// Where the distance of field `id` stands in a vtable.
const fn slot(id: u16) -> VOffsetT {
    4 + 2 * id
}

/// A field ready to be pushed: vectors are written before the table begins.
enum Part {
    Scalar8(u8),
    Scalar32(u32),
    Scalar64(u64),
    Offset(WIPOffset<UnionWIPOffset>),
}

impl Value {
    fn read(table: &Table<'_>, field: Field, wire: Wire) -> Result<Option<Self>, ViewError> {
        fn all<T: Scalar>(list: List<'_, T>) -> Vec<T> {
            list.iter().collect()
        }
        Ok(match wire {
            Wire::Scalar8 => table.scalar(field)?.map(Self::Scalar8),
            Wire::Scalar32 => table.scalar(field)?.map(Self::Scalar32),
            Wire::Scalar64 => table.scalar(field)?.map(Self::Scalar64),
            Wire::Vector8 => table.list(field)?.map(all).map(Self::Vector8),
            Wire::Vector32 => table.list(field)?.map(all).map(Self::Vector32),
            Wire::Vector64 => table.list(field)?.map(all).map(Self::Vector64),
            Wire::Text => table.list(field)?.map(all).map(Self::Text),
        })
    }

    fn emit(&self, fbb: &mut FlatBufferBuilder<'_>) -> Part {
        let offset = match self {
            Self::Scalar8(bits) => return Part::Scalar8(*bits),
            Self::Scalar32(bits) => return Part::Scalar32(*bits),
            Self::Scalar64(bits) => return Part::Scalar64(*bits),
            Self::Vector8(values) => fbb.create_vector(values).value(),
            Self::Vector32(values) => fbb.create_vector(values).value(),
            Self::Vector64(values) => fbb.create_vector(values).value(),
            Self::Text(bytes) => fbb.create_byte_string(bytes).value(),
        };
        Part::Offset(WIPOffset::new(offset))
    }
}

/// Options of the operator table: defaults are left out, as every writer of the format does.
impl OptionsSink for RawTable {
    fn byte(&mut self, id: u16, value: i8, default: i8) {
        if value != default {
            let value = Value::Scalar8(value.cast_unsigned());
            self.fields.push((id, value));
        }
    }

    fn int(&mut self, id: u16, value: i32, default: i32) {
        if value != default {
            let value = Value::Scalar32(value.cast_unsigned());
            self.fields.push((id, value));
        }
    }

    fn float(&mut self, id: u16, value: f32, default: f32) {
        // By bits: a default of 0 is not -0.
        if value.to_bits() != default.to_bits() {
            self.fields.push((id, Value::Scalar32(value.to_bits())));
        }
    }

    fn ints(&mut self, id: u16, values: &[i32]) {
        if !values.is_empty() {
            let values = values.iter().map(|value| value.cast_unsigned()).collect();
            self.fields.push((id, Value::Vector32(values)));
        }
    }
}
