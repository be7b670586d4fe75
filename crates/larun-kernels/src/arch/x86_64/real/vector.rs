//! Vectors of eight real numbers.

use core::arch::x86_64::*;

use crate::requantize::Clamp;

/// Numbers of a vector.
pub(super) const LANES: usize = 8;

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load(values: &[f32; LANES]) -> __m256 {
    // SAFETY: eight numbers are there, at any address.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store(place: &mut [f32; LANES], values: __m256) {
    // SAFETY: there is room for eight numbers, at any address.
    unsafe { _mm256_storeu_ps(place.as_mut_ptr(), values) }
}

/// Up to eight numbers; past the end of the slice, zeros.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_padded(values: &[f32]) -> __m256 {
    if let Some(values) = values.first_chunk() {
        return load(values);
    }
    let mut all = [0.0; LANES];
    for (place, &value) in all.iter_mut().zip(values) {
        *place = value;
    }
    load(&all)
}

/// Writes as many of the values as there is room for.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store_padded(place: &mut [f32], values: __m256) {
    if let Some(place) = place.first_chunk_mut() {
        return store(place, values);
    }
    let mut all = [0.0; LANES];
    store(&mut all, values);
    for (place, value) in place.iter_mut().zip(all) {
        *place = value;
    }
}

/// `sum + a * b`, both rounded.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn add_product(sum: __m256, a: __m256, b: __m256) -> __m256 {
    _mm256_add_ps(sum, _mm256_mul_ps(a, b))
}

/// As [`Clamp::apply`].
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn clamped(values: __m256, clamp: &Clamp) -> __m256 {
    // Where neither operand is the larger, NaN among them, the instructions give the second.
    let raised = _mm256_max_ps(_mm256_set1_ps(clamp.min), values);
    _mm256_min_ps(_mm256_set1_ps(clamp.max), raised)
}

/// Rows become columns.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn transpose(rows: [__m256; LANES]) -> [__m256; LANES] {
    let [a, b, c, d, e, f, g, h] = rows;
    let four = |a, b, c, d| {
        let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
        let (ab_high, cd_high) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
        [
            _mm256_shuffle_ps::<0x44>(ab, cd),
            _mm256_shuffle_ps::<0xee>(ab, cd),
            _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
            _mm256_shuffle_ps::<0xee>(ab_high, cd_high),
        ]
    };
    let ([a, b, c, d], [e, f, g, h]) = (four(a, b, c, d), four(e, f, g, h));
    [
        _mm256_permute2f128_ps::<0x20>(a, e),
        _mm256_permute2f128_ps::<0x20>(b, f),
        _mm256_permute2f128_ps::<0x20>(c, g),
        _mm256_permute2f128_ps::<0x20>(d, h),
        _mm256_permute2f128_ps::<0x31>(a, e),
        _mm256_permute2f128_ps::<0x31>(b, f),
        _mm256_permute2f128_ps::<0x31>(c, g),
        _mm256_permute2f128_ps::<0x31>(d, h),
    ]
}
