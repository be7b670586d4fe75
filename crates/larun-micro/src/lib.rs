#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(target_endian = "big")]
compile_error!("constants are used where they lie in the file, which is little endian");

#[cfg(feature = "alloc")]
extern crate alloc;

mod activations;
mod arena;
mod error;
#[cfg(feature = "alloc")]
pub mod host;
mod interpreter;
mod layout;
mod load;
mod measure;
mod node;
mod observe;
mod ops;
mod source;
mod tensor;

pub use arena::Arena;
pub use error::{ArenaTooSmall, LoadError, Name, RunError};
pub use interpreter::{Interpreter, Typed};
pub use larun_kernels as kernels;
pub use larun_kernels::{Element, Registration};
pub use larun_ops::op as ops_named;
pub use larun_ops::{ElementType, OpKind, Shape};
pub use larun_tflite::view;
pub use observe::{NodeOutputs, Observer};
pub use tensor::TensorInfo;
