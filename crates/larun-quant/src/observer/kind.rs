//! Observers chosen by name.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use super::{Entropy, LeastSquares, MinMax, MovingAverage, Observer, Octav, Percentile};
use crate::affine::IntegerRange;
use crate::error::QuantError;

/// Which observer, with its parameter: what a command line or a recipe names.
///
/// Written and read as `min-max`, `moving-average`, `percentile`, `entropy`, `mse`, `octav`; a parameter follows after `=`:
/// `moving-average=0.9` (the momentum), `percentile=99.9`.
///
/// ```
/// use larun_quant::{IntegerRange, Observer, ObserverKind};
///
/// let kind: ObserverKind = "percentile=99.5".parse()?;
/// assert_eq!(kind, ObserverKind::Percentile(99.5));
/// let mut observer = kind.observer(IntegerRange::INT8)?;
/// observer.observe(&[0.0, 1.0])?;
/// assert!(observer.bounds().is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum ObserverKind {
    /// [`MinMax`].
    #[default]
    MinMax,
    /// [`MovingAverage`] with this momentum.
    MovingAverage(f64),
    /// [`Percentile`] with this percentage.
    Percentile(f64),
    /// [`Entropy`].
    Entropy,
    /// [`LeastSquares`].
    LeastSquares,
    /// [`Octav`].
    Octav,
}

impl ObserverKind {
    /// All kinds, with the default parameters.
    pub const ALL: [Self; 6] = [
        Self::MinMax,
        Self::MovingAverage(MovingAverage::MOMENTUM),
        Self::Percentile(Percentile::PERCENT),
        Self::Entropy,
        Self::LeastSquares,
        Self::Octav,
    ];

    /// An observer of this kind that has seen nothing, for values that become these integers.
    ///
    /// # Errors
    /// [`BadParameter`](QuantError::BadParameter).
    pub fn observer(self, integers: IntegerRange) -> Result<AnyObserver, QuantError> {
        Ok(match self {
            Self::MinMax => AnyObserver::MinMax(MinMax::new()),
            Self::MovingAverage(momentum) => {
                AnyObserver::MovingAverage(MovingAverage::new(momentum)?)
            }
            Self::Percentile(percent) => AnyObserver::Percentile(Percentile::new(percent)?),
            Self::Entropy => AnyObserver::Entropy(Entropy::new(integers)),
            Self::LeastSquares => AnyObserver::LeastSquares(LeastSquares::new(integers)),
            Self::Octav => AnyObserver::Octav(Octav::new(integers)),
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::MinMax => "min-max",
            Self::MovingAverage(_) => "moving-average",
            Self::Percentile(_) => "percentile",
            Self::Entropy => "entropy",
            Self::LeastSquares => "mse",
            Self::Octav => "octav",
        }
    }

    fn with_parameter(self, value: f64) -> Option<Self> {
        match self {
            Self::MovingAverage(_) => Some(Self::MovingAverage(value)),
            Self::Percentile(_) => Some(Self::Percentile(value)),
            Self::MinMax | Self::Entropy | Self::LeastSquares | Self::Octav => None,
        }
    }
}

impl fmt::Display for ObserverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::MovingAverage(value) | Self::Percentile(value) => write!(f, "={value}"),
            Self::MinMax | Self::Entropy | Self::LeastSquares | Self::Octav => Ok(()),
        }
    }
}

impl FromStr for ObserverKind {
    type Err = ParseObserverError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, parameter) = match text.split_once('=') {
            Some((name, parameter)) => (name, Some(parameter)),
            None => (text, None),
        };
        let of_name = Self::ALL.into_iter().find(|kind| kind.name() == name);
        let kind = of_name.ok_or_else(|| ParseObserverError::Unknown(name.to_string()))?;
        let Some(parameter) = parameter else {
            return Ok(kind);
        };
        let value = parameter.parse().ok();
        let with_value = value.and_then(|value| kind.with_parameter(value));
        // Whatever can be parsed can be built.
        with_value
            .filter(|kind| kind.observer(IntegerRange::INT8).is_ok())
            .ok_or_else(|| ParseObserverError::BadParameter(text.to_string()))
    }
}

/// Why a text names no observer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseObserverError {
    /// There is no observer of this name.
    Unknown(String),
    /// The observer takes no parameter, or not this one.
    BadParameter(String),
}

impl fmt::Display for ParseObserverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(f, "no observer is called `{name}`; there are:")?;
                let mut names = ObserverKind::ALL.iter();
                names.try_for_each(|kind| write!(f, " {}", kind.name()))
            }
            Self::BadParameter(text) => write!(
                f,
                "`{text}`: a moving average takes a momentum from 0 to 1, a percentile a percentage above 0 and at most 100, the other observers nothing"
            ),
        }
    }
}

impl core::error::Error for ParseObserverError {}

/// An observer of any [kind](ObserverKind).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AnyObserver {
    /// The extremes.
    MinMax(MinMax),
    /// The moving average of the extremes.
    MovingAverage(MovingAverage),
    /// A percentile.
    Percentile(Percentile),
    /// The least Kullback-Leibler divergence.
    Entropy(Entropy),
    /// The least mean squared error.
    LeastSquares(LeastSquares),
    /// The least mean squared error by OCTAV.
    Octav(Octav),
}

impl AnyObserver {
    /// Takes in what another observer of the same kind has seen of other values, as if this one had seen them: `false`,
    /// and nothing changes, where that is not the same in any order. A moving average is not, nor are two kinds.
    pub fn merge(&mut self, other: Self) -> bool {
        let histograms = match (self, other) {
            (Self::MinMax(one), Self::MinMax(other)) => {
                *one = one.union(other);
                return true;
            }
            (Self::Percentile(one), Self::Percentile(other)) => {
                (&mut one.histogram, other.histogram)
            }
            (Self::Entropy(one), Self::Entropy(other)) => (&mut one.histogram, other.histogram),
            (Self::LeastSquares(one), Self::LeastSquares(other)) => {
                (&mut one.histogram, other.histogram)
            }
            (Self::Octav(one), Self::Octav(other)) => (&mut one.histogram, other.histogram),
            _ => return false,
        };
        histograms.0.merge(histograms.1).is_ok()
    }

    fn as_dyn(&self) -> &dyn Observer {
        match self {
            Self::MinMax(observer) => observer,
            Self::MovingAverage(observer) => observer,
            Self::Percentile(observer) => observer,
            Self::Entropy(observer) => observer,
            Self::LeastSquares(observer) => observer,
            Self::Octav(observer) => observer,
        }
    }
}

impl Observer for AnyObserver {
    fn observe(&mut self, values: &[f32]) -> Result<(), QuantError> {
        match self {
            Self::MinMax(observer) => observer.observe(values),
            Self::MovingAverage(observer) => observer.observe(values),
            Self::Percentile(observer) => observer.observe(values),
            Self::Entropy(observer) => observer.observe(values),
            Self::LeastSquares(observer) => observer.observe(values),
            Self::Octav(observer) => observer.observe(values),
        }
    }

    fn bounds(&self) -> Option<(f32, f32)> {
        self.as_dyn().bounds()
    }
}
