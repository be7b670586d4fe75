//! Loads, stores and sums of vectors.

use core::arch::x86_64::*;

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_i8x16(values: &[i8; 16]) -> __m128i {
    // SAFETY: sixteen bytes are there, at any address.
    unsafe { _mm_loadu_si128(values.as_ptr().cast()) }
}

/// Eight bytes in the lower half.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_i8x8(values: &[i8; 8]) -> __m128i {
    // SAFETY: eight bytes are there, at any address.
    unsafe { _mm_loadl_epi64(values.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_i32x8(values: &[i32; 8]) -> __m256i {
    // SAFETY: 32 bytes are there, at any address.
    unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store_i32x8(place: &mut [i32; 8], values: __m256i) {
    // SAFETY: there is room for 32 bytes, at any address.
    unsafe { _mm256_storeu_si256(place.as_mut_ptr().cast(), values) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store_i16x16(place: &mut [i16; 16], values: __m256i) {
    // SAFETY: there is room for 32 bytes, at any address.
    unsafe { _mm256_storeu_si256(place.as_mut_ptr().cast(), values) }
}

/// Writes as many of the values as there is room for.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store_i8(place: &mut [i8], values: __m128i) {
    if let Some(place) = place.first_chunk_mut::<16>() {
        // SAFETY: there is room for sixteen bytes, at any address.
        return unsafe { _mm_storeu_si128(place.as_mut_ptr().cast(), values) };
    }
    if place.len() == 8 {
        // SAFETY: there is room for eight bytes, at any address.
        return unsafe { _mm_storel_epi64(place.as_mut_ptr().cast(), values) };
    }
    let mut all = [0i8; 16];
    // SAFETY: there is room for sixteen bytes, at any address.
    unsafe { _mm_storeu_si128(all.as_mut_ptr().cast(), values) };
    for (place, value) in place.iter_mut().zip(all) {
        *place = value;
    }
}

/// Sixteen bytes; past the end of the slice, zeros.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_padded(values: &[i8]) -> __m128i {
    if let Some(values) = values.first_chunk() {
        return load_i8x16(values);
    }
    if let (8, Some(values)) = (values.len(), values.first_chunk()) {
        return load_i8x8(values);
    }
    let mut all = [0i8; 16];
    for (place, &value) in all.iter_mut().zip(values) {
        *place = value;
    }
    load_i8x16(&all)
}

/// Eight numbers; past the end of the slice, zeros.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_i32_padded(values: &[i32]) -> __m256i {
    if let Some(values) = values.first_chunk() {
        return load_i32x8(values);
    }
    let mut all = [0i32; 8];
    for (place, &value) in all.iter_mut().zip(values) {
        *place = value;
    }
    load_i32x8(&all)
}

/// The sums of the lanes of each vector, in order.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn sums_of(vectors: [__m256i; 8]) -> __m256i {
    let [a, b, c, d, e, f, g, h] = vectors;
    let low = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    let high = _mm256_hadd_epi32(_mm256_hadd_epi32(e, f), _mm256_hadd_epi32(g, h));
    _mm256_add_epi32(
        _mm256_permute2x128_si256::<0x20>(low, high),
        _mm256_permute2x128_si256::<0x31>(low, high),
    )
}

/// Rows become columns.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn transpose(rows: [__m256i; 8]) -> [__m256i; 8] {
    let [a, b, c, d, e, f, g, h] = rows;
    let four = |a, b, c, d| {
        let (ab, cd) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
        let (ab_high, cd_high) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
        [
            _mm256_unpacklo_epi64(ab, cd),
            _mm256_unpackhi_epi64(ab, cd),
            _mm256_unpacklo_epi64(ab_high, cd_high),
            _mm256_unpackhi_epi64(ab_high, cd_high),
        ]
    };
    let ([a, b, c, d], [e, f, g, h]) = (four(a, b, c, d), four(e, f, g, h));
    [
        _mm256_permute2x128_si256::<0x20>(a, e),
        _mm256_permute2x128_si256::<0x20>(b, f),
        _mm256_permute2x128_si256::<0x20>(c, g),
        _mm256_permute2x128_si256::<0x20>(d, h),
        _mm256_permute2x128_si256::<0x31>(a, e),
        _mm256_permute2x128_si256::<0x31>(b, f),
        _mm256_permute2x128_si256::<0x31>(c, g),
        _mm256_permute2x128_si256::<0x31>(d, h),
    ]
}
