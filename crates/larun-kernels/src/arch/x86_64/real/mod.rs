//! Layers of real numbers with AVX2: eight output channels of a vector side by side.
//!
//! Each lane adds the products of one output in the order of the definition, product and sum rounded apart: the same bits.

pub(super) mod conv;
pub(super) mod dense;
pub(super) mod depthwise;
mod pixels;
pub(super) mod pool;
mod vector;
