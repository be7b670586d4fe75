//! The typed options of every operator, with the field ids that they have in the file.
//!
//! Each field names its id in the option table of the format. Readers and writers come from that: a
//! source answers for a field id, a sink takes one, and neither knows any operator.

mod builtin;
mod custom;

pub use builtin::*;
pub use custom::*;

use crate::{Activation, ElementType, IntList, MirrorPadMode, Padding, WeightsFormat};

/// Where options are read from: a table of numbered fields.
pub trait OptionsSource {
    /// What can go wrong when a field is read.
    type Error;

    /// The byte of field `id`, or `None` when the field is absent.
    ///
    /// # Errors
    /// When the table is malformed.
    fn byte(&self, id: u16) -> Result<Option<i8>, Self::Error>;

    /// The 32-bit integer of field `id`, or `None` when the field is absent.
    ///
    /// # Errors
    /// When the table is malformed.
    fn int(&self, id: u16) -> Result<Option<i32>, Self::Error>;

    /// The single-precision number of field `id`, or `None` when the field is absent.
    ///
    /// # Errors
    /// When the table is malformed.
    fn float(&self, id: u16) -> Result<Option<f32>, Self::Error>;

    /// [`byte`](Self::byte), or `default` when the field is absent.
    ///
    /// # Errors
    /// As there.
    fn byte_or(&self, id: u16, default: i8) -> Result<i8, Self::Error> {
        Ok(self.byte(id)?.unwrap_or(default))
    }

    /// [`int`](Self::int), or `default` when the field is absent.
    ///
    /// # Errors
    /// As there.
    fn int_or(&self, id: u16, default: i32) -> Result<i32, Self::Error> {
        Ok(self.int(id)?.unwrap_or(default))
    }

    /// The vector of 32-bit integers of field `id`, or `None` when the field is absent.
    ///
    /// # Errors
    /// When the table is malformed or the vector is longer than an [`IntList`].
    fn ints(&self, id: u16) -> Result<Option<IntList>, Self::Error>;

    /// What becomes of a number that the field's enumeration does not define.
    ///
    /// # Errors
    /// Says so. A source that remembers what was wrong gives none, and the field has its default.
    fn unknown_value(&self, id: u16, value: i8) -> Result<(), Self::Error>;
}

/// Where options are written to. A value equal to its default may be left out.
pub trait OptionsSink {
    /// Writes a byte.
    fn byte(&mut self, id: u16, value: i8, default: i8);
    /// Writes a truth value: a byte, where the sink has no type for it.
    fn flag(&mut self, id: u16, value: bool, default: bool) {
        self.byte(id, i8::from(value), i8::from(default));
    }
    /// Writes a 32-bit integer.
    fn int(&mut self, id: u16, value: i32, default: i32);
    /// Writes a single-precision number.
    fn float(&mut self, id: u16, value: f32, default: f32);
    /// Writes a vector of 32-bit integers; an empty one may be left out.
    fn ints(&mut self, id: u16, values: &[i32]);
}

/// The options of one operator.
pub trait Options: Copy + Default + PartialEq + core::fmt::Debug {
    /// The number of the option table in the format's union, 0 where the operator has none.
    const TABLE: u8;
    /// The name of the option table.
    const TABLE_NAME: &'static str;
    /// Each field's id and name, by which custom operators store their options.
    const FIELDS: &'static [(u16, &'static str)];

    /// Reads the options; an absent field has its default.
    ///
    /// # Errors
    /// When a field is malformed or holds an unknown number.
    fn read<S: OptionsSource + ?Sized>(source: &S) -> Result<Self, S::Error>;

    /// Writes the options.
    fn write<K: OptionsSink>(&self, sink: &mut K);

    /// The activation that the operator applies to its result, `None` for one that cannot.
    fn activation(&self) -> Option<Activation>;

    /// The same, to change.
    fn activation_mut(&mut self) -> Option<&mut Activation>;
}

/// A type that one option field can have.
trait Field: Copy {
    fn read<S: OptionsSource + ?Sized>(
        source: &S,
        id: u16,
        default: Self,
    ) -> Result<Self, S::Error>;
    fn write<K: OptionsSink>(self, sink: &mut K, id: u16, default: Self);

    /// The field itself where it is a fused activation.
    fn as_activation(&mut self) -> Option<&mut Activation> {
        None
    }
}

impl Field for i32 {
    fn read<S: OptionsSource + ?Sized>(
        source: &S,
        id: u16,
        default: Self,
    ) -> Result<Self, S::Error> {
        source.int_or(id, default)
    }

    fn write<K: OptionsSink>(self, sink: &mut K, id: u16, default: Self) {
        sink.int(id, self, default);
    }
}

impl Field for f32 {
    fn read<S: OptionsSource + ?Sized>(
        source: &S,
        id: u16,
        default: Self,
    ) -> Result<Self, S::Error> {
        Ok(source.float(id)?.unwrap_or(default))
    }

    fn write<K: OptionsSink>(self, sink: &mut K, id: u16, default: Self) {
        sink.float(id, self, default);
    }
}

impl Field for bool {
    fn read<S: OptionsSource + ?Sized>(
        source: &S,
        id: u16,
        default: Self,
    ) -> Result<Self, S::Error> {
        Ok(source.byte_or(id, default.into())? != 0)
    }

    fn write<K: OptionsSink>(self, sink: &mut K, id: u16, default: Self) {
        sink.flag(id, self, default);
    }
}

impl Field for IntList {
    fn read<S: OptionsSource + ?Sized>(
        source: &S,
        id: u16,
        default: Self,
    ) -> Result<Self, S::Error> {
        Ok(source.ints(id)?.unwrap_or(default))
    }

    fn write<K: OptionsSink>(self, sink: &mut K, id: u16, _default: Self) {
        sink.ints(id, self.as_slice());
    }
}

/// Enumerations are stored as a byte.
macro_rules! byte_field {
    ($($name:ty $({ $($extra:tt)* })?),+) => {$(
        impl Field for $name {
            fn read<S: OptionsSource + ?Sized>(source: &S, id: u16, default: Self) -> Result<Self, S::Error> {
                let code = source.byte_or(id, default.code())?;
                match Self::from_code(code) {
                    Some(value) => Ok(value),
                    None => source.unknown_value(id, code).map(|()| default),
                }
            }

            fn write<K: OptionsSink>(self, sink: &mut K, id: u16, default: Self) {
                sink.byte(id, self.code(), default.code());
            }

            $($($extra)*)?
        }
    )+};
}

byte_field!(
    Padding,
    ElementType,
    WeightsFormat,
    MirrorPadMode,
    Activation {
        fn as_activation(&mut self) -> Option<&mut Activation> {
            Some(self)
        }
    }
);

/// The name that a field has in a flexbuffer: its own, or the one beside it.
macro_rules! stored_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $stored:literal) => {
        $stored
    };
}

/// Option structs: `Name = union number { field ("stored name")?: type = id, default }`.
macro_rules! options {
    ($(
        $(#[$meta:meta])*
        $name:ident = $table:literal $table_name:literal {
            $($(#[$fmeta:meta])* $field:ident $(($stored:literal))?: $type:ty = $id:literal, $default:expr;)*
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name {
            $($(#[$fmeta])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Options for $name {
            const TABLE: u8 = $table;
            const TABLE_NAME: &'static str = $table_name;
            const FIELDS: &'static [(u16, &'static str)] = &[$(($id, $crate::options::stored_name!($field $($stored)?))),*];

            fn read<S: OptionsSource + ?Sized>(source: &S) -> Result<Self, S::Error> {
                let _ = source;
                Ok(Self { $($field: <$type as Field>::read(source, $id, $default)?,)* })
            }

            fn write<K: OptionsSink>(&self, sink: &mut K) {
                let _ = sink;
                $(self.$field.write(sink, $id, $default);)*
            }

            fn activation(&self) -> Option<Activation> {
                let mut options = *self;
                options.activation_mut().copied()
            }

            fn activation_mut(&mut self) -> Option<&mut Activation> {
                $(if let Some(activation) = self.$field.as_activation() {
                    return Some(activation);
                })*
                None
            }
        }
    )+};
}

use {options, stored_name};

/// Options of batch normalisation, which exists during training only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormOptions {
    /// Added to the variance before its root is taken.
    pub epsilon: f32,
    /// Weight of the past in the running mean and variance.
    pub momentum: f32,
}

impl Default for BatchNormOptions {
    fn default() -> Self {
        Self {
            epsilon: 1e-3,
            momentum: 0.99,
        }
    }
}

impl Options for BatchNormOptions {
    const TABLE: u8 = 0;
    const TABLE_NAME: &'static str = "";
    const FIELDS: &'static [(u16, &'static str)] = &[];

    fn read<S: OptionsSource + ?Sized>(_source: &S) -> Result<Self, S::Error> {
        Ok(Self::default())
    }

    fn write<K: OptionsSink>(&self, _sink: &mut K) {}

    fn activation(&self) -> Option<Activation> {
        None
    }

    fn activation_mut(&mut self) -> Option<&mut Activation> {
        None
    }
}
