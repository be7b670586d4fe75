//! Sums over the rows of a matrix with few columns, arranged so that they vectorise.

use rayon::prelude::*;

use super::parallel::{sum_in_order, vectorised};

/// The least length of a block of rows: enough accumulators to hide the latency of an addition.
const BLOCK: usize = 128;

/// Elements that one partial sum covers.
const PART: usize = 1 << 14;

/// Elements of a block of whole rows.
pub(super) fn block(columns: usize) -> usize {
    BLOCK.div_ceil(columns.max(1)) * columns
}

/// Elements of a part of whole rows.
pub(super) fn part(columns: usize) -> usize {
    PART.div_ceil(columns.max(1)) * columns.max(1)
}

/// The value of each column repeated up to the length of a block.
pub(super) fn repeat(columns: &[f32]) -> Vec<f32> {
    columns
        .iter()
        .copied()
        .cycle()
        .take(block(columns.len()))
        .collect()
}

/// Fills every row with the same values, given repeated as by [`repeat`].
pub(super) fn fill_rows(rows: &mut [f32], repeated: &[f32]) {
    for rows in rows.chunks_mut(repeated.len().max(1)) {
        rows.copy_from_slice(&repeated[..rows.len()]);
    }
}

/// Adds accumulators that stand for column `i % columns` to `totals`, in order.
pub(super) fn fold(accumulators: &[f32], totals: &mut [f32]) {
    for row in accumulators.chunks(totals.len().max(1)) {
        for (total, value) in totals.iter_mut().zip(row) {
            *total += value;
        }
    }
}

/// `totals[j] = sum over i of rows[i, j]`.
pub(super) fn sum_rows(rows: &[f32], totals: &mut [f32]) {
    let columns = totals.len();
    let parts = rows
        .par_chunks(part(columns))
        .map(|rows| {
            let mut accumulators = vec![0.0; block(columns)];
            vectorised(|| {
                for row in rows.chunks(accumulators.len().max(1)) {
                    for (sum, value) in accumulators.iter_mut().zip(row) {
                        *sum += value;
                    }
                }
            });
            let mut sums = vec![0.0; columns];
            fold(&accumulators, &mut sums);
            sums
        })
        .collect();
    totals.fill(0.0);
    for (total, sum) in totals.iter_mut().zip(sum_in_order(parts)) {
        *total = sum;
    }
}
