//! Where the sums of a layer go: requantised or scaled, one output after the other.

use core::slice::IterMut;

use crate::requantize::{Clamp, OutputStage, WeightedQuantization};
use crate::{InvokeError, PlanReader};

/// What is added to the sums of each channel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bias<'a> {
    None,
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    /// The low word of each first. Files align 64-bit constants to four bytes only.
    Int64(&'a [[u32; 2]]),
    Float32(&'a [f32]),
}

impl Bias<'_> {
    /// How many values there are, where there is a bias.
    pub(crate) fn len(&self) -> Option<usize> {
        match self {
            Self::None => None,
            Self::Int16(bias) => Some(bias.len()),
            Self::Int32(bias) => Some(bias.len()),
            Self::Int64(bias) => Some(bias.len()),
            Self::Float32(bias) => Some(bias.len()),
        }
    }

    fn integer(&self, channel: usize) -> i64 {
        let value = match self {
            Self::None | Self::Float32(_) => None,
            Self::Int16(bias) => bias.get(channel).copied().map(i64::from),
            Self::Int32(bias) => bias.get(channel).copied().map(i64::from),
            Self::Int64(bias) => bias.get(channel).map(|&[low, high]| {
                let bits = u64::from(low) | u64::from(high) << 32;
                bits as i64
            }),
        };
        value.unwrap_or(0)
    }

    fn real(&self, channel: usize) -> f32 {
        match self {
            Self::Float32(bias) => bias.get(channel).copied().unwrap_or(0.0),
            _ => 0.0,
        }
    }
}

/// Scales of weights: one for all channels, or one a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scales<'a>(&'a [f32]);

impl<'a> Scales<'a> {
    fn get(&self, channel: usize) -> f32 {
        let at = if self.0.len() == 1 { 0 } else { channel };
        self.0.get(at).copied().unwrap_or(0.0)
    }

    pub(crate) fn read(plan: &mut PlanReader<'a>) -> Result<Self, InvokeError> {
        let count = plan.read_usize()?;
        Ok(Self(bytemuck::cast_slice(plan.take_words(count)?)))
    }
}

/// How a sum becomes an output.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage<'a> {
    /// In fixed point, from sums that wrap at 32 bits.
    Narrow(WeightedQuantization<'a>),
    /// In fixed point, from sums of 64 bits.
    Wide(WeightedQuantization<'a>),
    /// By a product in double precision, rounded to nearest with ties away from zero, as LiteRT's reference does where
    /// TFLM has no kernel.
    Exact {
        input_zero_point: i32,
        /// Scales of input and output.
        scales: [f32; 2],
        weights: Scales<'a>,
        output: OutputStage,
    },
    /// The sums stay real: a scale of the input that each batch finds for itself, times that of the weights.
    Real {
        input: f32,
        weights: Scales<'a>,
        /// Whether the two scales are multiplied first, or the sum with that of the weights.
        scales_first: bool,
        clamp: Clamp,
    },
}

impl Stage<'_> {
    /// The zero point of an integer input.
    pub(crate) fn input_zero_point(&self) -> i16 {
        match self {
            Self::Narrow(quantization) | Self::Wide(quantization) => {
                quantization.input_zero_point as i16
            }
            Self::Exact {
                input_zero_point, ..
            } => *input_zero_point as i16,
            Self::Real { .. } => 0,
        }
    }

    /// The same for a batch whose input has this scale.
    pub(crate) fn with_input_scale(self, scale: f32) -> Self {
        match self {
            Self::Real {
                weights,
                scales_first,
                clamp,
                ..
            } => Self::Real {
                input: scale,
                weights,
                scales_first,
                clamp,
            },
            other => other,
        }
    }

    fn integer(&self, channel: usize, sum: i64) -> i32 {
        match self {
            Self::Narrow(quantization) => quantization.bound(channel, sum as i32),
            Self::Wide(quantization) => quantization.bound_i64(channel, sum),
            Self::Exact {
                scales: [input, output_scale],
                weights,
                output,
                ..
            } => {
                let product = f64::from(*input) * f64::from(weights.get(channel));
                let factor = product / f64::from(*output_scale);
                output.bound(libm::round(sum as f64 * factor) as i32)
            }
            Self::Real { .. } => 0,
        }
    }

    fn real(&self, channel: usize, sum: i64, bias: f32) -> f32 {
        match self {
            Self::Real {
                input,
                weights,
                scales_first,
                clamp,
            } => {
                let (sum, weights) = (sum as f32, weights.get(channel));
                let scaled = if *scales_first {
                    sum * (input * weights)
                } else {
                    sum * weights * input
                };
                clamp.apply(scaled + bias)
            }
            _ => 0.0,
        }
    }
}

/// The outputs still to be written.
pub(crate) enum Outputs<'a> {
    Int8(IterMut<'a, i8>),
    Int16(IterMut<'a, i16>),
    Float32(IterMut<'a, f32>),
}

/// Takes the sums of a layer in the order of its outputs.
pub(crate) struct Sink<'s, 'a> {
    pub(crate) stage: Stage<'s>,
    pub(crate) bias: Bias<'s>,
    pub(crate) outputs: Outputs<'a>,
}

impl Sink<'_, '_> {
    /// The next output, which is of `channel`.
    pub(crate) fn put(&mut self, channel: usize, sum: i64) {
        let integer = || {
            let sum = sum.wrapping_add(self.bias.integer(channel));
            self.stage.integer(channel, sum)
        };
        match &mut self.outputs {
            Outputs::Int8(outputs) => {
                if let Some(output) = outputs.next() {
                    *output = integer() as i8;
                }
            }
            Outputs::Int16(outputs) => {
                if let Some(output) = outputs.next() {
                    *output = integer() as i16;
                }
            }
            Outputs::Float32(outputs) => {
                if let Some(output) = outputs.next() {
                    *output = self.stage.real(channel, sum, self.bias.real(channel));
                }
            }
        }
    }
}
