//! Coordinate descent: from a good start, single and pair changes of integers and the scale, until none helps.
//!
//! With `d = w - s q` and `g = H d`, adding `a` to `q_i` changes `d^T H d` by `a^2 s_i^2 H_ii - 2 a s_i g_i`; adding `a`
//! and `b` to `q_i` and `q_j` by the sum of both and `2 a b s_i s_j H_ij`. For given integers the best scale
//! adds `q^T g / q^T H q` (a block's: with its part of `q`). The error has many valleys along the scale: where it may
//! change, GPTQ first tries it at several
//! places, and the descent starts from the lowest too.

use alloc::vec::Vec;

use super::hessian::{Hessian, add_multiple, dot};
use super::{Channel, check_damping};
use crate::error::QuantError;
use crate::weights::block_scale;

/// What a change must gain, as a fraction of the error without any weights: less is rounding of the sums.
const LEAST_GAIN: f64 = 1e-12;
/// Sweeps over single changes, at most: a handful do, unless rounding errors go in circles.
const MOST_SWEEPS: u32 = 1_000;
/// What a further round of scale and integers must gain, as a fraction of the error.
const WORTH_A_ROUND: f64 = 1e-4;

/// Options of the descent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descent {
    /// What is added to the diagonal of the Hessian, as a fraction of its mean: keeps from fitting the few samples that it was taken from.
    pub damping: f64,
    /// Sweeps over all pairs of weights, at most; 0 for single changes alone. A sweep takes `2 k^2` steps.
    pub pair_sweeps: u32,
    /// Whether scales are refined, and what they are stored as.
    pub scales: ScaleRefinement,
    /// Scales that are tried, unless they are fixed: half of them from `1 - w / 2` to `1 + w / 4` times the given one, with
    /// `w = 1 / sqrt(largest integer)`, half so around the [scale of least squared error](crate::weights::ScaleMethod::LeastSquares) for
    /// the diagonal of the Hessian. Each takes `k^2 / 2` steps; where `k` is small, `2304 / k` are tried at least.
    pub scale_trials: u32,
    /// Rounds of refining the scale and the integers in turn, at most.
    pub rounds: u32,
}

/// Whether and how scales follow the integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleRefinement {
    /// The scales stay as given.
    Fixed,
    /// The best float32 for the integers.
    Float32,
    /// The best of those that [block-wise quantisation stores](block_scale).
    Block,
}

impl Default for Descent {
    fn default() -> Self {
        Self {
            damping: 0.01,
            pair_sweeps: 4,
            scales: ScaleRefinement::Fixed,
            scale_trials: 16,
            rounds: 4,
        }
    }
}

impl Descent {
    pub(super) fn check(&self) -> Result<(), QuantError> {
        check_damping(self.damping)
    }
}

impl ScaleRefinement {
    /// The scale as it is stored.
    pub(super) fn stored(self, scale: f64) -> f32 {
        match self {
            Self::Block => block_scale(scale as f32),
            Self::Fixed | Self::Float32 => scale as f32,
        }
    }
}

/// A channel on its way down.
pub(super) struct State<'h, 'c> {
    pub(super) channel: Channel<'c>,
    hessian: &'h Hessian,
    /// The scale of every weight.
    steps: Vec<f64>,
    /// `s_i^2 H_ii`.
    curvatures: Vec<f64>,
    /// `H d`.
    gradient: Vec<f64>,
    /// `d^T H d`.
    pub(super) error: f64,
    least_gain: f64,
}

impl<'h, 'c> State<'h, 'c> {
    pub(super) fn new(channel: Channel<'c>, hessian: &'h Hessian) -> Self {
        let energy = dot(&channel.weights, &hessian.product(&channel.weights));
        let mut state = Self {
            channel,
            hessian,
            steps: Vec::new(),
            curvatures: Vec::new(),
            gradient: Vec::new(),
            error: 0.0,
            least_gain: energy * LEAST_GAIN,
        };
        state.measure();
        state
    }

    /// Everything anew from integers and scales.
    fn measure(&mut self) {
        self.steps = self.channel.steps().collect();
        let diagonal = self.hessian.diagonal();
        let curvature = |(step, diagonal): (&f64, f64)| step * step * diagonal;
        self.curvatures = self.steps.iter().zip(diagonal).map(curvature).collect();
        let differences = self.channel.differences();
        self.gradient = self.hessian.product(&differences);
        self.error = dot(&differences, &self.gradient);
    }

    pub(super) fn descend(&mut self, options: &Descent) {
        self.change_integers(options);
        if options.scales == ScaleRefinement::Fixed {
            return;
        }
        for _ in 0..options.rounds {
            let before = self.error;
            self.refine_scales(options.scales);
            self.change_integers(options);
            if self.error >= before * (1.0 - WORTH_A_ROUND) {
                break;
            }
        }
    }

    fn change_integers(&mut self, options: &Descent) {
        self.change_singles();
        for _ in 0..options.pair_sweeps {
            if !self.change_pairs() {
                break;
            }
            self.change_singles();
        }
        // What was added up on the way has rounding errors.
        self.measure();
    }

    /// Sweeps over single changes until none helps: each lowers the error, so that it ends.
    pub(super) fn change_singles(&mut self) {
        for _ in 0..MOST_SWEEPS {
            let mut changed = false;
            for index in 0..self.steps.len() {
                let Some((by, change)) = self.best_single(index) else {
                    return;
                };
                if change < -self.least_gain {
                    self.add(index, by, change);
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// The best change of one integer, and what it adds to the error.
    #[inline]
    fn best_single(&self, index: usize) -> Option<(f64, f64)> {
        let step = self.steps.get(index)?;
        let curvature = self.curvatures.get(index)?;
        let slope = step * self.gradient.get(index)?;
        let integer = self.channel.integers.get(index)?;
        if *curvature == 0.0 || slope.abs() <= 0.5 * curvature {
            return Some((0.0, 0.0));
        }
        let by = self.channel.nearest_integer(integer + slope / curvature) - integer;
        Some((by, by * (by * curvature - 2.0 * slope)))
    }

    /// One sweep over changes of two integers by one step each; whether any helped.
    fn change_pairs(&mut self) -> bool {
        let mut changed = false;
        for index in 0..self.steps.len() {
            for by in [1.0, -1.0] {
                if let Some((other, by_other, change)) = self.best_partner(index, by) {
                    self.add(index, by, 0.0);
                    self.add(other, by_other, change);
                    changed = true;
                }
            }
        }
        changed
    }

    /// The step of another weight that together with this one lowers the error most, if any does.
    fn best_partner(&self, index: usize, by: f64) -> Option<(usize, f64, f64)> {
        let integer = self.channel.integers.get(index)?;
        let within = |integer: f64| (self.channel.min..=self.channel.max).contains(&integer);
        if !within(integer + by) {
            return None;
        }
        let moved = by * self.steps.get(index)?;
        let own = self.curvatures.get(index)? - 2.0 * moved * self.gradient.get(index)?;
        let row = self.hessian.row(index);
        // What the best step of each weight adds once this one has moved, were there no bounds.
        let of_pair = |((gradient, curvature), (step, entry)): ((&f64, &f64), (&f64, &f64))| {
            curvature - 2.0 * step * (gradient - moved * entry).abs()
        };
        let others = self.gradient.iter().zip(&self.curvatures);
        let others = others.zip(self.steps.iter().zip(row));
        let threshold = -self.least_gain - own;
        if least(others.clone().map(of_pair)) >= threshold {
            return None;
        }
        let mut best = None;
        let mut lowest = threshold;
        for (other, parts) in others.enumerate() {
            let change = of_pair(parts);
            if change >= lowest || other == index {
                continue;
            }
            let ((gradient, _), (_, entry)) = parts;
            let by_other = if gradient - moved * entry < 0.0 {
                -1.0
            } else {
                1.0
            };
            if within(self.channel.integers.get(other)? + by_other) {
                lowest = change;
                best = Some((other, by_other, own + change));
            }
        }
        best
    }

    /// Adds to an integer, which adds this to the error.
    fn add(&mut self, index: usize, by: f64, change: f64) {
        let (Some(integer), Some(step)) =
            (self.channel.integers.get_mut(index), self.steps.get(index))
        else {
            return;
        };
        *integer += by;
        self.error += change;
        add_multiple(&mut self.gradient, -by * step, self.hessian.row(index));
    }

    /// The best scale for the integers, block after block; kept only where it is a positive number and helps.
    fn refine_scales(&mut self, storage: ScaleRefinement) {
        let block = self.channel.block();
        for index in 0..self.channel.scales.len() {
            let mut part = alloc::vec![0.0; self.channel.integers.len()];
            let integers = self.channel.integers.iter().enumerate();
            for (place, (position, &integer)) in part.iter_mut().zip(integers) {
                *place = if position / block == index {
                    integer
                } else {
                    0.0
                };
            }
            let product = self.hessian.product(&part);
            let (curvature, slope) = (dot(&part, &product), dot(&part, &self.gradient));
            let Some(scale) = self.channel.scales.get_mut(index) else {
                return;
            };
            let stored = storage.stored(*scale + slope / curvature);
            let by = f64::from(stored) - *scale;
            let change = by * (by * curvature - 2.0 * slope);
            if stored.is_normal() && stored > 0.0 && change < -self.least_gain {
                *scale += by;
                self.error += change;
                add_multiple(&mut self.gradient, -by, &product);
            }
        }
        self.measure();
    }
}

/// The least of these values, in lanes that do not wait for each other.
#[inline]
fn least(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(
        f64::INFINITY,
        |least, value| {
            if value < least { value } else { least }
        },
    )
}
