//! AdaRound as published, on the quadratic form: a relaxed choice between rounding up and down.
//!
//! `q = clip(floor(w / s) + h(v))` with the rectified sigmoid `h(v) = clip(sigmoid(v) (zeta - gamma) + gamma, 0, 1)`,
//! `zeta = 1.1`, `gamma = -0.1`. Minimises `d^T H d + lambda sum (1 - |2 h(v) - 1|^beta)` by Adam; `beta` falls from 20 to
//! 2, which drives each `h` to 0 or 1, and `lambda` is 0 during the first fifth of the iterations. The loss is the mean squared error of the output,
//! as in the paper, so that `lambda` is not free of its scale.

use alloc::vec::Vec;

use super::Channel;
use super::hessian::Hessian;
use crate::error::QuantError;

const ZETA: f64 = 1.1;
const GAMMA: f64 = -0.1;
/// Adam's moments and its guard against a division by 0.
const MOMENTUM: f64 = 0.9;
const SECOND_MOMENTUM: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Options of AdaRound; the default is as published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaRound {
    /// Steps of Adam, each `k^2` for a channel of `k` weights.
    pub iterations: u32,
    /// Adam's rate.
    pub learning_rate: f64,
    /// `lambda`, the weight of the regulariser.
    pub regularisation: f64,
    /// `beta` at the start and at the end.
    pub beta: (f64, f64),
    /// Part of the iterations without the regulariser.
    pub warm_start: f64,
}

impl Default for AdaRound {
    fn default() -> Self {
        Self {
            iterations: 10_000,
            learning_rate: 0.01,
            regularisation: 0.01,
            beta: (20.0, 2.0),
            warm_start: 0.2,
        }
    }
}

/// One weight's choice, and what Adam remembers of it.
struct Choice {
    weight: f64,
    step: f64,
    floor: f64,
    variable: f64,
    mean: f64,
    square: f64,
}

impl AdaRound {
    pub(super) fn check(&self) -> Result<(), QuantError> {
        let parameters = [
            self.learning_rate,
            self.regularisation,
            self.beta.0,
            self.beta.1,
            self.warm_start,
        ];
        match parameters
            .into_iter()
            .find(|x| !(x.is_finite() && *x >= 0.0))
        {
            None => Ok(()),
            Some(value) => Err(QuantError::BadParameter {
                what: "the options of AdaRound must be numbers from 0 on",
                value,
            }),
        }
    }

    pub(super) fn round(&self, hessian: &Hessian, channel: &mut Channel<'_>) {
        let mut choices = choices(channel);
        let (min, max) = (channel.min, channel.max);
        let mut powers = (1.0, 1.0);
        for iteration in 0..self.iterations {
            powers = (powers.0 * MOMENTUM, powers.1 * SECOND_MOMENTUM);
            let soft =
                |choice: &Choice| (choice.floor + rectified(choice.variable).0).clamp(min, max);
            let differences: Vec<f64> = choices
                .iter()
                .map(|choice| choice.weight - choice.step * soft(choice))
                .collect();
            let gradient = hessian.product(&differences);
            let penalty = self.penalty(iteration);
            for (choice, gradient) in choices.iter_mut().zip(gradient) {
                let (h, slope) = rectified(choice.variable);
                let clipped = !(min..=max).contains(&(choice.floor + h));
                let of_loss = if clipped {
                    0.0
                } else {
                    -2.0 * choice.step * gradient
                };
                let total = (of_loss + penalty.map_or(0.0, |beta| self.slope(h, beta))) * slope;
                choice.adam(total, powers, self.learning_rate);
            }
        }
        for (integer, choice) in channel.integers.iter_mut().zip(&choices) {
            let up = f64::from(u8::from(rectified(choice.variable).0 >= 0.5));
            *integer = (choice.floor + up).clamp(min, max);
        }
    }

    /// `beta` in this iteration, none during the warm start.
    fn penalty(&self, iteration: u32) -> Option<f64> {
        let start = self.warm_start * f64::from(self.iterations);
        let done = f64::from(iteration) - start;
        let all = (f64::from(self.iterations) - start).max(1.0);
        (done >= 0.0).then(|| self.beta.0 + (self.beta.1 - self.beta.0) * (done / all))
    }

    /// The derivative of the regulariser by `h`.
    fn slope(&self, h: f64, beta: f64) -> f64 {
        let centred = 2.0 * h - 1.0;
        let power = libm::pow(centred.abs(), beta - 1.0);
        -2.0 * self.regularisation * beta * power * libm::copysign(1.0, centred)
    }
}

impl Choice {
    fn adam(&mut self, gradient: f64, powers: (f64, f64), rate: f64) {
        self.mean = MOMENTUM * self.mean + (1.0 - MOMENTUM) * gradient;
        self.square = SECOND_MOMENTUM * self.square + (1.0 - SECOND_MOMENTUM) * gradient * gradient;
        let (mean, square) = (self.mean / (1.0 - powers.0), self.square / (1.0 - powers.1));
        self.variable -= rate * mean / (libm::sqrt(square) + EPSILON);
    }
}

/// Choices that at first stand for the weights themselves.
fn choices(channel: &Channel<'_>) -> Vec<Choice> {
    let pairs = channel.weights.iter().zip(channel.steps());
    let choice = |(&weight, step): (&f64, f64)| {
        let floor = libm::floor(weight / step);
        let fraction = weight / step - floor;
        Choice {
            weight,
            step,
            floor,
            variable: -libm::log((ZETA - GAMMA) / (fraction - GAMMA) - 1.0),
            mean: 0.0,
            square: 0.0,
        }
    };
    pairs.map(choice).collect()
}

/// The rectified sigmoid and its derivative.
fn rectified(variable: f64) -> (f64, f64) {
    let sigmoid = 1.0 / (1.0 + libm::exp(-variable));
    let stretched = sigmoid * (ZETA - GAMMA) + GAMMA;
    if (0.0..=1.0).contains(&stretched) {
        (stretched, sigmoid * (1.0 - sigmoid) * (ZETA - GAMMA))
    } else {
        (stretched.clamp(0.0, 1.0), 0.0)
    }
}
