#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]

mod io;
mod kernel;
mod node;
mod plan;
mod refusal;
mod todo_kernels;

pub use io::{Element, FrozenIo, InvokeError, Io, Locate, Location, MAX_REGIONS, Memory};
pub use kernel::{ALL, Kernel, Registration};
pub use node::{NodeView, QuantizationView, TensorInfo};
pub use plan::{PlanReader, PlanWriter};
pub use refusal::{Reason, Refusal, Site};
