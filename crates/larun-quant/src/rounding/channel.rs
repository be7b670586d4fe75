//! One channel's weights with the integers that stand for them.

use alloc::vec::Vec;

use super::Hessian;
use crate::affine::IntegerRange;

/// A channel in the course of being rounded. Integers and scales are held as float64, which they are exact in.
#[derive(Clone, Debug)]
pub(super) struct Channel<'a> {
    pub(super) weights: Vec<f64>,
    pub(super) integers: Vec<f64>,
    /// One for each block of weights.
    pub(super) scales: Vec<f64>,
    pub(super) min: f64,
    pub(super) max: f64,
    hessian: &'a Hessian,
}

impl<'a> Channel<'a> {
    /// Every weight rounded to the nearest. There is at least one scale, and their number divides that of the weights.
    pub(super) fn nearest(
        weights: &[f32],
        scales: &[f32],
        integers: IntegerRange,
        hessian: &'a Hessian,
    ) -> Self {
        let mut channel = Self {
            weights: weights.iter().copied().map(f64::from).collect(),
            integers: Vec::new(),
            scales: scales.iter().copied().map(f64::from).collect(),
            min: f64::from(integers.min),
            max: f64::from(integers.max),
            hessian,
        };
        let pairs = channel.weights.iter().zip(channel.steps());
        let nearest = pairs.map(|(weight, step)| channel.nearest_integer(weight / step));
        channel.integers = nearest.collect();
        channel
    }

    /// Weights that share a scale.
    pub(super) fn block(&self) -> usize {
        (self.weights.len() / self.scales.len().max(1)).max(1)
    }

    /// The scale of every weight.
    pub(super) fn steps(&self) -> impl Iterator<Item = f64> + Clone {
        let block = self.block();
        let of_block = move |&scale| core::iter::repeat_n(scale, block);
        self.scales.iter().flat_map(of_block)
    }

    #[inline]
    pub(super) fn nearest_integer(&self, in_steps: f64) -> f64 {
        libm::round(in_steps).clamp(self.min, self.max)
    }

    /// `w - s q`.
    pub(super) fn differences(&self) -> Vec<f64> {
        let pairs = self.weights.iter().zip(&self.integers);
        pairs
            .zip(self.steps())
            .map(|((weight, integer), step)| weight - step * integer)
            .collect()
    }

    /// The mean squared error of the output.
    pub(super) fn error(&self) -> f64 {
        self.hessian.error(&self.differences()).unwrap_or(f64::NAN)
    }
}
