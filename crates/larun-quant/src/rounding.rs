//! Rounding of weights that heeds what their errors do to a layer's outputs.
//!
//! A channel's weights `w` become integers `q` with a scale `s` (one, or one a block). With the layer's inputs `x`, the
//! error of the output is `d^T x`, `d = w - s q`, and its mean square `d^T H d` with the [Gram matrix](Gram)
//! `H = E[x x^T]`. Rounding each weight to the nearest minimises the diagonal part of it alone; the methods here look at
//! all of it. Where the bias is corrected afterwards (by [`Rounded::bias_shift`]), the covariance is the right `H`.
//!
//! | method | what it does | cost for `k` weights a channel |
//! |---|---|---|
//! | [`Nearest`](RoundingMethod::Nearest) | each to the nearest | `k` |
//! | [`Gptq`](RoundingMethod::Gptq) | in order; the error of each is made up for by those that follow | `k^2 / 2`, and `k^3 / 3` a layer |
//! | [`AdaRound`](RoundingMethod::AdaRound) | gradient descent on relaxed choices of up or down | `k^2` an iteration |
//! | [`Descent`](RoundingMethod::Descent) | from the best of those of GPTQ, single and pair changes and the scale, until none helps | `k^2` a sweep |
//!
//! Where the quantised network's inputs of the layer differ from the float network's, [`compensated_weights`] makes up for
//! that first.
//!
//! All are deterministic. Channels are independent: with the feature `rayon` they are spread over threads, with the same
//! result at any number of them.
//!
//! ```
//! use larun_quant::IntegerRange;
//! use larun_quant::rounding::{Gram, Layer, Rounded, RoundingMethod};
//!
//! // Two inputs that always are equal: only the sum of the weights matters.
//! let mut gram = Gram::new(2)?;
//! gram.add_rows(&[1.0, 1.0, -2.0, -2.0])?;
//! let hessian = gram.second_moment()?;
//! let layer = Layer {
//!     weights: &[0.4, 0.4],
//!     hessians: (&hessian).into(),
//!     scales: &[1.0],
//!     integers: IntegerRange::INT8_NARROW,
//! };
//! let nearest: Rounded<i8> = layer.round(&RoundingMethod::Nearest)?;
//! assert_eq!(nearest.values, [0, 0]);
//! let gptq: Rounded<i8> = layer.round(&RoundingMethod::Gptq(Default::default()))?;
//! assert_eq!(gptq.values.iter().sum::<i8>(), 1);
//! assert!(gptq.errors[0] < nearest.errors[0]);
//! # Ok::<(), larun_quant::QuantError>(())
//! ```
//!
//! Sources: M. Nagel et al., *Up or Down? Adaptive Rounding for Post-Training Quantization*, ICML 2020; E. Frantar et al.,
//! *GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers*, 2022; L. Babai, *On Lovasz'
//! lattice reduction and the nearest lattice point problem*, 1986, whose nearest plane GPTQ's result is.

mod adaround;
mod channel;
mod compensate;
mod descent;
mod gptq;
mod gram;
mod hessian;
mod prepared;

use alloc::vec::Vec;

pub use adaround::AdaRound;
pub use compensate::compensated_weights;
pub use descent::{Descent, ScaleRefinement};
pub use gptq::Gptq;
pub use gram::Gram;
pub use hessian::Hessian;

use crate::affine::IntegerRange;
use crate::error::{QuantError, all_finite, all_scales, same_length};
use crate::integer::{Integer, range_fits};
use crate::parallel;
use channel::Channel;
use prepared::Prepared;

/// How the weights of a layer are rounded.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum RoundingMethod {
    /// Each weight to the nearest integer, ties away from zero.
    Nearest,
    /// Column after column, with what is left made up for by the columns that follow.
    Gptq(Gptq),
    /// As published: a relaxed choice between up and down, by gradient descent.
    AdaRound(AdaRound),
    /// Coordinate descent; never worse than nearest or GPTQ, and better than AdaRound in what was measured. The default.
    Descent(Descent),
}

impl Default for RoundingMethod {
    fn default() -> Self {
        Self::Descent(Descent::default())
    }
}

/// What a layer's channels are summed with.
#[derive(Clone, Copy, Debug)]
pub enum Hessians<'a> {
    /// All channels see the same inputs: fully connected, convolution.
    Shared(&'a Hessian),
    /// Each channel its own, in order: depthwise convolution, and groups.
    PerChannel(&'a [Hessian]),
}

impl<'a> From<&'a Hessian> for Hessians<'a> {
    fn from(hessian: &'a Hessian) -> Self {
        Self::Shared(hessian)
    }
}

impl<'a> From<&'a [Hessian]> for Hessians<'a> {
    fn from(hessians: &'a [Hessian]) -> Self {
        Self::PerChannel(hessians)
    }
}

/// Weights to round.
///
/// Weights of another layout, as a depthwise convolution's `[1, H, W, C]`, are [gathered](crate::ChannelAxis::gather)
/// first and [scattered](crate::ChannelAxis::scatter) afterwards.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// The weights, channel after channel, each with as many as its Hessian has rows.
    pub weights: &'a [f32],
    /// What errors of the weights cost.
    pub hessians: Hessians<'a>,
    /// The scales: for every channel one, or one for each of its blocks of equal length, channel after channel.
    pub scales: &'a [f32],
    /// The integers.
    pub integers: IntegerRange,
}

/// Rounded weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Rounded<T = i8> {
    /// The integers, in the order of the weights.
    pub values: Vec<T>,
    /// The scales, those given unless the method refines them.
    pub scales: Vec<f32>,
    /// The mean squared error that is left in the output of each channel: `d^T H d`.
    pub errors: Vec<f64>,
}

impl Layer<'_> {
    /// The weights as integers.
    ///
    /// # Errors
    /// [`LengthMismatch`](QuantError::LengthMismatch) or [`NotWholeChannels`](QuantError::NotWholeChannels) where the
    /// numbers of weights, scales and Hessians do not go together, [`BadScale`](QuantError::BadScale),
    /// [`NotFinite`](QuantError::NotFinite) for the first weight that is NaN or infinite,
    /// [`OutOfRange`](QuantError::OutOfRange) if `T` does not hold the integers, and
    /// [`BadParameter`](QuantError::BadParameter) for a parameter of the method outside of its domain.
    pub fn round<T: Integer>(&self, method: &RoundingMethod) -> Result<Rounded<T>, QuantError> {
        range_fits::<T>(self.integers)?;
        let channels = self.check()?;
        method.check()?;
        let shared = match self.hessians {
            Hessians::Shared(hessian) => Some(Prepared::new(method, hessian)),
            Hessians::PerChannel(_) => None,
        };
        let rounded = parallel::map(channels, |index| self.round_channel(index, method, &shared));
        let mut all = Rounded {
            values: Vec::with_capacity(self.weights.len()),
            scales: Vec::with_capacity(self.scales.len()),
            errors: Vec::with_capacity(channels),
        };
        for channel in rounded.into_iter().flatten() {
            all.errors.push(channel.error());
            let values = channel.integers.iter();
            all.values
                .extend(values.map(|&value| T::saturating_from(value as i32)));
            all.scales.extend(channel.scales.iter().map(|&s| s as f32));
        }
        Ok(all)
    }

    fn round_channel(
        &self,
        index: usize,
        method: &RoundingMethod,
        shared: &Option<Prepared<'_>>,
    ) -> Option<Channel<'_>> {
        let hessian = self.hessian(index)?;
        let size = hessian.size();
        let weights = self.weights.get(index * size..(index + 1) * size)?;
        let blocks = self.scales.len() / (self.weights.len() / size);
        let scales = self.scales.get(index * blocks..(index + 1) * blocks)?;
        let mut channel = Channel::nearest(weights, scales, self.integers, hessian);
        match shared {
            Some(prepared) => prepared.round(method, &mut channel),
            None => Prepared::new(method, hessian).round(method, &mut channel),
        }
        Some(channel)
    }

    fn hessian(&self, channel: usize) -> Option<&Hessian> {
        match self.hessians {
            Hessians::Shared(hessian) => Some(hessian),
            Hessians::PerChannel(hessians) => hessians.get(channel),
        }
    }

    /// Number of channels, if all lengths go together.
    fn check(&self) -> Result<usize, QuantError> {
        all_finite(self.weights)?;
        all_scales(self.scales)?;
        let Some(size) = self.hessian(0).map(Hessian::size) else {
            same_length("weights without a Hessian", 0, self.weights.len())?;
            return Ok(0);
        };
        if !self.weights.len().is_multiple_of(size) {
            return Err(QuantError::NotWholeChannels {
                len: self.weights.len(),
                channels: 1,
                inner: size,
            });
        }
        let channels = self.weights.len() / size;
        if let Hessians::PerChannel(hessians) = self.hessians {
            same_length("Hessians", channels, hessians.len())?;
            for hessian in hessians {
                same_length("rows of a Hessian", size, hessian.size())?;
            }
        }
        let blocks = self.scales.len().checked_div(channels).unwrap_or(0);
        // At least one a channel, in equal numbers, over equal numbers of weights.
        same_length("scales", channels * blocks.max(1), self.scales.len())?;
        if blocks > 0 && !size.is_multiple_of(blocks) {
            return Err(QuantError::NotWholeBlocks {
                len: size,
                block: size / blocks,
            });
        }
        Ok(channels)
    }
}

impl<T: Integer> Rounded<T> {
    /// What must be added to the bias of each channel so that the mean of its output is as before:
    /// `sum (w - s q) mean(x)`.
    ///
    /// `means` are those of the inputs: [`Gram::mean`] for all channels, or one after the other for each.
    ///
    /// # Errors
    /// [`LengthMismatch`](QuantError::LengthMismatch) if these are not the weights, or not as many means.
    pub fn bias_shift(&self, weights: &[f32], means: &[f64]) -> Result<Vec<f64>, QuantError> {
        let channels = self.errors.len();
        same_length("weights", self.values.len(), weights.len())?;
        let size = weights.len().checked_div(channels).unwrap_or(0);
        if means.len() != weights.len() {
            same_length("mean inputs", size, means.len())?;
        }
        let block = weights.len().checked_div(self.scales.len()).unwrap_or(0);
        let differences = weights.iter().zip(&self.values).enumerate();
        let products = differences.zip(means.iter().cycle());
        let mut shifts = alloc::vec![0.0; channels];
        for ((index, (&weight, &value)), mean) in products {
            let scale = self.scales.get(index / block.max(1)).copied();
            let real = f64::from(scale.unwrap_or_default()) * f64::from(value.into());
            if let Some(shift) = shifts.get_mut(index / size.max(1)) {
                *shift += (f64::from(weight) - real) * mean;
            }
        }
        Ok(shifts)
    }
}

impl RoundingMethod {
    fn check(&self) -> Result<(), QuantError> {
        match self {
            Self::Nearest => Ok(()),
            Self::Gptq(gptq) => gptq.check(),
            Self::AdaRound(adaround) => adaround.check(),
            Self::Descent(descent) => descent.check(),
        }
    }
}

/// Refuses a damping that is no number from 0 on.
fn check_damping(damping: f64) -> Result<(), QuantError> {
    if damping.is_finite() && damping >= 0.0 {
        return Ok(());
    }
    Err(QuantError::BadParameter {
        what: "the damping must be a number from 0 on",
        value: damping,
    })
}
