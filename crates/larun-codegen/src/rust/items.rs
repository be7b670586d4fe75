//! The statics of a model: each constant once, however many nodes read it.

use std::collections::HashMap;

use super::literal::{byte_string, words};

/// Statics so far.
#[derive(Default)]
pub(super) struct Items {
    text: Vec<String>,
    constants: HashMap<Vec<u8>, String>,
}

impl Items {
    /// How many items there are.
    pub(super) fn count(&self) -> usize {
        self.text.len()
    }

    /// Adds an item.
    pub(super) fn push(&mut self, item: String) {
        self.text.push(item);
    }

    /// The name of the static that holds the bytes.
    pub(super) fn constant(&mut self, bytes: &[u8]) -> String {
        if let Some(name) = self.constants.get(bytes) {
            return name.clone();
        }
        let name = format!("CONSTANT_{}", self.constants.len());
        self.push(format!(
            "static {name}: Aligned4<[u8; {}]> = Aligned4({});",
            bytes.len(),
            byte_string(bytes)
        ));
        self.constants.insert(bytes.to_vec(), name.clone());
        name
    }

    /// Adds the words of a plan.
    pub(super) fn plan(&mut self, name: &str, plan: &[u32]) {
        self.push(format!(
            "static {name}: [u32; {}] = {};",
            plan.len(),
            words(plan)
        ));
    }

    /// Adds what the state begins with.
    pub(super) fn state(&mut self, state: &[u8]) {
        self.push(format!(
            "const INITIAL_STATE: [u8; {}] = {};",
            state.len(),
            byte_string(state)
        ));
    }

    pub(super) fn finish(self) -> Vec<String> {
        self.text
    }
}
