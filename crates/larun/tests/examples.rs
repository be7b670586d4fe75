//! Every example does what it says.

#[path = "../examples/distil_onnx.rs"]
mod distil_onnx;
#[path = "../examples/quantize.rs"]
mod quantize;
#[path = "../examples/shrink.rs"]
mod shrink;

use core::error::Error;
use std::path::Path;

fn run(example: fn(&Path) -> Result<(), Box<dyn Error>>) {
    let folder = tempfile::tempdir().unwrap();
    example(folder.path()).unwrap();
}

#[test]
fn quantize() {
    run(quantize::run);
}

#[test]
fn shrink() {
    run(shrink::run);
}

#[test]
fn distil_onnx() {
    run(distil_onnx::run);
}
