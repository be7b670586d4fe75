//! Binary and ternary weights: least error, packed storage, sums by counting bits.

#![cfg(feature = "alloc")]

use larun_quant::packing::Packing;
use larun_quant::ternary::{self, Threshold};
use larun_quant::weights::{QuantizedWeights, ScaleMethod};
use larun_quant::{ChannelAxis, IntegerRange, QuantError, binary};
use proptest::prelude::*;

fn weights(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<f32>> {
    let bell = prop::array::uniform3(-1.0_f32..1.0).prop_map(|parts| parts.iter().sum::<f32>());
    prop::collection::vec(prop_oneof![8 => bell, 1 => Just(0.0), 1 => Just(0.5)], len)
}

fn squared_error(weights: &[f32], quantized: &QuantizedWeights, axis: ChannelAxis) -> f64 {
    let reals = quantized.dequantize(axis).expect("the same axis");
    weights
        .iter()
        .zip(&reals)
        .map(|(w, r)| f64::from(w - r).powi(2))
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_scale_is_better_for_binary_weights(weights in weights(24), factor in 0.5_f32..1.5, axis in 0_usize..3) {
        let axis = ChannelAxis::new(&[2, 3, 4], axis).expect("an axis");
        let best = binary::quantize(&weights, axis).expect("finite");
        for (&value, &weight) in best.values.iter().zip(&weights) {
            prop_assert_eq!(value, if weight < 0.0 { -1 } else { 1 });
        }
        let mut other = best.clone();
        other.scales.iter_mut().for_each(|scale| *scale *= factor);
        prop_assert!(squared_error(&weights, &best, axis) <= squared_error(&weights, &other, axis) + 1e-5);
    }

    #[test]
    fn the_best_ternary_weights_are_the_best(weights in weights(1..9)) {
        let all = ChannelAxis::whole(weights.len());
        let best = ternary::quantize(&weights, all, Threshold::LeastSquares).expect("finite");
        let error = squared_error(&weights, &best, all);
        let published = ternary::quantize(&weights, all, Threshold::SevenTenths).expect("finite");
        prop_assert!(error <= squared_error(&weights, &published, all) + 1e-6);
        let energy: f64 = weights.iter().map(|&w| f64::from(w).powi(2)).sum();
        for code in 1..3_u32.pow(weights.len() as u32) {
            let digit = |i: usize| f64::from(code / 3_u32.pow(i as u32) % 3) - 1.0;
            let (mut product, mut square) = (0.0, 0.0);
            for (i, &w) in weights.iter().enumerate() {
                product += digit(i) * f64::from(w);
                square += digit(i) * digit(i);
            }
            if square > 0.0 {
                prop_assert!(error <= energy - product * product / square + 1e-6);
            }
        }
        // The sweep over scales finds the same optimum in its own way.
        let swept = QuantizedWeights::<i8>::quantize(&weights, all, IntegerRange::INT2_NARROW, ScaleMethod::LeastSquares);
        prop_assert!((squared_error(&weights, &swept.expect("finite"), all) - error).abs() < 1e-5);
    }

    #[test]
    fn the_published_threshold_is_seven_tenths_of_the_mean(weights in weights(24)) {
        let axis = ChannelAxis::new(&[4, 6], 0).expect("an axis");
        let quantized = ternary::quantize(&weights, axis, Threshold::SevenTenths).expect("finite");
        for (channel, weights) in weights.chunks(6).enumerate() {
            let threshold = 0.7 * weights.iter().map(|w| w.abs()).sum::<f32>() / 6.0;
            for (&weight, &value) in weights.iter().zip(&quantized.values[channel * 6..]) {
                let near = (weight.abs() - threshold).abs() < 1e-6;
                prop_assert!(near || (value != 0) == (weight.abs() > threshold));
                prop_assert!(value == 0 || (value < 0) == (weight < 0.0));
            }
        }
    }

    #[test]
    fn packed_weights_stand_for_the_same(weights in weights(30)) {
        let axis = ChannelAxis::new(&[3, 10], 0).expect("an axis");
        let int4 = QuantizedWeights::quantize(&weights, axis, IntegerRange::INT4_NARROW, ScaleMethod::Max);
        let cases = [
            (binary::quantize(&weights, axis), Packing::Binary),
            (ternary::quantize(&weights, axis, Threshold::default()), Packing::Ternary),
            (ternary::quantize(&weights, axis, Threshold::default()), Packing::Int2),
            (int4, Packing::Int4),
        ];
        for (quantized, packing) in cases {
            let quantized = quantized.expect("finite");
            let packed = quantized.pack(packing).expect("in range");
            prop_assert_eq!(packed.bytes.len(), packing.packed_len(30));
            prop_assert_eq!(packed.dequantize(axis), quantized.dequantize(axis));
            prop_assert_eq!(packed.unpack(), Ok(quantized));
        }
    }

    #[test]
    fn sums_of_products_are_counted(signs in prop::collection::vec((any::<bool>(), any::<bool>()), 0..70)) {
        let sign = |negative: bool| if negative { -1_i8 } else { 1 };
        let (left, right): (Vec<i8>, Vec<i8>) = signs.iter().map(|&(l, r)| (sign(l), sign(r))).unzip();
        let expected: i64 = left.iter().zip(&right).map(|(&l, &r)| i64::from(l) * i64::from(r)).sum();
        let [mut left, right] = [left, right].map(|signs| Packing::Binary.pack_to_vec(&signs).expect("signs"));
        prop_assert_eq!(binary::dot(&left, &right, signs.len()), Ok(expected));
        // What is left over counts for nothing.
        if let Some(last) = left.last_mut() && signs.len() % 8 > 0 {
            *last |= 0xFF << (signs.len() % 8);
            prop_assert_eq!(binary::dot(&left, &right, signs.len()), Ok(expected));
        }
        prop_assert!(binary::dot(&left, &right, signs.len() + 8).is_err());
    }
}

#[test]
fn zeros_nothing_and_bad_weights() {
    let pair = ChannelAxis::whole(2);
    let zeros = binary::quantize(&[0.0, -0.0], pair).expect("zeros");
    assert_eq!(
        (zeros.values, zeros.scales),
        (vec![1, 1], vec![f32::MIN_POSITIVE])
    );
    for threshold in [Threshold::LeastSquares, Threshold::SevenTenths] {
        let zeros = ternary::quantize(&[0.0, -0.0], pair, threshold).expect("zeros");
        assert_eq!((zeros.values, zeros.scales), (vec![0, 0], vec![1.0]));
        let equal = ternary::quantize(&[-0.25, 0.25], pair, threshold).expect("finite");
        assert_eq!((equal.values, equal.scales), (vec![-1, 1], vec![0.25]));
        let huge = ternary::quantize(&[f32::MAX, f32::MIN], pair, threshold).expect("finite");
        assert_eq!((huge.values, huge.scales), (vec![1, -1], vec![f32::MAX]));
        let bad = ternary::quantize(&[1.0, f32::NAN], pair, threshold);
        assert!(matches!(bad, Err(QuantError::NotFinite { index: 1, .. })));
        assert!(ternary::quantize(&[1.0; 3], pair, threshold).is_err());
        let nothing = ternary::quantize(&[], ChannelAxis::whole(0), threshold).expect("nothing");
        assert!(nothing.values.is_empty());
    }
    assert!(matches!(
        binary::quantize(&[f32::INFINITY, 1.0], pair),
        Err(QuantError::NotFinite { index: 0, .. })
    ));
    assert!(binary::quantize(&[1.0; 3], pair).is_err());
    assert!(binary::quantize_slice(&[1.0; 2], pair, &mut [0; 2], &mut []).is_err());
    let zero = QuantizedWeights {
        values: vec![0, 1],
        scales: vec![1.0],
    };
    assert!(matches!(
        zero.pack(Packing::Binary),
        Err(QuantError::OutOfRange { index: 0, .. })
    ));
}
