//! Several small integers a byte: INT4 and INT2 as TensorFlow Lite stores them, binary and ternary weights.
//!
//! | packing | values | a byte holds | order |
//! |---|---|---|---|
//! | [`Int4`](Packing::Int4) | -8 to 7 | 2 | two's complement nibbles, the first in the low one |
//! | [`Int2`](Packing::Int2) | -2 to 1 | 4 | two's complement pairs of bits, the first in the lowest |
//! | [`Ternary`](Packing::Ternary) | -1, 0, 1 | 5 | `sum (value + 1) 3^i`, the first the least significant |
//! | [`Binary`](Packing::Binary) | -1, 1 | 8 | a set bit for -1, the first in the lowest |
//!
//! Rows are packed back to back, without padding; what a last byte has left over holds zeros (bits that are 0, or
//! ternary digits that are 0).
//!
//! Source: TensorFlow Lite's schema and kernels, for INT4 and INT2.

use crate::affine::IntegerRange;
#[cfg(feature = "alloc")]
use crate::axis::ChannelAxis;
use crate::error::{QuantError, same_length};
#[cfg(feature = "alloc")]
use crate::weights::QuantizedWeights;

/// How small integers are laid out in bytes.
///
/// ```
/// use larun_quant::packing::Packing;
///
/// let mut packed = [0; 2];
/// Packing::Int4.pack(&[-1, 1, -7], &mut packed)?;
/// assert_eq!(packed, [0x1F, 0x09]);
/// let mut values = [0; 3];
/// Packing::Int4.unpack(&packed, &mut values)?;
/// assert_eq!(values, [-1, 1, -7]);
/// # Ok::<(), larun_quant::QuantError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Packing {
    /// Two values a byte, -8 to 7.
    Int4,
    /// Four values a byte, -2 to 1.
    Int2,
    /// Five values a byte, -1 to 1; 1.6 bits a value where the information is 1.58. TensorFlow Lite has no such type.
    Ternary,
    /// Eight values a byte, -1 or 1. TensorFlow Lite has no such type.
    Binary,
}

impl Packing {
    /// The integers that can be stored. Of [`Binary`](Self::Binary)'s, 0 cannot.
    #[must_use]
    pub const fn range(self) -> IntegerRange {
        match self {
            Self::Int4 => IntegerRange::INT4,
            Self::Int2 => IntegerRange::INT2,
            Self::Ternary | Self::Binary => IntegerRange::INT2_NARROW,
        }
    }

    /// Values a byte.
    #[must_use]
    pub const fn per_byte(self) -> usize {
        match self {
            Self::Int4 => 2,
            Self::Int2 => 4,
            Self::Ternary => 5,
            Self::Binary => 8,
        }
    }

    /// Bytes that `values` values take.
    #[must_use]
    pub const fn packed_len(self, values: usize) -> usize {
        values.div_ceil(self.per_byte())
    }

    /// Packs `values` into `packed`, which has [`packed_len`](Self::packed_len) bytes.
    ///
    /// # Errors
    /// [`LengthMismatch`](QuantError::LengthMismatch), and [`OutOfRange`](QuantError::OutOfRange) for the first value
    /// that cannot be stored; nothing is written then.
    pub fn pack(self, values: &[i8], packed: &mut [u8]) -> Result<(), QuantError> {
        same_length("packed bytes", self.packed_len(values.len()), packed.len())?;
        self.check(values)?;
        let groups = values.chunks(self.per_byte());
        for (byte, group) in packed.iter_mut().zip(groups) {
            // The last value first: each other is put below it.
            *byte = group.iter().rev().fold(0, |byte, &value| match self {
                Self::Int4 => byte << 4 | value as u8 & 0xF,
                Self::Int2 => byte << 2 | value as u8 & 3,
                Self::Ternary => byte * 3 + (value + 1) as u8,
                Self::Binary => byte << 1 | u8::from(value < 0),
            });
            if self == Self::Ternary {
                *byte += padding_of_ternary(group.len());
            }
        }
        Ok(())
    }

    /// Unpacks `packed` into `values`, of which there are as many as were packed.
    ///
    /// # Errors
    /// [`LengthMismatch`](QuantError::LengthMismatch), and for [`Ternary`](Self::Ternary)
    /// [`OutOfRange`](QuantError::OutOfRange) for a byte above 242, by its index; nothing is written then.
    pub fn unpack(self, packed: &[u8], values: &mut [i8]) -> Result<(), QuantError> {
        same_length("packed bytes", self.packed_len(values.len()), packed.len())?;
        if self == Self::Ternary {
            check_ternary(packed)?;
        }
        let groups = values.chunks_mut(self.per_byte());
        for (&byte, group) in packed.iter().zip(groups) {
            let mut rest = byte;
            for value in group {
                (*value, rest) = match self {
                    // To the top and back, which extends the sign.
                    Self::Int4 => ((rest << 4) as i8 >> 4, rest >> 4),
                    Self::Int2 => ((rest << 6) as i8 >> 6, rest >> 2),
                    Self::Ternary => ((rest % 3) as i8 - 1, rest / 3),
                    Self::Binary => (1 - 2 * (rest & 1) as i8, rest >> 1),
                };
            }
        }
        Ok(())
    }

    /// As [`pack`](Self::pack), into a new vector.
    ///
    /// # Errors
    /// [`OutOfRange`](QuantError::OutOfRange) for the first value that cannot be stored.
    #[cfg(feature = "alloc")]
    pub fn pack_to_vec(self, values: &[i8]) -> Result<alloc::vec::Vec<u8>, QuantError> {
        let mut packed = alloc::vec![0; self.packed_len(values.len())];
        self.pack(values, &mut packed)?;
        Ok(packed)
    }

    /// As [`unpack`](Self::unpack), `len` values into a new vector.
    ///
    /// # Errors
    /// As [`unpack`](Self::unpack).
    #[cfg(feature = "alloc")]
    pub fn unpack_to_vec(
        self,
        packed: &[u8],
        len: usize,
    ) -> Result<alloc::vec::Vec<i8>, QuantError> {
        // Before anything is allocated for a length that may be wrong.
        same_length("packed bytes", self.packed_len(len), packed.len())?;
        let mut values = alloc::vec![0; len];
        self.unpack(packed, &mut values)?;
        Ok(values)
    }

    fn check(self, values: &[i8]) -> Result<(), QuantError> {
        let IntegerRange { min, max } = self.range();
        let holds = |&value: &i8| {
            (min..=max).contains(&i32::from(value)) && (self != Self::Binary || value != 0)
        };
        match values.iter().position(|value| !holds(value)) {
            None => Ok(()),
            Some(index) => Err(QuantError::OutOfRange {
                index,
                value: values.get(index).copied().unwrap_or_default().into(),
                min,
                max,
            }),
        }
    }
}

/// Packed weights with their scales.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, PartialEq)]
pub struct PackedWeights {
    /// The layout of the bytes.
    pub packing: Packing,
    /// The integers.
    pub bytes: alloc::vec::Vec<u8>,
    /// Number of weights.
    pub len: usize,
    /// The scales, one a channel or block.
    pub scales: alloc::vec::Vec<f32>,
}

#[cfg(feature = "alloc")]
impl QuantizedWeights {
    /// The weights with several integers a byte.
    ///
    /// # Errors
    /// [`OutOfRange`](QuantError::OutOfRange) for the first integer that cannot be stored so.
    pub fn pack(&self, packing: Packing) -> Result<PackedWeights, QuantError> {
        Ok(PackedWeights {
            packing,
            bytes: packing.pack_to_vec(&self.values)?,
            len: self.values.len(),
            scales: self.scales.clone(),
        })
    }
}

#[cfg(feature = "alloc")]
impl PackedWeights {
    /// The weights with one integer a byte.
    ///
    /// # Errors
    /// Those of [`Packing::unpack`].
    pub fn unpack(&self) -> Result<QuantizedWeights, QuantError> {
        Ok(QuantizedWeights {
            values: self.packing.unpack_to_vec(&self.bytes, self.len)?,
            scales: self.scales.clone(),
        })
    }

    /// The real numbers that the weights stand for; `axis` says what shares a scale.
    ///
    /// # Errors
    /// Those of [`Packing::unpack`] and of [`QuantizedWeights::dequantize`].
    pub fn dequantize(&self, axis: ChannelAxis) -> Result<alloc::vec::Vec<f32>, QuantError> {
        self.unpack()?.dequantize(axis)
    }
}

/// What makes the digits that a last byte has left over stand for 0, which is a digit of 1: `3^len + ... + 3^4`.
fn padding_of_ternary(len: usize) -> u8 {
    const OF_DIGIT: [u8; 5] = [1, 3, 9, 27, 81];
    OF_DIGIT.iter().skip(len).sum()
}

fn check_ternary(packed: &[u8]) -> Result<(), QuantError> {
    match packed.iter().position(|&byte| byte > 242) {
        None => Ok(()),
        Some(index) => Err(QuantError::OutOfRange {
            index,
            value: packed.get(index).copied().unwrap_or_default().into(),
            min: 0,
            max: 242,
        }),
    }
}
