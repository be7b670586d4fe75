#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(target_endian = "big")]
compile_error!("constants are used where they lie in the file, which is little endian");

#[cfg(feature = "alloc")]
extern crate alloc;

mod activations;
mod arena;
mod encoded;
mod error;
#[cfg(feature = "alloc")]
pub mod host;
mod interpreter;
mod layout;
#[cfg(all(feature = "alloc", feature = "processors"))]
mod linked;
mod load;
mod loaded;
mod measure;
mod node;
mod observe;
mod ops;
mod options;
#[cfg(feature = "alloc")]
mod prepared;
mod resources;
mod run;
mod run_error;
mod source;
mod subgraph;
mod tensor;
mod workspace;

pub use arena::Arena;
pub use error::{ArenaTooSmall, LoadError, Name};
pub use interpreter::{Interpreter, Typed};
pub use larun_kernels as kernels;
pub use larun_kernels::{Element, Processor, Registration, Rounding};
pub use larun_ops::op as ops_named;
pub use larun_ops::view;
pub use larun_ops::{ElementType, OpKind, Shape};
pub use loaded::Loaded;
pub use observe::{NodeId, NodeOutputs, Observer};
pub use options::Options;
pub use run_error::RunError;
pub use tensor::TensorInfo;
