//! First fit for many orders of the same buffers: the fast counterpart of [`first_fit`](crate::first_fit) where memory can be allocated.

use alloc::vec;
use alloc::vec::Vec;

use crate::problem::{Problem, buffers};

/// A buffer with its size rounded up to the alignment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub footprint: u64,
    pub first: u32,
    pub last: u32,
    pub fixed: Option<u64>,
}

impl Slot {
    /// Steps at which it lives.
    pub(crate) const fn duration(&self) -> u64 {
        self.last as u64 - self.first as u64 + 1
    }
}

/// The buffers of a problem that has been found valid.
pub(crate) fn slots<P: Problem + ?Sized>(problem: &P, alignment: u32) -> Vec<Slot> {
    let slot = |(_, b): (u32, crate::Buffer)| Slot {
        footprint: b.footprint(alignment).unwrap_or(u32::MAX).into(),
        first: b.first,
        last: b.last,
        fixed: b.fixed.map(u64::from),
    };
    buffers(problem).map(slot).collect()
}

/// Something placed.
#[derive(Clone, Copy, Debug)]
struct Placed {
    start: u64,
    end: u64,
    first: u32,
    last: u32,
}

/// Placements by rising offset.
#[derive(Debug, Default)]
pub(crate) struct Packing {
    placed: Vec<Placed>,
}

impl Packing {
    /// The lowest offset at which the slot meets nothing placed.
    pub(crate) fn lowest_gap(&self, slot: &Slot) -> u64 {
        self.lowest_gap_from(slot, 0)
    }

    /// The same, at or above `candidate`.
    pub(crate) fn lowest_gap_from(&self, slot: &Slot, mut candidate: u64) -> u64 {
        for other in &self.placed {
            if slot.first > other.last || other.first > slot.last {
                continue;
            }
            if other.start >= candidate + slot.footprint {
                break;
            }
            candidate = candidate.max(other.end);
        }
        candidate
    }

    /// Keeps the bytes for the slot's lifetime.
    pub(crate) fn put(&mut self, slot: &Slot, start: u64) {
        if slot.footprint == 0 {
            return;
        }
        let at = self.placed.partition_point(|other| other.start <= start);
        self.placed.insert(
            at,
            Placed {
                start,
                end: start + slot.footprint,
                first: slot.first,
                last: slot.last,
            },
        );
    }

    /// Places all slots in the order given, those with fixed offsets before the others. `None` when the peak reaches `limit`.
    pub(crate) fn pack(slots: &[Slot], order: &[u32], limit: u64) -> Option<(u64, Vec<u64>)> {
        let mut packing = Self::default();
        let mut offsets = vec![0; slots.len()];
        let mut peak = 0;
        for (slot, offset) in slots.iter().zip(&mut offsets) {
            if let Some(fixed) = slot.fixed {
                packing.put(slot, fixed);
                *offset = fixed;
                peak = peak.max(fixed + slot.footprint);
            }
        }
        for &id in order {
            let slot = &slots[id as usize];
            if slot.fixed.is_some() {
                continue;
            }
            let offset = packing.lowest_gap(slot);
            peak = peak.max(offset + slot.footprint);
            if peak >= limit {
                return None;
            }
            packing.put(slot, offset);
            offsets[id as usize] = offset;
        }
        (peak < limit).then_some((peak, offsets))
    }
}
