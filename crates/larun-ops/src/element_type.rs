//! The element types of tensors, with their numbers in the file format and their sizes.

use crate::attributes::wire_enum;

wire_enum! {
    /// What one element of a tensor is.
    ElementType {
        /// IEEE 754 single precision.
        #[default]
        Float32 = 0,
        /// IEEE 754 half precision.
        Float16 = 1,
        /// 32-bit integer.
        Int32 = 2,
        /// 8-bit unsigned integer.
        UInt8 = 3,
        /// 64-bit integer.
        Int64 = 4,
        /// Strings of varying length.
        String = 5,
        /// One byte, 0 or 1.
        Bool = 6,
        /// 16-bit integer.
        Int16 = 7,
        /// Two single-precision numbers.
        Complex64 = 8,
        /// 8-bit integer.
        Int8 = 9,
        /// IEEE 754 double precision.
        Float64 = 10,
        /// Two double-precision numbers.
        Complex128 = 11,
        /// 64-bit unsigned integer.
        UInt64 = 12,
        /// A handle to a resource, such as a variable.
        Resource = 13,
        /// A value whose type is known at run time only.
        Variant = 14,
        /// 32-bit unsigned integer.
        UInt32 = 15,
        /// 16-bit unsigned integer.
        UInt16 = 16,
        /// 4-bit integer, two in a byte, the first in the low half.
        Int4 = 17,
        /// The upper half of a single-precision number.
        BFloat16 = 18,
        /// 2-bit integer, four in a byte, the first in the lowest bits.
        Int2 = 19,
        /// 4-bit unsigned integer, two in a byte, the first in the low half.
        UInt4 = 20,
        /// 8-bit floating point: 4 bits of exponent, 3 of mantissa, no infinities.
        Float8E4M3Fn = 21,
        /// 8-bit floating point: 5 bits of exponent, 2 of mantissa.
        Float8E5M2 = 22,
    }
}

impl ElementType {
    /// Bits of one element, or `None` where elements have no fixed size.
    pub const fn bits(self) -> Option<usize> {
        Some(match self {
            Self::Int2 => 2,
            Self::Int4 | Self::UInt4 => 4,
            Self::UInt8 | Self::Int8 | Self::Bool | Self::Float8E4M3Fn | Self::Float8E5M2 => 8,
            Self::Float16 | Self::BFloat16 | Self::Int16 | Self::UInt16 => 16,
            Self::Float32 | Self::Int32 | Self::UInt32 | Self::Resource => 32,
            Self::Int64 | Self::UInt64 | Self::Float64 | Self::Complex64 => 64,
            Self::Complex128 => 128,
            Self::String | Self::Variant => return None,
        })
    }

    /// Bytes that `count` elements occupy, packed types rounded up to a whole byte; `None` where
    /// elements have no fixed size or the product does not fit a `usize`.
    pub const fn byte_len(self, count: usize) -> Option<usize> {
        match self.bits() {
            Some(bits) if bits >= 8 => count.checked_mul(bits / 8),
            Some(bits) => Some(count.div_ceil(8 / bits)),
            None => None,
        }
    }

    /// The name that the file format uses, such as `FLOAT32`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float32 => "FLOAT32",
            Self::Float16 => "FLOAT16",
            Self::Int32 => "INT32",
            Self::UInt8 => "UINT8",
            Self::Int64 => "INT64",
            Self::String => "STRING",
            Self::Bool => "BOOL",
            Self::Int16 => "INT16",
            Self::Complex64 => "COMPLEX64",
            Self::Int8 => "INT8",
            Self::Float64 => "FLOAT64",
            Self::Complex128 => "COMPLEX128",
            Self::UInt64 => "UINT64",
            Self::Resource => "RESOURCE",
            Self::Variant => "VARIANT",
            Self::UInt32 => "UINT32",
            Self::UInt16 => "UINT16",
            Self::Int4 => "INT4",
            Self::BFloat16 => "BFLOAT16",
            Self::Int2 => "INT2",
            Self::UInt4 => "UINT4",
            Self::Float8E4M3Fn => "FLOAT8_E4M3FN",
            Self::Float8E5M2 => "FLOAT8_E5M2",
        }
    }
}

impl core::fmt::Display for ElementType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}
