//! INT8 sums of operands of one shape, sixteen at a time.

use core::arch::x86_64::*;

use super::finish::{LANES, Scale, Stage};
use super::vector::{load_widened, store_quarter};
use crate::AddQuantization;
use larun_quant::fixed_point::FixedMultiplier;

/// How far values are shifted before they are scaled.
const SHIFT: u32 = 20;
/// The multiplier of the input with the larger scale: exactly a half.
const HALF: FixedMultiplier = FixedMultiplier {
    multiplier: 1 << 30,
    shift: 0,
};

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(in super::super) fn add_i8(
    quantization: &AddQuantization,
    a: &[i8],
    b: &[i8],
    output: &mut [i8],
) -> bool {
    let [left, right] = quantization.inputs;
    // TFLM has multipliers below one here; others shift to the left, which this does not.
    let factors = [left, right, quantization.output];
    let Some(stage) = Stage::new(&quantization.stage) else {
        return false;
    };
    if factors
        .iter()
        .any(|f| f.multiplier == i32::MIN || f.shift > 0)
    {
        return false;
    }
    let [a_zero, b_zero] = quantization.zero_points.map(|zero| _mm512_set1_epi32(zero));
    let (left, right) = (Input::new(left), Input::new(right));
    let scale = Scale::common(quantization.output);
    let inputs = a.chunks(LANES).zip(b.chunks(LANES));
    for ((a, b), output) in inputs.zip(output.chunks_mut(LANES)) {
        let a = left.scaled(_mm512_sub_epi32(load_widened(a), a_zero));
        let b = right.scaled(_mm512_sub_epi32(load_widened(b), b_zero));
        // Each is below 2^28 in size.
        let sums = scale.apply_to_moderate(_mm512_add_epi32(a, b));
        store_quarter(output, stage.finish(sums));
    }
    true
}

/// How an input comes to the common scale.
struct Input {
    is_half: bool,
    scale: Scale,
}

impl Input {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new(factor: FixedMultiplier) -> Self {
        Self {
            is_half: factor == HALF,
            scale: Scale::common(factor),
        }
    }

    /// Differences to the zero point in the common scale.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn scaled(&self, values: __m512i) -> __m512i {
        match self.is_half {
            true => _mm512_slli_epi32::<{ SHIFT - 1 }>(values),
            false => {
                let values = _mm512_slli_epi32::<SHIFT>(values);
                self.scale.apply_to_moderate(values)
            }
        }
    }
}
