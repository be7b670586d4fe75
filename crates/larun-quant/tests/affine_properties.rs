//! Invariants of affine parameters, weights, biases, activation ranges and observers.

#![cfg(feature = "alloc")]

use larun_quant::weights::{self, QuantizedWeights};
use larun_quant::{
    Affine, ChannelAxis, IntegerRange, MinMax, Observer, QuantError, activation_range_i8, bias,
    observer::observe_channels,
};
use proptest::prelude::*;

/// A range of ordinary size, sometimes one-sided, sometimes without 0.
fn range() -> impl Strategy<Value = (f32, f32)> {
    let bound = prop_oneof![-1e4_f32..1e4, -1e-4_f32..1e-4, Just(0.0)];
    (bound.clone(), bound).prop_map(|(a, b)| (a.min(b), a.max(b)))
}

fn affine() -> impl Strategy<Value = Affine> {
    (1e-6_f32..1e3, -128..=127).prop_map(|(scale, zero_point)| Affine::new(scale, zero_point))
}

/// Weights of a shape `[2, 3, 4]`.
fn tensor() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(prop_oneof![-2.0_f32..2.0, Just(0.0)], 24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn inside_the_range_the_error_is_half_a_scale((min, max) in range(), part in 0.0_f32..=1.0) {
        let affine = Affine::from_range(min, max).expect("a range");
        let real = min + part * (max - min);
        let error = (affine.dequantize(affine.quantize_i8(real)) - real).abs();
        prop_assert!(error <= affine.scale * 0.5001, "{error} > {}", affine.scale / 2.0);
    }

    #[test]
    fn zero_is_exact((min, max) in range()) {
        let affine = Affine::from_range(min, max).expect("a range");
        prop_assert_eq!(affine.dequantize(affine.quantize_i8(0.0)), 0.0);
        prop_assert_eq!(i32::from(affine.quantize_i8(0.0)), affine.zero_point);
        prop_assert!((-128..=127).contains(&affine.zero_point));
        prop_assert!(affine.scale.is_normal());
    }

    #[test]
    fn every_integer_stands_for_a_real_that_gives_it_back(affine in affine(), quantized in any::<i8>()) {
        prop_assert_eq!(affine.quantize_i8(affine.dequantize(quantized)), quantized);
        prop_assert_eq!(affine.quantize_i16(affine.dequantize(quantized)), i16::from(quantized));
    }

    #[test]
    fn quantisation_is_monotone(affine in affine(), a in any::<f32>(), b in any::<f32>()) {
        prop_assert!(affine.quantize_i8(a.min(b)) <= affine.quantize_i8(a.max(b)));
    }

    #[test]
    fn rounding_is_half_away_from_zero(bits in any::<u32>(), small in -1_000..1_000_i32) {
        let all = IntegerRange { min: i32::MIN, max: i32::MAX };
        for x in [f32::from_bits(bits), small as f32 / 2.0, (small as f32 / 2.0).next_up(), (small as f32 / 2.0).next_down()] {
            prop_assert_eq!(Affine::new(1.0, 0).quantize(x, all), x.round() as i32, "{}", x);
        }
    }

    #[test]
    fn no_number_panics(min in any::<f32>(), max in any::<f32>(), scale in any::<f32>(), zero_point in any::<i32>()) {
        if let Ok(affine) = Affine::from_range(min, max) {
            prop_assert!(affine.scale.is_normal() && affine.scale > 0.0);
        }
        let _ = Affine::symmetric(min, max, IntegerRange::INT16);
        let odd = Affine::new(scale, zero_point);
        let _ = (odd.quantize_i8(min), odd.quantize_i16(max), odd.dequantize(zero_point));
        let (lower, upper) = activation_range_i8(Some(min), Some(max), odd);
        prop_assert!(-128 <= lower && lower <= upper && upper <= 127);
        let _ = bias::smallest_weight_scale(min, scale);
    }

    #[test]
    fn slices_are_their_elements(affine in affine(), reals in prop::collection::vec(-100.0_f32..100.0, 0..40)) {
        let mut quantized = vec![0; reals.len()];
        affine.quantize_slice_i8(&reals, &mut quantized).expect("finite");
        prop_assert!(quantized.iter().zip(&reals).all(|(&q, &real)| q == affine.quantize_i8(real)));
        prop_assert_eq!(&affine.quantize_to_vec_i8(&reals).expect("finite"), &quantized);
        let mut back = vec![0.0; reals.len()];
        affine.dequantize_slice_i8(&quantized, &mut back).expect("lengths");
        prop_assert_eq!(affine.dequantize_to_vec_i8(&quantized), back);
    }

    #[test]
    fn channels_are_quantised_each_on_its_own(reals in tensor(), axis in 0_usize..3) {
        let shape = [2, 3, 4];
        let channels = ChannelAxis::new(&shape, axis).expect("an axis");
        let quantized = QuantizedWeights::per_channel(&reals, channels).expect("finite");
        for channel in 0..shape[axis] {
            let of_channel: Vec<usize> = (0..24).filter(|&i| index_along(&shape, axis, i) == channel).collect();
            let alone: Vec<f32> = of_channel.iter().map(|&i| reals[i]).collect();
            let values: Vec<i8> = of_channel.iter().map(|&i| quantized.values[i]).collect();
            let expected = QuantizedWeights::per_tensor(&alone).expect("finite");
            prop_assert_eq!(values, expected.values);
            if alone.iter().any(|&x| x != 0.0) {
                prop_assert_eq!(quantized.scales[channel], expected.scales[0]);
            } else {
                prop_assert_eq!(quantized.scales[channel], weights::per_tensor_scale(&reals).expect("finite"));
            }
        }
        let mut back = vec![0.0; 24];
        weights::dequantize_per_channel(&quantized.values, channels, &quantized.scales, &mut back).expect("lengths");
        for i in 0..24 {
            let scale = quantized.scales[index_along(&shape, axis, i)];
            prop_assert!((back[i] - reals[i]).abs() <= scale * 0.5001);
        }
    }

    #[test]
    fn weights_never_reach_minus_128(reals in tensor(), scale in 1e-3_f32..1.0) {
        let mut quantized = vec![0; reals.len()];
        weights::quantize_per_tensor(&reals, scale, &mut quantized).expect("finite");
        prop_assert!(quantized.iter().all(|&q| q >= -127));
    }

    #[test]
    fn a_bias_is_within_half_its_scale(real in -1e3_f32..1e3, input in 1e-3_f32..1.0, weight in 1e-3_f32..1.0) {
        let quantized = bias::quantize_to_vec(&[real], input, &[weight]).expect("in range");
        let scale = f64::from(bias::scale(input, weight));
        let error = (f64::from(quantized[0]) * scale - f64::from(real)).abs();
        prop_assert!(error <= 0.5 * scale + 2e-7 * f64::from(real.abs()), "{error}");
    }

    #[test]
    fn a_wide_bias_is_within_half_its_scale(real in -1e3_f32..1e3, input in 1e-6_f32..1.0, weight in 1e-5_f32..1.0) {
        let quantized = bias::quantize_wide_to_vec(&[real], input, &[weight]).expect("in range");
        let scale = f64::from(bias::scale(input, weight));
        let error = (quantized[0] as f64 * scale - f64::from(real)).abs();
        prop_assert!(error <= scale * 0.500_001 + f64::from(real).abs() * 1e-15, "{error} of {scale}");
    }

    #[test]
    fn the_smallest_wide_weight_scale_holds_the_bias(real in -1e6_f32..1e6, input in 1e-6_f32..1.0) {
        let smallest = bias::smallest_weight_scale_wide(real, input).max(f32::MIN_POSITIVE / input);
        prop_assert!(bias::quantize_wide_to_vec(&[real], input, &[smallest]).is_ok());
        let bad = bias::quantize_wide_to_vec(&[real.max(1.0)], input, &[smallest / 4.0]);
        prop_assert!(real < 1.0 || bad.is_err());
    }

    #[test]
    fn the_smallest_weight_scale_holds_the_bias(real in -1e6_f32..1e6, input in 1e-6_f32..1.0) {
        prop_assume!(real.abs() > 1e-12);
        let smallest = bias::smallest_weight_scale(real, input);
        let quantized = bias::quantize_to_vec(&[real], input, &[smallest]).expect("it holds");
        prop_assert!(quantized[0].unsigned_abs().abs_diff(1 << 30) < 1 << 10);
    }

    #[test]
    fn min_max_is_the_same_however_it_is_shown(reals in tensor(), cut in 0_usize..=24) {
        let mut parts = MinMax::new();
        parts.observe(&reals[..cut]).expect("finite");
        parts.observe(&reals[cut..]).expect("finite");
        let whole = MinMax::of(&reals).expect("finite");
        prop_assert_eq!(parts, whole);
        let halves = [&reals[..cut], &reals[cut..]].map(|part| MinMax::of(part).expect("finite"));
        prop_assert_eq!(halves[0].union(halves[1]), whole);
        let smallest = reals.iter().copied().fold(f32::INFINITY, f32::min);
        let largest = reals.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        prop_assert_eq!(whole.bounds(), Some((smallest, largest)));
    }

    #[test]
    fn channels_are_observed_each_on_its_own(reals in tensor(), axis in 0_usize..3) {
        let shape = [2, 3, 4];
        let mut observers = vec![MinMax::new(); shape[axis]];
        observe_channels(&reals, ChannelAxis::new(&shape, axis).expect("an axis"), &mut observers).expect("finite");
        for (channel, observer) in observers.iter().enumerate() {
            let alone: Vec<f32> = (0..24).filter(|&i| index_along(&shape, axis, i) == channel).map(|i| reals[i]).collect();
            prop_assert_eq!(*observer, MinMax::of(&alone).expect("finite"));
        }
    }
}

/// The index along `axis` of value number `i` of a row-major tensor.
fn index_along(shape: &[usize], axis: usize, i: usize) -> usize {
    i / shape[axis + 1..].iter().product::<usize>() % shape[axis]
}

#[test]
fn parameters_at_the_ends_of_float32() {
    let from_range = |min, max| Affine::from_range(min, max).expect("a range");
    assert_eq!(from_range(0.0, 0.0), Affine::new(1.0, 0));
    assert_eq!(from_range(-0.0, 0.0), Affine::new(1.0, 0));
    // Widened to hold 0.
    assert_eq!(from_range(51.0, 255.0), Affine::new(1.0, -128));
    assert_eq!(from_range(-255.0, -51.0), Affine::new(1.0, 127));
    // Wider than float32 can say.
    let widest = from_range(f32::MIN, f32::MAX);
    assert!((widest.scale / (f32::MAX / 127.5) - 1.0).abs() < 1e-6);
    assert_eq!(widest.quantize_i8(f32::MAX), 127);
    // Narrower than a normal scale can.
    assert_eq!(from_range(0.0, 1e-44), Affine::new(f32::MIN_POSITIVE, -128));
    let symmetric = |max| Affine::symmetric(0.0, max, IntegerRange::INT8_NARROW).expect("a range");
    assert_eq!(symmetric(0.0), Affine::new(1.0, 0));
    assert_eq!(symmetric(1e-44), Affine::new(f32::MIN_POSITIVE, 0));
    assert_eq!(symmetric(254.0), Affine::new(2.0, 0));
}

#[test]
fn bad_ranges_are_refused() {
    for (min, max) in [
        (f32::NAN, 1.0),
        (0.0, f32::NAN),
        (f32::NEG_INFINITY, 0.0),
        (0.0, f32::INFINITY),
    ] {
        let refused = Affine::from_range(min, max);
        assert!(
            matches!(refused, Err(QuantError::RangeNotFinite { .. })),
            "{refused:?}"
        );
    }
    let reversed = QuantError::RangeReversed { min: 2.0, max: 1.0 };
    assert_eq!(Affine::from_range(2.0, 1.0), Err(reversed));
    assert_eq!(
        Affine::symmetric(2.0, 1.0, IntegerRange::INT16),
        Err(reversed)
    );
    assert_eq!(
        MinMax::new().asymmetric(IntegerRange::INT8),
        Err(QuantError::NothingObserved)
    );
    assert_eq!(
        MinMax::new().symmetric(IntegerRange::INT16),
        Err(QuantError::NothingObserved)
    );
}

#[test]
fn values_outside_saturate() {
    let affine = Affine::new(0.5, 10);
    assert_eq!(affine.quantize_i8(f32::INFINITY), 127);
    assert_eq!(affine.quantize_i8(-1e30), -128);
    assert_eq!(affine.quantize_i8(f32::NAN), 10);
    assert_eq!(affine.quantize_i16(1e9), i16::MAX);
    assert_eq!(
        [0.25, -0.25, 0.249, -0.249].map(|x| affine.quantize_i8(x)),
        [11, 9, 10, 10]
    );
}

#[test]
fn a_bad_value_is_named_and_nothing_changes() {
    let reals = [1.0, 2.0, f32::NAN, f32::INFINITY];
    let is_named =
        |error| matches!(error, QuantError::NotFinite { index: 2, value } if value.is_nan());
    let mut quantized = [7; 4];
    assert!(is_named(
        Affine::new(1.0, 0)
            .quantize_slice_i8(&reals, &mut quantized)
            .expect_err("NaN")
    ));
    assert!(is_named(
        weights::quantize_per_tensor(&reals, 1.0, &mut quantized).expect_err("NaN")
    ));
    assert_eq!(quantized, [7; 4]);
    let mut observer = MinMax::of(&[0.0, 0.5]).expect("finite");
    assert!(is_named(observer.observe(&reals).expect_err("NaN")));
    assert_eq!(observer.bounds(), Some((0.0, 0.5)));
    let mut observers = [MinMax::new(); 4];
    let axis = ChannelAxis::new(&[4], 0).expect("an axis");
    assert!(is_named(
        observe_channels(&reals, axis, &mut observers).expect_err("NaN")
    ));
    assert_eq!(observers, [MinMax::new(); 4]);
}

#[test]
fn lengths_and_axes_are_checked() {
    let axis = ChannelAxis::new(&[2, 3], 0).expect("an axis");
    assert_eq!((axis.channels(), axis.inner()), (2, 3));
    assert!(matches!(
        ChannelAxis::new(&[2, 3], 2),
        Err(QuantError::BadAxis { axis: 2, rank: 2 })
    ));
    assert!(matches!(
        ChannelAxis::new(&[usize::MAX, 2], 0),
        Err(QuantError::BadAxis { .. })
    ));
    assert!(matches!(
        QuantizedWeights::per_channel(&[0.0; 7], axis),
        Err(QuantError::NotWholeChannels {
            len: 7,
            channels: 2,
            inner: 3
        })
    ));
    let mut six = [0; 6];
    for scales in [&[1.0][..], &[1.0; 3]] {
        let refused = weights::quantize_per_channel(&[0.0; 6], axis, scales, &mut six);
        assert!(matches!(
            refused,
            Err(QuantError::LengthMismatch { expected: 2, .. })
        ));
    }
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-44] {
        let refused = weights::quantize_per_channel(&[0.0; 6], axis, &[1.0, scale], &mut six);
        assert!(
            matches!(refused, Err(QuantError::BadScale { index: 1, .. })),
            "{scale}"
        );
    }
    assert!(
        Affine::new(1.0, 0)
            .quantize_slice_i8(&[0.0; 5], &mut six)
            .is_err()
    );
    assert!(
        Affine::new(1.0, 0)
            .dequantize_slice_i8(&six, &mut [0.0; 5])
            .is_err()
    );
    let empty = ChannelAxis::new(&[0, 3], 0).expect("an axis");
    let nothing = QuantizedWeights::per_channel(&[], empty).expect("nothing");
    assert!(nothing.scales.is_empty());
    assert!(QuantizedWeights::per_channel(&[1.0], empty).is_err());
}

#[test]
fn biases_that_int32_does_not_hold_are_refused() {
    let saturates = |bias, scale| bias::quantize_to_vec(&[0.0, bias], 1.0, &[1.0, scale]);
    assert_eq!(
        saturates(-2_147_483_600.0, 1.0),
        Err(QuantError::BiasSaturates {
            index: 1,
            bias: -2_147_483_600.0,
            scale: 1.0
        })
    );
    assert_eq!(saturates(2_147_483_520.0, 1.0), Ok(vec![0, 2_147_483_520]));
    assert!(matches!(saturates(1.0, 1e-9), Ok(values) if values[1] == 1_000_000_000));
    assert!(matches!(
        saturates(1.0, 1e-10),
        Err(QuantError::BiasSaturates { index: 1, .. })
    ));
    let underflow = bias::quantize_to_vec(&[1.0, 1.0], 1e-30, &[1e-30]);
    assert!(matches!(
        underflow,
        Err(QuantError::BadScale {
            index: 0,
            scale: 0.0
        })
    ));
    assert!(matches!(
        bias::quantize_to_vec(&[1.0; 3], 1.0, &[1.0; 2]),
        Err(QuantError::LengthMismatch { .. })
    ));
    assert_eq!(
        bias::quantize_to_vec(&[0.6, -2.5], 1.0, &[1.0]),
        Ok(vec![1, -3])
    );
}

#[test]
fn fused_activations_clamp_at_their_bounds() {
    let output = Affine::new(0.1, -10);
    assert_eq!(activation_range_i8(None, None, output), (-128, 127));
    assert_eq!(activation_range_i8(Some(0.0), None, output), (-10, 127));
    assert_eq!(activation_range_i8(Some(-1.0), Some(1.0), output), (-20, 0));
    assert_eq!(activation_range_i8(Some(0.0), Some(6.0), output), (-10, 50));
    // A scale at which 6 is beyond the type.
    assert_eq!(
        activation_range_i8(Some(0.0), Some(6.0), Affine::new(0.02, -128)),
        (-128, 127)
    );
    let int16 = larun_quant::activation_range(
        Some(0.0),
        Some(6.0),
        Affine::new(0.001, 0),
        IntegerRange::INT16,
    );
    assert_eq!(int16, (0, 6_000));
}

#[test]
fn every_error_says_what_to_do() {
    let errors: [QuantError; 9] = [
        QuantError::NotFinite {
            index: 3,
            value: f32::NAN,
        },
        QuantError::RangeNotFinite {
            min: 0.0,
            max: f32::INFINITY,
        },
        QuantError::RangeReversed { min: 1.0, max: 0.0 },
        QuantError::NothingObserved,
        QuantError::BadScale {
            index: 3,
            scale: -1.0,
        },
        QuantError::LengthMismatch {
            what: "scales",
            expected: 3,
            found: 1,
        },
        QuantError::NotWholeChannels {
            len: 7,
            channels: 3,
            inner: 1,
        },
        QuantError::BadAxis { axis: 3, rank: 2 },
        QuantError::BiasSaturates {
            index: 3,
            bias: 1e9,
            scale: 1e-9,
        },
    ];
    for error in errors {
        let said = error.to_string();
        assert!(
            said.len() > 20 && (said.contains('3') || said.contains("range")),
            "{said}"
        );
    }
}
