//! Which vector instructions this processor, and the system on it, have; without `std`.

use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use core::sync::atomic::{AtomicU8, Ordering};

/// The instructions that can be used, each level with all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// What every 64-bit processor has: the portable definitions.
    Portable = 1,
    /// Vectors of 256 bits.
    Avx2,
    /// Vectors of 512 bits with products of bytes: AVX-512 F, BW, VL and VNNI.
    Vnni,
}

const UNKNOWN: u8 = 0;

/// The answer, once it is known.
static LEVEL: AtomicU8 = AtomicU8::new(UNKNOWN);

impl Level {
    pub(super) const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Vnni];

    /// The highest level that can be used.
    #[inline]
    pub(super) fn detected() -> Self {
        // Whoever comes first asks; all get the same answer, so nothing depends on the order.
        let known = LEVEL.load(Ordering::Relaxed);
        for level in Self::ALL {
            if level as u8 == known {
                return level;
            }
        }
        let level = ask();
        LEVEL.store(level as u8, Ordering::Relaxed);
        level
    }
}

/// By the processor's identification, leaves 1 and 7, and the registers that the system saves.
#[cold]
fn ask() -> Level {
    const OSXSAVE: u32 = 1 << 27;
    const AVX: u32 = 1 << 28;
    const AVX2: u32 = 1 << 5;
    // F, BW and VL.
    const AVX512: u32 = 1 << 16 | 1 << 30 | 1 << 31;
    const VNNI: u32 = 1 << 11;
    // XMM and YMM; and masks and ZMM.
    const VECTORS: u64 = 0b110;
    const LARGE_VECTORS: u64 = 0b1110_0000 | VECTORS;
    #[allow(
        unused_unsafe,
        reason = "the identification is a safe function from Rust 1.93 on"
    )]
    // SAFETY: every 64-bit processor has the instruction; the second leaf is asked for only where it exists.
    let (basic, extended) = unsafe {
        let most = __cpuid(0).eax;
        (most >= 7).then(|| (__cpuid(1).ecx, __cpuid_count(7, 0)))
    }
    .map_or((0, [0, 0]), |(basic, leaf)| (basic, [leaf.ebx, leaf.ecx]));
    let [first, second] = extended;
    if basic & (OSXSAVE | AVX) != OSXSAVE | AVX || first & AVX2 == 0 {
        return Level::Portable;
    }
    // SAFETY: the processor has the instruction, and the system lets programs use it, as OSXSAVE says.
    let saved = unsafe { saved_registers() };
    let has_vnni = first & AVX512 == AVX512 && second & VNNI != 0;
    match saved {
        saved if has_vnni && saved & LARGE_VECTORS == LARGE_VECTORS => Level::Vnni,
        saved if saved & VECTORS == VECTORS => Level::Avx2,
        _ => Level::Portable,
    }
}

/// Which registers the system saves when it switches tasks.
#[target_feature(enable = "xsave")]
fn saved_registers() -> u64 {
    // SAFETY: register 0 always exists where the instruction does.
    unsafe { _xgetbv(0) }
}
