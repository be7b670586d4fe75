//! `larun evaluate` on the model that ships with the repository.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

fn model() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.join("../../fixtures/models/spectral/model.tflite")
}

fn larun(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(cargo_bin!("larun"));
    command.args(args).current_dir(folder).output().unwrap()
}

/// A folder with 30 simulated light curves of each class.
fn curves() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let args = "data simulate light-curves -n 30 --seed 11 -o curves.npz";
    let args: Vec<&str> = args.split(' ').collect();
    assert!(larun(folder.path(), &args).status.success());
    folder
}

#[test]
fn counts_say_what_the_accuracy_is() {
    let folder = curves();
    let model = model();
    let args = [
        "evaluate",
        "--json",
        model.to_str().unwrap(),
        "--data",
        "curves.npz",
        "--split",
        "all",
    ];
    let output = larun(folder.path(), &args);
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let result = &report["models"][0];
    let rows = result["confusion"].as_array().unwrap();
    let count = |row: usize, column: usize| rows[row][column].as_u64().unwrap();
    let right: u64 = (0..6).map(|class| count(class, class)).sum();
    let all: u64 = (0..36).map(|i| count(i / 6, i % 6)).sum();
    assert_eq!((all, &result["samples"]), (180, &Value::from(180)));
    let accuracy = result["accuracy"].as_f64().unwrap();
    assert!((accuracy - right as f64 / 180.0).abs() < 1e-9);
    // The model was trained on such curves.
    assert!(accuracy > 0.8, "{accuracy}");
}

#[test]
fn people_read_a_table() {
    let folder = curves();
    let model = model();
    let args = ["evaluate", model.to_str().unwrap(), "--data", "curves.npz"];
    let output = larun(folder.path(), &args);
    let text = String::from_utf8(output.stdout).unwrap();
    for word in [
        "accuracy",
        "macro F1",
        "true \\ found",
        "eclipsing_binary",
        "recall",
    ] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
}

#[test]
fn samples_that_do_not_fit_are_named() {
    let folder = curves();
    let args = "data simulate stars -n 10 --seed 1 -o stars.npz";
    let args: Vec<&str> = args.split(' ').collect();
    assert!(larun(folder.path(), &args).status.success());
    let model = model();
    let args = ["evaluate", model.to_str().unwrap(), "--data", "stars.npz"];
    let output = larun(folder.path(), &args);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("classes"), "{error}");
}
