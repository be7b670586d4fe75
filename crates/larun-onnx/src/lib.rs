#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod constant;
mod convert;
mod error;
mod fold;
mod import;
mod net;
mod node;
mod patterns;
mod proto;
mod tidy;
mod view;
pub mod weights;

pub use convert::operators;
pub use error::OnnxError;
pub use import::{ImportOptions, Imported, MIN_OPSET, Port, import, import_file};
