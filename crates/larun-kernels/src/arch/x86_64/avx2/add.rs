//! INT8 sums of operands of one shape.

use core::arch::x86_64::*;

use super::finish::{LANES, Scale, Stage};
use super::vector::{load_i8x8, store_i8};
use crate::AddQuantization;

#[target_feature(enable = "avx2")]
pub(in super::super) fn add_i8(
    quantization: &AddQuantization,
    a: &[i8],
    b: &[i8],
    output: &mut [i8],
) -> bool {
    let [left, right] = quantization.inputs;
    let multipliers = [left, right, quantization.output].map(|factor| factor.multiplier);
    let Some(stage) = Stage::new(&quantization.stage) else {
        return false;
    };
    if multipliers.contains(&i32::MIN) {
        return false;
    }
    let sum = Sum {
        zero_points: quantization
            .zero_points
            .map(|zero_point| _mm256_set1_epi32(zero_point)),
        inputs: [Scale::common(left), Scale::common(right)],
        output: Scale::common(quantization.output),
        stage,
    };
    let (outputs, rest) = output.as_chunks_mut::<LANES>();
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for ((a, b), output) in a.iter().zip(b).zip(outputs) {
        store_i8(output, sum.of(load_i8x8(a), load_i8x8(b)));
    }
    let mut padded = [[0; LANES]; 2];
    for (place, values) in padded.iter_mut().zip([a_rest, b_rest]) {
        for (place, &value) in place.iter_mut().zip(values) {
            *place = value;
        }
    }
    let [a, b] = &padded;
    store_i8(rest, sum.of(load_i8x8(a), load_i8x8(b)));
    true
}

struct Sum {
    zero_points: [__m256i; 2],
    inputs: [Scale; 2],
    output: Scale,
    stage: Stage,
}

impl Sum {
    /// Eight sums.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn of(&self, a: __m128i, b: __m128i) -> __m128i {
        let sum = _mm256_add_epi32(self.scaled::<0>(a), self.scaled::<1>(b));
        self.stage.finish(self.output.apply_smaller_than_one(sum))
    }

    /// Values of input `INDEX` in the common scale.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn scaled<const INDEX: usize>(&self, values: __m128i) -> __m256i {
        let values = _mm256_sub_epi32(_mm256_cvtepi8_epi32(values), self.zero_points[INDEX]);
        self.inputs[INDEX].apply_smaller_than_one(_mm256_slli_epi32::<20>(values))
    }
}
