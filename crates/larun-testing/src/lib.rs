#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod case;
pub mod conformance;
mod corpus;
pub mod costs;
mod models;
mod npy;
mod quant;
mod tfoc;
mod tolerance;

pub use case::{Case, Set, Tensor};
pub use corpus::{corpus_dir, data_dir};
pub use models::model_cases;
pub use quant::{Converted, QuantModel, quant_models};
pub(crate) use tfoc::sorted_entries;
pub use tfoc::{CorpusError, op_cases, read_archive};
pub use tolerance::Tolerance;
