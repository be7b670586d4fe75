//! `larun quantize` and calibration sets that are empty, spoilt, constant, of another shape or type, or a single sample.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use larun::zoo::npy::NpyArray;
use tempfile::TempDir;

const POINTS: usize = 256;

/// A folder with an untrained float model.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let network = larun::zoo::networks::find("student").unwrap();
        let graph = network.build(&[POINTS, 1], 3, 1).unwrap();
        let bytes = larun::tflite::write(&graph).unwrap();
        std::fs::write(dir.path().join("float.tflite"), bytes).unwrap();
        Self { dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Quantises with what `write` puts into a file.
    fn quantize(&self, scheme: &str, more: &[&str], write: impl FnOnce(&Path)) -> Output {
        let calibration = self.file("calib.npy");
        write(&calibration);
        let mut command = Command::new(cargo_bin!("larun"));
        command.arg("quantize").arg(self.file("float.tflite"));
        command
            .args(["--scheme", scheme, "--calib"])
            .arg(calibration);
        command.args(more).arg("-o").arg(self.file("out.tflite"));
        command.output().unwrap()
    }

    #[track_caller]
    fn refuses(&self, write: impl FnOnce(&Path), parts: &[&str]) {
        let output = self.quantize("int8", &["-q"], write);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{message}");
        for part in parts {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
        assert!(!self.file("out.tflite").exists());
    }

    #[track_caller]
    fn warns(&self, scheme: &str, write: impl FnOnce(&Path), parts: &[&str]) {
        let output = self.quantize(scheme, &[], write);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{message}");
        for part in parts {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
        assert!(self.file("out.tflite").exists());
    }
}

fn wave(count: usize) -> Vec<f32> {
    let value = |i: usize| ((i * 37 % 101) as f32 - 50.0) / 25.0;
    (0..count * POINTS).map(value).collect()
}

fn write(path: &Path, shape: &[usize], values: &[f32]) {
    let array = NpyArray::from_values(shape, values).unwrap();
    array.write(path).unwrap();
}

#[test]
fn an_empty_set() {
    let bench = Bench::new();
    bench.refuses(
        |path| write(path, &[0, POINTS, 1], &[]),
        &["calib.npy", "no samples"],
    );
}

#[test]
fn values_that_are_not_finite() {
    let bench = Bench::new();
    for (value, name) in [
        (f32::NAN, "NaN"),
        (f32::INFINITY, "inf"),
        (f32::NEG_INFINITY, "-inf"),
    ] {
        let spoil = |path: &Path| {
            let mut values = wave(12);
            values[7 * POINTS + 5] = value;
            write(path, &[12, POINTS, 1], &values);
        };
        bench.refuses(spoil, &["calib.npy", "sample 7", name, "finite"]);
    }
}

#[test]
fn another_shape() {
    let bench = Bench::new();
    let shorter = |path: &Path| write(path, &[12, 200, 1], &wave(12)[..12 * 200]);
    bench.refuses(shorter, &["200 values", "expected 256"]);
}

#[test]
fn elements_that_are_no_numbers() {
    let bench = Bench::new();
    let complex = |path: &Path| {
        let header =
            format!("{{'descr': '<c8', 'fortran_order': False, 'shape': (12, {POINTS}, 1), }}");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        let len = (header.len() + 1).next_multiple_of(64) + 54;
        bytes.extend((len as u16).to_le_bytes());
        bytes.extend(format!("{header:<width$}\n", width = len - 1).bytes());
        bytes.extend(vec![0; 12 * POINTS * 8]);
        std::fs::write(path, bytes).unwrap();
    };
    bench.refuses(complex, &["calib.npy"]);
}

#[test]
fn integers_are_taken_as_numbers() {
    let bench = Bench::new();
    let integers = |path: &Path| {
        let values: Vec<u8> = (0..12 * POINTS).map(|i| (i * 37 % 256) as u8).collect();
        let array = NpyArray::from_values(&[12, POINTS, 1], &values).unwrap();
        array.write(path).unwrap();
    };
    bench.warns("int8", integers, &[]);
}

#[test]
fn a_constant_set_is_warned_of() {
    let bench = Bench::new();
    for value in [0.0, 0.5] {
        let constant = |path: &Path| write(path, &[12, POINTS, 1], &vec![value; 12 * POINTS]);
        for scheme in ["int8", "int16x8", "int4"] {
            bench.warns(scheme, constant, &["warning", "the same in every sample"]);
        }
    }
}

#[test]
fn a_single_sample_is_warned_of() {
    let bench = Bench::new();
    let one = |path: &Path| write(path, &[1, POINTS, 1], &wave(1));
    bench.warns("int8", one, &["warning", "calibrated with 1 samples"]);
}

#[test]
fn a_model_that_is_quantised_already() {
    let bench = Bench::new();
    bench.warns("int8", |path| write(path, &[12, POINTS, 1], &wave(12)), &[]);
    std::fs::rename(bench.file("out.tflite"), bench.file("float.tflite")).unwrap();
    let again = |path: &Path| write(path, &[12, POINTS, 1], &wave(12));
    bench.refuses(again, &["INT8 already", "starts from a model of FLOAT32"]);
}
