//! Storage in binary16 (FP16) and bfloat16 (BF16): rounding to nearest, ties to even.
//!
//! Source: IEEE 754-2019; overflow goes to infinity unless a function says otherwise, subnormals are kept, NaN stays NaN.
//!
//! ```
//! use larun_quant::float16::{bf16, f16, load_f16, store_bf16, store_f16};
//!
//! let mut stored = [f16::ZERO; 2];
//! store_f16(&[0.1, 1e6], &mut stored)?;
//! let mut reals = [0.0; 2];
//! load_f16(&stored, &mut reals)?;
//! assert_eq!(reals, [0.099_975_586, f32::INFINITY]);
//! let mut wide = [bf16::ZERO; 2];
//! store_bf16(&[0.1, 1e6], &mut wide)?;
//! assert!((wide[1].to_f32() / 1e6 - 1.0).abs() < 1.0 / 256.0);
//! # Ok::<(), larun_quant::QuantError>(())
//! ```

pub use half::{bf16, f16};

use crate::binary16;
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

/// As [`store_f16`], but finite magnitudes of 65520 and more become 65504, the largest.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch).
pub fn store_f16_saturating(reals: &[f32], stored: &mut [f16]) -> Result<(), QuantError> {
    same_length("places for binary16 values", reals.len(), stored.len())?;
    for (stored, &real) in stored.iter_mut().zip(reals) {
        *stored = f16::from_bits(binary16::from_f32_saturating(real));
    }
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
