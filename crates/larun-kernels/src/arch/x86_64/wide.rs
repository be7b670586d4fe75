//! Any loop with the vector instructions that the processor has.

use super::detect::Level;

/// Runs `f` with AVX2 where there is AVX2: loops in `f`, and in what is inlined into it, are compiled for vectors of 256 bits too.
///
/// No sum is reordered and no product fused, so that the bits are the same either way.
#[inline]
pub(crate) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    match Level::detected() {
        Level::Portable => f(),
        // SAFETY: the instructions are there.
        Level::Avx2 | Level::Vnni => unsafe { with_avx2(f) },
    }
}

#[target_feature(enable = "avx2")]
fn with_avx2<R>(f: impl FnOnce() -> R) -> R {
    f()
}
