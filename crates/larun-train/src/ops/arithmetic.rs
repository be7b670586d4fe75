//! Elementwise functions of two inputs with broadcasting, whose slopes need both.

use super::binary::{backward_of_both, broadcast_shape, forward};
use super::{Differentiable, ShapeError, Tape, View};

/// A function of two elements; axes of size 1 repeat, missing leading axes count as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// SUB: `a - b`.
    Sub,
    /// DIV: `a / b`.
    Div,
    /// MAXIMUM; of equals, the first gets the gradient.
    Maximum,
    /// MINIMUM; of equals, the first gets the gradient.
    Minimum,
    /// SQUARED_DIFFERENCE: `(a - b)^2`.
    SquaredDifference,
    /// PRELU: `a` from 0 on, `a b` below.
    Prelu,
    /// FLOOR_DIV, whose slope is 0 wherever it has one.
    FloorDiv,
    /// FLOOR_MOD: `a - b floor(a / b)`.
    FloorMod,
}

impl Arithmetic {
    /// The value at `a` and `b`.
    pub fn value(self, a: f32, b: f32) -> f32 {
        match self {
            Self::Sub => a - b,
            Self::Div => a / b,
            // Written so that NaN goes through.
            Self::Maximum if a < b || b.is_nan() => b,
            Self::Minimum if a > b || b.is_nan() => b,
            Self::Maximum | Self::Minimum => a,
            Self::SquaredDifference => (a - b) * (a - b),
            Self::Prelu if a < 0.0 => a * b,
            Self::Prelu => a,
            Self::FloorDiv => libm::floorf(a / b),
            Self::FloorMod => {
                // As the kernels do it: the remainder has the sign of the divisor.
                let remainder = libm::fmodf(a, b);
                match remainder != 0.0 && (b < 0.0) != (remainder < 0.0) {
                    true => remainder + b,
                    false => remainder,
                }
            }
        }
    }

    /// The slopes at `a` and `b`.
    pub fn slopes(self, a: f32, b: f32) -> [f32; 2] {
        match self {
            Self::Sub => [1.0, -1.0],
            Self::Div => [1.0 / b, -a / (b * b)],
            Self::Maximum if a < b => [0.0, 1.0],
            Self::Minimum if a > b => [0.0, 1.0],
            Self::Maximum | Self::Minimum => [1.0, 0.0],
            Self::SquaredDifference => [2.0 * (a - b), 2.0 * (b - a)],
            Self::Prelu if a < 0.0 => [b, a],
            Self::Prelu => [1.0, 0.0],
            Self::FloorDiv => [0.0, 0.0],
            Self::FloorMod => [1.0, -libm::floorf(a / b)],
        }
    }
}

impl Differentiable for Arithmetic {
    fn name(&self) -> &'static str {
        match self {
            Self::Sub => "SUB",
            Self::Div => "DIV",
            Self::Maximum => "MAXIMUM",
            Self::Minimum => "MINIMUM",
            Self::SquaredDifference => "SQUARED_DIFFERENCE",
            Self::Prelu => "PRELU",
            Self::FloorDiv => "FLOOR_DIV",
            Self::FloorMod => "FLOOR_MOD",
        }
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        broadcast_shape(self.name(), inputs)
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        forward(inputs, output, |a, b| self.value(a, b));
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        backward_of_both(
            tape,
            gradients,
            |g, a, b| g * self.slopes(a, b)[0],
            |g, a, b| g * self.slopes(a, b)[1],
        );
    }
}

/// A comparison or a logical function of two tensors whose result is 0 or 1. It has no gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// EQUAL.
    Equal,
    /// NOT_EQUAL.
    NotEqual,
    /// LESS.
    Less,
    /// LESS_EQUAL.
    LessEqual,
    /// GREATER.
    Greater,
    /// GREATER_EQUAL.
    GreaterEqual,
    /// LOGICAL_AND.
    And,
    /// LOGICAL_OR.
    Or,
}

impl Differentiable for Comparison {
    fn name(&self) -> &'static str {
        match self {
            Self::Equal => "EQUAL",
            Self::NotEqual => "NOT_EQUAL",
            Self::Less => "LESS",
            Self::LessEqual => "LESS_EQUAL",
            Self::Greater => "GREATER",
            Self::GreaterEqual => "GREATER_EQUAL",
            Self::And => "LOGICAL_AND",
            Self::Or => "LOGICAL_OR",
        }
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        broadcast_shape(self.name(), inputs)
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        forward(inputs, output, |a, b| {
            let holds = match self {
                Self::Equal => a == b,
                Self::NotEqual => a != b,
                Self::Less => a < b,
                Self::LessEqual => a <= b,
                Self::Greater => a > b,
                Self::GreaterEqual => a >= b,
                Self::And => a != 0.0 && b != 0.0,
                Self::Or => a != 0.0 || b != 0.0,
            };
            f32::from(u8::from(holds))
        });
    }

    fn backward(&self, _tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        for gradient in gradients.iter_mut().flatten() {
            gradient.fill(0.0);
        }
    }
}
