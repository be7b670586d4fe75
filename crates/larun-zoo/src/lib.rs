#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod networks;

pub use larun_data::{dataset, npy, npz, simulate};
