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
    /// RELU_N1_TO_1: `min(max(x, -1), 1)`.
    pub const RELU_N1_TO_1: Self = Self {
        name: "RELU_N1_TO_1",
        low: -1.0,
        high: 1.0,
    };
}

impl Differentiable for Clamp {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        same_shape(self.name, inputs)
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let ([x], Self { low, high, .. }) = (inputs, *self) else {
            return;
        };
        // Written so that NaN goes through: a diverged run must not look healthy.
        map(x.data, output, |x| {
            let x = if x < low { low } else { x };
            if x > high { high } else { x }
        });
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([Some(dx)], Self { low, high, .. }) = (gradients, *self) else {
            return;
        };
        zip_map(tape.output.data, tape.gradient, dx, |y, g| {
            let open = (y > low) & (y < high);
            f32::from(u8::from(open)) * g
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
