//! AVX-512 with its neural network instructions: four products of bytes and their sum in each 32-bit lane at once.
//!
//! The instruction multiplies unsigned bytes with signed ones. Inputs become unsigned by 128 more, which flips their highest
//! bit. From each sum so the weights times 128 plus the zero point are too many; that is taken off the bias. Sums of four
//! products do not saturate, and they are added as 32-bit integers that wrap: so the result is exact.

pub(super) mod add;
pub(super) mod conv;
pub(super) mod dense;
pub(super) mod depthwise;
mod finish;
mod pack;
mod strip;
mod vector;

/// What makes a signed byte, which counts from -128, an unsigned one that counts from 0.
const FLIP: i8 = -128;

/// How many times the sum of the weights a sum of products of flipped inputs is too large.
const fn excess(input_zero_point: i32) -> i32 {
    input_zero_point - FLIP as i32
}
