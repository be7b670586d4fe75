#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod dataset;
mod files;
pub mod networks;
pub mod npy;
pub mod npz;
pub mod simulate;
