#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod clean;
pub mod csv;
pub mod dataset;
mod error;
mod files;
pub mod fits;
pub mod image;
pub mod light_curve;
pub mod npy;
pub mod npz;
pub mod recipe;
pub mod simulate;

pub use error::DataError;
