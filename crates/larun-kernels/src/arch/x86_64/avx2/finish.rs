//! From sums to outputs, eight channels at a time: TFLM's two roundings, exactly.

use core::arch::x86_64::*;

use super::vector::{load_i8x8, load_i32_padded, load_i32x8};
use crate::{OutputStage, WeightedQuantization};
use larun_quant::fixed_point::FixedMultiplier;

/// Channels that are computed side by side.
pub(super) const LANES: usize = 8;

/// Eight fixed-point multipliers.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    multiplier: __m256i,
    left: __m256i,
    right: __m256i,
    /// The bits that the right shift loses.
    lost: __m256i,
}

impl Scale {
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn new(multiplier: __m256i, shift: __m256i) -> Self {
        let (zero, most) = (_mm256_setzero_si256(), _mm256_set1_epi32(31));
        let right = _mm256_max_epi32(_mm256_sub_epi32(zero, shift), zero);
        let right = _mm256_min_epi32(right, most);
        let left = _mm256_min_epi32(_mm256_max_epi32(shift, zero), most);
        let one = _mm256_set1_epi32(1);
        Self {
            multiplier,
            left,
            right,
            lost: _mm256_sub_epi32(_mm256_sllv_epi32(one, right), one),
        }
    }

    /// One multiplier for all lanes.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn common(FixedMultiplier { multiplier, shift }: FixedMultiplier) -> Self {
        Self::new(_mm256_set1_epi32(multiplier), _mm256_set1_epi32(shift))
    }

    /// As [`FixedMultiplier::apply`] where the multiplier is not `i32::MIN`: then the product cannot saturate.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn apply(&self, values: __m256i) -> __m256i {
        self.apply_smaller_than_one(_mm256_sllv_epi32(values, self.left))
    }

    /// As [`FixedMultiplier::apply_smaller_than_one`], likewise.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn apply_smaller_than_one(&self, values: __m256i) -> __m256i {
        let product = self.high_mul(values);
        // Away from zero: half way is enough to round up, but not where the number is negative.
        let remainder = _mm256_and_si256(product, self.lost);
        let negative = _mm256_srli_epi32::<31>(product);
        let threshold = _mm256_add_epi32(_mm256_srli_epi32::<1>(self.lost), negative);
        let up = _mm256_cmpgt_epi32(remainder, threshold);
        _mm256_sub_epi32(_mm256_srav_epi32(product, self.right), up)
    }

    /// The high half of the doubled product, rounded, ties up.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn high_mul(&self, values: __m256i) -> __m256i {
        let half = _mm256_set1_epi64x(1 << 30);
        let evens = _mm256_mul_epi32(values, self.multiplier);
        let odds = _mm256_mul_epi32(
            _mm256_srli_epi64::<32>(values),
            _mm256_srli_epi64::<32>(self.multiplier),
        );
        let evens = _mm256_srli_epi64::<31>(_mm256_add_epi64(evens, half));
        let odds = _mm256_slli_epi64::<1>(_mm256_add_epi64(odds, half));
        _mm256_blend_epi32::<0b1010_1010>(evens, odds)
    }
}

/// Bias and multiplier of eight channels.
#[derive(Clone, Copy)]
pub(super) struct Channels {
    pub(super) bias: __m256i,
    pub(super) scale: Scale,
}

impl Channels {
    /// The channels from `first` on. Those past the end give any output.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn new(
        first: usize,
        quantization: &WeightedQuantization<'_>,
        bias: Option<&[i32]>,
    ) -> Self {
        let bias = bias.unwrap_or_default().get(first..).unwrap_or_default();
        let multipliers = &quantization.multipliers;
        let scale = match multipliers.eight(first) {
            _ if multipliers.are_common() => Scale::common(multipliers.get(0)),
            Some((multipliers, shifts)) => Scale::new(
                load_i32x8(multipliers),
                _mm256_cvtepi8_epi32(load_i8x8(shifts)),
            ),
            None => {
                let (mut all, mut shifts) = ([0; LANES], [0; LANES]);
                for (lane, (multiplier, shift)) in all.iter_mut().zip(&mut shifts).enumerate() {
                    let channel = multipliers.get(first + lane);
                    (*multiplier, *shift) = (channel.multiplier, channel.shift);
                }
                Scale::new(load_i32x8(&all), load_i32x8(&shifts))
            }
        };
        Self {
            bias: load_i32_padded(bias),
            scale,
        }
    }
}

/// Zero point and bounds of the output.
#[derive(Clone, Copy)]
pub(super) struct Stage {
    zero_point: __m256i,
    min: __m128i,
    max: __m128i,
}

impl Stage {
    /// `None` where bounds are not those of an INT8, which no file asks for.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn new(stage: &OutputStage) -> Option<Self> {
        let (min, max) = (i8::try_from(stage.min).ok()?, i8::try_from(stage.max).ok()?);
        Some(Self {
            zero_point: _mm256_set1_epi32(stage.zero_point),
            min: _mm_set1_epi8(min),
            max: _mm_set1_epi8(max),
        })
    }

    /// Eight outputs, in the lower half.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn finish(&self, scaled: __m256i) -> __m128i {
        let shifted = _mm256_add_epi32(scaled, self.zero_point);
        let (low, high) = (
            _mm256_castsi256_si128(shifted),
            _mm256_extracti128_si256::<1>(shifted),
        );
        let words = _mm_packs_epi32(low, high);
        self.bound(_mm_packs_epi16(words, words))
    }

    /// Sixteen outputs.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn finish_two(&self, [a, b]: [__m256i; 2]) -> __m128i {
        let (a, b) = (
            _mm256_add_epi32(a, self.zero_point),
            _mm256_add_epi32(b, self.zero_point),
        );
        let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(a, b));
        let (low, high) = (
            _mm256_castsi256_si128(words),
            _mm256_extracti128_si256::<1>(words),
        );
        self.bound(_mm_packs_epi16(low, high))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn bound(&self, outputs: __m128i) -> __m128i {
        _mm_min_epi8(_mm_max_epi8(outputs, self.min), self.max)
    }
}
