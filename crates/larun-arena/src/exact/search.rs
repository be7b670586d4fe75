//! Depth-first search for a placement below a capacity, over canonical placements: items are placed by rising offset.
//!
//! The scheme is that of MiniMalloc (Moffitt, "MiniMalloc: A Lightweight Memory Allocator for Hardware-Accelerated Machine Learning",
//! ASPLOS 2023), with a stronger bound for each section and without its recursion:
//! - Any placement can be pushed down until each item rests on another or on the ground, and built by rising offsets. So only the lowest
//!   offset of each item is tried, and none below the last one.
//! - An item that would fit whole below the next offset could be pushed down: such placements are skipped.
//! - An item that lives with no waiting one is in nobody's way: once placed, it is not tried elsewhere.
//! - Where no waiting item crosses from a section to the next, both sides are solved apart.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::Range;

use super::instance::{Instance, Item};
use super::state::{Placed, State};
use crate::Budget;

/// Which items are tried first at equal offsets: by these keys, each descending.
pub(super) type Preorder = [Key; 3];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Units times steps.
    Area,
    /// The most units that wait in a section of the item.
    Total,
    /// Steps.
    Width,
    /// Units.
    Size,
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Offsets of all items.
    Found(Vec<u64>),
    /// There is no placement.
    Infeasible,
    /// The budget was used up.
    Exhausted,
}

/// Items that are solved together: a stretch of sections that no other waiting item enters.
#[derive(Clone, Debug)]
struct Part {
    sections: Range<usize>,
    /// Where its items lie in [`Search::members`], by rank.
    members: Range<usize>,
}

/// A node: a part, and what may be placed next in it.
#[derive(Debug)]
struct Frame {
    part: Part,
    /// What is still to be tried: `Search::candidates[first_candidate..last_candidate]`, the best last.
    first_candidate: usize,
    last_candidate: usize,
    /// What is placed now.
    placed: Option<Placed>,
    /// Lengths of `Search::members` and `Search::parts` when the node was opened. Parts above wait for the one being solved.
    members: usize,
    parts: usize,
}

/// An item to place, with its rank in its part.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    offset: u64,
    rank: u32,
    item: u32,
}

/// A search with its stacks.
#[derive(Debug)]
pub(super) struct Search<'i> {
    state: State<'i>,
    preorder: Preorder,
    solution: Vec<u64>,
    frames: Vec<Frame>,
    members: Vec<u32>,
    candidates: Vec<Candidate>,
    parts: Vec<Part>,
    started: bool,
}

/// What became of a node.
enum Outcome {
    /// It has something to try, or not: look again.
    Open,
    /// Its part is placed.
    Solved,
}

impl<'i> Search<'i> {
    pub(super) fn new(instance: &'i Instance, capacity: u64, preorder: Preorder) -> Self {
        Self {
            state: State::new(instance, capacity),
            preorder,
            solution: vec![0; instance.items.len()],
            frames: Vec::new(),
            members: Vec::new(),
            candidates: Vec::new(),
            parts: Vec::new(),
            started: false,
        }
    }

    /// Searches on from where the last call was exhausted; each placement tried is a step.
    pub(super) fn run(&mut self, budget: &mut Budget<'_>) -> Verdict {
        if !self.started {
            self.started = true;
            if self.is_hopeless() {
                return Verdict::Infeasible;
            }
            let sections = self.state.totals.len();
            let all = (0..).zip(&self.solution).map(|(id, _)| id).collect();
            let part = self.part(0..sections, all);
            if let Outcome::Solved = self.open(part, 0, 0) {
                return Verdict::Found(self.solution.clone());
            }
        }
        while !self.frames.is_empty() {
            if !budget.spend() {
                return Verdict::Exhausted;
            }
            let mut outcome = self.advance();
            while let Outcome::Solved = outcome {
                let Some(frame) = self.frames.last() else {
                    return Verdict::Found(self.solution.clone());
                };
                let waiting = self.parts.len() > frame.parts;
                match waiting.then(|| self.parts.pop()).flatten() {
                    Some(part) => outcome = self.open(part, 0, 0),
                    None => self.close(),
                }
            }
        }
        Verdict::Infeasible
    }

    /// Whether the capacity is too small at first sight.
    fn is_hopeless(&self) -> bool {
        let (instance, capacity) = (self.state.instance, self.state.capacity);
        let end = |item: &Item| item.fixed.unwrap_or(0).saturating_add(item.size);
        instance.totals.iter().any(|&total| total > capacity)
            || instance.items.iter().any(|item| end(item) > capacity)
    }

    /// Makes a part of items, the best first.
    fn part(&mut self, sections: Range<usize>, mut items: Vec<u32>) -> Part {
        items.sort_by_cached_key(|&item| {
            (self.preorder.map(|key| Reverse(self.key(key, item))), item)
        });
        let start = self.members.len();
        self.members.extend(items);
        Part {
            sections,
            members: start..self.members.len(),
        }
    }

    fn key(&self, key: Key, id: u32) -> u64 {
        let item = &self.state.instance.items[id as usize];
        match key {
            Key::Area => item.size.saturating_mul(item.width()),
            Key::Width => item.width(),
            Key::Size => item.size,
            Key::Total => {
                let span = self.state.instance.spans[id as usize].clone();
                self.state.totals[span].iter().copied().max().unwrap_or(0)
            }
        }
    }

    /// Opens a node: lists what may come next, with offset and rank not below the last placement's.
    fn open(&mut self, part: Part, min_offset: u64, min_rank: u32) -> Outcome {
        let first_candidate = self.candidates.len();
        // Nothing may come to lie at or above the lowest top that a waiting item can have: that item would fit below.
        let mut lowest_top = u64::MAX;
        for (rank, &item) in (0..).zip(&self.members[part.members.clone()]) {
            if !self.state.is_waiting(item) {
                continue;
            }
            let (offset, top) = self.state.lowest(item);
            lowest_top = lowest_top.min(top);
            if offset < lowest_top && (offset, rank) >= (min_offset, min_rank) {
                self.candidates.push(Candidate { offset, rank, item });
            }
        }
        if lowest_top == u64::MAX {
            return Outcome::Solved;
        }
        let mut kept = first_candidate;
        for i in first_candidate..self.candidates.len() {
            if self.candidates[i].offset < lowest_top {
                self.candidates[kept] = self.candidates[i];
                kept += 1;
            }
        }
        self.candidates.truncate(kept);
        self.candidates[first_candidate..].sort_unstable_by_key(|c| Reverse((c.offset, c.rank)));
        self.frames.push(Frame {
            part,
            first_candidate,
            last_candidate: kept,
            placed: None,
            members: self.members.len(),
            parts: self.parts.len(),
        });
        Outcome::Open
    }

    /// Leaves the last node, solved or not.
    fn close(&mut self) {
        self.undo();
        if let Some(frame) = self.frames.pop() {
            self.candidates.truncate(frame.first_candidate);
        }
    }

    /// Takes back what the last node placed; whether that was in nobody's way.
    fn undo(&mut self) -> bool {
        let Some(frame) = self.frames.last_mut() else {
            return false;
        };
        self.members.truncate(frame.members);
        self.parts.truncate(frame.parts);
        let Some(placed) = frame.placed.take() else {
            return false;
        };
        self.state.undo(&placed);
        placed.alone
    }

    /// Tries the last node's next candidate, or leaves the node.
    fn advance(&mut self) -> Outcome {
        let was_alone = self.undo();
        let Some(frame) = self.frames.last_mut() else {
            return Outcome::Open;
        };
        if was_alone || frame.last_candidate == frame.first_candidate {
            self.close();
            return Outcome::Open;
        }
        frame.last_candidate -= 1;
        self.candidates.truncate(frame.last_candidate + 1);
        let Some(candidate) = self.candidates.pop() else {
            return Outcome::Open;
        };
        let (placed, possible) = self.state.place(candidate.item, &frame.part.sections);
        frame.placed = Some(placed);
        if !possible {
            return Outcome::Open;
        }
        let part = frame.part.clone();
        self.solution[candidate.item as usize] = candidate.offset;
        let cuts: Vec<usize> = self.state.cuts(&placed).collect();
        match cuts.is_empty() {
            true => self.open(part, candidate.offset, candidate.rank + 1),
            false => {
                self.divide(&part, cuts);
                Outcome::Solved
            }
        }
    }

    /// Puts the parts into which a placement has split a part on the stack, the earliest on top.
    fn divide(&mut self, part: &Part, cuts: Vec<usize>) {
        let bounds: Vec<usize> = [part.sections.start]
            .into_iter()
            .chain(cuts)
            .chain([part.sections.end])
            .collect();
        for bound in bounds.windows(2).rev() {
            let sections = bound[0]..bound[1];
            let members = self.members[part.members.clone()].iter().copied();
            let inside = |&item: &u32| {
                let span = &self.state.instance.spans[item as usize];
                self.state.is_waiting(item) && sections.contains(&span.start)
            };
            let items: Vec<u32> = members.filter(inside).collect();
            if !items.is_empty() {
                let part = self.part(sections, items);
                self.parts.push(part);
            }
        }
    }
}
