//! Quantises a float model to INT8: `quantize_file MODEL.tflite SAMPLES.npz OUT.tflite`. ONNX models do as well.

use core::error::Error;
use std::path::PathBuf;

use larun::Model;
use larun::quantize::{Request, Samples, quantize_file};

fn main() -> Result<(), Box<dyn Error>> {
    let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [model, samples, out] = files.as_slice() else {
        return Err("usage: quantize_file MODEL.tflite SAMPLES.npz OUT.tflite".into());
    };
    let model = Model::open(model)?;
    let samples = Samples::open(samples, &model)?;
    let request = Request {
        calibration: Some(&samples),
        ..Request::default()
    };
    let report = quantize_file(&model, &request, out, |_, _| {})?;
    println!(
        "{} bytes, now {}",
        report.float_bytes, report.quantized_bytes
    );
    Ok(())
}
