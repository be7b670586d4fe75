//! How weights that were pruned or clustered are stored, so that the file gets smaller.
//!
//! | storage | who reads it | what it holds |
//! |---|---|---|
//! | dense | everyone | every weight |
//! | sparse | LiteRT | `SparsityParameters`: the weights that are not zero, and where they are |
//! | pruning | TFLM, LARUN | TFLM_DECODE: a bit for each weight, and the weights that are not zero |
//! | table | TFLM, LARUN | TFLM_DECODE: the number of a value for each weight, and the values |
//! | huffman | TFLM, LARUN | TFLM_DECODE: a prefix code for each weight, short for frequent ones |

mod bits;
mod codes;
mod decode;
mod expand;
mod huffman;
mod sparse;
mod weigh;

use larun_graph::{Graph, TensorId};

use crate::PruneError;
use crate::values::{main, weights_of};

pub use codes::{Encoded, Encoding};
pub(crate) use decode::release;
pub use expand::expand;
pub use weigh::{WeightSizes, weigh};

/// How the weights of a model are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// Every weight.
    #[default]
    Dense,
    /// TFLite's sparsity parameters.
    Sparse,
    /// TFLM_DECODE, each tensor by this code.
    Decode(Encoding),
    /// TFLM_DECODE, each tensor by the code that makes it smallest.
    Smallest,
}

/// A tensor of weights and how it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What the tensor is called.
    pub name: String,
    /// Its bytes when dense.
    pub dense: usize,
    /// Its bytes as stored, with all that is needed to read it.
    pub bytes: usize,
    /// The storage: `dense`, `sparse`, `pruning`, `table` or `huffman`.
    pub storage: &'static str,
    /// Why it stayed dense, where it did.
    pub reason: Option<String>,
}

/// A graph whose weights are stored in some way, and what became of each tensor of weights. Tensors that would not get smaller
/// stay dense.
///
/// # Errors
/// When the graph does not hold together.
pub fn store(graph: &Graph, storage: Storage) -> Result<(Graph, Vec<Stored>), PruneError> {
    graph.validate()?;
    let mut stored = graph.clone();
    let mut tensors = Vec::new();
    for id in weight_tensors(graph)? {
        tensors.push(match storage {
            Storage::Dense => dense(graph, id, None)?,
            Storage::Sparse => sparse::store(&mut stored, id)?,
            Storage::Decode(encoding) => decode::store(&mut stored, id, &[encoding])?,
            Storage::Smallest => decode::store(&mut stored, id, &Encoding::ALL)?,
        });
    }
    stored.validate()?;
    Ok((stored, tensors))
}

/// Every constant of weights, each once.
fn weight_tensors(graph: &Graph) -> Result<Vec<TensorId>, PruneError> {
    let mut tensors: Vec<TensorId> = Vec::new();
    for node in &main(graph)?.nodes {
        for tensor in weights_of(graph, node) {
            if !tensors.contains(&tensor) {
                tensors.push(tensor);
            }
        }
    }
    Ok(tensors)
}

/// What is said of a tensor that stays dense.
fn dense(graph: &Graph, id: TensorId, reason: Option<String>) -> Result<Stored, PruneError> {
    let tensor = crate::values::tensor(graph, id)?;
    let bytes = graph.data(tensor).len();
    Ok(Stored {
        name: tensor.name.clone(),
        dense: bytes,
        bytes,
        storage: "dense",
        reason,
    })
}

impl Storage {
    /// What it is called on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Sparse => "sparse",
            Self::Decode(encoding) => encoding.name(),
            Self::Smallest => "decode",
        }
    }
}
