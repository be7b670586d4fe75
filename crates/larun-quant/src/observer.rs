//! Observers: what the ranges of a tensor are, seen from sample data, in one pass and in bounded memory.
//!
//! | observer | range | memory |
//! |---|---|---|
//! | [`MinMax`] | the extremes | 8 bytes |
//! | [`MovingAverage`] | the moving average of each sample's extremes, as TensorFlow trains | 16 bytes |
//! | [`Percentile`] | what holds a percentage of the values | 32 KB |
//! | [`Entropy`] | what keeps the distribution, by Kullback-Leibler divergence | 16 KB |
//! | [`LeastSquares`] | what leaves the least mean squared error, both ends searched | 32 KB |
//! | [`Octav`] | the same by Newton's method, for symmetric or one-sided ranges | 32 KB |
//!
//! The last four look at a [`Histogram`], so that what they say does not depend on the order of the samples. The last
//! three need to know the integers that the values will become. [`ObserverKind`] names them all.

#[cfg(feature = "alloc")]
mod entropy;
#[cfg(feature = "alloc")]
mod histogram;
#[cfg(feature = "alloc")]
mod kind;
#[cfg(feature = "alloc")]
mod least_squares;
mod moving_average;
#[cfg(feature = "alloc")]
mod octav;
#[cfg(feature = "alloc")]
mod percentile;

#[cfg(feature = "alloc")]
pub use entropy::Entropy;
#[cfg(feature = "alloc")]
pub use histogram::Histogram;
#[cfg(feature = "alloc")]
pub use kind::{AnyObserver, ObserverKind, ParseObserverError};
#[cfg(feature = "alloc")]
pub use least_squares::LeastSquares;
pub use moving_average::MovingAverage;
#[cfg(feature = "alloc")]
pub use octav::Octav;
#[cfg(feature = "alloc")]
pub use percentile::Percentile;

use crate::affine::{Affine, IntegerRange};
use crate::axis::ChannelAxis;
use crate::error::{QuantError, all_finite, same_length};

/// Bins of the histograms that errors and percentiles are taken from.
#[cfg(feature = "alloc")]
const BINS: usize = 4_096;

/// Watches the values a tensor takes during calibration, and names the range to quantise.
///
/// Implement [`observe`](Self::observe) and [`bounds`](Self::bounds); a range other than the plain extremes (a
/// percentile, a moving average, the range of least error) is another observer.
pub trait Observer {
    /// Takes in the values of one sample.
    ///
    /// # Errors
    /// [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity; the observer is then as before.
    fn observe(&mut self, values: &[f32]) -> Result<(), QuantError>;

    /// Lower and upper bound of the range to quantise, `None` before the first value.
    fn bounds(&self) -> Option<(f32, f32)>;

    /// [Asymmetric parameters](Affine::asymmetric) for the range.
    ///
    /// # Errors
    /// [`NothingObserved`](QuantError::NothingObserved).
    fn asymmetric(&self, integers: IntegerRange) -> Result<Affine, QuantError> {
        let (min, max) = self.bounds().ok_or(QuantError::NothingObserved)?;
        Affine::asymmetric(min, max, integers)
    }

    /// [Symmetric parameters](Affine::symmetric) for the range.
    ///
    /// # Errors
    /// [`NothingObserved`](QuantError::NothingObserved).
    fn symmetric(&self, integers: IntegerRange) -> Result<Affine, QuantError> {
        let (min, max) = self.bounds().ok_or(QuantError::NothingObserved)?;
        Affine::symmetric(min, max, integers)
    }
}

/// The smallest and the largest value seen.
///
/// ```
/// use larun_quant::{IntegerRange, MinMax, Observer};
///
/// let mut observer = MinMax::new();
/// observer.observe(&[0.5, 2.0])?;
/// observer.observe(&[-0.5, 1.0])?;
/// assert_eq!(observer.bounds(), Some((-0.5, 2.0)));
/// let affine = observer.asymmetric(IntegerRange::INT8)?;
/// assert_eq!((affine.scale, affine.zero_point), (2.5 / 255.0, -77));
/// # Ok::<(), larun_quant::QuantError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MinMax {
    // Above `max` until a value was seen.
    min: f32,
    max: f32,
}

impl MinMax {
    /// An observer that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
        }
    }

    /// The extremes of `values`.
    ///
    /// # Errors
    /// [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity.
    pub fn of(values: &[f32]) -> Result<Self, QuantError> {
        let mut extremes = Self::new();
        extremes.observe(values)?;
        Ok(extremes)
    }

    /// What both have seen.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    #[inline]
    const fn widen(&mut self, value: f32) {
        // Comparisons, not `min` and `max`: these need care for NaN, which has been ruled out.
        self.min = if value < self.min { value } else { self.min };
        self.max = if value > self.max { value } else { self.max };
    }
}

impl Default for MinMax {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for MinMax {
    fn observe(&mut self, values: &[f32]) -> Result<(), QuantError> {
        all_finite(values)?;
        *self = self.union(extremes(values));
        Ok(())
    }

    fn bounds(&self) -> Option<(f32, f32)> {
        (self.min <= self.max).then_some((self.min, self.max))
    }
}

/// The extremes of finite values, in lanes that do not wait for each other and that fill vectors.
fn extremes(values: &[f32]) -> MinMax {
    const LANES: usize = 16;
    let (rows, rest) = values.as_chunks::<LANES>();
    let (mut least, mut most) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
    for row in rows {
        for (least, &value) in least.iter_mut().zip(row) {
            *least = if value < *least { value } else { *least };
        }
        for (most, &value) in most.iter_mut().zip(row) {
            *most = if value > *most { value } else { *most };
        }
    }
    let lanes = least.into_iter().zip(most);
    let lanes = lanes.map(|(min, max)| MinMax { min, max });
    let mut all = lanes.fold(MinMax::new(), MinMax::union);
    rest.iter().for_each(|&value| all.widen(value));
    all
}

/// Shows every channel of `values` to its own observer, one a channel.
///
/// An observer is shown each consecutive run of its channel as a sample.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch) if there is not one observer a channel,
/// [`NotWholeChannels`](QuantError::NotWholeChannels), and [`NotFinite`](QuantError::NotFinite) for the first NaN or
/// infinity; the observers are then as before.
pub fn observe_channels<O: Observer>(
    values: &[f32],
    axis: ChannelAxis,
    observers: &mut [O],
) -> Result<(), QuantError> {
    same_length("observers", axis.channels(), observers.len())?;
    axis.check(values.len())?;
    all_finite(values)?;
    for (channel, run) in axis.runs(values) {
        if let Some(observer) = observers.get_mut(channel) {
            observer.observe(run)?;
        }
    }
    Ok(())
}
