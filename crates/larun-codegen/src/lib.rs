#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod c_header;
mod identifier;

pub use c_header::{HeaderOptions, c_header};
pub use identifier::c_identifier;

/// Why no source code was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodegenError {
    /// There is no model.
    #[error("the model is empty: expected the bytes of a .tflite file")]
    EmptyModel,
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
