//! Fake quantisation: TensorFlow's values and gradients, and that gradients are those of what is computed.

mod support;

use larun_quant::fake_quant::{
    FakeQuant, LearnedStep, Pact, RangeGradient, backward_per_channel, forward_per_channel,
    quantize_dequantize, straight_through,
};
use larun_quant::{Affine, ChannelAxis, IntegerRange, QuantError};
use proptest::prelude::*;
use serde_json::Value;
use support::{float, integer, vectors};

fn floats(array: &Value) -> Vec<f32> {
    array
        .as_array()
        .expect("an array")
        .iter()
        .map(float)
        .collect()
}

/// The sum of these, whose order TensorFlow does not fix.
fn assert_sum(found: f32, expected: f32, terms: &[f32], case: &str) {
    let magnitude: f32 = terms.iter().map(|x| x.abs()).sum();
    assert!(
        (found - expected).abs() <= 1e-6 * magnitude,
        "{case}: {found} {expected}"
    );
}

#[test]
fn values_and_gradients_are_those_of_tensorflow() {
    let Some(file) = vectors("fake quantisation", "fake_quant.json") else {
        return;
    };
    let cases = file["per_tensor"].as_array().expect("cases");
    assert!(!cases.is_empty());
    for case in cases {
        let name = format!("{} bits, {} to {}", case["bits"], case["min"], case["max"]);
        let narrow = case["narrow"].as_bool().expect("a bool");
        let bits = integer(&case["bits"]) as u8;
        let fake_quant =
            FakeQuant::new(float(&case["min"]), float(&case["max"]), bits, narrow).expect(&name);
        assert_eq!(
            fake_quant.nudged(),
            (float(&case["nudged_min"]), float(&case["nudged_max"])),
            "{name}"
        );
        assert_eq!(fake_quant.scale(), float(&case["scale"]), "{name}");
        let (x, dy) = (floats(&case["x"]), floats(&case["dy"]));
        let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        fake_quant.forward(&x, &mut y).expect("lengths");
        assert_eq!(y, floats(&case["y"]), "{name}");
        let of_range = fake_quant.backward(&x, &dy, &mut dx).expect("lengths");
        assert_eq!(dx, floats(&case["dx"]), "{name}");
        assert_sum(of_range.min, float(&case["dmin"]), &dy, &name);
        assert_sum(of_range.max, float(&case["dmax"]), &dy, &name);
    }
}

#[test]
fn channels_are_those_of_tensorflow() {
    let Some(file) = vectors("fake quantisation per channel", "fake_quant.json") else {
        return;
    };
    let cases = file["per_channel"].as_array().expect("cases");
    assert!(!cases.is_empty());
    for case in cases {
        let narrow = case["narrow"].as_bool().expect("a bool");
        let bits = integer(&case["bits"]) as u8;
        let ends = floats(&case["min"]).into_iter().zip(floats(&case["max"]));
        let ranges: Vec<FakeQuant> = ends
            .map(|(min, max)| FakeQuant::new(min, max, bits, narrow).expect("a range"))
            .collect();
        let shape: Vec<usize> = support::integers(&case["shape"])
            .iter()
            .map(|&dim| dim as usize)
            .collect();
        let axis = ChannelAxis::new(&shape, shape.len() - 1).expect("an axis");
        let (x, dy) = (floats(&case["x"]), floats(&case["dy"]));
        let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        forward_per_channel(&ranges, axis, &x, &mut y).expect("lengths");
        assert_eq!(y, floats(&case["y"]));
        let mut of_ranges = vec![RangeGradient::default(); ranges.len()];
        backward_per_channel(&ranges, axis, &x, &dy, &mut dx, &mut of_ranges).expect("lengths");
        assert_eq!(dx, floats(&case["dx"]));
        let expected = floats(&case["dmin"]).into_iter().zip(floats(&case["dmax"]));
        for (found, expected) in of_ranges.iter().zip(expected) {
            assert_sum(found.min, expected.0, &dy, "min");
            assert_sum(found.max, expected.1, &dy, "max");
        }
    }
}

fn inputs() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(-4.0_f32..4.0, 1..30)
}

/// `sum dy f(x)` in float64.
fn weighted(outputs: &[f32], dy: &[f32]) -> f64 {
    outputs
        .iter()
        .zip(dy)
        .map(|(&y, &dy)| f64::from(y) * f64::from(dy))
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn fake_quantised_is_quantised_and_dequantised(
        inputs in inputs(),
        (min, max) in (-3.0_f32..0.0, 0.01_f32..3.0),
        bits in 2_u8..=8,
        narrow in any::<bool>(),
    ) {
        let fake_quant = FakeQuant::new(min, max, bits, narrow).expect("a range");
        let (affine, integers) = fake_quant.affine();
        prop_assert_eq!(fake_quant.apply(0.0), 0.0);
        for input in inputs {
            let in_steps = (input / affine.scale).abs();
            let to_tie = (in_steps.fract() - 0.5).abs();
            let quantized = affine.dequantize(affine.quantize(input, integers));
            let found = fake_quant.apply(input);
            // Ties are rounded up here and away from zero there, and a tie is only known to so many bits.
            if to_tie > 1e-4 {
                prop_assert_eq!(found, quantized);
            } else {
                prop_assert!((found - quantized).abs() <= affine.scale * 1.001);
            }
            prop_assert_eq!(affine.quantize(found, integers), affine.quantize(fake_quant.apply(found), integers));
        }
    }

    #[test]
    fn the_integer_models_arithmetic_is_reproduced(
        inputs in inputs(),
        scale in 0.001_f32..1.0,
        zero_point in -128..=127,
    ) {
        let affine = Affine::new(scale, zero_point);
        let (mut outputs, mut gradients) = (vec![0.0; inputs.len()], vec![0.0; inputs.len()]);
        quantize_dequantize(affine, IntegerRange::INT8, &inputs, &mut outputs).expect("lengths");
        let ones = vec![1.0; inputs.len()];
        straight_through(affine, IntegerRange::INT8, &inputs, &ones, &mut gradients).expect("lengths");
        for ((&input, &output), &gradient) in inputs.iter().zip(&outputs).zip(&gradients) {
            prop_assert_eq!(output, affine.dequantize(affine.quantize_i8(input)));
            let within = (affine.dequantize(-128)..=affine.dequantize(127)).contains(&input);
            prop_assert_eq!(gradient, f32::from(u8::from(within)));
        }
    }

    #[test]
    fn beyond_the_range_gradients_are_finite_differences(
        inputs in prop::collection::vec(prop_oneof![-9.0_f32..-4.0, 4.0_f32..9.0], 1..20),
        dy in prop::collection::vec(-1.0_f32..1.0, 20),
        scale in 0.01_f32..0.4,
    ) {
        // All inputs are clipped, where outputs are smooth in every parameter.
        let dy = &dy[..inputs.len()];
        let mut outputs = vec![0.0; inputs.len()];
        let mut gradients = vec![1.0; inputs.len()];
        let step = LearnedStep { scale, offset: 0.1, integers: IntegerRange::INT4 };
        let found = step.backward(&inputs, dy, &mut gradients).expect("lengths");
        prop_assert!(gradients.iter().all(|&gradient| gradient == 0.0));
        let mut at = |step: LearnedStep| {
            step.forward(&inputs, &mut outputs).expect("lengths");
            weighted(&outputs, dy)
        };
        let factor = 1.0 / (inputs.len() as f64 * 7.0).sqrt();
        let magnitude: f64 = dy.iter().map(|dy| f64::from(dy.abs())).sum();
        let h = 1.0 / 1_024.0;
        let by_scale = (at(LearnedStep { scale: scale + h, ..step }) - at(LearnedStep { scale: scale - h, ..step })) / (2.0 * f64::from(h));
        prop_assert!((f64::from(found.scale) - by_scale * factor).abs() < 2e-3 * (1.0 + magnitude));
        let by_offset = (at(LearnedStep { offset: 0.1 + h, ..step }) - at(LearnedStep { offset: 0.1 - h, ..step })) / (2.0 * f64::from(h));
        prop_assert!((f64::from(found.offset) - by_offset * factor).abs() < 2e-3 * (1.0 + magnitude));

        let alpha = 3.0;
        let mut at = |alpha: f32| {
            Pact::new(alpha, 4).expect("positive").forward(&inputs, &mut outputs).expect("lengths");
            weighted(&outputs, dy)
        };
        let by_alpha = (at(alpha + h) - at(alpha - h)) / (2.0 * f64::from(h));
        let found = Pact::new(alpha, 4).expect("positive").backward(&inputs, dy, &mut gradients).expect("lengths");
        prop_assert!((f64::from(found) - by_alpha).abs() < 2e-3 * (1.0 + magnitude));
    }

    #[test]
    fn within_the_range_gradients_are_those_of_rounding_held_fast(
        inputs in inputs(),
        dy in prop::collection::vec(-1.0_f32..1.0, 30),
        scale in 0.1_f32..2.0,
        offset in -0.5_f32..0.5,
    ) {
        // Straight-through: what rounding adds to u is held fast while x, s and b vary.
        let step = LearnedStep { scale, offset, integers: IntegerRange::INT4 };
        let mut gradients = vec![0.0; inputs.len()];
        let found = step.backward(&inputs, &dy[..inputs.len()], &mut gradients).expect("lengths");
        let held = |x: f64, s: f64, b: f64, rounding: f64| {
            let u = (x - b) / s;
            let clipped = if u <= -8.0 { -8.0 } else if u >= 7.0 { 7.0 } else { u + rounding };
            s * clipped + b
        };
        let h = 1e-6;
        let (mut by_scale, mut by_offset) = (0.0, 0.0);
        let (s, b) = (f64::from(scale), f64::from(offset));
        for ((&input, &dy), &gradient) in inputs.iter().zip(&dy).zip(&gradients) {
            let x = f64::from(input);
            let u = (x - b) / s;
            // Near a corner or a tie there is no derivative.
            prop_assume!([-8.0, 7.0].iter().all(|end| (u - end).abs() > 1e-3));
            prop_assume!(((u - u.floor()) - 0.5).abs() > 1e-3);
            let rounding = u.round() - u;
            let slope = |by: &dyn Fn(f64) -> f64| (by(h) - by(-h)) / (2.0 * h);
            let by_input = slope(&|h| held(x + h, s, b, rounding));
            prop_assert!((f64::from(gradient) - by_input * f64::from(dy)).abs() < 1e-6);
            by_scale += f64::from(dy) * slope(&|h| held(x, s + h, b, rounding));
            by_offset += f64::from(dy) * slope(&|h| held(x, s, b + h, rounding));
        }
        let factor = 1.0 / (inputs.len() as f64 * 7.0).sqrt();
        prop_assert!((f64::from(found.scale) - by_scale * factor).abs() < 1e-4);
        prop_assert!((f64::from(found.offset) - by_offset * factor).abs() < 1e-4);
    }

    #[test]
    fn pact_is_a_quantised_clip(inputs in inputs(), alpha in 0.1_f32..5.0, bits in 1_u8..=8) {
        let pact = Pact::new(alpha, bits).expect("positive");
        let (mut outputs, mut gradients) = (vec![0.0; inputs.len()], vec![0.0; inputs.len()]);
        pact.forward(&inputs, &mut outputs).expect("lengths");
        let ones = vec![1.0; inputs.len()];
        let of_alpha = pact.backward(&inputs, &ones, &mut gradients).expect("lengths");
        let half = pact.affine().0.scale / 2.0;
        for ((&input, &output), &gradient) in inputs.iter().zip(&outputs).zip(&gradients) {
            prop_assert!((output - input.clamp(0.0, alpha)).abs() <= half * 1.001);
            prop_assert_eq!(gradient, f32::from(u8::from(input >= 0.0 && input < alpha)));
        }
        prop_assert_eq!(of_alpha, inputs.iter().filter(|&&x| x >= alpha).count() as f32);
    }

    #[test]
    fn learned_steps_start_as_published(weights in prop::collection::vec(-2.0_f32..2.0, 1..50)) {
        let step = LearnedStep::for_weights(&weights, IntegerRange::INT4_NARROW).expect("finite");
        let mean = weights.iter().map(|w| w.abs()).sum::<f32>() / weights.len() as f32;
        prop_assert!((step.scale - 2.0 * mean / 7.0_f32.sqrt()).abs() < 1e-5);
        let step = LearnedStep::for_activations(-1.0, 2.0, IntegerRange::INT8).expect("a range");
        let ends = [-1.0, 2.0];
        let mut outputs = [0.0; 2];
        step.forward(&ends, &mut outputs).expect("lengths");
        prop_assert!(outputs.iter().zip(&ends).all(|(y, x)| (y - x).abs() < 1e-5));
        prop_assert_eq!(step.affine().zero_point, -43);
    }
}

#[test]
fn what_is_refused_and_what_passes() {
    for (min, max) in [(1.0, 1.0), (-2.0, -2.0), (0.0, 1e-45), (f32::MIN, f32::MAX)] {
        assert!(
            matches!(
                FakeQuant::new(min, max, 8, false),
                Err(QuantError::BadParameter { .. })
            ),
            "{min} {max}"
        );
    }
    assert!(matches!(
        FakeQuant::new(0.0, f32::NAN, 8, false),
        Err(QuantError::RangeNotFinite { .. })
    ));
    assert!(matches!(
        FakeQuant::new(1.0, -1.0, 8, false),
        Err(QuantError::RangeReversed { .. })
    ));
    for bits in [0, 1, 17, 255] {
        assert!(FakeQuant::new(-1.0, 1.0, bits, false).is_err());
    }
    for bits in [0, 17, 255] {
        assert!(Pact::new(1.0, bits).is_err());
    }
    for alpha in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-40] {
        assert!(matches!(
            Pact::new(alpha, 8),
            Err(QuantError::BadScale { .. })
        ));
    }
    let fake_quant = FakeQuant::new(-1.0, 1.0, 8, true).expect("a range");
    assert_eq!(fake_quant.affine().1, IntegerRange::INT8_NARROW);
    assert!(fake_quant.forward(&[0.0], &mut []).is_err());
    assert!(fake_quant.backward(&[0.0], &[], &mut [0.0]).is_err());
    // NaN stays, infinity is clipped.
    let mut outputs = [0.0; 3];
    let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    fake_quant.forward(&special, &mut outputs).expect("lengths");
    assert!(outputs[0].is_nan() && outputs[1] == 1.0 && outputs[2] == -1.0);
    let step = LearnedStep {
        scale: 0.1,
        offset: 0.0,
        integers: IntegerRange::INT8,
    };
    step.forward(&special, &mut outputs).expect("lengths");
    assert!(outputs[0].is_nan() && outputs[1] == 12.7);
    Pact::new(1.0, 8)
        .expect("positive")
        .forward(&special, &mut outputs)
        .expect("lengths");
    assert!(outputs[0].is_nan() && outputs[1] == 1.0 && outputs[2] == 0.0);
    let lost = LearnedStep {
        scale: -0.1,
        ..step
    };
    assert!(matches!(
        lost.forward(&[0.0], &mut [0.0]),
        Err(QuantError::BadScale { .. })
    ));
    assert!(lost.backward(&[0.0], &[0.0], &mut [0.0]).is_err());
    assert!(LearnedStep::for_weights(&[], IntegerRange::INT8).is_err());
    assert!(LearnedStep::for_weights(&[f32::NAN], IntegerRange::INT8).is_err());
    assert_eq!(
        LearnedStep::for_weights(&[0.0], IntegerRange::INT8)
            .expect("zeros")
            .scale,
        1.0
    );
    assert_eq!(
        LearnedStep::for_activations(2.0, 2.0, IntegerRange::INT8)
            .expect("a number")
            .scale,
        1.0
    );
    assert!(
        LearnedStep::for_activations(f32::MIN, f32::MAX, IntegerRange::INT8)
            .expect("wide")
            .scale
            .is_normal()
    );
    let axis = ChannelAxis::new(&[2, 1], 0).expect("an axis");
    assert!(forward_per_channel(&[fake_quant], axis, &[0.0; 2], &mut [0.0; 2]).is_err());
    assert!(forward_per_channel(&[fake_quant; 2], axis, &[0.0; 3], &mut [0.0; 3]).is_err());
}
