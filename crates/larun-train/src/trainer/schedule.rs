//! How the learning rate changes over the steps.

use serde::{Deserialize, Serialize};

/// How the learning rate changes over a training. A warm-up ([`TrainConfig::warmup_steps`](super::TrainConfig)) may come first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Schedule {
    /// Not at all.
    Constant,
    /// Multiplied by `factor` after `patience` epochs without a smaller validation loss, down to `least`.
    Plateau {
        /// Between 0 and 1.
        factor: f32,
        /// Epochs.
        patience: usize,
        /// The least learning rate.
        least: f32,
    },
    /// Half a cosine from the greatest learning rate to `least` at the last epoch (Loshchilov and Hutter 2017).
    Cosine {
        /// The least learning rate.
        least: f32,
    },
    /// Multiplied by `factor` after every `every` epochs.
    Step {
        /// Between 0 and 1.
        factor: f32,
        /// Epochs.
        every: usize,
    },
    /// Falls by the same factor in every step, so that it is `decay` times as great after each epoch.
    Exponential {
        /// Between 0 and 1.
        decay: f32,
    },
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Cosine { least: 1e-5 }
    }
}

impl Schedule {
    /// Says what is out of range.
    pub(super) fn check(&self, greatest: f32) -> Result<(), &'static str> {
        let fraction = |x: f32| x > 0.0 && x < 1.0;
        match *self {
            Self::Plateau { least, .. } | Self::Cosine { least }
                if !(0.0..=greatest).contains(&least) =>
            {
                Err("the least learning rate must lie between 0 and the greatest")
            }
            Self::Plateau { factor, .. } | Self::Step { factor, .. } if !fraction(factor) => {
                Err("the factor must lie between 0 and 1")
            }
            Self::Step { every: 0, .. } => Err("a step must come after one epoch or more"),
            Self::Exponential { decay } if !fraction(decay) => {
                Err("the decay must lie between 0 and 1")
            }
            _ => Ok(()),
        }
    }

    /// The learning rate of the step after `done`; `reduction` is what plateaus have left of it.
    pub(super) fn rate(&self, greatest: f32, done: Done, reduction: f32) -> f32 {
        let epochs = done.steps as f64 / done.steps_per_epoch.max(1) as f64;
        match *self {
            Self::Constant => greatest,
            Self::Plateau { least, .. } => (greatest * reduction).max(least),
            Self::Cosine { least } => {
                let share = done.steps as f64 / done.all_steps.max(1) as f64;
                let height = 0.5 * (1.0 + libm::cos(core::f64::consts::PI * share));
                least + (greatest - least) * height as f32
            }
            Self::Step { factor, every } => {
                let times = (done.steps / done.steps_per_epoch.max(1) / every.max(1) as u64) as f64;
                (f64::from(greatest) * libm::pow(f64::from(factor), times)) as f32
            }
            Self::Exponential { decay } => {
                (f64::from(greatest) * libm::pow(f64::from(decay), epochs)) as f32
            }
        }
    }
}

/// How much of a training is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    /// Steps taken.
    pub(super) steps: u64,
    pub(super) steps_per_epoch: u64,
    /// The steps of the whole training.
    pub(super) all_steps: u64,
}

#[cfg(test)]
mod tests {
    use super::{Done, Schedule};

    /// The rates before the first, third, fifth .. step of four epochs of four.
    fn rates(schedule: Schedule) -> Vec<f32> {
        let done = |steps| Done {
            steps,
            steps_per_epoch: 4,
            all_steps: 16,
        };
        (0..16)
            .step_by(2)
            .map(|steps| schedule.rate(1.0, done(steps), 1.0))
            .collect()
    }

    #[test]
    fn steps_fall_between_epochs() {
        let found = rates(Schedule::Step {
            factor: 0.5,
            every: 2,
        });
        assert_eq!(found, [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5]);
    }

    #[test]
    fn an_exponential_falls_in_every_step() {
        let found = rates(Schedule::Exponential { decay: 0.25 });
        assert_eq!(found[..5], [1.0, 0.5, 0.25, 0.125, 0.0625]);
    }

    #[test]
    fn a_cosine_is_symmetric() {
        let found = rates(Schedule::Cosine { least: 0.0 });
        assert_eq!(found[4], 0.5);
        for (a, b) in [(1, 7), (2, 6), (3, 5)] {
            assert!((found[a] + found[b] - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn ranges() {
        for wrong in [
            Schedule::Step {
                factor: 1.0,
                every: 1,
            },
            Schedule::Step {
                factor: 0.5,
                every: 0,
            },
            Schedule::Exponential { decay: 0.0 },
            Schedule::Cosine { least: 2.0 },
        ] {
            assert!(wrong.check(1.0).is_err(), "{wrong:?}");
        }
    }
}
