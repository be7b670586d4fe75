//! Writing flexbuffers: the options of custom operators, as the format's own library writes a map of them.
//!
//! Keys come first in the order in which options are written, then their vector, sorted by name, then the values in the
//! same order and their types. Every number stands at the least width that holds all of its vector, aligned to it. The
//! layout itself is described where it is read, in the view.

use larun_ops::{Op, OptionsSink};

/// The numbers of the types that are written.
mod kind {
    pub(super) const INT: u8 = 1;
    pub(super) const FLOAT: u8 = 3;
    pub(super) const MAP: u8 = 9;
    pub(super) const VECTOR_INT: u8 = 11;
    pub(super) const BOOL: u8 = 26;
}

/// The options of a custom operator as the bytes of a file, `None` for an operator without.
///
/// Options are written whether or not they have their defaults: runtimes find them by their places among the others.
pub(crate) fn custom_options(op: &Op) -> Option<Vec<u8>> {
    let info = op.kind().info();
    if !info.is_custom || info.option_fields.is_empty() {
        return None;
    }
    let mut entries = Entries {
        names: info.option_fields,
        entries: Vec::new(),
    };
    op.write(&mut entries);
    Some(Builder::default().map(entries.entries))
}

/// Options on their way into a map.
struct Entries {
    names: &'static [(u16, &'static str)],
    entries: Vec<(&'static str, Value)>,
}

#[derive(Clone)]
enum Value {
    Int(i32),
    Float(f32),
    Bool(bool),
    Ints(Vec<i32>),
}

impl Entries {
    fn push(&mut self, id: u16, value: Value) {
        let field = self.names.iter().find(|(field, _)| *field == id);
        self.entries.extend(field.map(|(_, name)| (*name, value)));
    }
}

impl OptionsSink for Entries {
    fn byte(&mut self, id: u16, value: i8, _: i8) {
        self.push(id, Value::Int(value.into()));
    }

    fn flag(&mut self, id: u16, value: bool, _: bool) {
        self.push(id, Value::Bool(value));
    }

    fn int(&mut self, id: u16, value: i32, _: i32) {
        self.push(id, Value::Int(value));
    }

    fn float(&mut self, id: u16, value: f32, _: f32) {
        self.push(id, Value::Float(value));
    }

    fn ints(&mut self, id: u16, values: &[i32]) {
        self.push(id, Value::Ints(values.to_vec()));
    }
}

/// What stands in a vector: a number, or the place of what stands before it.
#[derive(Clone, Copy)]
enum Slot {
    Int(i64),
    Float(f32),
    Bool(bool),
    /// A place, the type of what is there and the logarithm of its width.
    Place {
        at: usize,
        kind: u8,
        width: u8,
    },
}

/// The bytes so far.
#[derive(Default)]
struct Builder {
    bytes: Vec<u8>,
}

impl Builder {
    fn map(mut self, entries: Vec<(&'static str, Value)>) -> Vec<u8> {
        let mut slots = Vec::with_capacity(entries.len());
        for (name, value) in entries {
            let key = self.bytes.len();
            self.bytes.extend(name.as_bytes());
            self.bytes.push(0);
            slots.push((name, place(key), self.value(value)));
        }
        slots.sort_unstable_by_key(|(name, ..)| *name);
        let keys: Vec<Slot> = slots.iter().map(|(_, key, _)| *key).collect();
        let values: Vec<Slot> = slots.iter().map(|(.., value)| *value).collect();
        let (at, width) = self.vector(&[], &keys, false);
        let keys = [place(at), Slot::Int(1 << width)];
        let (at, width) = self.vector(&keys, &values, true);
        let root = Slot::Place {
            at,
            kind: kind::MAP,
            width,
        };
        let width = root.width(self.bytes.len(), 0);
        self.slot(root, width);
        self.bytes.push(root.packed(width));
        self.bytes.push(1 << width);
        self.bytes
    }

    /// What stands for a value among others.
    fn value(&mut self, value: Value) -> Slot {
        match value {
            Value::Int(int) => Slot::Int(int.into()),
            Value::Float(float) => Slot::Float(float),
            Value::Bool(bool) => Slot::Bool(bool),
            Value::Ints(ints) => {
                let slots: Vec<Slot> = ints.iter().map(|&int| Slot::Int(int.into())).collect();
                let (at, width) = self.vector(&[], &slots, false);
                let kind = kind::VECTOR_INT;
                Slot::Place { at, kind, width }
            }
        }
    }

    /// Writes what stands before a vector's length, the length, the slots and their types: where the slots are, and the
    /// logarithm of their width.
    fn vector(&mut self, before: &[Slot], slots: &[Slot], typed: bool) -> (usize, u8) {
        let len = Slot::Int(slots.len() as i64);
        let all = before.iter().chain([&len]).chain(slots);
        let widths = all.clone().enumerate();
        let width = widths
            .map(|(index, slot)| slot.width(self.bytes.len(), index))
            .max()
            .unwrap_or_default();
        self.align(width);
        all.take(before.len() + 1)
            .for_each(|slot| self.slot(*slot, width));
        let at = self.bytes.len();
        slots.iter().for_each(|slot| self.slot(*slot, width));
        if typed {
            let types = slots.iter().map(|slot| slot.packed(width));
            self.bytes.extend(types);
        }
        (at, width)
    }

    fn align(&mut self, width: u8) {
        let len = self.bytes.len().next_multiple_of(1 << width);
        self.bytes.resize(len, 0);
    }

    fn slot(&mut self, slot: Slot, width: u8) {
        let bits = match slot {
            Slot::Int(int) => int.cast_unsigned(),
            Slot::Bool(bool) => bool.into(),
            Slot::Float(float) if width == 3 => f64::from(float).to_bits(),
            Slot::Float(float) => float.to_bits().into(),
            Slot::Place { at, .. } => (self.bytes.len() - at) as u64,
        };
        let bytes = bits.to_le_bytes();
        self.bytes.extend(bytes.iter().take(1 << width));
    }
}

/// The place of a key.
fn place(at: usize) -> Slot {
    Slot::Place {
        at,
        kind: 0,
        width: 0,
    }
}

impl Slot {
    /// The logarithm of the width that the slot asks for as number `index` of what comes behind `end` bytes.
    fn width(self, end: usize, index: usize) -> u8 {
        match self {
            // Twice the number, or its complement, has the bits of the number and its sign.
            Self::Int(int) => {
                width_of(if int < 0 { !(int << 1) } else { int << 1 }.cast_unsigned())
            }
            Self::Bool(_) => 0,
            Self::Float(_) => 2,
            Self::Place { at, .. } => {
                let distance = |width: u8| {
                    let start = end.next_multiple_of(1 << width);
                    (start + (index << width) - at) as u64
                };
                let fits = |width: &u8| width_of(distance(*width)) <= *width;
                (0..3).find(fits).unwrap_or(3)
            }
        }
    }

    /// The type in a vector of this width, and the width of what it leads to.
    fn packed(self, width: u8) -> u8 {
        match self {
            Self::Int(_) => kind::INT << 2 | width,
            Self::Float(_) => kind::FLOAT << 2 | width,
            Self::Bool(_) => kind::BOOL << 2 | width,
            Self::Place { kind, width, .. } => kind << 2 | width,
        }
    }
}

/// The logarithm of the bytes that an unsigned number takes.
fn width_of(number: u64) -> u8 {
    match number {
        0..=0xff => 0,
        0x100..=0xffff => 1,
        0x1_0000..=0xffff_ffff => 2,
        _ => 3,
    }
}
