#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod cost;
mod error;
pub mod pareto;
pub mod plot;
pub mod space;
pub mod store;
pub mod strategy;
pub mod trial;

pub use error::SearchError;
