//! Ratios of scales as double precision holds them, computed in integers.
//!
//! The real runtimes compute `input_scale * weight_scale / output_scale` in double precision. A processor without a unit
//! for that would link kilobytes which imitate one. The product of two single-precision numbers is exact there, so that
//! the division alone rounds.

use super::FixedMultiplier;

/// Bits of a significand in double precision.
const DOUBLE_BITS: u32 = 53;
/// Bits of a significand in single precision.
const SINGLE_BITS: u32 = 24;
/// The highest of them, which is always set.
const HIGHEST: u32 = 1 << (SINGLE_BITS - 1);
/// The exponent of infinity: no other number brings it back into range.
const BEYOND: i32 = 1 << 12;

/// A positive number as double precision holds it, but for the range of its exponent:
/// `significand * 2^(exponent - 53)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ratio {
    /// In `2^52..2^53`.
    significand: u64,
    pub(super) exponent: i32,
}

impl Ratio {
    /// `a * b / divisor`, rounded once, to nearest with ties to even; `None` where one of them is not positive. Infinity
    /// counts as a number that is larger than all others.
    pub(super) fn new([a, b]: [f32; 2], divisor: f32) -> Option<Self> {
        let (a, b, c) = (Parts::of(a)?, Parts::of(b)?, Parts::of(divisor)?);
        let product = u64::from(a.significand) * u64::from(b.significand);
        let divisor = c.significand | HIGHEST;
        // Long division, a byte at a time, so that a word holds the remainder and the next one. Four bytes behind the
        // product make 55 bits of quotient or more, which is 23 to 25 without them.
        let (mut dividend, mut quotient, mut rest) = (product, 0u64, 0u32);
        for _ in 0..size_of::<u64>() + 4 {
            let part = rest << 8 | (dividend >> 56) as u32;
            dividend <<= 8;
            quotient = quotient << 8 | u64::from(part / divisor);
            rest = part % divisor;
        }
        // One bit more than double precision has: it says which way to round, and what was dropped whether it is a tie.
        let mut exponent = a.exponent + b.exponent - c.exponent - 2;
        while quotient >> (DOUBLE_BITS + 1) != 0 {
            rest |= quotient as u32 & 1;
            quotient >>= 1;
            exponent += 1;
        }
        let mut significand = quotient >> 1;
        let up = quotient & 1 == 1 && (rest > 0 || significand & 1 == 1);
        significand += u64::from(up);
        if significand == 1 << DOUBLE_BITS {
            significand >>= 1;
            exponent += 1;
        }
        Some(Self {
            significand,
            exponent,
        })
    }

    /// Whether it is above 1.
    pub(super) const fn exceeds_one(self) -> bool {
        self.exponent > 1 || (self.exponent == 1 && self.significand > 1 << (DOUBLE_BITS - 1))
    }

    /// As [`FixedMultiplier::from_real`], without the cap on the shift.
    pub(super) const fn fixed_uncapped(self) -> FixedMultiplier {
        const DROPPED: u32 = DOUBLE_BITS - 31;
        let mut multiplier = (self.significand + (1 << (DROPPED - 1))) >> DROPPED;
        let mut shift = self.exponent;
        if multiplier == 1 << 31 {
            multiplier >>= 1;
            shift += 1;
        }
        if shift < -31 {
            return FixedMultiplier::ZERO;
        }
        FixedMultiplier {
            multiplier: multiplier as i32,
            shift,
        }
    }
}

/// A positive number in single precision: `significand * 2^(exponent - 24)`.
struct Parts {
    /// In `2^23..2^24`.
    significand: u32,
    exponent: i32,
}

impl Parts {
    fn of(value: f32) -> Option<Self> {
        if value.is_nan() || value <= 0.0 {
            return None;
        }
        let bits = value.to_bits();
        let (field, fraction) = ((bits >> (SINGLE_BITS - 1)) as i32, bits & 0x7F_FFFF);
        if field == 0 {
            // Subnormal: the leading zeros go.
            let zeros = fraction.leading_zeros() - (u32::BITS - SINGLE_BITS);
            return Some(Self {
                significand: fraction << zeros,
                exponent: -125 - zeros as i32,
            });
        }
        Some(Self {
            significand: fraction | HIGHEST,
            exponent: match field {
                0xFF => BEYOND,
                field => field - 126,
            },
        })
    }
}
