//! What each way of storing would make of each tensor of weights.

use std::collections::BTreeMap;

use larun_graph::Graph;

use super::codes::{Encoded, Encoding};
use super::{sparse, weight_tensors};
use crate::PruneError;
use crate::values::{real_values, tensor};

/// The sizes of a tensor of weights, in bytes, each with all that is needed to read it.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightSizes {
    /// What the tensor is called.
    pub name: String,
    /// Its elements.
    pub elements: usize,
    /// Those that are zero.
    pub zeros: usize,
    /// Different values among its elements.
    pub distinct: usize,
    /// Dense, as it is.
    pub dense: usize,
    /// The least that any code for single elements can reach: their entropy (Shannon 1948).
    pub entropy: usize,
    /// With TFLite's sparsity parameters, `None` where LiteRT reads none.
    pub sparse: Option<usize>,
    /// As TFLM_DECODE of kind pruning.
    pub pruning: Option<usize>,
    /// As TFLM_DECODE by table.
    pub table: Option<usize>,
    /// As TFLM_DECODE by Huffman codes.
    pub huffman: Option<usize>,
}

impl WeightSizes {
    /// The share of elements that are zero.
    pub fn sparsity(&self) -> f64 {
        self.zeros as f64 / self.elements.max(1) as f64
    }

    /// The smallest of all ways, with its name.
    pub fn best(&self) -> (&'static str, usize) {
        let ways = [
            ("dense", Some(self.dense)),
            ("sparse", self.sparse),
            ("pruning", self.pruning),
            ("table", self.table),
            ("huffman", self.huffman),
        ];
        let known = ways
            .into_iter()
            .filter_map(|(name, bytes)| Some((name, bytes?)));
        known
            .min_by_key(|(_, bytes)| *bytes)
            .unwrap_or(("dense", self.dense))
    }

    /// Why storing the tensor in another way gains little or nothing, `None` where it gains a tenth at least.
    pub fn reason(&self) -> Option<String> {
        let (_, best) = self.best();
        if 10 * best <= 9 * self.dense {
            return None;
        }
        Some(if self.zeros == 0 && self.distinct > 128 {
            "nothing was pruned or clustered: every weight is its own value".to_owned()
        } else if self.dense < 512 {
            "it is small: the description of a code outweighs what it saves".to_owned()
        } else if 4 * self.zeros < self.elements {
            format!(
                "{:.0} % zeros are too few: marking them costs a bit for each weight",
                100.0 * self.sparsity()
            )
        } else {
            format!(
                "its {} different values are spread too evenly for short codes",
                self.distinct
            )
        })
    }
}

/// The sizes of every tensor of weights.
///
/// # Errors
/// When the graph does not hold together.
pub fn weigh(graph: &Graph) -> Result<Vec<WeightSizes>, PruneError> {
    let mut sizes = Vec::new();
    for id in weight_tensors(graph)? {
        let (found, values) = (tensor(graph, id)?, real_values(graph, id)?);
        let data = graph.data(found);
        let mut counts = BTreeMap::<&[u8], usize>::new();
        let element = found.element_type.byte_len(1).unwrap_or(1).max(1);
        data.chunks_exact(element)
            .for_each(|value| *counts.entry(value).or_default() += 1);
        let total = values.len() as f64;
        let bits: f64 = counts
            .values()
            .map(|&n| n as f64 * (total / n as f64).log2())
            .sum();
        let encoded = |encoding| Encoded::new(found, data, encoding).ok().map(|e| e.len());
        sizes.push(WeightSizes {
            name: found.name.clone(),
            elements: values.len(),
            zeros: values.iter().filter(|value| **value == 0.0).count(),
            distinct: counts.len(),
            dense: data.len(),
            entropy: (bits / 8.0).ceil() as usize,
            sparse: sparse::compress(found, data)
                .ok()
                .map(|sparse| sparse.bytes),
            pruning: encoded(Encoding::Pruning),
            table: encoded(Encoding::Table),
            huffman: encoded(Encoding::Huffman),
        });
    }
    Ok(sizes)
}
