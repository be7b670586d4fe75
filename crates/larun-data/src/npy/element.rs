//! The element types of arrays and their conversions.

use half::f16;
use larun_ops::ElementType;

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that is the element of an array.
pub trait Element: Copy + sealed::Sealed {
    /// The element type that stands for it.
    const ELEMENT_TYPE: ElementType;

    /// The little-endian bytes.
    fn to_le_bytes(self) -> impl AsRef<[u8]> + IntoIterator<Item = u8>;

    /// The values in a run of little-endian bytes; an incomplete one at the end is left out.
    fn read_all(bytes: &[u8]) -> impl Iterator<Item = Self>;
}

macro_rules! elements {
    ($($type:ty: $element_type:ident,)*) => {$(
        impl sealed::Sealed for $type {}

        impl Element for $type {
            const ELEMENT_TYPE: ElementType = ElementType::$element_type;

            fn to_le_bytes(self) -> impl AsRef<[u8]> + IntoIterator<Item = u8> {
                <$type>::to_le_bytes(self)
            }

            fn read_all(bytes: &[u8]) -> impl Iterator<Item = Self> {
                let (chunks, _) = bytes.as_chunks::<{ size_of::<$type>() }>();
                chunks.iter().map(|chunk| <$type>::from_le_bytes(*chunk))
            }
        }
    )*};
}

elements! {
    f32: Float32,
    f64: Float64,
    f16: Float16,
    i8: Int8,
    i16: Int16,
    i32: Int32,
    i64: Int64,
    u8: UInt8,
    u16: UInt16,
    u32: UInt32,
    u64: UInt64,
}

impl sealed::Sealed for bool {}

impl Element for bool {
    const ELEMENT_TYPE: ElementType = ElementType::Bool;

    fn to_le_bytes(self) -> impl AsRef<[u8]> + IntoIterator<Item = u8> {
        [u8::from(self)]
    }

    fn read_all(bytes: &[u8]) -> impl Iterator<Item = Self> {
        bytes.iter().map(|&byte| byte != 0)
    }
}

pub(super) fn to_f32(element_type: ElementType, bytes: &[u8]) -> Option<Vec<f32>> {
    Some(match element_type {
        ElementType::Float32 => f32::read_all(bytes).collect(),
        ElementType::Float64 => f64::read_all(bytes).map(|v| v as f32).collect(),
        ElementType::Float16 => f16::read_all(bytes).map(f16::to_f32).collect(),
        ElementType::Bool => bool::read_all(bytes).map(f32::from).collect(),
        ElementType::Int8 => i8::read_all(bytes).map(f32::from).collect(),
        ElementType::Int16 => i16::read_all(bytes).map(f32::from).collect(),
        ElementType::Int32 => i32::read_all(bytes).map(|v| v as f32).collect(),
        ElementType::Int64 => i64::read_all(bytes).map(|v| v as f32).collect(),
        ElementType::UInt8 => u8::read_all(bytes).map(f32::from).collect(),
        ElementType::UInt16 => u16::read_all(bytes).map(f32::from).collect(),
        ElementType::UInt32 => u32::read_all(bytes).map(|v| v as f32).collect(),
        ElementType::UInt64 => u64::read_all(bytes).map(|v| v as f32).collect(),
        _ => return None,
    })
}

pub(super) fn to_integers(element_type: ElementType, bytes: &[u8]) -> Option<Vec<i128>> {
    Some(match element_type {
        ElementType::Bool => bool::read_all(bytes).map(i128::from).collect(),
        ElementType::Int8 => i8::read_all(bytes).map(i128::from).collect(),
        ElementType::Int16 => i16::read_all(bytes).map(i128::from).collect(),
        ElementType::Int32 => i32::read_all(bytes).map(i128::from).collect(),
        ElementType::Int64 => i64::read_all(bytes).map(i128::from).collect(),
        ElementType::UInt8 => u8::read_all(bytes).map(i128::from).collect(),
        ElementType::UInt16 => u16::read_all(bytes).map(i128::from).collect(),
        ElementType::UInt32 => u32::read_all(bytes).map(i128::from).collect(),
        ElementType::UInt64 => u64::read_all(bytes).map(i128::from).collect(),
        _ => return None,
    })
}
