//! Memory with the alignment that an interpreter wants.

use core::ops::{Deref, DerefMut};

/// `N` bytes aligned to 16, to be a `static` or a local.
///
/// Any `&mut [u8]` serves as an arena; an unaligned one loses up to 15 bytes at its start.
#[derive(Clone, Debug)]
#[repr(align(16))]
pub struct Arena<const N: usize>([u8; N]);

impl<const N: usize> Arena<N> {
    /// Zeros.
    pub const fn new() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Default for Arena<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Deref for Arena<N> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> DerefMut for Arena<N> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// The bytes of a file, included in the program at an address that is a multiple of 16, as an
/// interpreter needs it.
///
/// ```
/// static MODEL: &[u8] =
///     larun_micro::include_model!(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/transit.tflite"));
/// assert!(MODEL.as_ptr().addr().is_multiple_of(16));
/// ```
#[macro_export]
macro_rules! include_model {
    ($path:expr) => {{
        #[repr(C, align(16))]
        struct Aligned<T: ?Sized>(T);
        static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!($path));
        &MODEL.0
    }};
}
