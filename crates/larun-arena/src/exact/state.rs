//! The state of a search: what is placed, what follows from it, and how to take it back.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::instance::Instance;

/// The offset of an item that is not placed.
const WAITING: u64 = u64::MAX;

/// What is placed and what that leaves. Every change is on a trail, from which [`undo`](Self::undo) takes it back.
#[derive(Debug)]
pub(super) struct State<'i> {
    pub instance: &'i Instance,
    pub capacity: u64,
    offsets: Vec<u64>,
    /// The lowest offset each waiting item can have.
    lowest: Vec<u64>,
    /// For each section, the units that no waiting item can use any more.
    floors: Vec<u64>,
    /// For each section, the units that wait.
    pub totals: Vec<u64>,
    /// Waiting items that live both in a section and the next.
    crossings: Vec<u32>,
    lowest_trail: Vec<(u32, u64)>,
    floor_trail: Vec<(u32, u64)>,
    touched: Touched,
    /// Waiting items of a section: lowest offset and size.
    releases: Vec<(u64, u64)>,
}

/// A placement, and where the trails were before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    item: u32,
    lowest_mark: usize,
    floor_mark: usize,
    /// No waiting item lives with it: it is in nobody's way.
    pub alone: bool,
}

/// Sections in which something rose.
#[derive(Debug)]
struct Touched {
    sections: Vec<u32>,
    /// When each section was last listed.
    listed: Vec<u64>,
    now: u64,
}

impl Touched {
    fn clear(&mut self) {
        self.now += 1;
        self.sections.clear();
    }

    fn add(&mut self, sections: Range<usize>) {
        for section in sections {
            if self.listed[section] != self.now {
                self.listed[section] = self.now;
                self.sections.push(section as u32);
            }
        }
    }
}

impl<'i> State<'i> {
    pub(super) fn new(instance: &'i Instance, capacity: u64) -> Self {
        let (items, sections) = (instance.items.len(), instance.totals.len());
        let lowest = instance.items.iter().map(|item| item.fixed.unwrap_or(0));
        Self {
            instance,
            capacity,
            offsets: vec![WAITING; items],
            lowest: lowest.collect(),
            floors: vec![0; sections],
            totals: instance.totals.clone(),
            crossings: instance.crossings.clone(),
            lowest_trail: Vec::new(),
            floor_trail: Vec::new(),
            touched: Touched {
                sections: Vec::new(),
                listed: vec![0; sections],
                now: 0,
            },
            releases: Vec::new(),
        }
    }

    pub(super) fn is_waiting(&self, item: u32) -> bool {
        self.offsets[item as usize] == WAITING
    }

    /// The lowest offset that a waiting item can have, and the top it would have there.
    pub(super) fn lowest(&self, item: u32) -> (u64, u64) {
        let offset = self.lowest[item as usize];
        (offset, offset + self.instance.items[item as usize].size)
    }

    /// Places an item at its lowest offset, and raises what that pushes up. The second value is false when the rest cannot be placed
    /// any more, with no item below the new one's offset.
    pub(super) fn place(&mut self, item: u32, part: &Range<usize>) -> (Placed, bool) {
        let id = item as usize;
        let (offset, top) = self.lowest(item);
        let placed = Placed {
            item,
            lowest_mark: self.lowest_trail.len(),
            floor_mark: self.floor_trail.len(),
            alone: true,
        };
        self.offsets[id] = offset;
        let span = self.instance.spans[id].clone();
        for section in span.clone() {
            self.floor_trail
                .push((section as u32, self.floors[section]));
            self.floors[section] = top;
            self.totals[section] -= top - offset;
        }
        for crossing in &mut self.crossings[span.start..span.end - 1] {
            *crossing -= 1;
        }
        let (alone, fits) = self.push_up(id, top);
        let fixed = self.instance.items[id].fixed;
        let possible = fits && fixed.is_none_or(|fixed| fixed == offset);
        let consistent = possible && self.is_consistent(offset, part);
        (Placed { alone, ..placed }, consistent)
    }

    /// Raises the waiting items that live with a new one. Whether there is none, and whether all still fit.
    fn push_up(&mut self, id: usize, top: u64) -> (bool, bool) {
        let (mut alone, mut fits) = (true, true);
        self.touched.clear();
        for &other in self.instance.neighbours(id) {
            if !self.is_waiting(other) {
                continue;
            }
            alone = false;
            let lowest = &mut self.lowest[other as usize];
            if *lowest >= top {
                continue;
            }
            self.lowest_trail.push((other, *lowest));
            *lowest = top;
            let theirs = &self.instance.items[other as usize];
            fits &= top + theirs.size <= self.capacity;
            fits &= theirs.fixed.is_none_or(|fixed| fixed >= top);
            self.touched
                .add(self.instance.spans[other as usize].clone());
        }
        (alone, fits)
    }

    /// Whether every section of the part can still hold what waits in it, at or above `offset`.
    fn is_consistent(&mut self, offset: u64, part: &Range<usize>) -> bool {
        let sections = self.floors[part.clone()]
            .iter()
            .zip(&self.totals[part.clone()]);
        for (&floor, &total) in sections {
            if floor.max(offset) + total > self.capacity {
                return false;
            }
        }
        (0..self.touched.sections.len()).all(|i| self.holds(self.touched.sections[i], offset))
    }

    /// Whether a section can hold its waiting items, of which none can lie lower than its lowest offset. That is the makespan of one
    /// machine whose jobs have release times: best done in the order of release.
    fn holds(&mut self, section: u32, offset: u64) -> bool {
        let at = section as usize;
        let total = self.totals[at];
        if total == 0 {
            return true;
        }
        self.releases.clear();
        let (mut least, mut most) = (u64::MAX, 0);
        for &other in self.instance.section(at) {
            let id = other as usize;
            if self.offsets[id] == WAITING {
                let lowest = self.lowest[id].max(offset);
                least = least.min(lowest);
                most = most.max(lowest);
                self.releases.push((lowest, self.instance.items[id].size));
            }
        }
        if least > self.floors[at] {
            self.floor_trail.push((section, self.floors[at]));
            self.floors[at] = least;
        }
        if least + total > self.capacity {
            return false;
        }
        if most + total <= self.capacity || most == least {
            return true;
        }
        self.releases.sort_unstable();
        let finish = |end: u64, &(lowest, size): &(u64, u64)| end.max(lowest) + size;
        self.releases.iter().fold(0, finish) <= self.capacity
    }

    /// Takes back the last placement.
    pub(super) fn undo(&mut self, placed: &Placed) {
        for (section, floor) in self.floor_trail.drain(placed.floor_mark..).rev() {
            self.floors[section as usize] = floor;
        }
        for (item, lowest) in self.lowest_trail.drain(placed.lowest_mark..).rev() {
            self.lowest[item as usize] = lowest;
        }
        let id = placed.item as usize;
        let span = self.instance.spans[id].clone();
        for total in &mut self.totals[span.clone()] {
            *total += self.instance.items[id].size;
        }
        for crossing in &mut self.crossings[span.start..span.end - 1] {
            *crossing += 1;
        }
        self.offsets[id] = WAITING;
    }

    /// The sections before which the part falls apart, since no waiting item crosses any more; they lie within the item just placed.
    pub(super) fn cuts(&self, placed: &Placed) -> impl Iterator<Item = usize> + '_ {
        let span = self.instance.spans[placed.item as usize].clone();
        (span.start..span.end - 1)
            .filter(|&at| self.crossings[at] == 0)
            .map(|at| at + 1)
    }
}
