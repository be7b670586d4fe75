#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod activation;
pub mod affine;
#[cfg(feature = "ndarray")]
pub mod array;
pub mod axis;
pub mod bias;
pub mod binary;
pub mod binary16;
#[cfg(feature = "candle")]
pub mod candle;
pub mod channels;
pub mod dynamic;
mod error;
pub mod fake_quant;
pub mod fixed_point;
#[cfg(feature = "half")]
pub mod float16;
mod integer;
pub mod measure;
pub mod observer;
pub mod octav;
pub mod packing;
#[cfg(feature = "alloc")]
mod parallel;
#[cfg(feature = "alloc")]
pub mod rounding;
pub mod table;
#[cfg(feature = "alloc")]
pub mod ternary;
pub mod weights;

pub use activation::{activation_range, activation_range_i8};
pub use affine::{Affine, IntegerRange};
pub use axis::ChannelAxis;
pub use dynamic::DynamicInput;
pub use error::QuantError;
pub use fixed_point::{FixedMultiplier, Rounding};
pub use integer::Integer;
#[cfg(feature = "alloc")]
pub use observer::{
    AnyObserver, Entropy, Histogram, LeastSquares, ObserverKind, Octav, Percentile,
};
pub use observer::{MinMax, MovingAverage, Observer};
pub use table::quantized_function;
