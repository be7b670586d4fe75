//! Elementwise functions of one input and their slopes.

use super::parallel::{map, zip_map};
use super::{Differentiable, ShapeError, Tape, View, arity};

/// A function that is applied to every element. Where it bends, the slope is that of one side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    /// ABS; the slope at 0 is 0.
    Abs,
    /// CEIL, whose slope is 0 wherever it has one.
    Ceil,
    /// COS.
    Cos,
    /// ELU: `x` above 0, `exp(x) - 1` below.
    Elu,
    /// EXP.
    Exp,
    /// FLOOR, whose slope is 0 wherever it has one.
    Floor,
    /// GELU: `x` times the normal distribution function.
    Gelu {
        /// Whether it is approximated by `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
        approximate: bool,
    },
    /// HARD_SWISH: `x min(max(x + 3, 0), 6) / 6`.
    HardSwish,
    /// LEAKY_RELU: `x` from 0 on, `alpha x` below.
    LeakyRelu {
        /// The slope below 0.
        alpha: f32,
    },
    /// LOG, natural.
    Log,
    /// NEG.
    Neg,
    /// ROUND, half to even, whose slope is 0 wherever it has one.
    Round,
    /// RSQRT: `1 / sqrt(x)`.
    Rsqrt,
    /// SIN.
    Sin,
    /// SQRT.
    Sqrt,
    /// SQUARE.
    Square,
    /// TANH.
    Tanh,
    /// ZEROS_LIKE: nought, whatever comes in.
    ZerosLike,
}

const ROOT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

impl Unary {
    /// The value at `x`.
    pub fn value(self, x: f32) -> f32 {
        match self {
            Self::Abs => x.abs(),
            Self::Ceil => libm::ceilf(x),
            Self::Cos => libm::cosf(x),
            Self::Elu if x < 0.0 => libm::expm1f(x),
            Self::Elu => x,
            Self::Exp => libm::expf(x),
            Self::Floor => libm::floorf(x),
            Self::Gelu { approximate: true } => {
                0.5 * x * (1.0 + libm::tanhf(ROOT_2_OVER_PI * (x + CUBIC * x * x * x)))
            }
            Self::Gelu { approximate: false } => {
                0.5 * x * libm::erfcf(-x * core::f32::consts::FRAC_1_SQRT_2)
            }
            Self::HardSwish => x * clamp(x + 3.0, 0.0, 6.0) / 6.0,
            Self::LeakyRelu { alpha } if x < 0.0 => alpha * x,
            Self::LeakyRelu { .. } => x,
            Self::Log => libm::logf(x),
            Self::Neg => -x,
            Self::Round => libm::rintf(x),
            Self::Rsqrt => 1.0 / x.sqrt(),
            Self::Sin => libm::sinf(x),
            Self::Sqrt => x.sqrt(),
            Self::Square => x * x,
            Self::Tanh => libm::tanhf(x),
            Self::ZerosLike => 0.0,
        }
    }

    /// The slope at `x`, where the value is `y`.
    pub fn slope(self, x: f32, y: f32) -> f32 {
        match self {
            Self::Abs if x == 0.0 => 0.0,
            Self::Abs => x.signum(),
            Self::Ceil | Self::Floor | Self::Round | Self::ZerosLike => 0.0,
            Self::Cos => -libm::sinf(x),
            Self::Elu if x < 0.0 => y + 1.0,
            Self::Elu => 1.0,
            Self::Exp => y,
            Self::Gelu { approximate: true } => {
                let t = libm::tanhf(ROOT_2_OVER_PI * (x + CUBIC * x * x * x));
                let inner = ROOT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x);
                0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner
            }
            Self::Gelu { approximate: false } => {
                let density = 0.5 * ROOT_2_OVER_PI * libm::expf(-0.5 * x * x);
                0.5 * libm::erfcf(-x * core::f32::consts::FRAC_1_SQRT_2) + x * density
            }
            Self::HardSwish if x <= -3.0 => 0.0,
            Self::HardSwish if x >= 3.0 => 1.0,
            Self::HardSwish => (2.0 * x + 3.0) / 6.0,
            Self::LeakyRelu { alpha } if x < 0.0 => alpha,
            Self::LeakyRelu { .. } => 1.0,
            Self::Log => 1.0 / x,
            Self::Neg => -1.0,
            Self::Rsqrt => -0.5 * y / x,
            Self::Sin => libm::cosf(x),
            Self::Sqrt => 0.5 / y,
            Self::Square => 2.0 * x,
            Self::Tanh => 1.0 - y * y,
        }
    }
}

/// Limits to a range; NaN goes through.
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

impl Differentiable for Unary {
    fn name(&self) -> &'static str {
        match self {
            Self::Abs => "ABS",
            Self::Ceil => "CEIL",
            Self::Cos => "COS",
            Self::Elu => "ELU",
            Self::Exp => "EXP",
            Self::Floor => "FLOOR",
            Self::Gelu { .. } => "GELU",
            Self::HardSwish => "HARD_SWISH",
            Self::LeakyRelu { .. } => "LEAKY_RELU",
            Self::Log => "LOG",
            Self::Neg => "NEG",
            Self::Round => "ROUND",
            Self::Rsqrt => "RSQRT",
            Self::Sin => "SIN",
            Self::Sqrt => "SQRT",
            Self::Square => "SQUARE",
            Self::Tanh => "TANH",
            Self::ZerosLike => "ZEROS_LIKE",
        }
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let [input] = arity(self.name(), inputs)?;
        Ok(input.to_vec())
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x] = inputs else { return };
        map(x.data, output, |x| self.value(x));
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([x], [Some(dx)]) = (tape.inputs, gradients) else {
            return;
        };
        zip_map(x.data, tape.output.data, dx, |x, y| self.slope(x, y));
        for (dx, g) in dx.iter_mut().zip(tape.gradient) {
            *dx *= g;
        }
    }
}
