//! Single binary16 (FP16) values by their bits, for processors without an instruction for them.
//!
//! Source: IEEE 754-2019. Slices are converted by the module `float16`.

/// The real number that the bits of a binary16 stand for, exactly. NaN stays NaN.
///
/// ```
/// use larun_quant::binary16;
///
/// assert_eq!(binary16::to_f32(0x3C00), 1.0);
/// assert_eq!(binary16::from_f32(-1.5), 0xBE00);
/// ```
#[must_use]
pub fn to_f32(bits: u16) -> f32 {
    let magnitude = u32::from(bits & 0x7FFF);
    let sign = u32::from(bits & 0x8000) << 16;
    let real = match magnitude {
        // The exponent's bias is 15 here and 127 there; fractions have 10 and 23 bits.
        0x0400..0x7C00 => f32::from_bits((magnitude << 13) + ((127 - 15) << 23)),
        // Subnormal: a multiple of 2^-24.
        0..0x0400 => magnitude as f32 * f32::from_bits((127 - 24) << 23),
        _ => f32::from_bits((magnitude << 13) | (0xFF << 23)),
    };
    f32::from_bits(real.to_bits() | sign)
}

/// The bits of the binary16 nearest to `real`, ties to even. Magnitudes of 65520 and more become infinite, NaN stays
/// NaN.
#[must_use]
pub fn from_f32(real: f32) -> u16 {
    let sign = (real.to_bits() >> 16) as u16 & 0x8000;
    let magnitude = real.to_bits() & 0x7FFF_FFFF;
    let rounded = match magnitude {
        // Infinite and NaN, whose fraction must not become 0.
        0x7F80_0000.. => 0x7C00 | u32::from(magnitude > 0x7F80_0000) << 9,
        0x4780_0000.. => 0x7C00,
        // Normal: add just under half of the last place kept, or half if that place is odd.
        0x3880_0000.. => {
            let rebiased = magnitude - ((127 - 15) << 23);
            (rebiased + 0x0FFF + ((rebiased >> 13) & 1)) >> 13
        }
        // Subnormal: adding 0.5 leaves the multiple of 2^-24, rounded by the addition itself, in the fraction's end.
        _ => (f32::from_bits(magnitude) + 0.5).to_bits() - 0.5f32.to_bits(),
    };
    sign | rounded as u16
}

/// As [`from_f32`], but finite magnitudes of 65520 and more become 65504, the largest: for weights, which an infinity
/// would spoil the outputs of.
#[must_use]
pub fn from_f32_saturating(real: f32) -> u16 {
    let bits = from_f32(real);
    // One below the bits of infinity.
    let overflown = bits & 0x7FFF == 0x7C00 && real.is_finite();
    bits - u16::from(overflown)
}

#[cfg(all(test, feature = "half"))]
mod tests {
    use super::{from_f32, to_f32};
    use half::f16;

    #[test]
    fn every_value_is_that_of_the_crate_half() {
        for bits in 0..=u16::MAX {
            let (found, expected) = (to_f32(bits), f16::from_bits(bits).to_f32());
            assert!(found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan());
            assert!(from_f32(found) == bits || found.is_nan() && to_f32(from_f32(found)).is_nan());
        }
    }

    #[test]
    fn rounding_is_that_of_the_crate_half() {
        for step in 0..1u32 << 20 {
            // All exponents, and fractions around ties.
            let real = f32::from_bits(step << 12 | (step & 3).wrapping_sub(1) & 0xFFF);
            let expected = f16::from_f32(real);
            let found = from_f32(real);
            assert!(
                found == expected.to_bits() || expected.is_nan() && to_f32(found).is_nan(),
                "{real:e}"
            );
        }
    }
}
