#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]

mod conv;
mod depthwise;
mod dot;
mod fully_connected;
mod io;
mod kernel;
mod lanes;
mod node;
mod operand;
mod plan;
mod refusal;
mod requantize;
mod todo_kernels;
mod window;

pub use conv::{ConvGeometry, conv2d_f32, conv2d_i8, conv2d_i8_scratch_len};
pub use depthwise::{depthwise_conv2d_f32, depthwise_conv2d_i8};
pub use fully_connected::{DenseGeometry, fully_connected_f32, fully_connected_i8};
pub use io::{Element, FrozenIo, InvokeError, Io, Locate, Location, MAX_REGIONS, Memory};
pub use kernel::{ALL, Kernel, Registration};
pub use node::{NodeView, QuantizationView, TensorInfo};
pub use plan::{PlanReader, PlanWriter};
pub use refusal::{Reason, Refusal, Site};
pub use requantize::{Clamp, Multipliers, OutputStage, WeightedQuantization};
pub use window::{ImageWindow, WindowAxis};

pub(crate) use io::{check_bias, check_len};
