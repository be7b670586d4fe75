//! GPTQ: columns are rounded in order, and those that follow make up for the error.
//!
//! As published, a column's error, divided by the diagonal of the Cholesky factor `U` of `H^-1 = U^T U`, is taken off the
//! columns that follow, times their entries of `U`. With `R = U^-1`, for which `H = R R^T`, the same integers come without an inverse:
//! the error of the layer is `|R^T d|^2`, and with `R` upper triangular its component `i` is
//! `R_ii d_i + sum_{j<i} R_ji d_j`. Given the first columns' differences `d_j`, the target
//! `w_i + sum_{j<i} R_ji d_j / R_ii` makes it 0, and the nearest integer makes it least.

use alloc::vec::Vec;

use super::hessian::{Hessian, dot};
use super::{Channel, check_damping};
use crate::error::QuantError;

/// Options of GPTQ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gptq {
    /// What is added to the diagonal of the Hessian, as a fraction of its mean. 0.01 as published.
    pub damping: f64,
    /// Whether columns go in order of falling diagonal (the option `act_order`, or `desc_act`) and not as they lie.
    pub act_order: bool,
}

impl Default for Gptq {
    fn default() -> Self {
        Self {
            damping: 0.01,
            act_order: true,
        }
    }
}

impl Gptq {
    pub(super) fn check(&self) -> Result<(), QuantError> {
        check_damping(self.damping)
    }

    /// What all channels with this Hessian share.
    pub(super) fn factor(&self, hessian: &Hessian) -> Factor {
        let mut order: Vec<usize> = (0..hessian.size()).collect();
        if self.act_order {
            let diagonal: Vec<f64> = hessian.diagonal().collect();
            let of = |&index: &usize| diagonal.get(index).copied().unwrap_or_default();
            // A stable sort: equal columns stay as they lie.
            order.sort_by(|a, b| of(b).total_cmp(&of(a)));
        }
        Factor::new(&hessian.damped(self.damping), order)
    }
}

/// `R^T` with `H = R R^T`, for columns in an order.
pub(super) struct Factor {
    order: Vec<usize>,
    /// Row `i` holds `R_ji` for `j` in `0..=i`.
    rows: Vec<Vec<f64>>,
}

impl Factor {
    pub(super) fn new(hessian: &Hessian, order: Vec<usize>) -> Self {
        let reversed: Vec<usize> = order.iter().rev().copied().collect();
        // The reversed matrix is L L^T, so that R_ij is L_(n-1-i)(n-1-j).
        let lower = hessian.cholesky(&reversed);
        let size = order.len();
        let row = |index: usize| {
            let column = size - 1 - index;
            let rows = lower.iter().skip(column).rev();
            rows.map(|row| row.get(column).copied().unwrap_or_default())
                .collect()
        };
        Self {
            rows: (0..size).map(row).collect(),
            order,
        }
    }

    /// Rounds the channel; gives `d^T H d` with the damped Hessian.
    pub(super) fn round(&self, channel: &mut Channel<'_>) -> f64 {
        let steps: Vec<f64> = channel.steps().collect();
        let mut error = 0.0;
        let mut differences = Vec::with_capacity(self.order.len());
        for (row, &column) in self.rows.iter().zip(&self.order) {
            let (Some((diagonal, before)), Some(&weight), Some(&step)) = (
                row.split_last(),
                channel.weights.get(column),
                steps.get(column),
            ) else {
                return error;
            };
            let target = weight + dot(before, &differences) / diagonal;
            let integer = channel.nearest_integer(target / step);
            let component = diagonal * (target - step * integer);
            error += component * component;
            differences.push(weight - step * integer);
            if let Some(place) = channel.integers.get_mut(column) {
                *place = integer;
            }
        }
        error
    }
}
