//! Loads, stores, sums and transposition of vectors. Of a slice that is shorter than a vector only what is there is touched.

use core::arch::x86_64::*;

/// The lanes that hold the first `count` bytes.
#[inline]
const fn first(count: usize) -> u64 {
    match count {
        0..64 => (1 << count) - 1,
        _ => u64::MAX,
    }
}

/// 64 bytes; zeros past the end of the slice.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn load_bytes(values: &[i8]) -> __m512i {
    // SAFETY: no byte past the end of the slice is read.
    unsafe { _mm512_maskz_loadu_epi8(first(values.len()), values.as_ptr()) }
}

/// 32 bytes; zeros past the end of the slice.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn load_half(values: &[i8]) -> __m256i {
    // SAFETY: no byte past the end of the slice is read.
    unsafe { _mm256_maskz_loadu_epi8(first(values.len()) as u32, values.as_ptr()) }
}

/// As [`load_bytes`], only the first `count` of as many bytes or more at `at`.
///
/// # Safety
/// They are there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn load_first(at: *const i8, count: usize) -> __m512i {
    // SAFETY: the caller says so; no other byte is read.
    unsafe { _mm512_maskz_loadu_epi8(first(count), at) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store_i8x64(place: &mut [i8; 64], values: __m512i) {
    // SAFETY: there is room for 64 bytes, at any address.
    unsafe { _mm512_storeu_si512(place.as_mut_ptr().cast(), values) }
}

/// Writes 32 bytes, or as many as there is room for.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn store_half(place: &mut [i8], values: __m256i) {
    match place.first_chunk_mut::<32>() {
        // SAFETY: there is room for 32 bytes, at any address.
        Some(place) => unsafe { _mm256_storeu_si256(place.as_mut_ptr().cast(), values) },
        // SAFETY: no byte past the end of the slice is written.
        None => unsafe {
            _mm256_mask_storeu_epi8(place.as_mut_ptr(), first(place.len()) as u32, values);
        },
    }
}

/// Writes 16 bytes, or as many as there is room for.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn store_quarter(place: &mut [i8], values: __m128i) {
    match place.first_chunk_mut::<16>() {
        // SAFETY: there is room for 16 bytes, at any address.
        Some(place) => unsafe { _mm_storeu_si128(place.as_mut_ptr().cast(), values) },
        // SAFETY: no byte past the end of the slice is written.
        None => unsafe {
            _mm_mask_storeu_epi8(place.as_mut_ptr(), first(place.len()) as u16, values);
        },
    }
}

/// Sixteen numbers; zeros past the end of the slice.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_i32(values: &[i32]) -> __m512i {
    // SAFETY: no number past the end of the slice is read.
    unsafe { _mm512_maskz_loadu_epi32(first(values.len()) as u16, values.as_ptr()) }
}

/// Sixteen bytes, widened; zeros past the end of the slice.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn load_widened(values: &[i8]) -> __m512i {
    // SAFETY: no byte past the end of the slice is read.
    let bytes = unsafe { _mm_maskz_loadu_epi8(first(values.len()) as u16, values.as_ptr()) };
    _mm512_cvtepi8_epi32(bytes)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_i32x16(values: &[i32; 16]) -> __m512i {
    // SAFETY: 64 bytes are there, at any address.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store_i32x16(place: &mut [i32; 16], values: __m512i) {
    // SAFETY: there is room for 64 bytes, at any address.
    unsafe { _mm512_storeu_si512(place.as_mut_ptr().cast(), values) }
}

/// Lane `L` of four rows becomes row `L`, and row `R` lane `R`; each lane has 128 bits.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_lanes([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    const EVENS: i32 = 0b10_00_10_00;
    const ODDS: i32 = 0b11_01_11_01;
    let (ab, cd) = (
        _mm512_shuffle_i32x4::<EVENS>(a, b),
        _mm512_shuffle_i32x4::<EVENS>(c, d),
    );
    let (ab_odds, cd_odds) = (
        _mm512_shuffle_i32x4::<ODDS>(a, b),
        _mm512_shuffle_i32x4::<ODDS>(c, d),
    );
    [
        _mm512_shuffle_i32x4::<EVENS>(ab, cd),
        _mm512_shuffle_i32x4::<EVENS>(ab_odds, cd_odds),
        _mm512_shuffle_i32x4::<ODDS>(ab, cd),
        _mm512_shuffle_i32x4::<ODDS>(ab_odds, cd_odds),
    ]
}

/// Within each lane of 128 bits, column `C` of four rows becomes row `C`.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_within([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let (ab, cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
    let (ab_high, cd_high) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(ab, cd),
        _mm512_unpackhi_epi64(ab, cd),
        _mm512_unpacklo_epi64(ab_high, cd_high),
        _mm512_unpackhi_epi64(ab_high, cd_high),
    ]
}

/// Rows become columns.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn transpose(rows: [__m512i; 16]) -> [__m512i; 16] {
    let mut groups = [[_mm512_setzero_si512(); 4]; 4];
    for (group, rows) in groups.iter_mut().zip(rows.as_chunks().0) {
        *group = transpose_within(*rows);
    }
    let mut columns = [_mm512_setzero_si512(); 16];
    let [a, b, c, d] = groups;
    for (first, (((a, b), c), d)) in a.into_iter().zip(b).zip(c).zip(d).enumerate() {
        for (quarter, column) in transpose_lanes([a, b, c, d]).into_iter().enumerate() {
            columns[4 * quarter + first] = column;
        }
    }
    columns
}

/// The sums of the lanes of each vector, in order.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn sums_of(vectors: [__m512i; 16]) -> __m512i {
    let mut fours = [_mm512_setzero_si512(); 4];
    for (four, vectors) in fours.iter_mut().zip(vectors.as_chunks().0) {
        *four = sum(transpose_within(*vectors));
    }
    sum(transpose_lanes(fours))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn sum([a, b, c, d]: [__m512i; 4]) -> __m512i {
    _mm512_add_epi32(_mm512_add_epi32(a, b), _mm512_add_epi32(c, d))
}
