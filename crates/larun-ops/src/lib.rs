#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

mod attributes;
mod element_type;
mod ints;
mod options;
#[macro_use]
mod rows;
mod rules;
mod shape;
mod slicing;
mod table;
pub mod view;
mod window;

pub use attributes::{Activation, MirrorPadMode, Padding, WeightsFormat};
pub use element_type::ElementType;
pub use ints::{IntList, MAX_INTS};
pub use options::*;
pub use rules::{Operands, ShapeError};
pub use shape::{MAX_RANK, Shape};
pub use slicing::{Cut, Slicing};
pub use table::{InPlace, Op, OpInfo, OpKind, Operand, Operator, OutputQuantization, Role, op};
pub use window::Window;
