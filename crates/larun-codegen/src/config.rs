//! Source from models while a program is built: for `build.rs`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use larun_kernels::Processor;

use crate::{CodegenError, Rows, RustOptions, rust, rust_file_name};

/// Compiles a model to Rust source while a program is built.
///
/// In `build.rs`, with `larun-codegen` among the build dependencies:
///
/// ```no_run
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     larun_codegen::Config::new("models/keywords.tflite").generate()?;
///     Ok(())
/// }
/// ```
///
/// In the program, with `larun-kernels` among the dependencies:
///
/// ```ignore
/// mod keywords {
///     include!(concat!(env!("OUT_DIR"), "/keywords.rs"));
/// }
///
/// let mut model = keywords::Model::new();
/// let scores = model.predict(&samples);
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    model: PathBuf,
    name: Option<String>,
    out_dir: Option<PathBuf>,
    processor: Option<Processor>,
    kernels: Option<String>,
    rows: Rows,
}

impl Config {
    /// Compiles this `.tflite` file, for the target and into the folder that Cargo names.
    #[must_use]
    pub fn new(model: impl Into<PathBuf>) -> Self {
        Self {
            model: model.into(),
            name: None,
            out_dir: None,
            processor: None,
            kernels: None,
            rows: Rows::default(),
        }
    }

    /// What the model is called, and so the file `NAME.rs`. That of the model's file by default.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The folder to write to, `OUT_DIR` by default.
    #[must_use]
    pub fn out_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(folder.into());
        self
    }

    /// The processor to compile for, that of Cargo's target by default.
    #[must_use]
    pub fn processor(mut self, processor: Processor) -> Self {
        self.processor = Some(processor);
        self
    }

    /// The path by which the program knows the crate `larun-kernels`, `larun_kernels` by default.
    #[must_use]
    pub fn kernels(mut self, path: impl Into<String>) -> Self {
        self.kernels = Some(path.into());
        self
    }

    /// What may be computed some rows at a time, so that the model takes less RAM. Nothing by default.
    #[must_use]
    pub fn rows(mut self, rows: Rows) -> Self {
        self.rows = rows;
        self
    }

    /// Writes the source, and tells Cargo to do so again when the model changes. Returns the file.
    ///
    /// # Errors
    /// When the model cannot be read or compiled, the file cannot be written, or there is no folder to write to.
    pub fn generate(&self) -> Result<PathBuf, CodegenError> {
        println!("cargo::rerun-if-changed={}", self.model.display());
        let model = fs::read(&self.model).map_err(|source| io(&self.model, source))?;
        let stem = self.model.file_stem().map(|stem| stem.to_string_lossy());
        let stem = stem.unwrap_or_default();
        let name = self.name.as_deref().unwrap_or(&stem);
        let mut options = RustOptions {
            processor: self.processor.unwrap_or_else(targeted),
            rows: self.rows,
            ..RustOptions::default()
        };
        if let Some(kernels) = &self.kernels {
            options.kernels.clone_from(kernels);
        }
        let source = rust(name, &model, &options)?;
        let folder = self.out_dir.clone();
        let folder = folder.or_else(|| env::var_os("OUT_DIR").map(PathBuf::from));
        let file = folder
            .ok_or(CodegenError::NoFolder)?
            .join(rust_file_name(name));
        fs::write(&file, source).map_err(|source| io(&file, source))?;
        Ok(file)
    }
}

/// The processor of the target that Cargo builds for.
fn targeted() -> Processor {
    let variable = |name| env::var(name).unwrap_or_default();
    let asked = ["LARUN_PORTABLE", "CARGO_CFG_LARUN_PORTABLE"];
    match asked.iter().any(|name| env::var_os(name).is_some()) {
        true => Processor::Portable,
        false => Processor::of_target(&variable("TARGET"), &variable("CARGO_ENCODED_RUSTFLAGS")),
    }
}

fn io(path: &Path, source: std::io::Error) -> CodegenError {
    CodegenError::Io {
        path: path.to_owned(),
        source,
    }
}
