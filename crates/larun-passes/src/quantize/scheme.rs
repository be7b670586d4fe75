//! What each layer becomes: types of activations and weights, how weights are scaled, and the schemes that choose them.

use core::fmt;

use larun_graph::ops::ElementType;
use larun_quant::IntegerRange;
use larun_quant::weights::ScaleMethod;

/// How a whole model is quantised, unless a recipe says otherwise of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// INT8 activations and weights, INT32 biases.
    #[default]
    Int8,
    /// INT16 activations (symmetric), INT8 weights, INT64 biases.
    Int16x8,
    /// As [`Int8`](Self::Int8), with INT4 weights where convolutions, depthwise convolutions and dense layers take them.
    Int4,
    /// As [`Int8`](Self::Int8), with weights of one bit, but for the first and the last layer. TFLM and LARUN run it.
    Binary,
    /// FLOAT32 activations that a layer quantises while it runs, INT8 weights. LiteRT and LARUN run it.
    Dynamic,
    /// FLOAT32 activations, INT8 weights behind a DEQUANTIZE.
    WeightOnly8,
    /// FLOAT32 activations, INT4 weights behind a DEQUANTIZE.
    WeightOnly4,
    /// FLOAT32 activations, every constant FLOAT16 behind a DEQUANTIZE.
    Float16,
}

impl Scheme {
    /// Every scheme.
    pub const ALL: &'static [Self] = &[
        Self::Int8,
        Self::Int16x8,
        Self::Int4,
        Self::Binary,
        Self::Dynamic,
        Self::WeightOnly8,
        Self::WeightOnly4,
        Self::Float16,
    ];

    /// Whether activations become integers, for which calibration is needed.
    #[must_use]
    pub const fn needs_calibration(self) -> bool {
        matches!(self, Self::Int8 | Self::Int16x8 | Self::Int4 | Self::Binary)
    }

    /// What the scheme wants of a layer. [`decide`](super::decide) takes back what an operator cannot do.
    pub(crate) const fn layer(self) -> LayerScheme {
        let (activations, weights) = match self {
            Self::Int8 => (Activations::Int8, Weights::Int8),
            Self::Int16x8 => (Activations::Int16, Weights::Int8),
            Self::Int4 => (Activations::Int8, Weights::Int4),
            Self::Binary => (Activations::Int8, Weights::Binary),
            Self::Dynamic => (Activations::Float32, Weights::Int8),
            Self::WeightOnly8 => (Activations::Float32, Weights::Int8),
            Self::WeightOnly4 => (Activations::Float32, Weights::Int4),
            Self::Float16 => (Activations::Float32, Weights::Float16),
        };
        LayerScheme {
            activations,
            weights,
            // With fifteen levels for a whole matrix, clipping a few weights pays for resolving the others. Behind a DEQUANTIZE every
            // channel has its own, and it does not.
            algorithm: match self {
                Self::Int4 => Algorithm::LeastSquares,
                _ => Algorithm::MinMax,
            },
            dequantize: matches!(self, Self::WeightOnly8 | Self::WeightOnly4 | Self::Float16),
            ..LayerScheme::FLOAT
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Int8 => "int8",
            Self::Int16x8 => "int16x8",
            Self::Int4 => "int4",
            Self::Binary => "binary",
            Self::Dynamic => "dynamic",
            Self::WeightOnly8 => "weight-only",
            Self::WeightOnly4 => "weight-only-int4",
            Self::Float16 => "fp16",
        })
    }
}

/// The type of the activations that a layer computes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Activations {
    /// Real numbers.
    #[default]
    Float32,
    /// 8-bit integers, asymmetric.
    Int8,
    /// 16-bit integers, symmetric.
    Int16,
}

impl Activations {
    /// The element type of the tensors.
    #[must_use]
    pub const fn element_type(self) -> ElementType {
        match self {
            Self::Float32 => ElementType::Float32,
            Self::Int8 => ElementType::Int8,
            Self::Int16 => ElementType::Int16,
        }
    }

    /// Whether a layer computes on integers.
    #[must_use]
    pub const fn is_integer(self) -> bool {
        !matches!(self, Self::Float32)
    }

    /// What a tensor's name gets when it stands beside the one of the float model.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
        }
    }
}

/// How weights are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Weights {
    /// As they were.
    #[default]
    Float32,
    /// Half precision.
    Float16,
    /// Symmetric in [-127, 127].
    Int8,
    /// Symmetric in [-7, 7], two in a byte.
    Int4,
    /// A sign, eight in a byte, times the mean magnitude of the channel.
    Binary,
}

impl Weights {
    /// The integers that a weight may become, `None` where it stays real.
    #[must_use]
    pub const fn integers(self) -> Option<IntegerRange> {
        match self {
            Self::Float32 | Self::Float16 => None,
            Self::Int8 => Some(IntegerRange::INT8_NARROW),
            Self::Int4 => Some(IntegerRange::INT4_NARROW),
            Self::Binary => Some(IntegerRange { min: -1, max: 1 }),
        }
    }

    /// Bits of one stored weight.
    #[must_use]
    pub const fn bits(self) -> usize {
        match self {
            Self::Float32 => 32,
            Self::Float16 => 16,
            Self::Int8 => 8,
            Self::Int4 => 4,
            Self::Binary => 1,
        }
    }
}

/// How many scales weights have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Granularity {
    /// One for the whole tensor.
    PerTensor,
    /// One for each output channel.
    #[default]
    PerChannel,
}

/// How the scale of weights is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// The largest magnitude becomes the largest integer.
    #[default]
    MinMax,
    /// The scale with the least squared error.
    LeastSquares,
    /// The clipping threshold of OCTAV (Sakr et al. 2022), near that of least squared error and found sooner.
    Octav,
}

impl Algorithm {
    pub(crate) const fn method(self) -> ScaleMethod {
        match self {
            Self::MinMax => ScaleMethod::Max,
            Self::LeastSquares => ScaleMethod::LeastSquares,
            Self::Octav => ScaleMethod::Octav,
        }
    }
}

/// What becomes of one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LayerScheme {
    /// What it computes on.
    pub activations: Activations,
    /// How its weights are stored.
    pub weights: Weights,
    /// How many scales its weights have; `None` takes the usual number for the operator.
    pub granularity: Option<Granularity>,
    /// How the scales are found.
    pub algorithm: Algorithm,
    /// With real activations: whether a DEQUANTIZE makes the weights real, or the layer quantises its input while it runs.
    pub dequantize: bool,
}

impl LayerScheme {
    /// Nothing is quantised.
    pub const FLOAT: Self = Self {
        activations: Activations::Float32,
        weights: Weights::Float32,
        granularity: None,
        algorithm: Algorithm::MinMax,
        dequantize: false,
    };

    /// Whether the layer stays as it was.
    #[must_use]
    pub fn is_float(&self) -> bool {
        self.activations == Activations::Float32 && self.weights == Weights::Float32
    }
}

impl fmt::Display for LayerScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weights = match self.weights {
            Weights::Float32 => "FLOAT32",
            Weights::Float16 => "FLOAT16",
            Weights::Int8 => "INT8",
            Weights::Int4 => "INT4",
            Weights::Binary => "binary",
        };
        write!(
            f,
            "{} activations, {weights} weights",
            self.activations.element_type()
        )
    }
}
