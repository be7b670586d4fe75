//! The cost model's data: random layers to count, decks of models for QEMU, and the fit of what was counted.

mod deck;
mod fit;
mod layers;
mod mixes;
mod page;
mod published;
mod random;
mod solve;

pub use deck::{Card, Deck, Purpose, build_deck};
pub use fit::{Counted, CountedModel, FittedFamily, fit_families};
pub use layers::{Layer, layers};
pub use mixes::{NodeMix, family_mixes};
pub use page::{HeldOut, boards_table, write_page};
pub use published::{PUBLISHED, Published};
pub use solve::non_negative_least_squares;
