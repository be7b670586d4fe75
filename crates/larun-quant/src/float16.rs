//! Storage in binary16 (FP16) and bfloat16 (BF16): rounding to nearest, ties to even.
//!
//! Source: IEEE 754-2019; overflow goes to infinity, subnormals are kept.

pub use half::{bf16, f16};

use crate::error::{QuantError, same_length};
use half::slice::HalfFloatSliceExt;

/// Stores `reals` as binary16, into `stored` of the same length. Magnitudes of 65520 and more become infinite.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch).
pub fn store_f16(reals: &[f32], stored: &mut [f16]) -> Result<(), QuantError> {
    same_length("places for binary16 values", reals.len(), stored.len())?;
    stored.convert_from_f32_slice(reals);
    Ok(())
}

/// Reads binary16 back, exactly, into `reals` of the same length.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch).
pub fn load_f16(stored: &[f16], reals: &mut [f32]) -> Result<(), QuantError> {
    same_length("places for real values", stored.len(), reals.len())?;
    stored.convert_to_f32_slice(reals);
    Ok(())
}

/// Stores `reals` as bfloat16, into `stored` of the same length.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch).
pub fn store_bf16(reals: &[f32], stored: &mut [bf16]) -> Result<(), QuantError> {
    same_length("places for bfloat16 values", reals.len(), stored.len())?;
    stored.convert_from_f32_slice(reals);
    Ok(())
}

/// Reads bfloat16 back, exactly, into `reals` of the same length.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch).
pub fn load_bf16(stored: &[bf16], reals: &mut [f32]) -> Result<(), QuantError> {
    same_length("places for real values", stored.len(), reals.len())?;
    stored.convert_to_f32_slice(reals);
    Ok(())
}
