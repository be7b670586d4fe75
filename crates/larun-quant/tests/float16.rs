//! Half-precision storage.

#![cfg(feature = "half")]

mod support;

use larun_quant::QuantError;
use larun_quant::float16::{bf16, f16, load_bf16, load_f16, store_bf16, store_f16};
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
