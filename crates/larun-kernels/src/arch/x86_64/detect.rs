//! Whether this processor, and the system on it, have AVX2; without `std`.

use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use core::sync::atomic::{AtomicU8, Ordering};

const UNKNOWN: u8 = 0;
const ABSENT: u8 = 1;
const PRESENT: u8 = 2;

/// The answer, once it is known.
static AVX2: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Whether AVX2 can be used.
#[inline]
pub(super) fn has_avx2() -> bool {
    if cfg!(target_feature = "avx2") {
        return true;
    }
    // Whoever comes first asks; all get the same answer, so nothing depends on the order.
    match AVX2.load(Ordering::Relaxed) {
        UNKNOWN => {
            let present = ask();
            AVX2.store(if present { PRESENT } else { ABSENT }, Ordering::Relaxed);
            present
        }
        known => known == PRESENT,
    }
}

/// By the processor's identification, leaves 1 and 7, and the registers that the system saves.
#[cold]
fn ask() -> bool {
    const OSXSAVE: u32 = 1 << 27;
    const AVX: u32 = 1 << 28;
    const AVX2: u32 = 1 << 5;
    // XMM and YMM.
    const VECTORS: u64 = 0b110;
    #[allow(
        unused_unsafe,
        reason = "the identification is a safe function from Rust 1.93 on"
    )]
    // SAFETY: every 64-bit processor has the instruction; the second leaf is asked for only where it exists.
    let (basic, extended) = unsafe {
        let most = __cpuid(0).eax;
        (most >= 7).then(|| (__cpuid(1).ecx, __cpuid_count(7, 0).ebx))
    }
    .unwrap_or_default();
    if basic & (OSXSAVE | AVX) != OSXSAVE | AVX || extended & AVX2 == 0 {
        return false;
    }
    // SAFETY: the processor has the instruction, and the system lets programs use it, as OSXSAVE says.
    unsafe { saved_registers() & VECTORS == VECTORS }
}

/// Which registers the system saves when it switches tasks.
#[target_feature(enable = "xsave")]
fn saved_registers() -> u64 {
    // SAFETY: register 0 always exists where the instruction does.
    unsafe { _xgetbv(0) }
}
