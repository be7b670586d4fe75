//! PACT: activations clipped at a threshold that is learned.

use super::check_lengths;
use crate::affine::{Affine, IntegerRange};
use crate::error::{QuantError, all_scales, same_length};

/// PACT's activation `y = clip(x, 0, alpha)` in `2^bits - 1` equal steps: `round(y / s) s`, `s = alpha / (2^bits - 1)`.
///
/// The gradient by `x` is 1 for `0 <= x < alpha` and 0 elsewhere; by `alpha` it is 1 for `x >= alpha` and 0 elsewhere.
/// The paper adds an L2 penalty `lambda alpha^2` to the loss, whose gradient `2 lambda alpha` is the caller's to add.
///
/// ```
/// use larun_quant::fake_quant::Pact;
///
/// let pact = Pact::new(6.0, 2)?;
/// let inputs = [-1.0, 0.9, 3.1, 7.0];
/// let mut outputs = [0.0; 4];
/// pact.forward(&inputs, &mut outputs)?;
/// assert_eq!(outputs, [0.0, 0.0, 4.0, 6.0]);
/// let mut gradients = [0.0; 4];
/// let of_alpha = pact.backward(&inputs, &[1.0; 4], &mut gradients)?;
/// assert_eq!((gradients, of_alpha), ([0.0, 1.0, 1.0, 0.0], 1.0));
/// # Ok::<(), larun_quant::QuantError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pact {
    alpha: f32,
    steps: i32,
}

impl Pact {
    /// With this threshold and 1 to 16 bits.
    ///
    /// # Errors
    /// [`BadScale`](QuantError::BadScale) for a threshold whose steps are no positive number,
    /// [`BadParameter`](QuantError::BadParameter) for other numbers of bits.
    pub fn new(alpha: f32, bits: u8) -> Result<Self, QuantError> {
        if !(1..=16).contains(&bits) {
            return Err(QuantError::BadParameter {
                what: "PACT takes 1 to 16 bits",
                value: f64::from(bits),
            });
        }
        let pact = Self {
            alpha,
            steps: (1 << bits) - 1,
        };
        all_scales(&[pact.affine().0.scale])?;
        Ok(pact)
    }

    /// The threshold.
    #[must_use]
    pub const fn alpha(self) -> f32 {
        self.alpha
    }

    /// The parameters that quantise to the same reals, and the integers, from 0 on.
    #[must_use]
    pub fn affine(self) -> (Affine, IntegerRange) {
        let integers = IntegerRange {
            min: 0,
            max: self.steps,
        };
        (Affine::new(self.alpha / self.steps as f32, 0), integers)
    }

    /// The outputs, into `outputs` of the same length. NaN stays NaN.
    ///
    /// # Errors
    /// [`LengthMismatch`](QuantError::LengthMismatch).
    pub fn forward(self, inputs: &[f32], outputs: &mut [f32]) -> Result<(), QuantError> {
        same_length("outputs", inputs.len(), outputs.len())?;
        let (affine, integers) = self.affine();
        super::quantize_dequantize(affine, integers, inputs, outputs)
    }

    /// The gradients by the inputs, into `input_gradients`, and that by `alpha`.
    ///
    /// # Errors
    /// [`LengthMismatch`](QuantError::LengthMismatch).
    pub fn backward(
        self,
        inputs: &[f32],
        output_gradients: &[f32],
        input_gradients: &mut [f32],
    ) -> Result<f32, QuantError> {
        check_lengths(inputs, output_gradients, input_gradients)?;
        let mut of_alpha = 0.0_f64;
        let pairs = inputs.iter().zip(output_gradients);
        for (gradient, (&input, &of_output)) in input_gradients.iter_mut().zip(pairs) {
            let within = u8::from(input >= 0.0) & u8::from(input < self.alpha);
            *gradient = f32::from(within) * of_output;
            of_alpha += if input >= self.alpha {
                f64::from(of_output)
            } else {
                0.0
            };
        }
        Ok(of_alpha as f32)
    }
}
