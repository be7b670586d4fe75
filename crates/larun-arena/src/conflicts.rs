//! Which buffers live at a common step.

use alloc::vec;
use alloc::vec::Vec;

/// Lists of different lengths in one piece of memory.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    ends: Vec<usize>,
    entries: Vec<u32>,
}

impl Lists {
    pub(crate) fn push(&mut self, entries: &[u32]) {
        self.entries.extend(entries);
        self.ends.push(self.entries.len());
    }

    pub(crate) fn get(&self, i: usize) -> &[u32] {
        let start = i.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.entries[start..self.ends[i]]
    }
}

/// Entries that lists may have: what a search keeps is a few bytes for each.
pub(crate) const MAX_ENTRIES: u64 = 1 << 25;

/// For each lifetime (first and last step) the others that share a step with it; `None` for more than [`MAX_ENTRIES`] in all.
pub(crate) fn conflicts(lifetimes: &[(u32, u32)]) -> Option<Lists> {
    if meetings(lifetimes) > MAX_ENTRIES {
        return None;
    }
    let mut by_start: Vec<u32> = (0..).zip(lifetimes).map(|(id, _)| id).collect();
    by_start.sort_unstable_by_key(|&id| lifetimes[id as usize].0);
    let mut lists = vec![Vec::new(); lifetimes.len()];
    let mut living: Vec<u32> = Vec::new();
    for id in by_start {
        let first = lifetimes[id as usize].0;
        living.retain(|&other| lifetimes[other as usize].1 >= first);
        for &other in &living {
            lists[id as usize].push(other);
            lists[other as usize].push(id);
        }
        living.push(id);
    }
    let mut all = Lists::default();
    lists.iter().for_each(|list| all.push(list));
    Some(all)
}

/// Ordered pairs of lifetimes that share a step.
fn meetings(lifetimes: &[(u32, u32)]) -> u64 {
    let mut starts: Vec<u32> = lifetimes.iter().map(|&(first, _)| first).collect();
    let mut ends: Vec<u32> = lifetimes.iter().map(|&(_, last)| last).collect();
    starts.sort_unstable();
    ends.sort_unstable();
    // With each that starts: those that started before it and have not ended.
    let living = |(before, &start): (usize, &u32)| {
        (before - ends.partition_point(|&end| end < start)) as u64
    };
    2 * starts.iter().enumerate().map(living).sum::<u64>()
}
