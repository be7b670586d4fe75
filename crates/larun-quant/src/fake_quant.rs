//! Fake quantisation: what the integers will make of real numbers, in training, with the gradients that training uses.
//!
//! Rounding has no useful gradient: all estimators here take it as the identity within the range (*straight-through*)
//! and differ in what the range learns.
//!
//! | estimator | output | gradient by its parameters |
//! |---|---|---|
//! | [`quantize_dequantize`] | `s (q - z)` as the integer model computes it | none |
//! | [`FakeQuant`] | the same by TensorFlow's arithmetic, range nudged so that 0 is exact | `min`: sum of `dy` below the range, `max`: above |
//! | [`LearnedStep`] | LSQ: `s clip(round(x / s))`; LSQ+ with an offset | scale: `round(u) - u` within, the bound beyond, `u = x / s` |
//! | [`Pact`] | `clip(x, 0, alpha)` in equal steps | `alpha`: sum of `dy` above it |
//!
//! Slices are checked for their lengths only: a NaN goes through to the output, as in training it should.
//!
//! Training with TensorFlow's moving-average ranges:
//!
//! ```
//! use larun_quant::fake_quant::FakeQuant;
//! use larun_quant::{MovingAverage, Observer};
//!
//! let mut range = MovingAverage::starting_from(-6.0, 6.0, 0.999)?;
//! let activations = [-0.5, 0.0, 3.1, 7.0];
//! range.observe(&activations)?;
//! let (min, max) = range.bounds().ok_or(larun_quant::QuantError::NothingObserved)?;
//! let fake_quant = FakeQuant::new(min, max, 8, false)?;
//! let mut outputs = [0.0; 4];
//! fake_quant.forward(&activations, &mut outputs)?;
//! assert!((outputs[2] - 3.1).abs() <= fake_quant.scale() / 2.0 && outputs[3] < 6.1);
//! let mut gradient = [0.0; 4];
//! let of_range = fake_quant.backward(&activations, &[1.0; 4], &mut gradient)?;
//! assert_eq!((gradient, of_range.min, of_range.max), ([1.0, 1.0, 1.0, 0.0], 0.0, 1.0));
//! # Ok::<(), larun_quant::QuantError>(())
//! ```
//!
//! Sources: B. Jacob et al., CVPR 2018, section 3; TensorFlow's `FakeQuantWithMinMaxVars`; S. Esser et al., *Learned Step
//! Size Quantization*, ICLR 2020; Y. Bhalgat et al., *LSQ+*, CVPR Workshops 2020; J. Choi et al., *PACT*, 2018; Y. Bengio
//! et al., *Estimating or Propagating Gradients Through Stochastic Neurons*, 2013.

mod learned_step;
mod min_max;
mod pact;

pub use learned_step::{LearnedStep, LearnedStepGradient};
pub use min_max::{FakeQuant, RangeGradient, backward_per_channel, forward_per_channel};
pub use pact::Pact;

use crate::affine::{Affine, IntegerRange};
use crate::error::{QuantError, same_length};

/// What `inputs` are after they were quantised and dequantised, into `outputs` of the same length: the very arithmetic of
/// [`Affine`]. NaN stays NaN.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch).
pub fn quantize_dequantize(
    affine: Affine,
    integers: IntegerRange,
    inputs: &[f32],
    outputs: &mut [f32],
) -> Result<(), QuantError> {
    same_length("outputs", inputs.len(), outputs.len())?;
    for (output, &input) in outputs.iter_mut().zip(inputs) {
        let quantized = affine.dequantize(affine.quantize(input, integers));
        *output = if input.is_nan() { input } else { quantized };
    }
    Ok(())
}

/// The straight-through gradient of [`quantize_dequantize`], into `input_gradients`: that of the output where the input is within the reals that
/// `integers` stand for, 0 elsewhere.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch).
pub fn straight_through(
    affine: Affine,
    integers: IntegerRange,
    inputs: &[f32],
    output_gradients: &[f32],
    input_gradients: &mut [f32],
) -> Result<(), QuantError> {
    check_lengths(inputs, output_gradients, input_gradients)?;
    let [min, max] = [integers.min, integers.max].map(|end| affine.dequantize(end));
    let pairs = inputs.iter().zip(output_gradients);
    for (gradient, (&input, &of_output)) in input_gradients.iter_mut().zip(pairs) {
        *gradient = pass_within(input, min, max, of_output);
    }
    Ok(())
}

/// The gradient where the input is within the bounds, else 0; without a branch.
#[inline]
fn pass_within(input: f32, min: f32, max: f32, gradient: f32) -> f32 {
    let within = u8::from(input >= min) & u8::from(input <= max);
    if within == 1 { gradient } else { 0.0 }
}

fn check_lengths(
    inputs: &[f32],
    output_gradients: &[f32],
    input_gradients: &[f32],
) -> Result<(), QuantError> {
    same_length("gradients of outputs", inputs.len(), output_gradients.len())?;
    same_length("places for gradients", inputs.len(), input_gradients.len())
}
