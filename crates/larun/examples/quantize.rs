//! Quantises a model file to INT8 in ten lines.
//!
//! `cargo run -p larun --example quantize [FOLDER]` makes a float model and samples in a folder and quantises them. For a model of
//! yours, call [`quantize`] with its `.tflite` or `.onnx` file and samples in a `.npy` file.

use core::error::Error;
use std::path::Path;

use larun::quantize::{QuantizeReport, Request, Samples, quantize_file};
use larun::zoo::{networks, npy::NpyArray, simulate};
use larun::{Model, files};

/// The ten lines.
fn quantize(model: &Path, samples: &Path, out: &Path) -> Result<QuantizeReport, larun::Error> {
    let model = Model::open(model)?;
    let samples = Samples::open(samples, &model)?;
    let request = Request {
        calibration: Some(&samples),
        ..Request::default()
    };
    quantize_file(&model, &request, out, |_, _| {})
}

/// Makes what a user has: a float model, and samples like its inputs.
fn prepare(model: &Path, samples: &Path) -> Result<(), Box<dyn Error>> {
    let stars = simulate::light_curves(4, 1);
    let network = networks::find("student")?;
    let graph = network.build(&stars.sample_shape, stars.class_names.len(), 1)?;
    files::write(
        model,
        &larun::tflite::write(&larun::quantize::prepare(graph)?)?,
    )?;
    let shape = [&[stars.len()], &stars.sample_shape[..]].concat();
    NpyArray::from_values(&shape, &stars.x)?.write(samples)?;
    Ok(())
}

pub(crate) fn run(folder: &Path) -> Result<(), Box<dyn Error>> {
    let (model, samples) = (folder.join("float.tflite"), folder.join("samples.npy"));
    prepare(&model, &samples)?;
    let report = quantize(&model, &samples, &folder.join("int8.tflite"))?;
    println!(
        "{} bytes, {:.2} times smaller, {:.1} dB from the float model's outputs",
        report.quantized_bytes,
        report.ratio,
        report.sqnr_db.unwrap_or(f64::INFINITY)
    );
    match report.ratio > 1.0 && report.sqnr_db.is_none_or(|decibels| decibels > 15.0) {
        true => Ok(()),
        false => Err("the INT8 model is not smaller, or not near".into()),
    }
}

#[allow(dead_code, reason = "the test of the examples calls `run`")]
fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "out".to_owned());
    std::fs::create_dir_all(&folder)?;
    run(Path::new(&folder))
}
