//! Damaged files: whatever the bytes, everything that reads models gives a typed error or works.

use std::path::Path;

use larun::graph::Graph;
use larun::quantize::{Request, Samples, prepare, quantize_file};
use larun::zoo::networks;
use larun::zoo::npy::NpyArray;
use larun::{Model, inspect};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How many damaged files are tried.
const FILES: usize = 10_000;

fn network() -> Graph {
    let student = networks::find("student").unwrap();
    prepare(student.build(&[64, 1], 3, 1).unwrap()).unwrap()
}

/// A float and an INT8 file of a small network, and samples to calibrate with.
fn originals(dir: &Path) -> (Vec<Vec<u8>>, Samples) {
    let graph = network();
    let float = larun::tflite::write(&graph).unwrap();
    let values: Vec<f32> = (0..2 * 64)
        .map(|i| ((i * 37 % 101) as f32 - 50.0) / 25.0)
        .collect();
    let calibration = dir.join("calibration.npy");
    NpyArray::from_values(&[2, 1, 1, 64, 1], &values)
        .unwrap()
        .write(&calibration)
        .unwrap();
    let model = Model::new(Path::new("float.tflite"), &float);
    let samples = Samples::open(&calibration, &model).unwrap();
    let out = dir.join("int8.tflite");
    quantize_file(&model, &request(&samples), &out, |_, _| {}).unwrap();
    (vec![float, std::fs::read(out).unwrap()], samples)
}

fn request(samples: &Samples) -> Request<'_> {
    Request {
        calibration: Some(samples),
        ..Request::default()
    }
}

/// Cut short, bits flipped, words replaced, or nothing but noise.
fn damage(original: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = original.to_vec();
    match rng.random_range(0..8) {
        0 => bytes.truncate(rng.random_range(0..original.len())),
        1 => {
            let noise = rng.random_range(0..512);
            bytes = (0..noise).map(|_| rng.random()).collect();
            if bytes.len() >= 8 && rng.random() {
                bytes[4..8].copy_from_slice(b"TFL3");
            }
        }
        2..5 => {
            for _ in 0..rng.random_range(1..8) {
                let at = rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
        }
        _ => {
            let at = rng.random_range(0..bytes.len() - 4);
            let word: u32 = match rng.random_range(0..4) {
                0 => 0,
                1 => u32::MAX,
                2 => rng.random_range(0..256),
                _ => rng.random(),
            };
            bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
    }
    bytes
}

/// Everything that the commands do with a file. Whether it works does not matter here.
fn read_in_every_way(bytes: &[u8], samples: &Samples, out: &Path) -> [bool; 3] {
    let model = Model::new(Path::new("damaged.tflite"), bytes);
    let inspected = inspect::inspect(&model).is_ok();
    let ran = model.arena().is_ok_and(|mut arena| {
        let interpreter = model.interpreter(&mut arena);
        interpreter.is_ok_and(|mut interpreter| interpreter.invoke().is_ok())
    });
    let quantized = quantize_file(&model, &request(samples), out, |_, _| {});
    [inspected, ran, quantized.is_ok()]
}

#[test]
fn ten_thousand_damaged_files() {
    let dir = tempfile::tempdir().unwrap();
    let (originals, samples) = originals(dir.path());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let out = dir.path().join("out.tflite");
    let mut worked = [0; 3];
    for file in 0..FILES {
        let bytes = damage(&originals[file % originals.len()], &mut rng);
        let results = read_in_every_way(&bytes, &samples, &out);
        for (count, result) in worked.iter_mut().zip(results) {
            *count += usize::from(result);
        }
    }
    // The damage is real, and not always fatal: both ways are taken.
    for (what, count) in ["inspect", "run", "quantize"].into_iter().zip(worked) {
        assert!(
            (FILES / 100..FILES * 9 / 10).contains(&count),
            "{what}: {count} of {FILES} worked"
        );
    }
}
