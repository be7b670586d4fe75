#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod arduino;
mod c;
mod c_header;
mod compiled;
mod config;
mod identifier;
mod plan;
mod rust;
mod stretch;
mod text;

pub use arduino::{ArduinoSketch, arduino};
pub use c::{CSource, c_source, has_c_kernel};
pub use c_header::{HeaderOptions, c_header};
pub use config::Config;
pub use identifier::c_identifier;
pub use larun_kernels::Processor;
pub use plan::{MemoryPlan, PlanBuffer, RowStretch, memory_plan};
pub use rust::{RustOptions, rust, rust_file_name};
pub use stretch::{Rows, Stream};

/// Why no source code was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodegenError {
    /// There is no model.
    #[error("the model is empty: expected the bytes of a .tflite file")]
    EmptyModel,
    /// The model cannot be read, or the interpreter would not run it.
    #[error("the model cannot be compiled: {0}")]
    Model(String),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        source: std::io::Error,
    },
    /// The steps of nodes that run row by row do not fit their plans: a fault of this crate.
    #[error("operator {node} cannot be run row by row as planned")]
    Rows {
        /// The first of the nodes.
        node: usize,
    },
    /// There is no folder to write to.
    #[error("OUT_DIR is not set: run this from build.rs, or name a folder with `out_dir`")]
    NoFolder,
    /// A number is too large for the type that stands for it in the source.
    #[error("{what} is {value} bytes, more than a C int holds ({})", i32::MAX)]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        value: u64,
    },
    /// The template could not be filled in.
    #[error("the template failed: {0}")]
    Template(#[from] minijinja::Error),
}
