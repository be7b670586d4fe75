//! The symmetric matrix that weighs errors of a layer's weights, and its triangular factor.

use alloc::vec::Vec;

use crate::error::{QuantError, same_length};

/// Rows that are factored together, so that the rows above are read once for all of them.
const BLOCK: usize = 16;
/// What the damping is multiplied by until the matrix is positive definite.
const MORE: f64 = 10.0;

/// A symmetric matrix `H`: a difference `d` of a channel's weights makes an error of `d^T H d` in its outputs.
///
/// From [`Gram`](super::Gram), or given.
#[derive(Clone, Debug, PartialEq)]
pub struct Hessian {
    size: usize,
    /// Row by row.
    values: Vec<f64>,
}

impl Hessian {
    /// A matrix of `size * size` values, row by row. The mean of a value and its mirror image is taken for both.
    ///
    /// # Errors
    /// [`BadParameter`](QuantError::BadParameter) for a size of 0 or a value on the diagonal below 0,
    /// [`LengthMismatch`](QuantError::LengthMismatch), [`NotFinite`](QuantError::NotFinite).
    pub fn new(size: usize, mut values: Vec<f64>) -> Result<Self, QuantError> {
        let len = size.checked_mul(size).filter(|&len| len > 0);
        let len = len.ok_or(QuantError::BadParameter {
            what: "the size of a Hessian must be at least 1",
            value: size as f64,
        })?;
        same_length("values of a Hessian", len, values.len())?;
        if let Some((index, &value)) = values.iter().enumerate().find(|(_, x)| !x.is_finite()) {
            return Err(QuantError::NotFinite {
                index,
                value: value as f32,
            });
        }
        symmetrise(size, &mut values);
        let matrix = Self { size, values };
        if let Some(value) = matrix.diagonal().find(|&value| value < 0.0) {
            return Err(QuantError::BadParameter {
                what: "the diagonal of a Hessian must not be negative",
                value,
            });
        }
        Ok(matrix)
    }

    /// The matrix of uncorrelated inputs with these mean squares; rounding to nearest is best for it.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn uncorrelated(mean_squares: &[f64]) -> Result<Self, QuantError> {
        let size = mean_squares.len();
        let mut values = alloc::vec![0.0; size.saturating_mul(size)];
        for (place, &value) in values.iter_mut().step_by(size + 1).zip(mean_squares) {
            *place = value;
        }
        Self::new(size, values)
    }

    /// Number of rows and columns.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// All values, row by row.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The values on the diagonal: the inputs' mean squares, or variances.
    pub fn diagonal(&self) -> impl Iterator<Item = f64> {
        self.values.iter().step_by(self.size + 1).copied()
    }

    /// `d^T H d`, not below 0.
    ///
    /// # Errors
    /// [`LengthMismatch`](QuantError::LengthMismatch).
    pub fn error(&self, difference: &[f64]) -> Result<f64, QuantError> {
        same_length("differences of weights", self.size, difference.len())?;
        let product = self.product(difference);
        Ok(dot(difference, &product).max(0.0))
    }

    /// The matrix of the first `size` inputs alone, and the covariances of each of the others with those, one after the other.
    ///
    /// # Errors
    /// [`BadParameter`](QuantError::BadParameter) for a size of 0 or above the matrix's.
    pub fn split(&self, size: usize) -> Result<(Self, Vec<f64>), QuantError> {
        if size == 0 || size > self.size {
            return Err(QuantError::BadParameter {
                what: "a part of a Hessian has at least one row and at most all",
                value: size as f64,
            });
        }
        let first = |row: usize| self.row(row).iter().take(size).copied();
        let values = (0..size).flat_map(first).collect();
        let others = (size..self.size).flat_map(first).collect();
        Ok((Self { size, values }, others))
    }

    /// `H d`.
    pub(crate) fn product(&self, vector: &[f64]) -> Vec<f64> {
        let rows = self.values.chunks_exact(self.size);
        rows.map(|row| dot(row, vector)).collect()
    }

    /// A row, which is a column too.
    #[inline]
    pub(crate) fn row(&self, index: usize) -> &[f64] {
        let start = index * self.size;
        self.values
            .get(start..start + self.size)
            .unwrap_or_default()
    }

    /// `H + damping mean(diag H) I`, which keeps weights in place that the inputs say little about.
    pub(crate) fn damped(&self, damping: f64) -> Self {
        let mean = self.diagonal().sum::<f64>() / self.size as f64;
        // Inputs that are always 0: any weights serve, and the nearest are as good as others.
        let ridge = if mean > 0.0 { damping * mean } else { 1.0 };
        let mut damped = self.clone();
        damped.add_to_diagonal(ridge);
        damped
    }

    /// `L` with `H = L L^T` for the rows and columns in this order, row by row of the lower triangle.
    ///
    /// A matrix that is not positive definite gets the least power of ten on its diagonal that makes it so.
    pub(crate) fn cholesky(&self, order: &[usize]) -> Vec<Vec<f64>> {
        let mean = self.diagonal().sum::<f64>() / self.size as f64;
        let mut ridge = if mean > 0.0 { mean * 1e-12 } else { 1e-12 };
        let mut matrix = self.permuted(order);
        while !factor(&mut matrix) {
            matrix = self.permuted(order);
            for (index, row) in matrix.iter_mut().enumerate() {
                if let Some(value) = row.get_mut(index) {
                    *value += ridge;
                }
            }
            ridge *= MORE;
        }
        matrix
    }

    /// The lower triangle with rows and columns in this order.
    fn permuted(&self, order: &[usize]) -> Vec<Vec<f64>> {
        let row = |(length, &index): (usize, &usize)| {
            let row = self.row(index);
            let columns = order.iter().take(length + 1);
            columns
                .map(|&column| row.get(column).copied().unwrap_or_default())
                .collect()
        };
        order.iter().enumerate().map(row).collect()
    }

    fn add_to_diagonal(&mut self, ridge: f64) {
        for value in self.values.iter_mut().step_by(self.size + 1) {
            *value += ridge;
        }
    }
}

fn symmetrise(size: usize, values: &mut [f64]) {
    for row in 0..size {
        for column in 0..row {
            let places = [row * size + column, column * size + row];
            let [lower, upper] = places.map(|place| values.get(place).copied().unwrap_or_default());
            if lower != upper {
                for place in places {
                    if let Some(place) = values.get_mut(place) {
                        *place = f64::midpoint(lower, upper);
                    }
                }
            }
        }
    }
}

/// Cholesky's method in place on the rows of a lower triangle; whether the matrix is positive definite.
fn factor(rows: &mut [Vec<f64>]) -> bool {
    let size = rows.len();
    for start in (0..size).step_by(BLOCK) {
        let end = (start + BLOCK).min(size);
        for column in 0..end {
            let from_column = rows.get_mut(column..end).unwrap_or_default();
            let Some((pivot, below)) = from_column.split_first_mut() else {
                return false;
            };
            if column >= start && !close_pivot(pivot) {
                return false;
            }
            // The rows of this block; those between the pivot and it are done.
            let first = start.saturating_sub(column + 1);
            for row in below.iter_mut().skip(first) {
                eliminate(row, pivot, column);
            }
        }
    }
    true
}

/// The last value of a row becomes `sqrt(value - sum of squares of the others)`; whether that is a positive number.
fn close_pivot(row: &mut [f64]) -> bool {
    let Some((last, others)) = row.split_last_mut() else {
        return false;
    };
    let square = *last - dot(others, others);
    // Below this, what is left is the rounding of what was subtracted.
    if square.is_nan() || square <= last.abs() * 1e-14 {
        return false;
    }
    *last = libm::sqrt(square);
    true
}

/// `row[column] = (row[column] - row[..column] . pivot[..column]) / pivot[column]`.
fn eliminate(row: &mut [f64], pivot: &[f64], column: usize) {
    let (done, rest) = row.split_at_mut(column.min(row.len()));
    if let (Some(value), Some((diagonal, before))) = (rest.first_mut(), pivot.split_last()) {
        *value = (*value - dot(done, before)) / diagonal;
    }
}

/// The sum of products, in lanes that do not wait for each other.
#[inline]
pub(crate) fn dot(left: &[f64], right: &[f64]) -> f64 {
    let (left, left_rest) = left.as_chunks::<8>();
    let (right, right_rest) = right.as_chunks::<8>();
    let mut lanes = [0.0_f64; 8];
    for (left, right) in left.iter().zip(right) {
        for (lane, (&l, &r)) in lanes.iter_mut().zip(left.iter().zip(right)) {
            *lane += l * r;
        }
    }
    let rest: f64 = left_rest.iter().zip(right_rest).map(|(l, r)| l * r).sum();
    lanes.iter().sum::<f64>() + rest
}

/// `vector += factor * other`.
#[inline]
pub(crate) fn add_multiple(vector: &mut [f64], factor: f64, other: &[f64]) {
    for (value, &other) in vector.iter_mut().zip(other) {
        *value += factor * other;
    }
}
