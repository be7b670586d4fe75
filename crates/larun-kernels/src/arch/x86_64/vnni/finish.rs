//! From sums to outputs, sixteen channels at a time: TFLM's two roundings, exactly.

use core::arch::x86_64::*;

use super::excess;
use super::vector::{load_i32, load_i32x16, load_widened};
use crate::{OutputStage, WeightedQuantization};
use larun_quant::fixed_point::FixedMultiplier;

/// Channels that are computed side by side.
pub(super) const LANES: usize = 16;

/// Values below this in size leave room for what rounding adds in 32 bits.
const MODERATE: i32 = 1 << 30;

/// Sixteen fixed-point multipliers.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    multiplier: __m512i,
    left: __m512i,
    right: __m512i,
    /// The bits that the right shift loses.
    lost: __m512i,
    /// What moderate values need: twice the multiplier, which wraps, for even and odd lanes, and half of what is lost.
    doubled: [__m512i; 2],
    half: __m512i,
    /// Whether all are at least a half and shift to the right, as those of most layers.
    is_plain: bool,
}

impl Scale {
    /// Of the first `count` lanes; others give any result.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new(multiplier: __m512i, shift: __m512i, count: usize) -> Self {
        let (zero, most) = (_mm512_setzero_si512(), _mm512_set1_epi32(31));
        let right = _mm512_max_epi32(_mm512_sub_epi32(zero, shift), zero);
        let right = _mm512_min_epi32(right, most);
        let one = _mm512_set1_epi32(1);
        let lost = _mm512_sub_epi32(_mm512_sllv_epi32(one, right), one);
        let doubled = _mm512_slli_epi32::<1>(multiplier);
        let is_half = _mm512_cmpge_epi32_mask(multiplier, _mm512_set1_epi32(1 << 30));
        Self {
            multiplier,
            left: _mm512_min_epi32(_mm512_max_epi32(shift, zero), most),
            right,
            lost,
            doubled: [doubled, _mm512_shuffle_epi32::<HIGH>(doubled)],
            half: _mm512_srli_epi32::<1>(_mm512_add_epi32(lost, one)),
            is_plain: all(is_half & _mm512_cmplt_epi32_mask(shift, zero), count),
        }
    }

    /// One multiplier for all lanes.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn common(FixedMultiplier { multiplier, shift }: FixedMultiplier) -> Self {
        let (multiplier, shift) = (_mm512_set1_epi32(multiplier), _mm512_set1_epi32(shift));
        Self::new(multiplier, shift, LANES)
    }

    /// Values below [`MODERATE`] in size, times the multipliers, as [`apply`](Self::apply).
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn apply_to_moderate(&self, values: __m512i) -> __m512i {
        if !self.is_plain {
            return self.apply(values);
        }
        // Twice a multiplier of a half or more, taken as a signed number, is 2^32 too small: so the high half of a product is
        // too small by the value itself.
        let round = _mm512_set1_epi64(1 << 31);
        let [evens, odds] = self.doubled;
        let evens = _mm512_add_epi64(_mm512_mul_epi32(values, evens), round);
        let high = _mm512_shuffle_epi32::<HIGH>(values);
        let odds = _mm512_add_epi64(_mm512_mul_epi32(high, odds), round);
        let product = _mm512_mask_shuffle_epi32::<HIGH>(odds, EVENS, evens);
        let product = _mm512_add_epi32(product, values);
        // Away from zero: half way is enough to round up, but not where the number is negative.
        let negative = _mm512_srai_epi32::<31>(product);
        let rounded = _mm512_add_epi32(_mm512_add_epi32(product, self.half), negative);
        _mm512_srav_epi32(rounded, self.right)
    }

    /// As `FixedMultiplier::apply` where the multiplier is not `i32::MIN`: then the product cannot saturate.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn apply(&self, values: __m512i) -> __m512i {
        let product = self.high_mul(_mm512_sllv_epi32(values, self.left));
        let remainder = _mm512_and_si512(product, self.lost);
        let negative = _mm512_srli_epi32::<31>(product);
        let threshold = _mm512_add_epi32(_mm512_srli_epi32::<1>(self.lost), negative);
        let up = _mm512_cmpgt_epi32_mask(remainder, threshold);
        let floor = _mm512_srav_epi32(product, self.right);
        _mm512_mask_add_epi32(floor, up, floor, _mm512_set1_epi32(1))
    }

    /// The high half of the doubled product, rounded, ties up.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn high_mul(&self, values: __m512i) -> __m512i {
        let half = _mm512_set1_epi64(1 << 30);
        let evens = _mm512_mul_epi32(values, self.multiplier);
        let odds = _mm512_mul_epi32(
            _mm512_srli_epi64::<32>(values),
            _mm512_srli_epi64::<32>(self.multiplier),
        );
        let evens = _mm512_srli_epi64::<31>(_mm512_add_epi64(evens, half));
        let odds = _mm512_slli_epi64::<1>(_mm512_add_epi64(odds, half));
        _mm512_mask_mov_epi32(odds, EVENS, evens)
    }
}

/// The lanes with even numbers.
const EVENS: u16 = 0b0101_0101_0101_0101;
/// Each odd lane twice.
const HIGH: i32 = 0b11_11_01_01;

/// Whether the first `count` lanes are all set.
const fn all(lanes: __mmask16, count: usize) -> bool {
    lanes.trailing_ones() as usize >= count
}

/// Bias and multiplier of sixteen channels.
#[derive(Clone, Copy)]
pub(super) struct Channels {
    pub(super) bias: __m512i,
    scale: Scale,
    /// Whether no sum is larger than moderate.
    is_moderate: bool,
}

/// A layer's numbers for each channel.
#[derive(Clone, Copy)]
pub(super) struct PerChannel<'a> {
    pub(super) quantization: &'a WeightedQuantization<'a>,
    pub(super) bias: Option<&'a [i32]>,
    /// Products in the sum of an output.
    pub(super) products: usize,
}

impl PerChannel<'_> {
    /// `count` channels from `first` on, the sums of whose weights are given.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn channels(&self, first: usize, count: usize, sums: __m512i) -> Channels {
        let bias = self.bias.unwrap_or_default().get(first..);
        let multipliers = &self.quantization.multipliers;
        let scale = if multipliers.are_common() {
            Scale::common(multipliers.get(0))
        } else {
            let (multipliers, shifts) = multipliers.from(first);
            Scale::new(load_i32(multipliers), load_widened(shifts), count)
        };
        self.with(load_i32(bias.unwrap_or_default()), scale, count, sums)
    }

    /// Channels one by one, where they do not lie side by side.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn scattered(&self, channels: [usize; LANES], sums: __m512i) -> Channels {
        let bias = self.bias.unwrap_or_default();
        let bias = channels.map(|channel| bias.get(channel).copied().unwrap_or(0));
        let fixed = channels.map(|channel| self.quantization.multipliers.get(channel));
        let multiplier = load_i32x16(&fixed.map(|fixed| fixed.multiplier));
        let shift = load_i32x16(&fixed.map(|fixed| fixed.shift));
        let scale = Scale::new(multiplier, shift, LANES);
        self.with(load_i32x16(&bias), scale, LANES, sums)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn with(&self, bias: __m512i, scale: Scale, count: usize, sums: __m512i) -> Channels {
        let most = _mm512_set1_epi32(MODERATE / 2);
        let is_moderate = _mm512_cmple_epu32_mask(_mm512_abs_epi32(bias), most);
        let excess = _mm512_set1_epi32(excess(self.quantization.input_zero_point));
        // A difference to the zero point is 255 at most, and a weight -128.
        let few = self.products < MODERATE as usize / 2 / (255 * 128);
        Channels {
            bias: _mm512_sub_epi32(bias, _mm512_mullo_epi32(sums, excess)),
            scale,
            is_moderate: few && all(is_moderate, count),
        }
    }
}

impl Channels {
    /// No channels.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn none() -> Self {
        let zero = _mm512_setzero_si512();
        Self {
            bias: zero,
            scale: Scale::new(zero, zero, 0),
            is_moderate: false,
        }
    }

    /// Sums, biases included, in the scale of the output.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn scaled(&self, sums: __m512i) -> __m512i {
        match self.is_moderate {
            true => self.scale.apply_to_moderate(sums),
            false => self.scale.apply(sums),
        }
    }
}

/// Zero point and bounds of the output.
#[derive(Clone, Copy)]
pub(super) struct Stage {
    zero_point: __m512i,
    min: i8,
    max: i8,
}

impl Stage {
    /// `None` where bounds are not those of an INT8, which no file asks for.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn new(stage: &OutputStage) -> Option<Self> {
        let (min, max) = (i8::try_from(stage.min).ok()?, i8::try_from(stage.max).ok()?);
        Some(Self {
            zero_point: _mm512_set1_epi32(stage.zero_point),
            min,
            max,
        })
    }

    /// Sixteen outputs.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn finish(&self, scaled: __m512i) -> __m128i {
        let outputs = _mm512_cvtsepi32_epi8(_mm512_add_epi32(scaled, self.zero_point));
        let (min, max) = (_mm_set1_epi8(self.min), _mm_set1_epi8(self.max));
        _mm_min_epi8(_mm_max_epi8(outputs, min), max)
    }

    /// 32 outputs: four from each lane of 128 bits in turn, and then so those of the upper halves.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn finish_interleaved(&self, scaled: [__m512i; 2]) -> __m256i {
        let [low, high] = scaled.map(|scaled| {
            let shifted = _mm512_add_epi32(scaled, self.zero_point);
            let upper = _mm512_extracti64x4_epi64::<1>(shifted);
            _mm256_packs_epi32(_mm512_castsi512_si256(shifted), upper)
        });
        let outputs = _mm256_packs_epi16(low, high);
        let (min, max) = (_mm256_set1_epi8(self.min), _mm256_set1_epi8(self.max));
        _mm256_min_epi8(_mm256_max_epi8(outputs, min), max)
    }
}
