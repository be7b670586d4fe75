//! Cycles from the mix of instructions.

use serde::{Deserialize, Serialize};

/// Of all instructions executed, the share of each kind; the words are more than the instructions where one moves several.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstructionMix {
    /// Instructions that load.
    pub loads: f64,
    /// Words that they load.
    pub loaded_words: f64,
    /// Instructions that store.
    pub stores: f64,
    /// Words that they store.
    pub stored_words: f64,
    /// Branches that are taken, calls and returns among them.
    pub taken: f64,
    /// Multiplications, those that accumulate among them.
    pub multiplications: f64,
    /// Divisions.
    pub divisions: f64,
}

impl InstructionMix {
    /// That of kernels whose mix was not counted.
    pub const TYPICAL: Self = Self {
        loads: 0.22,
        loaded_words: 0.3,
        stores: 0.05,
        stored_words: 0.06,
        taken: 0.06,
        multiplications: 0.15,
        divisions: 0.0,
    };
}

/// Cycles that instructions take beyond the one that each takes, from memory that answers at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// For a load of one word.
    pub load: f64,
    /// For every further word of a load or a store of several.
    pub word: f64,
    /// For a store of one word.
    pub store: f64,
    /// For a branch that is taken.
    pub taken: f64,
    /// For a multiplication.
    pub multiplication: f64,
    /// For a division.
    pub division: f64,
    /// What the sum is multiplied with: below 1 where instructions go side by side.
    pub factor: f64,
}

impl Timing {
    /// Cycles of an instruction, on average.
    #[must_use]
    pub fn cycles_per_instruction(&self, mix: &InstructionMix) -> f64 {
        let words =
            (mix.loaded_words - mix.loads).max(0.0) + (mix.stored_words - mix.stores).max(0.0);
        let extra = mix.loads * self.load
            + mix.stores * self.store
            + words * self.word
            + mix.taken * self.taken
            + mix.multiplications * self.multiplication
            + mix.divisions * self.division;
        (1.0 + extra) * self.factor
    }
}
