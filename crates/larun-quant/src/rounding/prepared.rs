//! Where the methods start, and what the channels of a layer share.

use alloc::vec::Vec;

use super::descent::State;
use super::gptq::Factor;
use super::{Channel, Descent, Gptq, Hessian, RoundingMethod, ScaleRefinement};
use crate::affine::IntegerRange;
use crate::weights::ScaleMethod;

/// Scale trials times weights of a channel, at least: a depthwise filter's nine weights get 256 trials.
const LEAST_TRIALS: usize = 2304;
/// Above, nothing is won by clipping, and the search for the scale of least error takes long.
const MOST_LEVELS: f64 = 255.0;

/// What all channels with one Hessian share.
pub(super) struct Prepared<'a> {
    hessian: &'a Hessian,
    damped: Option<Hessian>,
    /// The orders that GPTQ is tried in.
    factors: Vec<Factor>,
}

impl<'a> Prepared<'a> {
    pub(super) fn new(method: &RoundingMethod, hessian: &'a Hessian) -> Self {
        let gptq = |damping, act_order| Gptq { damping, act_order }.factor(hessian);
        let (damped, factors) = match method {
            RoundingMethod::Nearest | RoundingMethod::AdaRound(_) => (None, Vec::new()),
            RoundingMethod::Gptq(options) => (None, alloc::vec![options.factor(hessian)]),
            RoundingMethod::Descent(Descent { damping, .. }) => (
                Some(hessian.damped(*damping)),
                alloc::vec![gptq(*damping, true), gptq(*damping, false)],
            ),
        };
        Self {
            hessian,
            damped,
            factors,
        }
    }

    pub(super) fn round(&self, method: &RoundingMethod, channel: &mut Channel<'_>) {
        match method {
            RoundingMethod::Nearest => {}
            RoundingMethod::AdaRound(options) => options.round(self.hessian, channel),
            RoundingMethod::Gptq(_) => {
                for factor in &self.factors {
                    factor.round(channel);
                }
            }
            RoundingMethod::Descent(options) => {
                let damped = self.damped.as_ref().unwrap_or(self.hessian);
                *channel = self.best_descent(options, damped, channel);
            }
        }
    }

    /// The best of the descents from rounding to nearest, from GPTQ in each order, and from the best scale tried.
    fn best_descent<'c>(
        &self,
        options: &Descent,
        damped: &Hessian,
        nearest: &Channel<'c>,
    ) -> Channel<'c> {
        let mut starts = alloc::vec![nearest.clone()];
        for factor in &self.factors {
            let mut start = nearest.clone();
            factor.round(&mut start);
            starts.push(start);
        }
        if options.scales != ScaleRefinement::Fixed {
            starts.extend(self.best_trial(options, damped, nearest));
        }
        let mut best: Option<State<'_, 'c>> = None;
        for start in starts {
            let mut state = State::new(start, damped);
            state.change_singles();
            if best.as_ref().is_none_or(|best| state.error < best.error) {
                best = Some(state);
            }
        }
        best.map_or_else(
            || nearest.clone(),
            |mut best| {
                best.descend(options);
                best.channel
            },
        )
    }

    /// GPTQ's result at the best of the scales around the given ones and around those of least squared error.
    fn best_trial<'c>(
        &self,
        options: &Descent,
        damped: &Hessian,
        nearest: &Channel<'c>,
    ) -> Option<Channel<'c>> {
        let factor = self.factors.first()?;
        let width = 1.0 / libm::sqrt(nearest.max.max(1.0));
        let trials = match options.scale_trials {
            0 => 0,
            trials => (trials as usize).max(LEAST_TRIALS / nearest.weights.len().max(1)),
        };
        let bases = [
            nearest.scales.clone(),
            scales_of_least_error(nearest, damped),
        ];
        let mut best: Option<(f64, Channel<'c>)> = None;
        for trial in 0..trials {
            let place = ((trial / 2) as f64 + 0.5) / trials.div_ceil(2) as f64;
            let factor_of_scale = 1.0 + width * (0.75 * place - 0.5);
            let mut channel = nearest.clone();
            let base = bases.iter().cycle().nth(trial)?;
            for (scale, base) in channel.scales.iter_mut().zip(base) {
                let wanted = options.scales.stored(base * factor_of_scale);
                *scale = f64::from(wanted.clamp(f32::MIN_POSITIVE, f32::MAX));
            }
            let error = factor.round(&mut channel);
            if best.as_ref().is_none_or(|(least, _)| error < *least) {
                best = Some((error, channel));
            }
        }
        best.map(|(_, channel)| channel)
    }
}

/// The scale of least squared error for each block, an error of a weight counting by its place on the diagonal; the
/// given one where there is none.
fn scales_of_least_error(channel: &Channel<'_>, hessian: &Hessian) -> Vec<f64> {
    if channel.max > MOST_LEVELS {
        return channel.scales.clone();
    }
    let integers = IntegerRange {
        min: channel.min as i32,
        max: channel.max as i32,
    };
    let mean = hessian.diagonal().sum::<f64>() / hessian.size() as f64;
    let importance: Vec<f32> = hessian.diagonal().map(|x| (x / mean) as f32).collect();
    let weights: Vec<f32> = channel.weights.iter().map(|&w| w as f32).collect();
    let blocks = weights
        .chunks(channel.block())
        .zip(importance.chunks(channel.block()));
    let best = |((weights, importance), &given): ((&[f32], &[f32]), &f64)| {
        let found = ScaleMethod::LeastSquares.weighted_scale(weights, importance, integers);
        found.ok().flatten().map_or(given, f64::from)
    };
    blocks.zip(&channel.scales).map(best).collect()
}
