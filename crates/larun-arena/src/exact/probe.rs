//! Whether an instance fits a capacity, asked with several searches by turns.

use alloc::vec::Vec;

use super::instance::Instance;
use super::search::{Key, Preorder, Search, Verdict};
use crate::Budget;

/// The searches differ in what they try first: which one finds a placement soon, nobody knows before.
const PREORDERS: [Preorder; 4] = [
    [Key::Total, Key::Width, Key::Area],
    [Key::Total, Key::Area, Key::Width],
    [Key::Width, Key::Area, Key::Total],
    [Key::Size, Key::Width, Key::Area],
];

/// Steps that each search takes by turns.
const TURN: u64 = 1024;

/// Searches at one capacity.
#[derive(Debug)]
pub(super) struct Probe<'i> {
    pub capacity: u64,
    searches: Vec<Search<'i>>,
}

impl<'i> Probe<'i> {
    pub(super) fn new(instance: &'i Instance, capacity: u64) -> Self {
        let search = |preorder| Search::new(instance, capacity, preorder);
        Self {
            capacity,
            searches: PREORDERS.map(search).into(),
        }
    }

    /// Gives each search so many turns.
    pub(super) fn run(&mut self, turns: u64, budget: &mut Budget<'_>) -> Verdict {
        for _ in 0..turns {
            for search in &mut self.searches {
                let mut turn = budget.take(TURN);
                let verdict = search.run(&mut turn);
                budget.put_back(&turn);
                if verdict != Verdict::Exhausted {
                    return verdict;
                }
                if budget.is_spent() {
                    return Verdict::Exhausted;
                }
            }
        }
        Verdict::Exhausted
    }
}
