//! Reading flexbuffers: the maps from names to numbers in which custom operators store their options.
//!
//! A flexbuffer is read from its end: the last byte is the width of the root value, the one before it the root's type,
//! and the value stands before that. A type's two low bits are the logarithm of the width of what it leads to, the
//! others say what that is. Offsets lead back from where they stand. Before the values of a map stand, each as wide as
//! a value, the offset of its vector of keys, the width of an entry there and the number of values; behind them a type
//! a value. A key is the offset of a text that ends with a zero.

use crate::{IntList, OptionsSource};

use super::error::{ViewError, ViewErrorKind};
use super::flatbuffer::{Scalar, position};
use crate::view::fields::operator;

/// The numbers of the types that options have.
mod kind {
    pub(super) const NULL: u8 = 0;
    pub(super) const INT: u8 = 1;
    pub(super) const UINT: u8 = 2;
    pub(super) const FLOAT: u8 = 3;
    pub(super) const INDIRECT_INT: u8 = 6;
    pub(super) const INDIRECT_UINT: u8 = 7;
    pub(super) const INDIRECT_FLOAT: u8 = 8;
    pub(super) const MAP: u8 = 9;
    pub(super) const VECTOR: u8 = 10;
    pub(super) const VECTOR_INT: u8 = 11;
    pub(super) const VECTOR_UINT: u8 = 12;
    pub(super) const BOOL: u8 = 26;
}

/// The options of a custom operator: what [`Options::read`](crate::Options::read) reads from.
///
/// Options are found by their names; values that no field asks for are passed over. Errors give positions from the
/// start of these bytes.
#[derive(Clone, Copy, Debug)]
pub struct CustomOptions<'a> {
    bytes: &'a [u8],
    names: &'static [(u16, &'static str)],
    root: Option<Map>,
}

/// A map: where its values and keys are.
#[derive(Clone, Copy, Debug)]
struct Map {
    len: usize,
    values: Items,
    keys: Items,
}

/// Items one behind the other.
#[derive(Clone, Copy, Debug)]
struct Items {
    start: usize,
    width: usize,
}

impl Items {
    /// Where item `index` stands.
    fn at(self, index: usize) -> Option<usize> {
        index.checked_mul(self.width)?.checked_add(self.start)
    }
}

/// A value: its type, and where it stands.
#[derive(Clone, Copy)]
struct Value<'a> {
    bytes: &'a [u8],
    kind: u8,
    at: usize,
    width: usize,
}

#[derive(Clone, Copy)]
enum Number {
    Int(i64),
    Float(f64),
}

impl<'a> CustomOptions<'a> {
    /// The options in `bytes`, whose fields have these ids and names
    /// ([`OpInfo::option_fields`](crate::OpInfo::option_fields)). No bytes at all, or a root of no type, are a map
    /// without values.
    ///
    /// # Errors
    /// When the bytes are not those of a map.
    pub fn new(bytes: &'a [u8], names: &'static [(u16, &'static str)]) -> Result<Self, ViewError> {
        let root = match bytes {
            [] => None,
            _ => match Value::root(bytes).ok_or_else(|| out_of_bounds(bytes.len()))? {
                Value {
                    kind: kind::NULL, ..
                } => None,
                root => Some(root.map().ok_or_else(|| no_map(root.at))?),
            },
        };
        Ok(Self { bytes, names, root })
    }

    /// The value of field `id`, or `None` where there is none.
    fn find(&self, id: u16) -> Result<Option<Value<'a>>, ViewError> {
        let name = self.names.iter().find(|(field, _)| *field == id);
        let (Some((_, name)), Some(map)) = (name, self.root) else {
            return Ok(None);
        };
        for index in 0..map.len {
            let key = map.key(self.bytes, index);
            let key = key.ok_or_else(|| out_of_bounds(map.keys.start))?;
            if key.strip_prefix(name.as_bytes()).and_then(<[u8]>::first) == Some(&0) {
                let value = Value::entry(self.bytes, map, index);
                let value = value.ok_or_else(|| out_of_bounds(map.values.start))?;
                return Ok((value.kind != kind::NULL).then_some(value));
            }
        }
        Ok(None)
    }

    fn number(&self, id: u16) -> Result<Option<(usize, Number)>, ViewError> {
        let Some(value) = self.find(id)? else {
            return Ok(None);
        };
        let number = value.number().ok_or_else(|| no_number(value.at))?;
        Ok(Some((value.at, number)))
    }
}

impl OptionsSource for CustomOptions<'_> {
    type Error = ViewError;

    fn byte(&self, id: u16) -> Result<Option<i8>, ViewError> {
        let Some((at, number)) = self.number(id)? else {
            return Ok(None);
        };
        let byte = number.to_int().and_then(|int| i8::try_from(int).ok());
        byte.map(Some).ok_or_else(|| no_number(at))
    }

    fn int(&self, id: u16) -> Result<Option<i32>, ViewError> {
        let Some((at, number)) = self.number(id)? else {
            return Ok(None);
        };
        number.to_int().map(Some).ok_or_else(|| no_number(at))
    }

    fn float(&self, id: u16) -> Result<Option<f32>, ViewError> {
        Ok(self.number(id)?.map(|(_, number)| match number {
            Number::Int(int) => int as f32,
            Number::Float(float) => float as f32,
        }))
    }

    fn ints(&self, id: u16) -> Result<Option<IntList>, ViewError> {
        let Some(vector) = self.find(id)? else {
            return Ok(None);
        };
        let (len, items) = vector.vector().ok_or_else(|| no_number(vector.at))?;
        let mut list = IntList::default();
        for index in 0..len {
            let number = vector.item(len, items, index).and_then(Value::number);
            let int = number.and_then(Number::to_int);
            let int = int.ok_or_else(|| no_number(items.start))?;
            let too_long = ViewErrorKind::TooLong(position(len));
            list.push(int)
                .ok_or(operator::CUSTOM_OPTIONS.error(too_long))?;
        }
        Ok(Some(list))
    }

    fn unknown_value(&self, _: u16, value: i8) -> Result<(), ViewError> {
        let kind = ViewErrorKind::Unknown(value.into());
        Err(operator::CUSTOM_OPTIONS.error(kind))
    }
}

impl Map {
    /// The bytes that begin with the key of an entry.
    fn key<'a>(&self, bytes: &'a [u8], index: usize) -> Option<&'a [u8]> {
        bytes.get(follow(bytes, self.keys.at(index)?, self.keys.width)?..)
    }
}

impl<'a> Value<'a> {
    /// The value that the end of the bytes leads to.
    fn root(bytes: &'a [u8]) -> Option<Self> {
        let [before @ .., packed, width] = bytes else {
            return None;
        };
        let width = usize::from(*width);
        Self::new(bytes, *packed, before.len().checked_sub(width)?, width)
    }

    /// The value of entry `index` of a map.
    fn entry(bytes: &'a [u8], map: Map, index: usize) -> Option<Self> {
        let packed = *bytes.get(map.values.at(map.len)?.checked_add(index)?)?;
        Self::new(bytes, packed, map.values.at(index)?, map.values.width)
    }

    /// The value that stands at `at`, or that the offset there leads to.
    fn new(bytes: &'a [u8], packed: u8, at: usize, width: usize) -> Option<Self> {
        let (inner, kind) = (1 << (packed & 3), packed >> 2);
        let inline = matches!(
            kind,
            kind::NULL | kind::INT | kind::UINT | kind::FLOAT | kind::BOOL
        );
        let (at, width) = match inline {
            true => (at, width),
            false => (follow(bytes, at, width)?, inner),
        };
        Some(Self {
            bytes,
            kind,
            at,
            width,
        })
    }

    fn number(self) -> Option<Number> {
        match self.kind {
            kind::INT | kind::INDIRECT_INT => {
                signed(self.bytes, self.at, self.width).map(Number::Int)
            }
            kind::UINT | kind::INDIRECT_UINT | kind::BOOL => {
                let value = unsigned(self.bytes, self.at, self.width)?;
                i64::try_from(value).ok().map(Number::Int)
            }
            kind::FLOAT | kind::INDIRECT_FLOAT => {
                float(self.bytes, self.at, self.width).map(Number::Float)
            }
            _ => None,
        }
    }

    fn map(self) -> Option<Map> {
        if self.kind != kind::MAP {
            return None;
        }
        let (len, values) = self.items()?;
        let keys_width = self.at.checked_sub(self.width.checked_mul(2)?)?;
        let keys_at = keys_width.checked_sub(self.width)?;
        let keys = Items {
            start: follow(self.bytes, keys_at, self.width)?,
            width: usize::try_from(unsigned(self.bytes, keys_width, self.width)?).ok()?,
        };
        Some(Map { len, values, keys })
    }

    fn vector(self) -> Option<(usize, Items)> {
        match self.kind {
            kind::VECTOR | kind::VECTOR_INT | kind::VECTOR_UINT => self.items(),
            _ => None,
        }
    }

    /// How many items a vector or map has, and where they are: no more than there are bytes.
    fn items(self) -> Option<(usize, Items)> {
        let len = unsigned(self.bytes, self.at.checked_sub(self.width)?, self.width)?;
        let len = usize::try_from(len).ok()?;
        let items = Items {
            start: self.at,
            width: self.width,
        };
        (items.at(len)? <= self.bytes.len()).then_some((len, items))
    }

    /// Item `index` of this vector.
    fn item(self, len: usize, items: Items, index: usize) -> Option<Self> {
        let at = items.at(index)?;
        let packed = match self.kind {
            kind::VECTOR_INT => kind::INT << 2,
            kind::VECTOR_UINT => kind::UINT << 2,
            _ => *self.bytes.get(items.at(len)?.checked_add(index)?)?,
        };
        Self::new(self.bytes, packed, at, items.width)
    }
}

impl Number {
    /// The number as an option holds it, or `None` where it has a fraction or needs more than 32 bits.
    fn to_int(self) -> Option<i32> {
        match self {
            Self::Int(int) => int.try_into().ok(),
            // A float that is no integer of 32 bits is not changed into one and back.
            Self::Float(float) => Some(float as i32).filter(|int| f64::from(*int) == float),
        }
    }
}

/// Where the offset at `at` leads.
fn follow(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    at.checked_sub(usize::try_from(unsigned(bytes, at, width)?).ok()?)
}

fn unsigned(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?;
    match width {
        1 => u8::read(bytes).map(u64::from),
        2 => u16::read(bytes).map(u64::from),
        4 => u32::read(bytes).map(u64::from),
        8 => u64::read(bytes),
        _ => None,
    }
}

fn signed(bytes: &[u8], at: usize, width: usize) -> Option<i64> {
    let spare = 64u32.checked_sub(8 * u32::try_from(width).ok()?)?;
    Some(unsigned(bytes, at, width)?.cast_signed() << spare >> spare)
}

fn float(bytes: &[u8], at: usize, width: usize) -> Option<f64> {
    let bytes = bytes.get(at..)?;
    match width {
        4 => f32::read(bytes).map(f64::from),
        8 => u64::read(bytes).map(f64::from_bits),
        _ => None,
    }
}

#[cold]
fn out_of_bounds(at: usize) -> ViewError {
    operator::CUSTOM_OPTIONS.error(ViewErrorKind::OutOfBounds(position(at)))
}

#[cold]
fn no_map(at: usize) -> ViewError {
    operator::CUSTOM_OPTIONS.error(ViewErrorKind::NoTable(position(at)))
}

#[cold]
fn no_number(at: usize) -> ViewError {
    operator::CUSTOM_OPTIONS.error(ViewErrorKind::NoNumber(position(at)))
}
