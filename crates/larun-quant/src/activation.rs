//! Fused activations as clamps of the quantised output.

use crate::affine::{Affine, IntegerRange, round_to_i32};

/// The INT8 bounds to clamp an output to so that its real value stays within `min` and `max`.
///
/// `output` holds the output tensor's parameters. As [`activation_range`] with [`IntegerRange::INT8`].
///
/// ```
/// use larun_quant::{Affine, activation_range_i8};
///
/// let output = Affine::new(0.05, -128);
/// assert_eq!(activation_range_i8(None, None, output), (-128, 127));
/// // RELU6: [0, 6] at this scale is 120 steps.
/// assert_eq!(activation_range_i8(Some(0.0), Some(6.0), output), (-128, -8));
/// ```
#[doc(alias = "CalculateActivationRangeQuantized")]
#[must_use]
pub fn activation_range_i8(min: Option<f32>, max: Option<f32>, output: Affine) -> (i32, i32) {
    activation_range(min, max, output, IntegerRange::INT8)
}

/// The bounds to clamp an output of type `integers` to so that its real value stays within `min` and `max`.
///
/// A bound is `zero_point + round(bound / scale)` in float32, ties away from zero, brought into `integers`; an absent
/// one is that of `integers`. RELU is `(Some(0), None)`, RELU_N1_TO_1 `(Some(-1), Some(1))`, RELU6 `(Some(0), Some(6))`.
/// The lower result is never above the upper, whatever the parameters.
#[must_use]
pub fn activation_range(
    min: Option<f32>,
    max: Option<f32>,
    output: Affine,
    integers: IntegerRange,
) -> (i32, i32) {
    let quantized = |bound: f32| {
        let steps = round_to_i32(bound / output.scale);
        let value = output.zero_point.saturating_add(steps);
        value.min(integers.max).max(integers.min)
    };
    let lower = min.map_or(integers.min, quantized);
    let upper = max.map_or(integers.max, quantized);
    (lower, upper.max(lower))
}
