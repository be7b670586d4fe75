//! Fake quantisation with a range, by TensorFlow's arithmetic.

use super::{check_lengths, pass_within};
use crate::affine::{Affine, IntegerRange, check_range};
use crate::axis::ChannelAxis;
use crate::error::{QuantError, same_length};

/// TensorFlow's `FakeQuantWithMinMaxVars` and its gradient, to the bit.
///
/// With `n` bits the integers are `0` (`1` for a narrow range) to `2^n - 1`. The range is nudged so that 0 is one of them:
/// `scale = (max - min) / (qmax - qmin)`, `zero = round(qmin - min / scale)` brought between them,
/// `nudged_min = (qmin - zero) scale`, `nudged_max = (qmax - zero) scale`. Then, in float32,
/// `y = floor((clamp(x) - nudged_min) / scale - (zero - qmin) + 1/2) scale`: a tie goes up, where
/// [`Affine::quantize`] rounds it away from zero. A range of 0 alone makes every output 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FakeQuant {
    min: f32,
    max: f32,
    scale: f32,
    /// Steps from the smallest integer to the one that stands for 0.
    zero: f32,
    integers: IntegerRange,
}

/// The gradients by both ends of a range.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RangeGradient {
    /// By the lower end.
    pub min: f32,
    /// By the upper end.
    pub max: f32,
}

impl FakeQuant {
    /// For this range, with 2 to 16 bits. TensorFlow quantises weights with a narrow range, activations without.
    ///
    /// # Errors
    /// [`RangeNotFinite`](QuantError::RangeNotFinite), [`RangeReversed`](QuantError::RangeReversed), and
    /// [`BadParameter`](QuantError::BadParameter) for other numbers of bits, or a range of a single number other than 0 or whose
    /// scale is no normal float32.
    pub fn new(min: f32, max: f32, bits: u8, narrow_range: bool) -> Result<Self, QuantError> {
        check_range(min, max)?;
        if !(2..=16).contains(&bits) {
            return Err(QuantError::BadParameter {
                what: "fake quantisation takes 2 to 16 bits",
                value: f64::from(bits),
            });
        }
        let integers = IntegerRange {
            min: i32::from(narrow_range),
            max: (1 << bits) - 1,
        };
        if min == 0.0 && max == 0.0 {
            return Ok(Self {
                min: 0.0,
                max: 0.0,
                scale: 0.0,
                zero: 0.0,
                integers,
            });
        }
        let [lowest, highest] = [integers.min, integers.max].map(|end| end as f32);
        let scale = (max - min) / (highest - lowest);
        if !scale.is_normal() {
            return Err(QuantError::BadParameter {
                what: "the range must be wider than a single number, and its width a float32",
                value: f64::from(max) - f64::from(min),
            });
        }
        let zero = libm::roundf((lowest - min / scale).clamp(lowest, highest));
        Ok(Self {
            min: (lowest - zero) * scale,
            max: (highest - zero) * scale,
            scale,
            zero: zero - lowest,
            integers,
        })
    }

    /// The nudged range.
    #[must_use]
    pub const fn nudged(self) -> (f32, f32) {
        (self.min, self.max)
    }

    /// The distance of neighbouring outputs; 0 for a range of 0 alone.
    #[must_use]
    pub const fn scale(self) -> f32 {
        self.scale
    }

    /// The parameters that quantise to the same reals, and the integers: [-128, 127] for 8 bits, [-127, 127] for a narrow
    /// range. A range of 0 alone gives the scale 1.
    #[must_use]
    pub fn affine(self) -> (Affine, IntegerRange) {
        // Down by 2^(bits - 1), so that they are signed.
        let half = self.integers.max / 2 + 1;
        let integers = IntegerRange {
            min: self.integers.min - half,
            max: self.integers.max - half,
        };
        if self.scale == 0.0 {
            return (Affine::new(1.0, 0), integers);
        }
        let zero_point = integers.min + self.zero as i32;
        (Affine::new(self.scale, zero_point), integers)
    }

    /// The output for one input.
    #[inline]
    #[must_use]
    pub fn apply(self, input: f32) -> f32 {
        if self.scale == 0.0 {
            return 0.0;
        }
        // Comparisons that are false for NaN, which thereby stays.
        let below = if input > self.max { self.max } else { input };
        let clamped = if below < self.min { self.min } else { below };
        libm::floorf((clamped - self.min) / self.scale - self.zero + 0.5) * self.scale
    }

    /// The outputs, into `outputs` of the same length.
    ///
    /// # Errors
    /// [`LengthMismatch`](QuantError::LengthMismatch).
    pub fn forward(self, inputs: &[f32], outputs: &mut [f32]) -> Result<(), QuantError> {
        same_length("outputs", inputs.len(), outputs.len())?;
        for (output, &input) in outputs.iter_mut().zip(inputs) {
            *output = self.apply(input);
        }
        Ok(())
    }

    /// The gradients by the inputs, into `input_gradients`, and those by `min` and `max`.
    ///
    /// An input within the nudged range passes the gradient on; one below gives it to `min`, one above to `max`. For a range
    /// of 0 alone all inputs pass it on.
    ///
    /// # Errors
    /// [`LengthMismatch`](QuantError::LengthMismatch).
    pub fn backward(
        self,
        inputs: &[f32],
        output_gradients: &[f32],
        input_gradients: &mut [f32],
    ) -> Result<RangeGradient, QuantError> {
        check_lengths(inputs, output_gradients, input_gradients)?;
        let (below, above) = self.gradients(inputs, output_gradients, input_gradients);
        Ok(RangeGradient {
            min: below as f32,
            max: above as f32,
        })
    }

    fn gradients(self, inputs: &[f32], of_outputs: &[f32], of_inputs: &mut [f32]) -> (f64, f64) {
        if self.scale == 0.0 {
            of_inputs.copy_from_slice(of_outputs);
            return (0.0, 0.0);
        }
        let (mut below, mut above) = (0.0, 0.0);
        for (gradient, (&input, &of_output)) in
            of_inputs.iter_mut().zip(inputs.iter().zip(of_outputs))
        {
            *gradient = pass_within(input, self.min, self.max, of_output);
            below += if input < self.min {
                f64::from(of_output)
            } else {
                0.0
            };
            above += if input > self.max {
                f64::from(of_output)
            } else {
                0.0
            };
        }
        (below, above)
    }
}

/// `FakeQuantWithMinMaxVarsPerChannel`: every channel with its own range.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch), also if there is not one range a channel, and
/// [`NotWholeChannels`](QuantError::NotWholeChannels).
pub fn forward_per_channel(
    ranges: &[FakeQuant],
    axis: ChannelAxis,
    inputs: &[f32],
    outputs: &mut [f32],
) -> Result<(), QuantError> {
    same_length("ranges", axis.channels(), ranges.len())?;
    same_length("outputs", inputs.len(), outputs.len())?;
    axis.check(inputs.len())?;
    for ((channel, inputs), (_, outputs)) in axis.runs(inputs).zip(axis.runs_mut(outputs)) {
        if let Some(range) = ranges.get(channel) {
            range.forward(inputs, outputs)?;
        }
    }
    Ok(())
}

/// The gradients of [`forward_per_channel`]: by the inputs, into `input_gradients`, and by `min` and `max` of every channel, into
/// `range_gradients`.
///
/// # Errors
/// As [`forward_per_channel`].
pub fn backward_per_channel(
    ranges: &[FakeQuant],
    axis: ChannelAxis,
    inputs: &[f32],
    output_gradients: &[f32],
    input_gradients: &mut [f32],
    range_gradients: &mut [RangeGradient],
) -> Result<(), QuantError> {
    same_length("ranges", axis.channels(), ranges.len())?;
    same_length("gradients of ranges", ranges.len(), range_gradients.len())?;
    check_lengths(inputs, output_gradients, input_gradients)?;
    axis.check(inputs.len())?;
    range_gradients.fill(RangeGradient::default());
    let runs = axis.runs(inputs).zip(axis.runs(output_gradients));
    for (((channel, inputs), (_, of_outputs)), (_, of_inputs)) in
        runs.zip(axis.runs_mut(input_gradients))
    {
        let (Some(range), Some(of_range)) = (ranges.get(channel), range_gradients.get_mut(channel))
        else {
            continue;
        };
        let (below, above) = range.gradients(inputs, of_outputs, of_inputs);
        of_range.min += below as f32;
        of_range.max += above as f32;
    }
    Ok(())
}
