#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod bound;
mod check;
#[cfg(feature = "alloc")]
pub mod csv;
mod error;
mod first_fit;
mod greedy;
#[cfg(feature = "alloc")]
mod planner;
mod problem;

pub use bound::lower_bound;
#[cfg(feature = "alloc")]
pub use bound::lower_bound_by_sweep;
pub use check::{Fault, Overlap, check};
pub use error::PlanError;
pub use first_fit::first_fit;
pub use greedy::greedy_by_size;
#[cfg(feature = "alloc")]
pub use planner::{GreedyBySize, Plan, Planner};
pub use problem::{Buffer, Problem};
