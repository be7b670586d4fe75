//! The Gram matrix of a layer's inputs, summed as samples come, in memory that does not grow with them.

use alloc::vec::Vec;

use super::Hessian;
use crate::error::{QuantError, all_finite, same_length};
use crate::parallel;

/// Columns of a tile: two vectors of four, or one of eight.
const TILE: usize = 8;
/// Rows that are collected before they are multiplied.
const BATCH: usize = 128;
/// Products that are summed in float32 before they go on in float64.
const SHORT: usize = 32;

/// Sums `x x^T` and `x` over the rows `x` that a layer multiplies its weights with.
///
/// A row holds one place's inputs in the order of the weights' reduction axis: of a fully connected layer its input
/// vector, of a convolution with weights `[O, H, W, I]` the patch `[H, W, I]` (0 where it is padded).
///
/// Products are those of the rows' deviations from the mean of the first of them, which cost no digits where that mean is far
/// from 0; 32 are summed in float32, those sums in float64. A covariance `(i, j)` so is exact to about `32 * 2^-24` of the
/// mean of `|x_i x_j|` of deviations. The result depends on the rows and their order alone, not on how they are cut into
/// calls or on the number of threads. Memory is `4 size^2 + 512 size` bytes.
///
/// ```
/// use larun_quant::rounding::Gram;
///
/// let mut gram = Gram::new(2)?;
/// gram.add_rows(&[1.0, 2.0, 3.0, 4.0])?;
/// assert_eq!((gram.rows(), gram.mean()?), (2, vec![2.0, 3.0]));
/// assert_eq!(gram.second_moment()?.values(), [5.0, 7.0, 7.0, 10.0]);
/// assert_eq!(gram.covariance()?.values(), [1.0, 1.0, 1.0, 1.0]);
/// # Ok::<(), larun_quant::QuantError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gram {
    size: usize,
    rows: u64,
    /// Rows that were not multiplied yet.
    pending: Vec<f32>,
    /// What deviations are from: the mean of the first batch, empty before it.
    origin: Vec<f32>,
    /// Sums of products of deviations. Row `i` of tiles of the lower triangle: tiles `0..=i`, each row by row.
    stripes: Vec<Vec<f64>>,
    column_sums: Vec<f64>,
}

impl Gram {
    /// A matrix of `size` rows and columns, for weights of which `size` are summed for an output.
    ///
    /// # Errors
    /// [`BadParameter`](QuantError::BadParameter) for a size of 0, or one whose square does not fit the address space.
    pub fn new(size: usize) -> Result<Self, QuantError> {
        let bytes = size.checked_next_multiple_of(TILE);
        let bytes = bytes.and_then(|padded| padded.checked_mul(padded)?.checked_mul(8));
        if size == 0 || bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
            return Err(QuantError::BadParameter {
                what: "the size of a Gram matrix must be at least 1, and its square fit the memory",
                value: size as f64,
            });
        }
        let stripe = |index: usize| alloc::vec![0.0; (index + 1) * TILE * TILE];
        Ok(Self {
            size,
            rows: 0,
            pending: Vec::new(),
            origin: Vec::new(),
            stripes: (0..size.div_ceil(TILE)).map(stripe).collect(),
            column_sums: alloc::vec![0.0; size],
        })
    }

    /// Number of rows and columns.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Number of rows taken in.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes in rows, one after the other.
    ///
    /// # Errors
    /// [`NotWholeChannels`](QuantError::NotWholeChannels) if these are not whole rows, and
    /// [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity; nothing is taken in then.
    pub fn add_rows(&mut self, rows: &[f32]) -> Result<(), QuantError> {
        if !rows.len().is_multiple_of(self.size) {
            return Err(QuantError::NotWholeChannels {
                len: rows.len(),
                channels: 1,
                inner: self.size,
            });
        }
        all_finite(rows)?;
        for row in rows.chunks_exact(self.size) {
            for (sum, &x) in self.column_sums.iter_mut().zip(row) {
                *sum += f64::from(x);
            }
            self.pending.extend_from_slice(row);
            self.rows += 1;
            if self.pending.len() == BATCH * self.size {
                self.multiply();
            }
        }
        Ok(())
    }

    /// Takes in all rows of another matrix of the same size, after those of this one.
    ///
    /// # Errors
    /// [`LengthMismatch`](QuantError::LengthMismatch).
    pub fn merge(&mut self, mut other: Self) -> Result<(), QuantError> {
        same_length("columns of a Gram matrix", self.size, other.size)?;
        if self.rows == 0 {
            *self = other;
            return Ok(());
        }
        self.multiply();
        other.multiply();
        other.move_origin(&self.origin);
        let sums = self.stripes.iter_mut().flatten();
        for (sum, other) in sums.zip(other.stripes.iter().flatten()) {
            *sum += other;
        }
        for (sum, other) in self.column_sums.iter_mut().zip(&other.column_sums) {
            *sum += other;
        }
        self.rows += other.rows;
        Ok(())
    }

    /// The mean row.
    ///
    /// # Errors
    /// [`NothingObserved`](QuantError::NothingObserved) before the first row.
    pub fn mean(&self) -> Result<Vec<f64>, QuantError> {
        let rows = self.count()?;
        Ok(self.column_sums.iter().map(|sum| sum / rows).collect())
    }

    /// `sum x x^T / rows`: with it `d^T H d` is the mean square of `d^T x`, the error that a difference `d` of weights
    /// makes in the output.
    ///
    /// # Errors
    /// [`NothingObserved`](QuantError::NothingObserved) before the first row, and [`NotFinite`](QuantError::NotFinite)
    /// where products left the range of float32.
    pub fn second_moment(&mut self) -> Result<Hessian, QuantError> {
        let mean = self.mean()?;
        let of = |index: usize| mean.get(index).copied().unwrap_or_default();
        self.matrix(|row, column, covariance| covariance + of(row) * of(column))
    }

    /// `sum x x^T / rows - mean mean^T`: with it `d^T H d` is the variance of `d^T x`, the error that is left after the
    /// bias was corrected by its mean.
    ///
    /// # Errors
    /// As [`second_moment`](Self::second_moment).
    pub fn covariance(&mut self) -> Result<Hessian, QuantError> {
        self.matrix(|_, _, covariance| covariance)
    }

    fn count(&self) -> Result<f64, QuantError> {
        if self.rows == 0 {
            return Err(QuantError::NothingObserved);
        }
        Ok(self.rows as f64)
    }

    /// The whole matrix of `value(row, column, covariance)` of the lower triangle.
    fn matrix(&mut self, value: impl Fn(usize, usize, f64) -> f64) -> Result<Hessian, QuantError> {
        self.multiply();
        let (rows, size) = (self.count()?, self.size);
        let shifts = self.shifts()?;
        let shift = |index: usize| shifts.get(index).copied().unwrap_or_default();
        let mut values = alloc::vec![0.0; size * size];
        for_entries(&mut self.stripes, size, |row, column, sum| {
            let covariance = *sum / rows - shift(row) * shift(column);
            // A variance is not negative; rounding could make that of a constant so. NaN stays, to be refused.
            let negative = row == column && covariance < 0.0;
            let covariance = if negative { 0.0 } else { covariance };
            let value = value(row, column, covariance);
            for place in [row * size + column, column * size + row] {
                if let Some(place) = values.get_mut(place) {
                    *place = value;
                }
            }
        });
        Hessian::new(size, values)
    }

    /// The mean less the origin.
    fn shifts(&self) -> Result<Vec<f64>, QuantError> {
        let mean = self.mean()?;
        let pairs = mean.iter().zip(&self.origin);
        Ok(pairs
            .map(|(mean, &origin)| mean - f64::from(origin))
            .collect())
    }

    /// Makes the sums those of deviations from another origin.
    ///
    /// With `s` the sum of the deviations so far and `e` the way from the new origin to the old, `e s^T + s e^T + n e e^T`
    /// are added.
    fn move_origin(&mut self, origin: &[f32]) {
        let rows = self.rows as f64;
        let of_columns = self.column_sums.iter().zip(&self.origin).zip(origin);
        let moves: Vec<(f64, f64)> = of_columns
            .map(|((sum, &old), &new)| {
                (f64::from(old) - f64::from(new), sum - rows * f64::from(old))
            })
            .collect();
        let of = |index: usize| moves.get(index).copied().unwrap_or_default();
        for_entries(&mut self.stripes, self.size, |row, column, sum| {
            let ((e, s), (f, t)) = (of(row), of(column));
            *sum += e * t + s * f + rows * e * f;
        });
        self.origin = origin.to_vec();
    }

    /// Multiplies the pending rows into the sums.
    fn multiply(&mut self) {
        let rows = self.pending.len() / self.size;
        if rows == 0 {
            return;
        }
        if self.origin.is_empty() {
            // All rows so far are pending.
            let sums = self.column_sums.iter();
            self.origin = sums.map(|sum| (sum / rows as f64) as f32).collect();
        }
        let panels = self.panels();
        let panel = |index: usize| panels.get(index * rows..).unwrap_or_default();
        parallel::for_each(&mut self.stripes, |index, stripe| {
            let left = panel(index).get(..rows).unwrap_or_default();
            for (other, tile) in stripe.chunks_exact_mut(TILE * TILE).enumerate() {
                let right = panel(other).get(..rows).unwrap_or_default();
                let (upper, lower) = tile.split_at_mut(TILE * TILE / 2);
                half_tile::<0>(left, right, upper);
                half_tile::<{ TILE / 2 }>(left, right, lower);
            }
        });
        self.pending.clear();
    }

    /// The deviations of the pending rows cut into panels of `TILE` columns, each panel with all its rows together; 0 after the end.
    fn panels(&self) -> Vec<[f32; TILE]> {
        let mut panels = Vec::with_capacity(self.size.div_ceil(TILE) * BATCH);
        for start in (0..self.size).step_by(TILE) {
            for row in self.pending.chunks_exact(self.size) {
                let mut padded = [0.0; TILE];
                let columns = row.get(start..).unwrap_or_default().iter();
                let origin = self.origin.get(start..).unwrap_or_default();
                for (padded, (&x, &origin)) in padded.iter_mut().zip(columns.zip(origin)) {
                    *padded = x - origin;
                }
                panels.push(padded);
            }
        }
        panels
    }
}

/// Every entry of the lower triangle, with its row and column.
fn for_entries(
    stripes: &mut [Vec<f64>],
    size: usize,
    mut function: impl FnMut(usize, usize, &mut f64),
) {
    for (tile_row, stripe) in stripes.iter_mut().enumerate() {
        for (tile_column, tile) in stripe.chunks_exact_mut(TILE * TILE).enumerate() {
            for (index, sum) in tile.iter_mut().enumerate() {
                let row = tile_row * TILE + index / TILE;
                let column = tile_column * TILE + index % TILE;
                // The tiles reach over the end, those of the diagonal over the lower triangle.
                if row < size && column <= row {
                    function(row, column, sum);
                }
            }
        }
    }
}

/// Adds the products of four columns of `left`, from `FIRST` on, with all of `right` to half a tile.
fn half_tile<const FIRST: usize>(left: &[[f32; TILE]], right: &[[f32; TILE]], half: &mut [f64]) {
    for (left, right) in left.chunks(SHORT).zip(right.chunks(SHORT)) {
        let mut sums = [[0.0_f32; TILE]; TILE / 2];
        for (left, right) in left.iter().zip(right) {
            for (sums, &l) in sums.iter_mut().zip(left.iter().skip(FIRST)) {
                for (sum, &r) in sums.iter_mut().zip(right) {
                    *sum += l * r;
                }
            }
        }
        for (total, &sum) in half.iter_mut().zip(sums.as_flattened()) {
            *total += f64::from(sum);
        }
    }
}
