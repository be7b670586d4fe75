//! AVX2: vectors of eight sums. 8-bit values are widened to 16 bits, and a pair of products fits 32.

pub(super) mod add;
pub(super) mod conv;
pub(super) mod dense;
pub(super) mod depthwise;
mod finish;
mod pack;
mod patch;
mod seen;
mod vector;
