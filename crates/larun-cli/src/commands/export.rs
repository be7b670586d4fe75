//! `larun export`: a model as source code.

use std::path::PathBuf;

use clap::ValueEnum;
use larun::{Model, export, files};
use serde::Serialize;

use super::print_json;
use super::rows::RowsArgs;
use crate::failure::Failure;

/// Write a model as source code
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun export model.tflite --format rust --target thumbv7em-none-eabihf -o src
  larun export model.tflite --format rust --in-place --stream=32768 -o src
  larun export model.tflite --format c -o firmware
  larun export model.tflite --format arduino --name keywords -o sketchbook
  larun export model.tflite --format c-header --name spectral_model -o firmware")]
pub(crate) struct Args {
    /// The .tflite file
    model: PathBuf,

    /// The form of the source
    #[arg(long, value_enum)]
    format: Format,

    /// What the model is called in the source [default: the file's name]
    #[arg(long)]
    name: Option<String>,

    /// Let layers of Rust source write into the memory of their inputs, row by row, and layers up to an addition into that of
    /// the residual
    #[arg(long)]
    in_place: bool,

    #[command(flatten)]
    rows: RowsArgs,

    /// The folder to write to; made if missing
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,

    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A C header with the bytes of the file: NAME_data[] and NAME_data_len
    CHeader,
    /// Rust without std, an allocator or the file: `predict` over statics; needs the crate larun-kernels
    Rust,
    /// C99 without any dependency: NAME.c and NAME.h
    C,
    /// A sketch for TensorFlow Lite for Microcontrollers, with the operators and the arena that the model needs
    Arduino,
}

/// What was written: the first file, and all of them.
#[derive(Serialize)]
struct Exported {
    /// The first file.
    file: PathBuf,
    /// Its bytes.
    bytes: usize,
    /// All files.
    files: Vec<Written>,
}

#[derive(Clone, Serialize)]
struct Written {
    /// The file.
    file: PathBuf,
    /// Its bytes.
    bytes: usize,
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        if !matches!(self.format, Format::Rust) && (self.in_place || self.rows.streams()) {
            let only = "layers run in place or row by row in Rust source alone";
            return Err(Failure::Error(only.to_owned()));
        }
        let model = Model::open(&self.model)?;
        let stem = self
            .model
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        let name = self
            .name
            .clone()
            .or(stem)
            .unwrap_or_else(|| "model".to_owned());
        let mut written = Vec::new();
        for (file, source) in self.sources(&model, &name)? {
            let file = self.output.join(file);
            files::write(&file, source.as_bytes())?;
            let bytes = source.len();
            written.push(Written { file, bytes });
        }
        if !self.json {
            for Written { file, .. } in written {
                anstream::println!("{}", file.display());
            }
            return Ok(());
        }
        match written.first().cloned() {
            Some(Written { file, bytes }) => {
                let exported = Exported {
                    file,
                    bytes,
                    files: written,
                };
                print_json("larun.export/1", &exported)
            }
            None => Ok(()),
        }
    }

    /// The files, as paths in the output folder, and what goes into them.
    fn sources(&self, model: &Model, name: &str) -> Result<Vec<(PathBuf, String)>, Failure> {
        Ok(match self.format {
            Format::CHeader => {
                let file = format!("{name}.h").into();
                vec![(file, export::c_header(model, name)?)]
            }
            Format::Rust => {
                let options = self.rows.options(self.in_place);
                let file = export::rust_file_name(name).into();
                vec![(file, export::rust(model, name, &options)?)]
            }
            Format::C => {
                let c = export::c_source(model, name)?;
                vec![
                    (format!("{}.c", c.stem).into(), c.source),
                    (format!("{}.h", c.stem).into(), c.header),
                ]
            }
            Format::Arduino => {
                let sketch = export::arduino(model, name)?;
                let folder = PathBuf::from(&sketch.name);
                vec![
                    (folder.join(format!("{}.ino", sketch.name)), sketch.sketch),
                    (folder.join(format!("{}.h", sketch.name)), sketch.header),
                ]
            }
        })
    }
}
