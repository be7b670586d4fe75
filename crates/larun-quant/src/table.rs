//! A real function of one byte: what tables of 256 outputs hold.
//!
//! ```
//! use larun_quant::{Affine, quantized_function};
//!
//! // ELU of inputs in steps of 1/16, with outputs in steps of 1/32.
//! let (input, output) = (Affine::new(1.0 / 16.0, 0), Affine::new(1.0 / 32.0, -96));
//! let elu = |x: f32| if x < 0.0 { x.exp_m1() } else { x };
//! let table: Vec<i8> = (i8::MIN..=i8::MAX).map(|x| quantized_function(input, output, elu, x)).collect();
//! assert_eq!(table.len(), 256);
//! assert_eq!(quantized_function(input, output, elu, 16), -96 + 32);
//! ```

use crate::affine::{Affine, round_to_i32};

/// `function` of an INT8 number, as LiteRT and TFLM fill their tables: in float32, rounded with ties away from zero.
///
/// A result that is not a number counts as 0.
#[doc(alias = "LUTPopulate")]
#[must_use]
pub fn quantized_function(
    input: Affine,
    output: Affine,
    function: impl FnOnce(f32) -> f32,
    x: i8,
) -> i8 {
    let centred = i32::from(x).wrapping_sub(input.zero_point);
    let value = function(input.scale * centred as f32);
    let steps = round_to_i32(value * (1.0 / output.scale));
    steps.saturating_add(output.zero_point).clamp(-128, 127) as i8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_rounded_and_saturate() {
        let (input, output) = (Affine::new(0.5, -1), Affine::new(1.0, 3));
        let double = |x: i8| quantized_function(input, output, |real| 2.0 * real, x);
        assert_eq!((double(-1), double(0), double(10)), (3, 4, 14));
        assert_eq!((double(127), double(-128)), (127, -124));
        let half = |x: i8| quantized_function(input, output, |real| real, x);
        assert_eq!((half(0), half(-2)), (4, 2));
        let special = |value: f32| quantized_function(input, output, |_| value, 0);
        assert_eq!(special(f32::INFINITY), 127);
        assert_eq!(special(f32::NEG_INFINITY), -128);
        assert_eq!(special(f32::NAN), 3);
    }
}
