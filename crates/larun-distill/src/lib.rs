#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub use distiller::{Distiller, FeatureKind, FeaturePair, Teacher};
pub use error::DistillError;

pub mod features;
pub mod logits;
pub mod relations;

mod distiller;
mod error;
