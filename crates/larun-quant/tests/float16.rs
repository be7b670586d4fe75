//! Half-precision storage.

#![cfg(feature = "half")]

mod support;

use larun_quant::QuantError;
use larun_quant::float16::{
    bf16, f16, load_bf16, load_f16, store_bf16, store_f16, store_f16_saturating,
};
use support::{rows, vectors};

#[test]
fn binary16() {
    let Some(file) = vectors("binary16", "fp16.json") else {
        return;
    };
    for row in rows(&file["f32_to_f16"]) {
        let [real, expected] = [row[0], row[1]].map(|bits| bits.expect("bits") as u32);
        let (real, expected) = (f32::from_bits(real), f16::from_bits(expected as u16));
        let mut stored = [f16::ZERO];
        store_f16(&[real], &mut stored).expect("lengths");
        assert!(stored[0].to_bits() == expected.to_bits() || real.is_nan() && stored[0].is_nan());
    }
    for row in rows(&file["f16_to_f32"]) {
        let [stored, expected] = [row[0], row[1]].map(|bits| bits.expect("bits") as u32);
        let mut real = [0.0];
        load_f16(&[f16::from_bits(stored as u16)], &mut real).expect("lengths");
        let expected = f32::from_bits(expected);
        assert!(real[0].to_bits() == expected.to_bits() || real[0].is_nan() && expected.is_nan());
    }
}

#[test]
fn bfloat16_keeps_eight_bits() {
    let reals = [1.0, -3.140625, 1.003_906_3, 1e38, -0.0];
    let mut stored = [bf16::ZERO; 5];
    store_bf16(&reals, &mut stored).expect("lengths");
    let mut back = [0.0; 5];
    load_bf16(&stored, &mut back).expect("lengths");
    assert_eq!(back[..2], reals[..2]);
    // A tie goes to the even neighbour.
    assert_eq!(stored[2], bf16::ONE);
    assert!((back[3] / reals[3] - 1.0).abs() < 1.0 / 256.0);
    assert_eq!(back[4].to_bits(), reals[4].to_bits());
}

/// The formula on the bits, that IEEE 754 rounding comes to.
fn bfloat16_bits(real: f32) -> u16 {
    let bits = real.to_bits();
    if real.is_nan() {
        return 0x7FC0;
    }
    ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) as u16
}

#[test]
fn bfloat16_rounds_to_even_overflows_and_keeps_nan() {
    for step in 0..1_u32 << 20 {
        // All exponents, and fractions around ties.
        let real = f32::from_bits(step << 12 | (step & 3).wrapping_sub(1) & 0xFFF);
        let mut stored = [bf16::ZERO];
        store_bf16(&[real], &mut stored).expect("lengths");
        if real.is_nan() {
            assert!(stored[0].is_nan());
        } else {
            assert_eq!(stored[0].to_bits(), bfloat16_bits(real), "{real:e}");
        }
        let mut back = [0.0];
        load_bf16(&stored, &mut back).expect("lengths");
        assert!(back[0].is_nan() || back[0].to_bits() == u32::from(stored[0].to_bits()) << 16);
    }
    // The payload is all in the bits that are cut off.
    let mut stored = [bf16::ZERO; 2];
    store_bf16(&[f32::from_bits(0x7F80_0001), f32::MAX], &mut stored).expect("lengths");
    assert!(stored[0].is_nan() && stored[1] == bf16::INFINITY);
}

#[test]
fn binary16_saturates_when_asked() {
    let reals = [
        65_519.9,
        65_520.0,
        -1e9,
        f32::INFINITY,
        f32::NAN,
        1e-9,
        -0.0,
    ];
    let mut stored = [f16::ZERO; 7];
    store_f16_saturating(&reals, &mut stored).expect("lengths");
    assert_eq!(stored[..4], [f16::MAX, f16::MAX, f16::MIN, f16::INFINITY]);
    assert!(stored[4].is_nan());
    let mut plain = [f16::ZERO; 7];
    store_f16(&reals, &mut plain).expect("lengths");
    assert_eq!(
        (stored[0], stored[5], stored[6].to_bits()),
        (plain[0], plain[5], 0x8000)
    );
    assert_eq!(plain[1], f16::INFINITY);
    assert!(store_f16_saturating(&reals, &mut []).is_err());
}

#[test]
fn lengths_must_agree() {
    let refused = Err(QuantError::LengthMismatch {
        what: "places for binary16 values",
        expected: 2,
        found: 1,
    });
    assert_eq!(store_f16(&[1.0; 2], &mut [f16::ZERO]), refused);
    assert!(load_f16(&[f16::ZERO], &mut []).is_err());
    assert!(store_bf16(&[], &mut [bf16::ZERO]).is_err());
    assert!(load_bf16(&[], &mut [0.0]).is_err());
}
