//! Elementwise operators of one input.

use super::parallel::{copy, map, zip_map};
use super::{Differentiable, ShapeError, Tape, View, arity};

/// RELU, RELU6 and their kin: limits every element to a range.
///
/// The gradient is one strictly inside the range and nought at its ends.
#[derive(Clone, Copy, Debug)]
pub struct Clamp {
    name: &'static str,
    low: f32,
    high: f32,
}

impl Clamp {
    /// RELU: `max(x, 0)`.
    pub const RELU: Self = Self {
        name: "RELU",
        low: 0.0,
        high: f32::INFINITY,
    };
    /// RELU6: `min(max(x, 0), 6)`.
    pub const RELU6: Self = Self {
        name: "RELU6",
        low: 0.0,
        high: 6.0,
    };
    /// No limit at all.
    pub(super) const NONE: Self = Self {
        name: "none",
        low: f32::NEG_INFINITY,
        high: f32::INFINITY,
    };
    /// RELU_N1_TO_1: `min(max(x, -1), 1)`.
    pub const RELU_N1_TO_1: Self = Self {
        name: "RELU_N1_TO_1",
        low: -1.0,
        high: 1.0,
    };

    /// The limited value.
    ///
    /// Written so that NaN goes through: a diverged training must not look healthy.
    #[inline(always)]
    pub(super) fn apply(self, x: f32) -> f32 {
        let x = if x < self.low { self.low } else { x };
        if x > self.high { self.high } else { x }
    }

    /// The gradient of the input, given the output and its gradient.
    #[inline(always)]
    pub(super) fn gradient(self, y: f32, g: f32) -> f32 {
        let open = (y > self.low) & (y < self.high);
        f32::from(u8::from(open)) * g
    }
}

impl Differentiable for Clamp {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        same_shape(self.name, inputs)
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x] = inputs else { return };
        map(x.data, output, |x| self.apply(x));
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let [Some(dx)] = gradients else { return };
        zip_map(tape.output.data, tape.gradient, dx, |y, g| {
            self.gradient(y, g)
        });
    }
}

/// LOGISTIC: `1 / (1 + exp(-x))`.
#[derive(Clone, Copy, Debug)]
pub struct Logistic;

impl Differentiable for Logistic {
    fn name(&self) -> &'static str {
        "LOGISTIC"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        same_shape(self.name(), inputs)
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x] = inputs else { return };
        map(x.data, output, |x| 1.0 / (1.0 + libm::expf(-x)));
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let [Some(dx)] = gradients else { return };
        zip_map(tape.output.data, tape.gradient, dx, |y, g| {
            g * y * (1.0 - y)
        });
    }
}

/// QUANTIZE and DEQUANTIZE in a float network: nothing changes.
#[derive(Clone, Copy, Debug)]
pub struct Identity;

impl Differentiable for Identity {
    fn name(&self) -> &'static str {
        "QUANTIZE"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        same_shape(self.name(), inputs)
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x] = inputs else { return };
        copy(x.data, output);
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let [Some(dx)] = gradients else { return };
        copy(tape.gradient, dx);
    }
}

fn same_shape(operator: &'static str, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    let [input] = arity(operator, inputs)?;
    Ok(input.to_vec())
}
