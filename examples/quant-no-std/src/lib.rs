//! A layer of integers in a firmware without std or an allocator, by larun-quant alone.
#![no_std]

use larun_quant::{Affine, FixedMultiplier, QuantError, bias, weights};

/// One output of a dense layer: INT8 samples and weights, an INT32 sum, an INT8 result.
pub struct Unit<const INPUTS: usize> {
    input: Affine,
    output: Affine,
    weights: [i8; INPUTS],
    bias: i32,
    rescale: FixedMultiplier,
}

impl<const INPUTS: usize> Unit<INPUTS> {
    /// Quantises real weights and a real bias, for samples and results of these ranges.
    ///
    /// # Errors
    /// Where a number or a range is not finite.
    pub fn new(
        real_weights: &[f32; INPUTS],
        real_bias: f32,
        input: (f32, f32),
        output: (f32, f32),
    ) -> Result<Self, QuantError> {
        let input = Affine::from_range(input.0, input.1)?;
        let output = Affine::from_range(output.0, output.1)?;
        let scale = weights::per_tensor_scale(real_weights)?;
        let (mut weights, mut bias) = ([0; INPUTS], [0]);
        weights::quantize_per_tensor(real_weights, scale, &mut weights)?;
        bias::quantize(&[real_bias], input.scale, &[scale], &mut bias)?;
        let [bias] = bias;
        let rescale = f64::from(input.scale) * f64::from(scale) / f64::from(output.scale);
        Ok(Self {
            input,
            output,
            weights,
            bias,
            rescale: FixedMultiplier::from_real(rescale),
        })
    }

    /// Computes with integers alone what `weights * sample + bias` is.
    pub fn predict(&self, sample: &[f32; INPUTS]) -> f32 {
        let products = self.weights.iter().zip(sample).map(|(&weight, &real)| {
            i32::from(weight) * (i32::from(self.input.quantize_i8(real)) - self.input.zero_point)
        });
        let sum = products.fold(self.bias, i32::saturating_add);
        let result = self.rescale.apply(sum) + self.output.zero_point;
        self.output.dequantize(result.clamp(-128, 127))
    }
}
