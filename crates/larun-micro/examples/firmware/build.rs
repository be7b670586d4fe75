//! Picks the memory map of the board, and the model that the program `measure` runs.
//!
//! `measure` takes any model: `LARUN_MODEL` names the file, `LARUN_OPS` its operators, `LARUN_INPUTS` a file with the
//! bytes of its inputs one after the other, `LARUN_ARENA` the bytes of the arena.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

const SPECTRAL: &str = "../../../../fixtures/models/spectral";
const SPECTRAL_OPS: &str =
    "Conv2D, DepthwiseConv2D, MaxPool2D, Mean, FullyConnected, Softmax, Reshape";

fn main() -> io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let target = env::var("TARGET").unwrap_or_default();
    let map = match target.starts_with("thumbv6m") {
        true => "memory/cortex-m0.x",
        false => "memory/cortex-m4.x",
    };
    copy(map, &out.join("memory.x"))?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg=--nmagic");
    println!("cargo::rustc-link-arg=-Tlink.x");

    let model = setting("LARUN_MODEL", &format!("{SPECTRAL}/model.tflite"));
    let inputs = setting("LARUN_INPUTS", &format!("{SPECTRAL}/curve.bin"));
    copy(&model, &out.join("model.tflite"))?;
    copy(&inputs, &out.join("inputs.bin"))?;
    // The program `compiled` includes the source that `LARUN_SOURCE` names, as `larun-codegen` has written it.
    if let Ok(source) = env::var("LARUN_SOURCE") {
        copy(source, &out.join("compiled.rs"))?;
    }
    println!("cargo::rerun-if-env-changed=LARUN_SOURCE");
    let ops = setting("LARUN_OPS", SPECTRAL_OPS);
    let arena = setting("LARUN_ARENA", "12288");
    fs::write(
        out.join("measured.rs"),
        format!(
            "const KERNELS: &[larun_micro::Registration] = larun_micro::ops![{ops}];\nconst ARENA: usize = {arena};\n"
        ),
    )
}

fn setting(variable: &str, default: &str) -> String {
    println!("cargo::rerun-if-env-changed={variable}");
    env::var(variable).unwrap_or_else(|_| default.to_owned())
}

fn copy(from: impl AsRef<Path>, to: &Path) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", from.as_ref().display());
    fs::copy(from, to).map(|_| ())
}
