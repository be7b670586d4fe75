//! What a model weighs, stored in every way there is, and why it does not weigh less.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use larun_arena::{Buffer, GreedyBySize, Planner};
use larun_graph::{Graph, lifetimes};
use larun_passes::remove_unused;
use larun_prune::{Encoding, Storage, WeightSizes, expand, store, weigh};
use serde::{Deserialize, Serialize};

use crate::{Error, Model};

/// The sizes of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SizeReport {
    /// Bytes of the file as it is.
    pub file_bytes: u64,
    /// The file in every way of storing its weights, each written and measured.
    pub ways: Vec<Way>,
    /// Every tensor of weights.
    pub tensors: Vec<TensorSizes>,
    /// Why the file does not shrink, where it does not.
    pub reasons: Vec<String>,
}

/// A file that holds the weights in one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Way {
    /// The way.
    pub storage: String,
    /// The runtimes that read it.
    pub runs_on: String,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of the file deflated, as a package or an update over the air carries it; flash holds it inflated.
    pub deflated_bytes: u64,
    /// Tensors of weights that are not dense.
    pub stored: usize,
    /// Bytes that TensorFlow Lite Micro's planner gives to values, decoded weights among them.
    pub planned_bytes: u64,
    /// Bytes of LARUN's arena, `null` where its interpreter does not read the file.
    pub arena_bytes: Option<u64>,
}

/// A tensor of weights in every way, in bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TensorSizes {
    /// Its name.
    pub name: String,
    /// Its elements.
    pub elements: u64,
    /// The share that is zero.
    pub sparsity: f64,
    /// Different values.
    pub distinct: u64,
    /// Dense.
    pub dense: u64,
    /// The least that a code of single elements can reach.
    pub entropy: u64,
    /// With sparsity parameters.
    pub sparse: Option<u64>,
    /// As TFLM_DECODE of kind pruning.
    pub pruning: Option<u64>,
    /// As TFLM_DECODE by table.
    pub table: Option<u64>,
    /// As TFLM_DECODE by Huffman codes.
    pub huffman: Option<u64>,
    /// The smallest of these.
    pub best: String,
    /// Why no way gains a tenth.
    pub reason: Option<String>,
}

/// Every way of storing, by the name that a command line has for it.
const WAYS: [(&str, Storage, &str); 6] = [
    ("dense", Storage::Dense, "everything"),
    ("sparse", Storage::Sparse, "LiteRT"),
    ("pruning", Storage::Decode(Encoding::Pruning), "TFLM, LARUN"),
    ("table", Storage::Decode(Encoding::Table), "TFLM, LARUN"),
    ("huffman", Storage::Decode(Encoding::Huffman), "TFLM, LARUN"),
    ("decode", Storage::Smallest, "TFLM, LARUN"),
];

/// Weighs a model.
///
/// # Errors
/// When the file is damaged.
pub fn sizes(model: &Model) -> Result<SizeReport, Error> {
    let graph = expand(&model.graph()?)?;
    let file_bytes = model.bytes().len() as u64;
    let ways = WAYS.iter().map(|way| measure(&graph, model.path(), way));
    let ways: Vec<Way> = ways.collect::<Result<_, Error>>()?;
    let tensors: Vec<TensorSizes> = weigh(&graph)?.iter().map(TensorSizes::of).collect();
    Ok(SizeReport {
        reasons: reasons(&ways, &tensors),
        file_bytes,
        ways,
        tensors,
    })
}

/// A graph as a file whose weights are stored in some way, and its tensors.
///
/// # Errors
/// When the graph cannot be written.
pub fn stored(graph: &Graph, storage: Storage) -> Result<(Graph, Vec<larun_prune::Stored>), Error> {
    let (mut graph, tensors) = store(graph, storage)?;
    remove_unused(&mut graph);
    Ok((graph, tensors))
}

fn measure(
    graph: &Graph,
    path: &Path,
    (name, storage, runs_on): &(&str, Storage, &str),
) -> Result<Way, Error> {
    let (graph, tensors) = stored(graph, *storage)?;
    let bytes = larun_tflite::write(&graph)?;
    let model = Model::new(path, &bytes);
    Ok(Way {
        storage: (*name).to_owned(),
        runs_on: (*runs_on).to_owned(),
        file_bytes: bytes.len() as u64,
        deflated_bytes: deflated(&bytes),
        stored: tensors
            .iter()
            .filter(|tensor| tensor.storage != "dense")
            .count(),
        planned_bytes: planned_bytes(&graph)?,
        arena_bytes: model.arena().ok().map(|arena| arena.len() as u64),
    })
}

/// Bytes of a file after the strongest deflate, with zlib's frame.
pub fn deflated(bytes: &[u8]) -> u64 {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    // Writing into memory cannot fail.
    let _ = encoder.write_all(bytes);
    encoder
        .finish()
        .map_or(bytes.len() as u64, |deflated| deflated.len() as u64)
}

/// Bytes that TensorFlow Lite Micro's planner gives to the values of a graph.
///
/// # Errors
/// When sizes are unknown or do not fit.
pub fn planned_bytes(graph: &Graph) -> Result<u64, Error> {
    let subgraph = graph.main().ok_or(larun_graph::GraphError::NoSubgraph)?;
    let buffer = |lifetime: &larun_graph::Lifetime| {
        let word = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Buffer::new(
            word(lifetime.bytes),
            word(lifetime.first),
            word(lifetime.last),
        )
    };
    let buffers: Vec<Buffer> = lifetimes(graph, subgraph)?.iter().map(buffer).collect();
    Ok(GreedyBySize.plan(&buffers, 16)?.peak.into())
}

impl TensorSizes {
    fn of(sizes: &WeightSizes) -> Self {
        let some = |bytes: Option<usize>| bytes.map(|bytes| bytes as u64);
        Self {
            name: sizes.name.clone(),
            elements: sizes.elements as u64,
            sparsity: sizes.sparsity(),
            distinct: sizes.distinct as u64,
            dense: sizes.dense as u64,
            entropy: sizes.entropy as u64,
            sparse: some(sizes.sparse),
            pruning: some(sizes.pruning),
            table: some(sizes.table),
            huffman: some(sizes.huffman),
            best: sizes.best().0.to_owned(),
            reason: sizes.reason(),
        }
    }
}

/// Why a dense file is as large as before, and why other ways gain nothing.
fn reasons(ways: &[Way], tensors: &[TensorSizes]) -> Vec<String> {
    let mut reasons = Vec::new();
    let (elements, zeros) = tensors
        .iter()
        .fold((0u64, 0.0), |(elements, zeros), tensor| {
            (
                elements + tensor.elements,
                zeros + tensor.sparsity * tensor.elements as f64,
            )
        });
    let share = zeros / elements.max(1) as f64;
    let bytes = |name: &str| {
        ways.iter()
            .find(|way| way.storage == name)
            .map_or(0, |way| way.file_bytes)
    };
    let (dense, decode) = (bytes("dense"), bytes("decode"));
    if share >= 0.05 {
        reasons.push(format!(
            "{:.0} % of the weights are zero, but a zero takes as many bytes as any value in a dense file; store them as decode or sparse, or remove whole channels",
            100.0 * share
        ));
    }
    if 10 * decode > 9 * dense {
        let mut common: Vec<(u64, &String)> = Vec::new();
        for (reason, bytes) in tensors
            .iter()
            .filter_map(|t| Some((t.reason.as_ref()?, t.dense)))
        {
            match common.iter_mut().find(|(_, other)| *other == reason) {
                Some((sum, _)) => *sum += bytes,
                None => common.push((bytes, reason)),
            }
        }
        common.sort_by_key(|(bytes, _)| core::cmp::Reverse(*bytes));
        let weights: u64 = tensors.iter().map(|tensor| tensor.dense).sum();
        if 2 * weights < dense {
            reasons.push(format!(
                "weights are {weights} of {dense} bytes: the rest is structure, biases and scales, which no way of storing weights makes smaller"
            ));
        }
        reasons.extend(
            common
                .into_iter()
                .take(3)
                .map(|(bytes, reason)| format!("{bytes} bytes of weights: {reason}")),
        );
    }
    reasons
}
