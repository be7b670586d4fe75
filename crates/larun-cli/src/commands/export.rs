//! `larun export`: a model as source code.

use std::path::PathBuf;

use clap::ValueEnum;
use larun::{Model, export, files};
use serde::Serialize;

use super::print_json;
use crate::failure::Failure;

/// Write a model as source code
#[derive(clap::Args)]
#[command(after_help = "Example:
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
}

#[derive(Serialize)]
struct Exported {
    file: PathBuf,
    bytes: usize,
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Format::CHeader = self.format;
        let model = Model::open(&self.model)?;
        let stem = self
            .model
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        let name = self.name.or(stem).unwrap_or_else(|| "model".to_owned());
        let source = export::c_header(&model, &name)?;
        let file = self.output.join(format!("{name}.h"));
        files::write(&file, source.as_bytes())?;
        if self.json {
            let bytes = source.len();
            return print_json(&Exported { file, bytes });
        }
        anstream::println!("{}", file.display());
        Ok(())
    }
}
