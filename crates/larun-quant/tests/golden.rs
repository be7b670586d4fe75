//! Against what TFLM and TensorFlow's converter give: the fixtures name the scripts that made them.

#![cfg(feature = "alloc")]

mod support;

use std::fs;

use larun_quant::fixed_point::SigmoidInput;
use larun_quant::weights::{self, QuantizedWeights};
use larun_quant::{Affine, IntegerRange, bias};
use serde_json::Value;
use support::{corpus, fixture, float, from_bits, integer, integers, read, vectors};

#[test]
fn logistic_and_tanh_give_the_bytes_of_tflm() {
    let cases = fixture("sigmoid_int8.json");
    for case in &cases {
        let input = SigmoidInput::new(float(&case["scale"]), integer(&case["zero_point"]) as i32);
        let function = match case["op"].as_str() {
            Some("logistic") => SigmoidInput::logistic_i8,
            _ => SigmoidInput::tanh_i8,
        };
        let outputs: Vec<i64> = (i8::MIN..=i8::MAX)
            .map(|x| i64::from(function(input, x)))
            .collect();
        assert_eq!(
            outputs,
            integers(&case["out"]),
            "{} {}",
            case["op"],
            case["scale"]
        );
    }
}

#[test]
fn weights_and_biases_are_those_of_the_converter() {
    for case in fixture("converter_int8.json") {
        let reals: Vec<f32> = case["weights"]
            .as_array()
            .expect("weights")
            .iter()
            .map(from_bits)
            .collect();
        let quantized = QuantizedWeights::per_tensor(&reals).expect("finite weights");
        assert_eq!(quantized.scales, [from_bits(&case["scale"])]);
        let values: Vec<i64> = quantized.values.iter().map(|&x| i64::from(x)).collect();
        assert_eq!(
            values,
            integers(&case["quantized"]),
            "{} {}",
            case["network"],
            case["op"]
        );

        let input_scale = from_bits(&case["input_scale"]);
        let mut quantized_bias = [0];
        bias::quantize(
            &[from_bits(&case["bias"])],
            input_scale,
            &quantized.scales,
            &mut quantized_bias,
        )
        .expect("a bias in range");
        assert_eq!(
            i64::from(quantized_bias[0]),
            integer(&case["quantized_bias"])
        );
    }
}

#[test]
fn quantisation_parameters() {
    let Some(file) = vectors("quantisation_parameters", "quant_params.json") else {
        return;
    };
    let cases = file["cases"].as_array().expect("cases");
    assert!(cases.len() > 30);
    for case in cases {
        let (min, max) = (float(&case["min"]), float(&case["max"]));
        let int8 = Affine::from_range(min, max).expect("a range");
        assert_eq!(
            i64::from(int8.zero_point),
            integer(&case["int8_asym_zp"]),
            "{case}"
        );
        if min == max {
            assert_eq!(
                (min, int8.scale),
                (0.0, 1.0),
                "the file leaves the scale open"
            );
            continue;
        }
        // The file's arithmetic is float64.
        assert_near(int8.scale, float(&case["int8_asym_scale"]), 2);
        let symmetric = |integers| {
            Affine::symmetric(min, max, integers)
                .expect("a range")
                .scale
        };
        let scale = weights::per_tensor_scale(&[min, max]).expect("finite");
        assert_eq!(scale, symmetric(IntegerRange::INT8_NARROW));
        assert_near(scale, float(&case["int8_sym_scale"]), 2);
        assert_near(
            symmetric(IntegerRange::INT16),
            float(&case["int16_sym_scale"]),
            2,
        );
    }
}

/// Activation scales of whole networks, from ranges that are those of the converter's calibration up to a rounding.
#[test]
fn activation_parameters_are_those_of_the_converter() {
    let Some(corpus) = corpus("activation_parameters_are_those_of_the_converter") else {
        return;
    };
    let mut compared = 0;
    for folder in fs::read_dir(corpus.join("quant")).expect("quant") {
        let folder = folder.expect("an entry").path();
        if folder.join("tf_int8/quant.json").exists() {
            compared += compare_activations(
                &read(&folder.join("fp32_ranges.json")),
                &read(&folder.join("tf_int8/quant.json"))["tensors"],
            );
        }
    }
    assert!(compared > 100, "only {compared} tensors were compared");
}

fn compare_activations(ranges: &Value, tensors: &Value) -> usize {
    let is_activation = |t: &&Value| t["dtype"] == "int8" && t["const"] == false;
    let mut compared = 0;
    for tensor in tensors
        .as_array()
        .expect("tensors")
        .iter()
        .filter(is_activation)
    {
        let range = ranges
            .as_array()
            .expect("ranges")
            .iter()
            .find(|r| r["name"] == tensor["name"]);
        let Some(range) = range else { continue };
        let affine =
            Affine::from_range(float(&range["min"]), float(&range["max"])).expect("a range");
        let scale = float(&tensor["scale"][0]);
        // Operators with a fixed output range, and ranges the converter takes from elsewhere, are another matter.
        if (affine.scale / scale - 1.0).abs() > 1e-5 {
            continue;
        }
        assert_eq!(
            i64::from(affine.zero_point),
            integer(&tensor["zero_point"][0]),
            "{tensor}"
        );
        if tensor["name"] == "serving_default_x:0" {
            assert_eq!(affine.scale, scale, "the input's range is exact: {tensor}");
        }
        compared += 1;
    }
    compared
}

/// At most `ulps` units in the last place apart.
fn assert_near(a: f32, b: f32, ulps: u32) {
    assert!(a.to_bits().abs_diff(b.to_bits()) <= ulps, "{a} is not {b}");
}
