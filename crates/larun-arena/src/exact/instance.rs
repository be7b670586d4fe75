//! A part of a problem made ready for the search: sizes in units, which items meet, and where.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use crate::conflicts::{Lists, MAX_ENTRIES, conflicts};

/// A rectangle to place. All lengths are in units that divide every size and fixed offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// Units of memory, above 0.
    pub size: u64,
    /// The first step at which it lives.
    pub first: u32,
    /// The last one.
    pub last: u32,
    /// Where it must lie.
    pub fixed: Option<u64>,
}

impl Item {
    /// Steps at which it lives.
    pub(super) const fn width(&self) -> u64 {
        self.last as u64 - self.first as u64 + 1
    }
}

/// Items whose lifetimes hang together, with what the search asks for again and again.
#[derive(Debug)]
pub(super) struct Instance {
    pub items: Vec<Item>,
    /// The range of sections in which each item lives.
    pub spans: Vec<Range<usize>>,
    /// The items that live with each item.
    neighbours: Lists,
    /// The items that live in each section.
    sections: Lists,
    /// Units that live in each section.
    pub totals: Vec<u64>,
    /// Items that live both in section `i` and in section `i + 1`.
    pub crossings: Vec<u32>,
}

impl Instance {
    /// `None` when the instance would take too much memory for a search.
    ///
    /// A section is a step at which an item ends, which all that live at it must pass: any set of items that live together is part of one.
    pub(super) fn new(items: Vec<Item>) -> Option<Self> {
        let mut ends: Vec<u32> = items.iter().map(|item| item.last).collect();
        ends.sort_unstable();
        ends.dedup();
        let span = |item: &Item| {
            let start = ends.partition_point(|&end| end < item.first);
            start..ends.partition_point(|&end| end <= item.last)
        };
        let spans: Vec<_> = items.iter().map(span).collect();
        let entries: u64 = spans.iter().map(|span| span.len() as u64).sum();
        if entries > MAX_ENTRIES {
            return None;
        }
        let lifetimes: Vec<_> = items.iter().map(|item| (item.first, item.last)).collect();
        let neighbours = conflicts(&lifetimes)?;

        let mut totals = vec![0; ends.len()];
        let mut crossings = vec![0; ends.len().saturating_sub(1)];
        let mut living = vec![Vec::new(); ends.len()];
        for ((id, item), span) in (0..).zip(&items).zip(&spans) {
            for section in span.clone() {
                totals[section] += item.size;
                living[section].push(id);
            }
            for crossing in &mut crossings[span.start..span.end - 1] {
                *crossing += 1;
            }
        }
        let mut sections = Lists::default();
        living.iter().for_each(|list| sections.push(list));
        Some(Self {
            items,
            spans,
            neighbours,
            sections,
            totals,
            crossings,
        })
    }

    pub(super) fn neighbours(&self, item: usize) -> &[u32] {
        self.neighbours.get(item)
    }

    pub(super) fn section(&self, section: usize) -> &[u32] {
        self.sections.get(section)
    }
}
