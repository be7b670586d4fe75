//! The moving average of each sample's extremes, as in TensorFlow's quantisation-aware training.

use super::{MinMax, Observer};
use crate::error::QuantError;

/// The moving average of the samples' smallest and largest values.
///
/// With the momentum `m`, TensorFlow's `ema_decay`, a bound `v` and a sample's bound `b` give `v - (v - b) (1 - m)` in
/// float32. A sample's range is widened to hold 0 first, as `MovingAverageQuantizer` of the TensorFlow Model
/// Optimization Toolkit does. The first sample is taken as it is, unless there is a [start](Self::starting_from).
///
/// ```
/// use larun_quant::{MovingAverage, Observer};
///
/// let mut observer = MovingAverage::new(0.75)?;
/// observer.observe(&[-1.0, 2.0])?;
/// observer.observe(&[1.0, 6.0])?;
/// assert_eq!(observer.bounds(), Some((-0.75, 3.0)));
/// # Ok::<(), larun_quant::QuantError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MovingAverage {
    bounds: Option<(f32, f32)>,
    /// `1 - m`.
    rate: f32,
}

impl MovingAverage {
    /// The momentum that TensorFlow trains with.
    pub const MOMENTUM: f64 = 0.999;

    /// An observer that has seen nothing.
    ///
    /// # Errors
    /// [`BadParameter`](QuantError::BadParameter) for a momentum outside of 0 to 1.
    pub fn new(momentum: f64) -> Result<Self, QuantError> {
        if !(0.0..=1.0).contains(&momentum) {
            return Err(QuantError::BadParameter {
                what: "the momentum of a moving average must be from 0 to 1",
                value: momentum,
            });
        }
        Ok(Self {
            bounds: None,
            rate: (1.0 - momentum) as f32,
        })
    }

    /// An observer that goes on from these bounds; TensorFlow begins with -6 and 6.
    ///
    /// # Errors
    /// [`BadParameter`](QuantError::BadParameter) for a momentum outside of 0 to 1,
    /// [`RangeNotFinite`](QuantError::RangeNotFinite), [`RangeReversed`](QuantError::RangeReversed).
    pub fn starting_from(min: f32, max: f32, momentum: f64) -> Result<Self, QuantError> {
        crate::affine::check_range(min, max)?;
        Ok(Self {
            bounds: Some((min, max)),
            ..Self::new(momentum)?
        })
    }
}

impl Observer for MovingAverage {
    fn observe(&mut self, values: &[f32]) -> Result<(), QuantError> {
        let Some((min, max)) = MinMax::of(values)?.bounds() else {
            return Ok(());
        };
        let sample = (min.min(0.0), max.max(0.0));
        let (min, max) = self.bounds.unwrap_or(sample);
        self.bounds = Some((
            min - (min - sample.0) * self.rate,
            max - (max - sample.1) * self.rate,
        ));
        Ok(())
    }

    fn bounds(&self) -> Option<(f32, f32)> {
        self.bounds
    }
}
