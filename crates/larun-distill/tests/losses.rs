//! Losses against TensorFlow's figures and against central differences.

use larun_distill::features::{FeatureShape, Regressor, attention};
use larun_distill::logits::{Decoupled, Hinton, LogitLoss, Published};
use larun_distill::relations::{angles, distances};
use proptest::prelude::*;
use serde_json::Value;

/// Numbers of a JSON value, whatever its nesting.
fn floats(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(all) => all.iter().flat_map(floats).collect(),
        Value::Number(number) => vec![number.as_f64().unwrap() as f32],
        _ => Vec::new(),
    }
}

#[track_caller]
fn close(found: &[f32], expected: &[f32], bound: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1e-3f32, |max, x| max.max(x.abs()));
    for (index, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!(
            (f - e).abs() <= bound * scale,
            "{what}, element {index}: {f}, expected {e}"
        );
    }
}

#[test]
fn tensorflow_agrees() {
    let Ok(corpus) = std::env::var("LARUN_CORPUS") else {
        println!("skipped: LARUN_CORPUS is not set");
        return;
    };
    let text = std::fs::read_to_string(format!("{corpus}/math/distillation.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let temperature = case["T"].as_f64().unwrap() as f32;
        let classes = case["c"].as_u64().unwrap() as usize;
        let (student, teacher) = (
            floats(&case["student_logits"]),
            floats(&case["teacher_logits"]),
        );
        let labels: Vec<u32> = floats(&case["labels"]).iter().map(|&x| x as u32).collect();
        let square = temperature * temperature;
        let what = format!("T = {temperature}, {} samples", labels.len());

        let logits = &case["logits"];
        let hinton = Hinton { temperature };
        let (value, gradient) = hinton.value_and_gradient(&student, &teacher, &labels, classes);
        close(&[value], &floats(&logits["kl_mean_x_T2"]), 1e-5, &what);
        // The file's gradient is that of the divergence without the square.
        let plain: Vec<f32> = gradient.iter().map(|g| g / square).collect();
        close(&plain, &floats(&logits["d_kl"]), 1e-4, &what);
        // With the labels' loss, a tenth of it.
        let cross_entropy = &floats(&logits["d_ce"]);
        let total: Vec<f32> = gradient
            .iter()
            .zip(cross_entropy)
            .map(|(kd, ce)| 0.9 * kd + 0.1 * ce)
            .collect();
        close(&total, &floats(&logits["d_total"]), 1e-4, &what);
        let total = 0.9 * value + 0.1 * floats(&logits["ce_mean"])[0];
        close(&[total], &floats(&logits["total_alpha0.1"]), 1e-5, &what);

        let printed = &case["on_probabilities"];
        let (value, gradient) =
            Published { temperature }.value_and_gradient(&student, &teacher, &labels, classes);
        close(&[value / square], &floats(&printed["kl_mean"]), 1e-4, &what);
        let plain: Vec<f32> = gradient.iter().map(|g| g / square).collect();
        close(
            &plain,
            &floats(&printed["d_kl_wrt_student_logits"]),
            2e-3,
            &what,
        );
    }
}

/// Compares a gradient with central differences of the loss.
fn check(values: &[f32], gradient: &[f32], mut loss: impl FnMut(&[f32]) -> f32, step: f32) {
    let scale = gradient.iter().fold(0.1f32, |max, g| max.max(g.abs()));
    for index in 0..values.len() {
        let mut moved = values.to_vec();
        moved[index] += step;
        let above = loss(&moved);
        moved[index] -= 2.0 * step;
        let numeric = (above - loss(&moved)) / (2.0 * step);
        assert!(
            (gradient[index] - numeric).abs() <= 2e-2 * scale,
            "element {index}: gradient {}, difference {numeric}",
            gradient[index]
        );
    }
}

/// Numbers that are no pattern.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count)
        .map(|i| (((i + 1) * (2 * seed + 7919)) % 1009) as f32 / 504.5 - 1.0)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn gradients_on_logits(samples in 1..=5usize, classes in 2..=5usize, seed in 0..50usize, temperature in 0.8f32..5.0) {
        let (student, teacher) = (numbers(samples * classes, seed), numbers(samples * classes, seed + 3));
        let labels: Vec<u32> = (0..samples as u32).map(|i| i % classes as u32).collect();
        let losses: [&dyn LogitLoss; 3] = [
            &Hinton { temperature },
            &Published { temperature },
            &Decoupled { temperature, target: 1.0, others: 2.0 },
        ];
        for loss in losses {
            let of = |student: &[f32]| loss.value_and_gradient(student, &teacher, &labels, classes);
            let (value, gradient) = of(&student);
            prop_assert!(value >= -1e-6);
            check(&student, &gradient, |student| of(student).0, 1e-2);
            // Nothing is left to learn from oneself.
            let (own, still) = loss.value_and_gradient(&teacher, &teacher, &labels, classes);
            prop_assert!(own.abs() < 1e-6 && still.iter().all(|g| g.abs() < 1e-6));
        }
    }

    #[test]
    fn gradients_of_features(samples in 1..=3usize, positions in 1..=4usize, depth in 1..=3usize, wide in 1..=4usize, seed in 0..50usize) {
        let shape = FeatureShape { positions, student: depth, teacher: wide };
        let student = numbers(samples * positions * depth, seed);
        let teacher = numbers(samples * positions * wide, seed + 5);
        let (_, gradient) = attention(&student, &teacher, shape);
        // A map of one position has length one whatever its value, and one of noughts has none.
        let smallest = student.iter().fold(1.0f32, |min, x| min.min(x.abs()));
        if smallest > 0.05 {
            check(&student, &gradient, |student| attention(student, &teacher, shape).0, 1e-3);
        }
        let mut regressor = Regressor::new(shape, 1);
        let (_, gradient) = regressor.value_and_gradient(&student, &teacher);
        let mut other = regressor.clone();
        check(&student, &gradient, |student| other.value_and_gradient(student, &teacher).0, 1e-2);
    }

    #[test]
    fn gradients_of_relations(samples in 2..=5usize, width in 2..=4usize, wide in 1..=3usize, seed in 0..50usize) {
        let (student, teacher) = (numbers(samples * width, seed), numbers(samples * wide, seed + 9));
        let (_, gradient) = distances(&student, &teacher, samples);
        check(&student, &gradient, |student| distances(student, &teacher, samples).0, 1e-3);
        let (_, gradient) = angles(&student, &teacher, samples);
        check(&student, &gradient, |student| angles(student, &teacher, samples).0, 1e-3);
    }
}

/// A regressor learns what a linear map can.
#[test]
fn a_regressor_learns() {
    let shape = FeatureShape {
        positions: 3,
        student: 2,
        teacher: 3,
    };
    let student = numbers(5 * 3 * 2, 1);
    let teacher: Vec<f32> = student
        .chunks(2)
        .flat_map(|x| [x[0] + x[1], 2.0 * x[0], 0.5 - x[1]])
        .collect();
    let mut regressor = Regressor::new(shape, 7);
    let first = regressor.value_and_gradient(&student, &teacher).0;
    for step in 1..=500 {
        regressor.value_and_gradient(&student, &teacher);
        regressor.step(0.02, step);
    }
    let last = regressor.value_and_gradient(&student, &teacher).0;
    assert!(last < 0.01 * first, "{first} to {last}");
}
