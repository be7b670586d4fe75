//! Buffers that are used again, so that a step of training hardly asks the allocator for anything.

/// Buffers that nobody needs at the moment.
#[derive(Debug, Default)]
pub(super) struct FreeList(Vec<Vec<f32>>);

impl FreeList {
    /// A buffer of this length with arbitrary content: the smallest free one that is large enough, else a
    /// new one.
    pub(super) fn take(&mut self, length: usize) -> Vec<f32> {
        let fitting = self
            .0
            .iter()
            .enumerate()
            .filter(|(_, buffer)| buffer.capacity() >= length);
        let best = fitting
            .min_by_key(|(_, buffer)| buffer.capacity())
            .map(|(index, _)| index);
        let mut buffer = best
            .map(|index| self.0.swap_remove(index))
            .unwrap_or_default();
        buffer.resize(length, 0.0);
        buffer
    }

    /// Gives a buffer back.
    pub(super) fn give(&mut self, buffer: Vec<f32>) {
        self.0.push(buffer);
    }
}
