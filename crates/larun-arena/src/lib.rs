#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod bound;
#[cfg(feature = "alloc")]
mod budget;
mod check;
#[cfg(feature = "alloc")]
mod conflicts;
#[cfg(feature = "alloc")]
pub mod csv;
mod error;
#[cfg(feature = "alloc")]
mod exact;
mod first_fit;
mod given;
mod greedy;
#[cfg(feature = "alloc")]
mod hill_climb;
#[cfg(feature = "alloc")]
mod packing;
#[cfg(feature = "alloc")]
mod planner;
#[cfg(feature = "alloc")]
mod portfolio;
mod problem;
#[cfg(feature = "alloc")]
mod regions;

pub use bound::lower_bound;
#[cfg(feature = "alloc")]
pub use bound::lower_bound_by_sweep;
#[cfg(feature = "alloc")]
pub use budget::Budget;
pub use check::{Fault, Overlap, check};
pub use error::PlanError;
#[cfg(feature = "alloc")]
pub use exact::Exact;
pub use first_fit::first_fit;
pub use given::keep_given;
pub use greedy::greedy_by_size;
#[cfg(feature = "alloc")]
pub use hill_climb::HillClimb;
#[cfg(feature = "alloc")]
pub use planner::{GreedyBySize, Plan, Planner};
#[cfg(feature = "alloc")]
pub use portfolio::{FirstFitByStart, GreedyByArea, GreedyByBreadth, GreedyByConflicts, Portfolio};
pub use problem::{Buffer, Problem};
#[cfg(feature = "alloc")]
pub use regions::{Demand, Region, RegionError, RegionPlan, plan_regions};
