//! ONNX models are taken wherever `.tflite` models are.

use std::path::Path;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

fn larun(args: &[&str]) -> Output {
    let mut command = Command::new(cargo_bin!("larun"));
    command.args(args).output().unwrap()
}

#[track_caller]
fn succeeds(args: &[&str]) -> String {
    let output = larun(args);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{message}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A model of the ONNX fixtures.
fn onnx(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/onnx");
    path.join(name).to_str().unwrap().to_owned()
}

#[test]
fn onnx_models_are_taken_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let model = onnx("mobilenet_v2.onnx");
    let text = succeeds(&["inspect", &model]);
    assert!(
        text.contains("DEPTHWISE_CONV_2D") && !text.contains("TRANSPOSE"),
        "{text}"
    );

    // Samples lie channels first, as the file has its input.
    let values: Vec<f32> = (0..8 * 3 * 24 * 24)
        .map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0)
        .collect();
    let (samples, one) = (file("samples.npy"), file("one.npy"));
    let write = |shape: &[usize], values: &[f32], to: &str| {
        let array = larun::zoo::npy::NpyArray::from_values(shape, values).unwrap();
        array.write(Path::new(to)).unwrap();
    };
    write(&[8, 3, 24, 24], &values, &samples);
    write(&[1, 3, 24, 24], &values[..3 * 24 * 24], &one);
    let int8 = file("int8.tflite");
    let args = [
        "quantize", &model, "--scheme", "int8", "--calib", &samples, "-q", "--json", "-o", &int8,
    ];
    let report: Value = serde_json::from_str(&succeeds(&args)).unwrap();
    assert!(report["sqnr_db"].as_f64().unwrap() > 20.0, "{report}");
    let out = file("out");
    succeeds(&["run", &model, "--input", &one, "--output-dir", &out]);
    let computed = larun::zoo::npy::NpyArray::read(&Path::new(&out).join("out0.npy")).unwrap();
    assert_eq!(computed.shape(), [1, 10]);

    let damaged = file("damaged.onnx");
    std::fs::write(&damaged, b"GIF89a").unwrap();
    let output = larun(&["inspect", &damaged]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(
        message.contains("damaged.onnx") && message.contains("no ONNX model"),
        "{message}"
    );
}

/// The networks that PyTorch exported and that TensorFlow's converter wrote as well, with the shape of a sample, channels last.
const BY_BOTH_ROUTES: [(&str, &[usize]); 5] = [
    ("cnn1d-script-13", &[128, 1]),
    ("dscnn-program-20", &[49, 10, 1]),
    ("mobilenet_v2-script-15", &[24, 24, 3]),
    ("resnet8-script-16", &[16, 16, 3]),
    ("unet-script-18", &[16, 16, 2]),
];

#[test]
fn quantised_from_onnx_a_network_is_no_worse_than_from_tflite() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for (name, shape) in BY_BOTH_ROUTES {
        let whole: Vec<usize> = [&[16], shape].concat();
        let count = whole.iter().product::<usize>();
        let values: Vec<f32> = (0..count)
            .map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0)
            .collect();
        let samples = file("samples.npy");
        let array = larun::zoo::npy::NpyArray::from_values(&whole, &values).unwrap();
        array.write(Path::new(&samples)).unwrap();
        let quantised = |model: &str| {
            let (model, to) = (onnx(&format!("pytorch/{model}")), file("int8.tflite"));
            let args = [
                "quantize", &model, "--scheme", "int8", "--calib", &samples, "-q", "--json", "-o",
                &to,
            ];
            let report: Value = serde_json::from_str(&succeeds(&args)).unwrap();
            report["sqnr_db"].as_f64().unwrap()
        };
        let (network, _) = name.split_once('-').unwrap();
        let ours = quantised(&format!("{name}.onnx"));
        let theirs = quantised(&format!("{network}.tflite"));
        assert!(
            ours >= theirs && ours > 25.0,
            "{name}: {ours} dB from ONNX, {theirs} dB from .tflite"
        );
    }
}
