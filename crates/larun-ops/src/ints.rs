//! A short list of integers held in place: axes, paddings, the shape that RESHAPE asks for.

/// The most integers that an [`IntList`] holds: a padding pair for each of eight dimensions.
pub const MAX_INTS: usize = 16;

/// Up to [`MAX_INTS`] integers, without an allocator.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct IntList {
    len: u8,
    values: [i32; MAX_INTS],
}

impl IntList {
    /// The list of these values, or `None` when there are more than [`MAX_INTS`].
    pub fn new(values: &[i32]) -> Option<Self> {
        let mut list = Self::default();
        list.values.get_mut(..values.len())?.copy_from_slice(values);
        list.len = values.len() as u8;
        Some(list)
    }

    /// Adds a value at the end; `None` when the list is full.
    pub fn push(&mut self, value: i32) -> Option<()> {
        *self.values.get_mut(usize::from(self.len))? = value;
        self.len += 1;
        Some(())
    }

    /// The values.
    pub fn as_slice(&self) -> &[i32] {
        self.values.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl core::ops::Deref for IntList {
    type Target = [i32];

    fn deref(&self) -> &[i32] {
        self.as_slice()
    }
}

impl core::fmt::Debug for IntList {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}
