//! Real activations as integers, for layers whose weights alone are integers.

use larun_quant::DynamicInput;

/// Values as integers less their zero point; their scale.
pub(crate) fn quantize(values: &[f32], asymmetric: bool, integers: &mut [i16]) -> f32 {
    let dynamic = match asymmetric {
        true => DynamicInput::asymmetric(values),
        false => DynamicInput::symmetric(values),
    };
    for (integer, &value) in integers.iter_mut().zip(values) {
        *integer = dynamic.centred(value);
    }
    dynamic.affine.scale
}
