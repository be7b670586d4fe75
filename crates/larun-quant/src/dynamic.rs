//! Dynamic quantisation: real activations become INT8 while a model runs, for layers whose weights alone are integers.
//!
//! The range of each batch is found anew at every inference. As `SymmetricQuantizeFloats` and `AsymmetricQuantizeFloats`
//! of TensorFlow Lite's vector code, which its wheels run; the plain code rounds the zero point and the value together.

use crate::Affine;

/// How the real values of one batch become INT8.
///
/// ```
/// use larun_quant::DynamicInput;
///
/// let symmetric = DynamicInput::symmetric(&[-1.0, 0.5]);
/// assert_eq!(symmetric.centred(0.5), 64);
/// let asymmetric = DynamicInput::asymmetric(&[0.0, 2.55]);
/// assert_eq!((asymmetric.centred(0.0), asymmetric.centred(2.55)), (0, 255));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DynamicInput {
    /// Scale and zero point.
    pub affine: Affine,
    /// What values are multiplied by: the reciprocal of the scale.
    factor: f32,
    /// Smallest integer; the largest is 127.
    min: i32,
}

impl DynamicInput {
    /// Zero point 0 and integers from -127 to 127, so that the largest magnitude is 127.
    #[must_use]
    pub fn symmetric(values: &[f32]) -> Self {
        let (min, max) = range(values);
        let most = min.abs().max(max.abs());
        let (scale, factor) = if most == 0.0 {
            (1.0, 0.0)
        } else {
            (most / 127.0, 127.0 / most)
        };
        Self {
            affine: Affine::new(scale, 0),
            factor,
            min: -127,
        }
    }

    /// The range of the values, widened to hold 0, over all of INT8.
    #[must_use]
    pub fn asymmetric(values: &[f32]) -> Self {
        let (min, max) = range(values);
        let (min, max) = (min.min(0.0), max.max(0.0));
        if min == max {
            return Self {
                affine: Affine::new(1.0, 0),
                factor: 1.0,
                min: -128,
            };
        }
        let scale = f64::from(max - min) / 255.0;
        // The end whose sum of magnitudes is smaller gives the zero point with the smaller error.
        let [below, above] = [min, max].map(|end| f64::from(end) / scale);
        let zero_point = if 128.0 + below.abs() < 127.0 + above.abs() {
            -128.0 - below
        } else {
            127.0 - above
        };
        let zero_point = libm::round(zero_point.clamp(-128.0, 127.0)) as i32;
        let scale = scale as f32;
        Self {
            affine: Affine::new(scale, zero_point),
            factor: 1.0 / scale,
            min: -128,
        }
    }

    /// The integer of a value, less the zero point.
    #[inline]
    #[must_use]
    pub fn centred(&self, value: f32) -> i16 {
        let zero_point = self.affine.zero_point;
        let steps = libm::roundf(value * self.factor) as i32;
        let integer = steps.saturating_add(zero_point).min(127).max(self.min);
        integer.wrapping_sub(zero_point) as i16
    }
}

/// The smallest and largest value, 0 and 0 where there is none; NaN is passed over.
fn range(values: &[f32]) -> (f32, f32) {
    let first = values.first().copied().unwrap_or(0.0);
    values.iter().fold((first, first), |(min, max), &value| {
        (min.min(value), max.max(value))
    })
}

#[cfg(test)]
mod tests {
    use super::DynamicInput;

    #[test]
    fn ranges() {
        let zeros = DynamicInput::symmetric(&[0.0, -0.0]);
        assert_eq!((zeros.affine.scale, zeros.centred(0.0)), (1.0, 0));
        assert_eq!(DynamicInput::asymmetric(&[]).centred(0.0), 0);
        let ends = DynamicInput::asymmetric(&[-1.0, 1.55]);
        assert_eq!(ends.affine.zero_point, -28);
        assert_eq!((ends.centred(-1.0), ends.centred(1.55)), (-100, 155));
        let positive = DynamicInput::asymmetric(&[1.0, 5.1]);
        assert_eq!(positive.affine.zero_point, -128);
        assert_eq!((positive.centred(1.0), positive.centred(9.0)), (50, 255));
    }

    #[test]
    fn any_value() {
        for values in [
            [f32::INFINITY, 1.0],
            [f32::NAN, f32::NAN],
            [f32::MAX, f32::MIN],
        ] {
            let inputs = [
                DynamicInput::symmetric(&values),
                DynamicInput::asymmetric(&values),
            ];
            for input in inputs {
                let centred = values.map(|value| input.centred(value));
                assert!(centred.iter().all(|c| (-255..=255).contains(c)));
            }
        }
    }
}
