//! Small matrix products on one thread: the inner loops of the convolutions.
//!
//! The left matrix is a strided view whose rows may overlap, so that the patches of a convolution need
//! not be copied out. Tiles of 4 x 8 stay in registers; each element is summed in the order of `k`.

/// Columns of a tile.
const COLUMNS: usize = 8;
/// Rows of a tile.
const ROWS: usize = 4;

/// A `[K, N]` matrix packed into panels of [`COLUMNS`] columns, the last one filled up with zeros.
#[derive(Debug)]
pub(super) struct Panels {
    data: Vec<[f32; COLUMNS]>,
    k: usize,
    n: usize,
}

impl Panels {
    /// Packs the matrix whose element `[k, n]` is `at(k, n)`.
    pub(super) fn new(k: usize, n: usize, at: impl Fn(usize, usize) -> f32) -> Self {
        let mut data = Vec::with_capacity(n.div_ceil(COLUMNS) * k);
        for first in (0..n).step_by(COLUMNS) {
            for row in 0..k {
                data.push(core::array::from_fn(|j| {
                    if first + j < n {
                        at(row, first + j)
                    } else {
                        0.0
                    }
                }));
            }
        }
        Self { data, k, n }
    }
}

/// A matrix of `rows` rows inside a slice, `stride` elements apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    pub(super) rows: usize,
    pub(super) stride: usize,
}

/// `c += a * b`: `a` is `[M, K]`, `b` is `[K, N]`, `c` is `[M, N]`; `M` is `a_rows.rows`.
///
/// Rows of `c` may overlap (`c_stride < N`); they are added one after the other.
#[inline(always)]
pub(super) fn gemm(a: &[f32], a_rows: Rows, b: &Panels, c: &mut [f32], c_stride: usize) {
    if b.k == 0 {
        return;
    }
    for (panel, first) in b.data.chunks_exact(b.k).zip((0..b.n).step_by(COLUMNS)) {
        let width = COLUMNS.min(b.n - first);
        let mut row = 0;
        while row + ROWS <= a_rows.rows {
            let tile = tile::<ROWS>(&a[row * a_rows.stride..], a_rows.stride, panel);
            add_tile(&tile, &mut c[row * c_stride + first..], c_stride, width);
            row += ROWS;
        }
        while row < a_rows.rows {
            let tile = tile::<1>(&a[row * a_rows.stride..], a_rows.stride, panel);
            add_tile(&tile, &mut c[row * c_stride + first..], c_stride, width);
            row += 1;
        }
    }
}

/// The product of `R` rows of `a` with one panel.
#[inline(always)]
fn tile<const R: usize>(a: &[f32], stride: usize, panel: &[[f32; COLUMNS]]) -> [[f32; COLUMNS]; R] {
    let rows: [&[f32]; R] = core::array::from_fn(|r| &a[r * stride..][..panel.len()]);
    let mut sums = [[0.0; COLUMNS]; R];
    for (k, b) in panel.iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(&rows) {
            let a = row[k];
            for (sum, &b) in sums.iter_mut().zip(b) {
                *sum += a * b;
            }
        }
    }
    sums
}

#[inline(always)]
fn add_tile<const R: usize>(
    tile: &[[f32; COLUMNS]; R],
    c: &mut [f32],
    c_stride: usize,
    width: usize,
) {
    for (r, sums) in tile.iter().enumerate() {
        let c = &mut c[r * c_stride..];
        match c.first_chunk_mut::<COLUMNS>() {
            Some(c) if width == COLUMNS => add(c, sums),
            _ => add(&mut c[..width], sums),
        }
    }
}

#[inline(always)]
fn add(c: &mut [f32], sums: &[f32]) {
    for (c, &sum) in c.iter_mut().zip(sums) {
        *c += sum;
    }
}

/// `c += transpose(a) * g`: `a` is `[M, K]`, `g` is `[M, N]`, `c` is `[K, N]`; `g` and `c` are dense.
#[inline(always)]
pub(super) fn gemm_transposed(
    a: &[f32],
    a_rows: Rows,
    k: usize,
    g: &[f32],
    n: usize,
    c: &mut [f32],
) {
    for first in (0..n).step_by(COLUMNS) {
        let width = COLUMNS.min(n - first);
        let mut row = 0;
        while row + ROWS <= k {
            transposed_tile::<ROWS>(a, a_rows, row, g, n, first, width, c);
            row += ROWS;
        }
        while row < k {
            transposed_tile::<1>(a, a_rows, row, g, n, first, width, c);
            row += 1;
        }
    }
}

#[inline(always)]
fn transposed_tile<const R: usize>(
    a: &[f32],
    a_rows: Rows,
    row: usize,
    g: &[f32],
    n: usize,
    first: usize,
    width: usize,
    c: &mut [f32],
) {
    let mut sums = [[0.0; COLUMNS]; R];
    for m in 0..a_rows.rows {
        let Some(a) = a[row + m * a_rows.stride..].first_chunk::<R>() else {
            break;
        };
        let g = &g[m * n + first..];
        match g.first_chunk::<COLUMNS>() {
            Some(g) if width == COLUMNS => outer_product(&mut sums, a, g),
            _ => outer_product(&mut sums, a, &padded(&g[..width])),
        }
    }
    add_tile(&sums, &mut c[row * n + first..], n, width);
}

#[inline(always)]
fn padded(row: &[f32]) -> [f32; COLUMNS] {
    let mut padded = [0.0; COLUMNS];
    padded[..row.len()].copy_from_slice(row);
    padded
}

#[inline(always)]
fn outer_product<const R: usize>(sums: &mut [[f32; COLUMNS]; R], a: &[f32; R], g: &[f32; COLUMNS]) {
    for (sums, &a) in sums.iter_mut().zip(a) {
        for (sum, &g) in sums.iter_mut().zip(g) {
            *sum += a * g;
        }
    }
}
