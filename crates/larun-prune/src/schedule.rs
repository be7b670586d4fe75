//! How the sparsity grows during training: constant, or the polynomial decay of Zhu and Gupta (2017).

use crate::PruneError;

/// The sparsity to prune to at each training step, and at which steps to prune.
///
/// The numbers are those of the TensorFlow Model Optimization Toolkit, in its 32-bit arithmetic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The shape of the curve.
    pub curve: Curve,
    /// The first step at which weights are pruned.
    pub begin: u64,
    /// The last step at which weights are pruned, `None` for no end.
    pub end: Option<u64>,
    /// Steps from one pruning to the next, at least 1.
    pub frequency: u64,
}

/// The shape of a schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Curve {
    /// One sparsity throughout.
    Constant {
        /// The share of weights that are zero.
        sparsity: f32,
    },
    /// `final + (initial - final) (1 - progress)^power`, progress going from 0 at `begin` to 1 at `end`.
    Polynomial {
        /// The share at `begin`.
        initial: f32,
        /// The share from `end` on.
        last: f32,
        /// The exponent: 3 as published, 1 for a straight line.
        power: f32,
    },
}

impl Schedule {
    /// The same sparsity from the first step on, pruned every 100 steps.
    pub fn constant(sparsity: f32) -> Self {
        Self {
            curve: Curve::Constant { sparsity },
            begin: 0,
            end: None,
            frequency: 100,
        }
    }

    /// From `initial` to `last` by the cubic curve, over the steps `begin..=end`, pruned every 100 steps.
    pub fn polynomial(initial: f32, last: f32, begin: u64, end: u64) -> Self {
        Self {
            curve: Curve::Polynomial {
                initial,
                last,
                power: 3.0,
            },
            begin,
            end: Some(end),
            frequency: 100,
        }
    }

    /// Checks the shares of the curve.
    ///
    /// # Errors
    /// When one is outside `0 <= s < 1`.
    pub fn check(&self) -> Result<(), PruneError> {
        let shares = match self.curve {
            Curve::Constant { sparsity } => [sparsity, sparsity],
            Curve::Polynomial { initial, last, .. } => [initial, last],
        };
        shares.into_iter().try_for_each(check_sparsity)
    }

    /// Whether weights are pruned at this step.
    pub fn prunes_at(&self, step: u64) -> bool {
        let since = step.checked_sub(self.begin);
        let in_range = self.end.is_none_or(|end| step <= end);
        in_range && since.is_some_and(|since| since.is_multiple_of(self.frequency.max(1)))
    }

    /// The share of weights that are zero at this step, if it is one of pruning.
    pub fn sparsity_at(&self, step: u64) -> f32 {
        match self.curve {
            Curve::Constant { sparsity } => sparsity,
            Curve::Polynomial {
                initial,
                last,
                power,
            } => {
                let length = self.end.unwrap_or(self.begin).saturating_sub(self.begin);
                let since = step.saturating_sub(self.begin);
                let progress = match length {
                    0 => 1.0,
                    length => (since as f32 / length as f32).min(1.0),
                };
                (initial - last) * raise(1.0 - progress, power) + last
            }
        }
    }

    /// The share that training ends with.
    pub fn final_sparsity(&self) -> f32 {
        match self.curve {
            Curve::Constant { sparsity } => sparsity,
            Curve::Polynomial { last, .. } => last,
        }
    }
}

/// `base^power` in 64 bits, rounded once.
fn raise(base: f32, power: f32) -> f32 {
    let (base, power) = (f64::from(base), f64::from(power));
    match power {
        // Products are the same on every processor; the library's power function need not be.
        1.0 => base as f32,
        2.0 => (base * base) as f32,
        3.0 => (base * base * base) as f32,
        _ => base.powf(power) as f32,
    }
}

/// Checks that a share is one that can be pruned.
pub(crate) fn check_sparsity(found: f32) -> Result<(), PruneError> {
    match (0.0..1.0).contains(&found) {
        true => Ok(()),
        false => Err(PruneError::Sparsity { found }),
    }
}
