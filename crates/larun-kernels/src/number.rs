//! Elements as numbers, read and written by their type: one loop serves every pair of types.

use larun_ops::ElementType;
use larun_quant::binary16;

use crate::{InvokeError, Io, Memory, check_len};

/// The value of an element.
#[derive(Clone, Copy)]
pub(crate) enum Number {
    Integer(i64),
    Real(f32),
}

/// The types that can be read and written.
pub(crate) const NUMBERS: &[ElementType] = &[
    ElementType::Bool,
    ElementType::Int8,
    ElementType::UInt8,
    ElementType::Int16,
    ElementType::UInt16,
    ElementType::Int32,
    ElementType::UInt32,
    ElementType::Int64,
    ElementType::Float16,
    ElementType::Float32,
];

impl Number {
    /// The element in `bytes`, which are as many as one of the type has.
    pub(crate) fn read(element_type: ElementType, bytes: &[u8]) -> Self {
        use ElementType::{Bool, Float16, Float32, UInt8, UInt16, UInt32};
        match *bytes {
            [a] => Self::Integer(match element_type {
                Bool => i64::from(a != 0),
                UInt8 => i64::from(a),
                _ => i64::from(a as i8),
            }),
            [a, b] => match (element_type, u16::from_le_bytes([a, b])) {
                (Float16, bits) => Self::Real(binary16::to_f32(bits)),
                (UInt16, bits) => Self::Integer(i64::from(bits)),
                (_, bits) => Self::Integer(i64::from(bits as i16)),
            },
            [a, b, c, d] => match (element_type, u32::from_le_bytes([a, b, c, d])) {
                (Float32, bits) => Self::Real(f32::from_bits(bits)),
                (UInt32, bits) => Self::Integer(i64::from(bits)),
                (_, bits) => Self::Integer(i64::from(bits as i32)),
            },
            _ => Self::Integer(bytes.try_into().map_or(0, i64::from_le_bytes)),
        }
    }

    /// Writes the number as an element of the type into `bytes`, which are as many as one has.
    ///
    /// Real numbers lose their fraction and saturate, and NaN becomes the largest integer, as by LiteRT (C++ does not
    /// define these); integers lose their upper bits.
    pub(crate) fn write(self, element_type: ElementType, bytes: &mut [u8]) {
        use ElementType::{Bool, Float16, Float32, Int8, Int16, Int32, UInt8, UInt16, UInt32};
        let low_bits = match element_type {
            Bool => i64::from(self.is_true()),
            Float16 => i64::from(binary16::from_f32(self.real())),
            Float32 => i64::from(self.real().to_bits()),
            Int8 => self.within(i8::MIN.into(), i8::MAX.into()),
            UInt8 => self.within(0, u8::MAX.into()),
            Int16 => self.within(i16::MIN.into(), i16::MAX.into()),
            UInt16 => self.within(0, u16::MAX.into()),
            Int32 => self.within(i32::MIN.into(), i32::MAX.into()),
            UInt32 => self.within(0, u32::MAX.into()),
            _ => self.integer(),
        };
        for (byte, value) in bytes.iter_mut().zip(low_bits.to_le_bytes()) {
            *byte = value;
        }
    }

    fn is_true(self) -> bool {
        match self {
            Self::Integer(value) => value != 0,
            Self::Real(value) => value != 0.0,
        }
    }

    pub(crate) fn real(self) -> f32 {
        match self {
            Self::Integer(value) => value as f32,
            Self::Real(value) => value,
        }
    }

    pub(crate) fn integer(self) -> i64 {
        self.within(i64::MIN, i64::MAX)
    }

    /// A real number within the bounds of an integer type; an integer as it is.
    fn within(self, min: i64, max: i64) -> i64 {
        match self {
            Self::Integer(value) => value,
            Self::Real(value) if value.is_nan() => max,
            Self::Real(value) => (value as i64).max(min).min(max),
        }
    }
}

/// Calls `function` for each element of the input, and writes what it returns.
pub(crate) fn convert(
    mut io: Io<'_>,
    from: ElementType,
    to: ElementType,
    function: impl Fn(Number) -> Number,
) -> Result<(), InvokeError> {
    let lens = from.byte_len(1).zip(to.byte_len(1));
    let (from_len, to_len) = lens.ok_or(InvokeError::Plan)?;
    let output: &mut [u8] = io.output(0)?;
    let input: &[u8] = io.freeze().input(0)?;
    let inputs = input.chunks_exact(from_len.max(1));
    let outputs = output.chunks_exact_mut(to_len.max(1));
    check_len(Memory::output(0), outputs.len(), inputs.len())?;
    for (output, input) in outputs.zip(inputs) {
        function(Number::read(from, input)).write(to, output);
    }
    Ok(())
}
