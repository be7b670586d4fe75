//! Weights that make up for errors of a layer's inputs, before they are rounded.
//!
//! In a quantised network a layer does not read the inputs `x` of the float network but `x'`, with the errors of all layers before. Of the
//! weights `v` that are nearest to the float outputs `y = w^T x` on `x'`, in the mean square and with the bias corrected,
//!
//! `v = w + (H + damping I)^-1 cov(x', y - w^T x')`, `H = cov(x')`,
//!
//! is the solution: linear regression from `w` on. Rounding `v` with this `H` then minimises the error against `y`.
//!
//! ```
//! use larun_quant::rounding::{Gram, compensated_weights};
//!
//! // One input that reads a tenth too large in the quantised network; outputs are 2 x.
//! let mut gram = Gram::new(2)?;
//! for x in [-1.0_f32, 0.5, 2.0] {
//!     let (read, output) = (1.1 * x, 2.0 * x);
//!     gram.add_rows(&[read, output - 2.0 * read])?;
//! }
//! let (hessian, shortfalls) = gram.covariance()?.split(1)?;
//! let weights = compensated_weights(&[2.0], &hessian, &shortfalls, 0.0)?;
//! assert!((weights[0] - 2.0 / 1.1).abs() < 1e-5);
//! # Ok::<(), larun_quant::QuantError>(())
//! ```
//!
//! Source: the closed form of the asymmetric calibration that Nagel et al. 2020 (section 3.4) and others use.

use alloc::vec::Vec;

use super::check_damping;
use super::hessian::{Hessian, add_multiple, dot};
use crate::error::{QuantError, all_finite, same_length};

/// The weights of least error on the inputs that `hessian` is the covariance of.
///
/// `shortfalls` are, channel after channel as the weights, the covariances of the inputs with what the outputs fall short of the float ones:
/// the second result of [`Hessian::split`] for rows of inputs followed by shortfalls. `damping` holds the weights to
/// where they were, as a fraction of the mean of the diagonal.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch), [`NotWholeChannels`](QuantError::NotWholeChannels),
/// [`NotFinite`](QuantError::NotFinite) for a weight, a shortfall or a result that is NaN or infinite,
/// [`BadParameter`](QuantError::BadParameter) for a damping below 0.
pub fn compensated_weights(
    weights: &[f32],
    hessian: &Hessian,
    shortfalls: &[f64],
    damping: f64,
) -> Result<Vec<f32>, QuantError> {
    let size = hessian.size();
    check_damping(damping)?;
    all_finite(weights)?;
    same_length("shortfalls", weights.len(), shortfalls.len())?;
    if !weights.len().is_multiple_of(size) {
        return Err(QuantError::NotWholeChannels {
            len: weights.len(),
            channels: 1,
            inner: size,
        });
    }
    let order: Vec<usize> = (0..size).collect();
    let factor = hessian.damped(damping).cholesky(&order);
    let of_channels = weights
        .chunks_exact(size)
        .zip(shortfalls.chunks_exact(size));
    let compensated: Vec<f32> = of_channels
        .flat_map(|(weights, shortfalls)| {
            let changes = solve(&factor, shortfalls);
            let sums = weights
                .iter()
                .zip(changes)
                .map(|(&w, change)| (f64::from(w) + change) as f32);
            sums.collect::<Vec<_>>()
        })
        .collect();
    all_finite(&compensated)?;
    Ok(compensated)
}

/// `x` with `L L^T x = b`, for the rows of a lower triangle.
fn solve(lower: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let mut solution: Vec<f64> = Vec::with_capacity(b.len());
    for (row, b) in lower.iter().zip(b) {
        if let Some((diagonal, before)) = row.split_last() {
            solution.push((b - dot(before, &solution)) / diagonal);
        }
    }
    for (index, row) in lower.iter().enumerate().rev() {
        if let (Some((diagonal, before)), Some((value, rest))) = (
            row.split_last(),
            solution.get_mut(..=index).and_then(<[f64]>::split_last_mut),
        ) {
            *value /= diagonal;
            add_multiple(rest, -*value, before);
        }
    }
    solution
}
