#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]

// Hosts run the Cortex-M kernels over emulated instructions.
#[cfg(any(test, feature = "processors"))]
extern crate std;

mod activation;
mod add_n;
mod arch;
mod arg;
mod axes;
mod batch_matmul;
mod binary;
mod byte_function;
mod cast;
mod circular_buffer;
mod control;
mod conv;
mod cumsum;
mod decode;
mod depthwise;
mod detection;
mod divide;
mod dot;
mod exponential;
mod fixed;
mod flow;
mod fully_connected;
mod hard_swish;
mod hybrid;
mod integer;
mod io;
mod kernel;
mod l2_normalization;
mod l2_pool;
mod lanes;
mod layout;
mod leaky;
mod log_softmax;
mod lstm;
mod mean;
mod memory;
mod node;
mod number;
mod operand;
#[cfg(any(larun_arch = "armv7em", test, feature = "processors"))]
mod packed;
mod pieces;
mod plan;
mod pool;
mod processor;
mod quantize;
mod real;
mod reason;
mod reduce;
mod reduction;
mod refusal;
mod requantize;
mod resize;
mod resource;
mod rows;
mod select;
mod sigmoid;
mod sign;
mod signal;
mod softmax;
mod svdf;
mod transpose_conv;
mod types;
mod ways;
mod weighted;
mod window;
mod zeros_like;

pub use activation::{ReluQuantization, relu_f32, relu_i8};
pub use binary::{AddQuantization, Broadcast, MulQuantization, add_f32, add_i8, mul_f32, mul_i8};
pub use circular_buffer::{Ring, circular_buffer, circular_buffer_state_len};
pub use control::{ControlIo, Next, Port, Step, Subgraphs};
pub use conv::{ConvGeometry, conv2d_f32, conv2d_i8, conv2d_i8_scratch_len};
pub use decode::{Channels, Code, Encoding, HuffmanLayout, decode, fully_connected_encoded};
pub use depthwise::{depthwise_conv2d_f32, depthwise_conv2d_i8, depthwise_conv2d_i8_scratch_len};
pub use detection::{DetectionParameters, Detections, detect, detection_scratch_len};
pub use fixed::{FixedNode, FixedSubgraphs, elements, handle_bytes, set_elements};
pub use fully_connected::{
    DenseGeometry, fully_connected_f32, fully_connected_i8, fully_connected_i8_scratch_len,
};
pub use io::{Element, FrozenIo, Io};
pub use kernel::{ALL, Kernel, Registration, TakeOver};
pub use l2_pool::l2_pool_f32;
pub use larun_ops::op as ops_named;
pub use larun_quant::fixed_point::Rounding;
pub use lstm::{
    HybridLstm, LstmGeometry, LstmQuantization, LstmState, LstmWeights, lstm_f32, lstm_hybrid,
    lstm_hybrid_scratch_len, lstm_i8, lstm_i16, lstm_scratch_len,
};
pub use mean::{MeanQuantization, mean_f32, mean_i8};
pub use memory::{InvokeError, Locate, Location, Memory};
pub use node::{NodeView, QuantizationView, TensorInfo};
#[cfg(any(larun_arch = "armv7em", test, feature = "processors"))]
pub use packed::{NarrowLayer, PackedDepthwise, PackedKernel, PackedLayer, PackedNode};
#[cfg(feature = "processors")]
pub use packed::{Packable, PackedConstants, pack};
pub use pieces::MAX_REGIONS;
pub use plan::{MAX_CALLS, PlanReader, PlanWriter, Resource};
pub use pool::{
    average_pool_f32, average_pool_i8, average_pool_i16, max_pool_f32, max_pool_i8, max_pool_i16,
};
pub use processor::Processor;
pub use quantize::{Requantization, dequantize_i8, quantize_i8, quantize_i16, requantize_i8};
pub use reason::{Reason, ReasonKind};
pub use reduction::Reduction;
pub use refusal::{Refusal, Site};
pub use requantize::{Clamp, Multipliers, OutputStage, WeightedQuantization};
#[cfg(any(larun_arch = "armv7em", test, feature = "processors"))]
pub use rows::PackedRows;
#[cfg(feature = "processors")]
pub use rows::RowForm;
pub use rows::{RowNode, RowStep};
pub use sigmoid::{logistic_f32, logistic_i8};
pub use softmax::{softmax_f32, softmax_i8, softmax_i8_i16, softmax_i16};
pub use svdf::{
    HybridSvdf, SvdfGeometry, SvdfQuantization, SvdfWeights, svdf_f32, svdf_hybrid, svdf_i8,
    svdf_i8_i16,
};
#[cfg(feature = "processors")]
pub use ways::ways;
pub use ways::{ByWays, Only, Way};
pub use window::{ImageWindow, WindowAxis};

/// Runs `f` with the vector instructions that this processor has, found when the program runs: loops in `f`, and in what is inlined
/// into it, are compiled for them too. For code on real numbers that is worth it and has no kernel here, as a trainer's.
///
/// No sum is reordered and no product fused: the bits are the same on every processor.
#[inline]
pub fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    arch::vectorised(f)
}

pub(crate) use io::check_scratch;
pub(crate) use memory::{check_bias, check_len};

/// The definitions of the kernels that have faster versions for some processors: what those are held against.
///
/// The functions of the same names at the crate's root give the same bytes, sooner.
pub mod portable {
    pub use crate::binary::portable::*;
    pub use crate::conv::portable::*;
    pub use crate::depthwise::portable::*;
    pub use crate::fully_connected::portable::*;
    pub use crate::pool::portable::*;
}
