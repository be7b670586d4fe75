//! The second product of an SVDF: what each filter remembers with its weights, summed over the filters of a unit.

use core::cell::Cell;
use core::iter::{Enumerate, Zip};
use core::slice::{ChunksExact, ChunksExactMut, IterMut};

use super::SvdfGeometry;
use crate::window::nonzero;

/// How values of type `T`, with weights of type `W`, become outputs of type `O`.
pub(super) trait Arithmetic<T, W, O> {
    /// A sum of products.
    type Sum: Copy;

    /// The sum of nothing.
    const ZERO: Self::Sum;

    /// What the sum of a unit begins with: its bias.
    fn start(&self, unit: usize) -> Self::Sum;

    /// A sum with one more product of a value and its weight.
    fn add(&self, sum: Self::Sum, value: T, weight: W) -> Self::Sum;

    /// The sum of two.
    fn join(&self, a: Self::Sum, b: Self::Sum) -> Self::Sum;

    /// The output of a unit's sum.
    fn finish(&self, sum: Self::Sum) -> O;
}

/// The filters of one row, to which one feature after the other is given.
pub(super) struct Filters<'a, T, W, O, A: Arithmetic<T, W, O>> {
    arithmetic: A,
    rank: usize,
    filters: Zip<ChunksExactMut<'a, T>, ChunksExact<'a, W>>,
    units: Enumerate<IterMut<'a, O>>,
    /// The sum of the present unit so far, and how many filters it is of.
    sum: A::Sum,
    summed: usize,
}

impl<'a, T: Copy, W: Copy, O, A: Arithmetic<T, W, O>> Filters<'a, T, W, O, A> {
    pub(super) fn new(
        geometry: &SvdfGeometry,
        arithmetic: A,
        state: &'a mut [T],
        time: &'a [W],
        output: &'a mut [O],
    ) -> Self {
        let memory = nonzero(geometry.memory);
        Self {
            sum: arithmetic.start(0),
            arithmetic,
            rank: geometry.rank,
            filters: state
                .chunks_exact_mut(memory)
                .zip(time.chunks_exact(memory)),
            units: output.iter_mut().enumerate(),
            summed: 0,
        }
    }

    /// Has the next filter remember a feature.
    pub(super) fn next(&mut self, feature: T) {
        let Some((memory, weights)) = self.filters.next() else {
            return;
        };
        let mut sum = A::ZERO;
        remember(memory, feature, weights, |value, weight| {
            sum = self.arithmetic.add(sum, value, weight);
        });
        self.sum = self.arithmetic.join(self.sum, sum);
        self.summed += 1;
        if self.summed < self.rank {
            return;
        }
        if let Some((unit, output)) = self.units.next() {
            *output = self.arithmetic.finish(self.sum);
            self.sum = self.arithmetic.start(unit + 1);
        }
        self.summed = 0;
    }
}

/// Drops the oldest value of what a filter remembers, puts `newest` at its end, and calls `each` with every value and its
/// weight, the oldest first.
#[inline]
fn remember<T: Copy, W: Copy>(
    memory: &mut [T],
    newest: T,
    weights: &[W],
    mut each: impl FnMut(T, W),
) {
    let cells = Cell::from_mut(memory).as_slice_of_cells();
    let mut weights = weights.iter();
    for (pair, &weight) in cells.windows(2).zip(&mut weights) {
        if let [older, newer] = pair {
            older.set(newer.get());
            each(newer.get(), weight);
        }
    }
    if let (Some(last), Some(&weight)) = (cells.last(), weights.next()) {
        last.set(newest);
        each(newest, weight);
    }
}
