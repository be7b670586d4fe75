//! What the fuzz targets share: how to change a model so that more than its header is reached, and what to do with it.

mod exercise;
mod mutate;
mod sites;

pub use exercise::{load, run, view};
pub use mutate::mutate;
