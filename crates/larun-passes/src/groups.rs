//! Which tensors must share quantisation parameters.

/// Sets of tensors, joined pair by pair (a union-find forest).
pub(crate) struct Groups {
    parents: Vec<usize>,
}

impl Groups {
    /// Every tensor alone.
    pub(crate) fn new(count: usize) -> Self {
        Self {
            parents: (0..count).collect(),
        }
    }

    /// The tensor that stands for the group of `index`.
    pub(crate) fn find(&mut self, index: usize) -> usize {
        let mut at = index;
        while let Some(&parent) = self.parents.get(at) {
            if parent == at {
                break;
            }
            // Halve the path on the way, so that long chains are walked once.
            let grandparent = self.parents.get(parent).copied().unwrap_or(parent);
            if let Some(slot) = self.parents.get_mut(at) {
                *slot = grandparent;
            }
            at = grandparent;
        }
        at
    }

    /// Puts two tensors, and all that share with them, into one group.
    pub(crate) fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        let (low, high) = (a.min(b), a.max(b));
        if let Some(slot) = self.parents.get_mut(high) {
            *slot = low;
        }
    }
}
