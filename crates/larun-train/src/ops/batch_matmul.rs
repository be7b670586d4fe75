//! BATCH_MATMUL: products of matrices that lie along leading axes.

use rayon::prelude::*;

use super::binary::broadcast_shape;
use super::gemm::{Panels, Rows, gemm};
use super::{Differentiable, ShapeError, Tape, View, arity};

const NAME: &str = "BATCH_MATMUL";

/// BATCH_MATMUL. Inputs `[.., M, K]` and `[.., K, N]`, the last two axes exchanged where `transpose` says; output `[.., M, N]`.
/// The leading axes broadcast.
#[derive(Clone, Copy, Debug)]
pub struct BatchMatmul {
    /// Whether the matrices of the first and of the second input are transposed.
    pub transpose: [bool; 2],
}

/// Sizes of a product and the number of each operand's matrix, product by product.
struct Products {
    m: usize,
    k: usize,
    n: usize,
    leading: Vec<usize>,
    pairs: Vec<[usize; 2]>,
}

impl BatchMatmul {
    fn products(&self, inputs: &[&[usize]]) -> Result<Products, ShapeError> {
        let [a, b] = arity(NAME, inputs)?;
        let wrong = || {
            let problem = format!("shapes {a:?} and {b:?} do not multiply ({self:?})");
            ShapeError::new(NAME, problem)
        };
        let ([lead_a @ .., a1, a2], [lead_b @ .., b1, b2]) = (a, b) else {
            return Err(wrong());
        };
        let [m, k] = if self.transpose[0] {
            [*a2, *a1]
        } else {
            [*a1, *a2]
        };
        let [depth, n] = if self.transpose[1] {
            [*b2, *b1]
        } else {
            [*b1, *b2]
        };
        if depth != k {
            return Err(wrong());
        }
        let leading = broadcast_shape(NAME, &[lead_a, lead_b])?;
        let pairs = (0..leading.iter().product())
            .map(|index| [lead_a, lead_b].map(|own| operand_index(own, &leading, index)))
            .collect();
        Ok(Products {
            m,
            k,
            n,
            leading,
            pairs,
        })
    }

    fn checked(&self, inputs: &[View<'_>]) -> Products {
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| input.shape).collect();
        match self.products(&shapes) {
            Ok(products) => products,
            Err(error) => unreachable!("the shape was accepted before: {error}"),
        }
    }
}

/// The matrix of an operand with the leading axes `own` that belongs to matrix `index` of the output's.
fn operand_index(own: &[usize], leading: &[usize], mut index: usize) -> usize {
    let missing = leading.len() - own.len();
    let (mut at, mut stride) = (0, 1);
    for axis in (0..leading.len()).rev() {
        let position = index % leading[axis];
        index /= leading[axis];
        if let Some(&size) = axis.checked_sub(missing).and_then(|axis| own.get(axis)) {
            if size != 1 {
                at += position * stride;
            }
            stride *= size;
        }
    }
    at
}

/// A matrix `[rows, columns]` in row-major order, transposed first if it lies the other way.
fn matrix(data: &[f32], rows: usize, columns: usize, transposed: bool) -> Vec<f32> {
    if !transposed {
        return data.to_vec();
    }
    let mut out = vec![0.0; data.len()];
    super::conv2d::transpose(data, rows, &mut out);
    debug_assert_eq!(out.len(), rows * columns);
    out
}

/// `c = a b`.
fn product(a: &[f32], b: &[f32], [m, k, n]: [usize; 3], c: &mut [f32]) {
    c.fill(0.0);
    let panels = Panels::new(k, n, |row, column| b[row * n + column]);
    gemm(a, Rows { rows: m, stride: k }, &panels, c, n);
}

impl Differentiable for BatchMatmul {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let products = self.products(inputs)?;
        Ok([products.leading.as_slice(), &[products.m, products.n]].concat())
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [a, b] = inputs else { return };
        let Products { m, k, n, pairs, .. } = self.checked(inputs);
        output
            .par_chunks_mut(m * n)
            .zip(&pairs)
            .for_each(|(output, &[i, j])| {
                let a = matrix(&a.data[i * m * k..][..m * k], m, k, self.transpose[0]);
                let b = matrix(&b.data[j * k * n..][..k * n], k, n, self.transpose[1]);
                product(&a, &b, [m, k, n], output);
            });
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([a, b], [da, db]) = (tape.inputs, gradients) else {
            return;
        };
        let Products { m, k, n, pairs, .. } = self.checked(tape.inputs);
        let row =
            |data: &[f32], index: usize, length: usize| data[index * length..][..length].to_vec();
        if let Some(da) = da {
            let parts: Vec<Vec<f32>> = pairs
                .par_iter()
                .enumerate()
                .map(|(at, &[_, j])| {
                    let g = row(tape.gradient, at, m * n);
                    let b = matrix(&row(b.data, j, k * n), k, n, self.transpose[1]);
                    let mut part = vec![0.0; m * k];
                    product(&g, &matrix(&b, n, k, true), [m, n, k], &mut part);
                    matrix(&part, k, m, self.transpose[0])
                })
                .collect();
            add_parts(da, &parts, pairs.iter().map(|pair| pair[0]));
        }
        if let Some(db) = db {
            let parts: Vec<Vec<f32>> = pairs
                .par_iter()
                .enumerate()
                .map(|(at, &[i, _])| {
                    let g = row(tape.gradient, at, m * n);
                    let a = matrix(&row(a.data, i, m * k), m, k, self.transpose[0]);
                    let mut part = vec![0.0; k * n];
                    product(&matrix(&a, k, m, true), &g, [k, m, n], &mut part);
                    matrix(&part, n, k, self.transpose[1])
                })
                .collect();
            add_parts(db, &parts, pairs.iter().map(|pair| pair[1]));
        }
    }
}

/// Adds each part to its matrix, in order.
fn add_parts(total: &mut [f32], parts: &[Vec<f32>], matrices: impl Iterator<Item = usize>) {
    total.fill(0.0);
    for (part, index) in parts.iter().zip(matrices) {
        let total = &mut total[index * part.len()..][..part.len()];
        total.iter_mut().zip(part).for_each(|(t, p)| *t += p);
    }
}
