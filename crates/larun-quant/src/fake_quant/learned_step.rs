//! LSQ and LSQ+: the scale, and the offset, are learned.

use super::check_lengths;
use crate::affine::{Affine, IntegerRange, round_to_i32};
use crate::error::{QuantError, all_finite, all_scales, same_length};

/// LSQ's quantiser `s clip(round((x - b) / s), qmin, qmax) + b`; LSQ has `b = 0`, LSQ+ learns it.
///
/// With `u = (x - b) / s`, the gradient by `x` is 1 for `qmin < u < qmax` and 0 elsewhere; by `s` it is `round(u) - u`
/// within and `qmin` or `qmax` beyond; by `b` it is 0 within and 1 beyond. Those of `s` and `b` are multiplied by
/// `1 / sqrt(N qmax)` for `N` values, which brings steps of the scale to the size of those of the weights.
///
/// ```
/// use larun_quant::IntegerRange;
/// use larun_quant::fake_quant::LearnedStep;
///
/// let weights = [0.3, -0.2, 0.9, -1.4];
/// let mut step = LearnedStep::for_weights(&weights, IntegerRange::INT4_NARROW)?;
/// let mut outputs = [0.0; 4];
/// step.forward(&weights, &mut outputs)?;
/// let errors: Vec<f32> = outputs.iter().zip(&weights).map(|(y, w)| y - w).collect();
/// let mut gradients = [0.0; 4];
/// let of_step = step.backward(&weights, &errors, &mut gradients)?;
/// step.scale -= 0.01 * of_step.scale;
/// # Ok::<(), larun_quant::QuantError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearnedStep {
    /// The scale `s`, above 0.
    pub scale: f32,
    /// The offset `b`.
    pub offset: f32,
    /// The integers.
    pub integers: IntegerRange,
}

/// The gradients of [`LearnedStep`]'s parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LearnedStepGradient {
    /// By the scale.
    pub scale: f32,
    /// By the offset; LSQ does not use it.
    pub offset: f32,
}

impl LearnedStep {
    /// LSQ's start for weights: `s = 2 mean(|w|) / sqrt(qmax)`, no offset. Weights that are all 0 give the scale 1.
    ///
    /// # Errors
    /// [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity, [`NothingObserved`](QuantError::NothingObserved) for no weights.
    pub fn for_weights(weights: &[f32], integers: IntegerRange) -> Result<Self, QuantError> {
        all_finite(weights)?;
        if weights.is_empty() {
            return Err(QuantError::NothingObserved);
        }
        let sum: f64 = weights.iter().map(|w| f64::from(w.abs())).sum();
        let mean = sum / weights.len() as f64;
        let scale = (2.0 * mean / libm::sqrt(f64::from(integers.max.max(1)))) as f32;
        Ok(Self {
            scale: if mean == 0.0 {
                1.0
            } else {
                scale.clamp(f32::MIN_POSITIVE, f32::MAX)
            },
            offset: 0.0,
            integers,
        })
    }

    /// LSQ+'s start for activations that were seen in `[min, max]`: `s = (max - min) / (qmax - qmin)`, `b = min - qmin s`.
    /// A range of a single number gives the scale 1.
    ///
    /// # Errors
    /// [`RangeNotFinite`](QuantError::RangeNotFinite), [`RangeReversed`](QuantError::RangeReversed).
    pub fn for_activations(min: f32, max: f32, integers: IntegerRange) -> Result<Self, QuantError> {
        crate::affine::check_range(min, max)?;
        let width = f64::from(max) - f64::from(min);
        let scale = (width / f64::from(integers.steps())) as f32;
        let scale = if width == 0.0 {
            1.0
        } else {
            scale.max(f32::MIN_POSITIVE)
        };
        Ok(Self {
            scale,
            offset: min - integers.min as f32 * scale,
            integers,
        })
    }

    /// The parameters to deploy: the offset rounded to whole steps, the zero point brought into the range.
    #[must_use]
    pub fn affine(self) -> Affine {
        let zero_point = round_to_i32(-self.offset / self.scale);
        Affine::new(self.scale, self.integers.nearest(zero_point))
    }

    /// The outputs, into `outputs` of the same length. NaN stays NaN.
    ///
    /// # Errors
    /// [`LengthMismatch`](QuantError::LengthMismatch), and [`BadScale`](QuantError::BadScale) if training has led the scale
    /// to where it is no positive number.
    pub fn forward(self, inputs: &[f32], outputs: &mut [f32]) -> Result<(), QuantError> {
        same_length("outputs", inputs.len(), outputs.len())?;
        all_scales(&[self.scale])?;
        let centred = Affine::new(self.scale, 0);
        for (output, &input) in outputs.iter_mut().zip(inputs) {
            let quantized = centred.quantize(input - self.offset, self.integers);
            let real = centred.dequantize(quantized) + self.offset;
            *output = if input.is_nan() { input } else { real };
        }
        Ok(())
    }

    /// The gradients by the inputs, into `input_gradients`, and those by scale and offset.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn backward(
        self,
        inputs: &[f32],
        output_gradients: &[f32],
        input_gradients: &mut [f32],
    ) -> Result<LearnedStepGradient, QuantError> {
        check_lengths(inputs, output_gradients, input_gradients)?;
        all_scales(&[self.scale])?;
        let [min, max] = [self.integers.min, self.integers.max].map(|end| end as f32);
        let (mut of_scale, mut of_offset) = (0.0_f64, 0.0_f64);
        let pairs = inputs.iter().zip(output_gradients);
        for (gradient, (&input, &of_output)) in input_gradients.iter_mut().zip(pairs) {
            let in_steps = (input - self.offset) / self.scale;
            let (by_input, by_scale) = if in_steps <= min {
                (0.0, min)
            } else if in_steps >= max {
                (0.0, max)
            } else {
                (1.0, round_to_i32(in_steps) as f32 - in_steps)
            };
            *gradient = by_input * of_output;
            of_scale += f64::from(by_scale) * f64::from(of_output);
            of_offset += f64::from(1.0 - by_input) * f64::from(of_output);
        }
        let factor = self.gradient_factor(inputs.len());
        Ok(LearnedStepGradient {
            scale: (of_scale * factor) as f32,
            offset: (of_offset * factor) as f32,
        })
    }

    /// `1 / sqrt(N qmax)`.
    fn gradient_factor(self, values: usize) -> f64 {
        let levels = f64::from(self.integers.max.max(1));
        1.0 / libm::sqrt(values.max(1) as f64 * levels)
    }
}
