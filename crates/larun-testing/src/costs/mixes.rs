//! What the instructions of a family are, from a trace of some of its layers.

use std::collections::BTreeMap;

use larun_device::cost::{InstructionMix, InstructionSet, work};
use serde::{Deserialize, Serialize};

/// Instructions of a node by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeMix {
    instructions: f64,
    loads: f64,
    loaded_words: f64,
    stores: f64,
    stored_words: f64,
    taken: f64,
    multiplications: f64,
    divisions: f64,
}

impl NodeMix {
    fn add(&mut self, other: &Self) {
        self.instructions += other.instructions;
        self.loads += other.loads;
        self.loaded_words += other.loaded_words;
        self.stores += other.stores;
        self.stored_words += other.stored_words;
        self.taken += other.taken;
        self.multiplications += other.multiplications;
        self.divisions += other.divisions;
    }

    fn shares(&self) -> InstructionMix {
        let share = |count: f64| (count / self.instructions.max(1.0) * 1e4).round() / 1e4;
        InstructionMix {
            loads: share(self.loads),
            loaded_words: share(self.loaded_words),
            stores: share(self.stores),
            stored_words: share(self.stored_words),
            taken: share(self.taken),
            multiplications: share(self.multiplications),
            divisions: share(self.divisions),
        }
    }
}

/// The mix of each family: that of all its nodes together. `mixes` are those of all nodes of all models, in their order.
pub fn family_mixes<'m>(
    set: InstructionSet,
    models: impl IntoIterator<Item = &'m [u8]>,
    mixes: &[NodeMix],
) -> BTreeMap<String, InstructionMix> {
    let mut sums: BTreeMap<String, NodeMix> = BTreeMap::new();
    let mut mixes = mixes.iter();
    for model in models {
        let Ok(graph) = larun_tflite::read(model) else {
            continue;
        };
        let Some(subgraph) = graph.main() else {
            continue;
        };
        for node in &subgraph.nodes {
            let Some(mix) = mixes.next() else { break };
            if let Some(done) = work(subgraph, node, set.kernels()) {
                sums.entry(done.family).or_default().add(mix);
            }
        }
    }
    let shares = sums.into_iter().map(|(family, sum)| (family, sum.shares()));
    shares.collect()
}
