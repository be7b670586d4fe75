//! TFLite's sparsity parameters: all dimensions dense but the innermost, which is compressed (CSR).

use larun_graph::ops::{ElementType, OpKind};
use larun_graph::{
    DimensionFormat, DimensionMetadata, Graph, Node, NodeOp, OpaqueOp, Sparsity, Tensor, TensorId,
};

use super::decode::release;
use super::{Stored, dense};
use crate::PruneError;
use crate::values::{main, main_mut, tensor, tensor_mut};

/// The format's number of DENSIFY, which makes a sparse constant dense when a model is loaded.
pub(super) const DENSIFY: i32 = 124;
/// Bytes that a DENSIFY node and its tensor take in a file, roughly.
const OVERHEAD: usize = 150;

/// The weights that are not zero and where they are.
pub(super) struct Compressed {
    pub(super) values: Vec<u8>,
    pub(super) sparsity: Sparsity,
    /// Bytes of values, segments and indices in a file.
    pub(super) bytes: usize,
}

/// Compresses a constant of FLOAT32 or INT8, or says why that cannot be.
pub(super) fn compress(found: &Tensor, data: &[u8]) -> Result<Compressed, String> {
    let size = match found.element_type {
        ElementType::Float32 => 4,
        ElementType::Int8 => 1,
        other => {
            return Err(format!(
                "LiteRT makes no sparse elements of type {other} dense"
            ));
        }
    };
    let points = found.quantization.iter().flat_map(|q| &q.zero_point);
    if points.into_iter().any(|&point| point != 0) {
        return Err("its zero point is not 0".to_owned());
    }
    let rank = found.shape.rank();
    let columns = found.shape.last().max(1);
    if rank == 0 || found.byte_len() != Some(data.len()) || found.sparsity.is_some() {
        return Err("it is stored in another way already".to_owned());
    }
    let (mut segments, mut indices, mut values) = (vec![0i32], Vec::new(), Vec::new());
    for row in data.chunks_exact(columns * size) {
        for (column, value) in row.chunks_exact(size).enumerate() {
            // -0 is a zero too.
            let zero = value
                .iter()
                .rev()
                .skip(usize::from(size > 1))
                .all(|byte| *byte == 0);
            let zero = zero && (size == 1 || value.last().is_none_or(|byte| byte & 0x7f == 0));
            if !zero {
                indices.push(column as i32);
                values.extend_from_slice(value);
            }
        }
        segments.push(i32::try_from(indices.len()).map_err(|_| "it has too many weights")?);
    }
    // A buffer without bytes would be no constant.
    if values.is_empty() {
        return Err("it has no weight that is not zero".to_owned());
    }
    let (segments, indices) = (narrowest(segments), narrowest(indices));
    let bytes = values.len() + stored_bytes(&segments) + stored_bytes(&indices);
    let dims = found.shape.dims();
    let plain = |dim: &usize| DimensionMetadata {
        format: DimensionFormat::Dense,
        dense_size: *dim as i32,
        segments: None,
        indices: None,
    };
    let mut dimensions: Vec<_> = dims.iter().take(rank - 1).map(plain).collect();
    dimensions.push(DimensionMetadata {
        format: DimensionFormat::SparseCsr,
        dense_size: 0,
        segments: Some(segments),
        indices: Some(indices),
    });
    Ok(Compressed {
        values,
        sparsity: Sparsity {
            traversal_order: (0..rank as i32).collect(),
            block_map: Vec::new(),
            dimensions,
        },
        bytes,
    })
}

/// Numbers with the format's type for them: bytes, 16 bits or 32.
fn narrowest(values: Vec<i32>) -> (u8, Vec<i32>) {
    let kind = match values.iter().copied().max().unwrap_or(0) {
        0..=255 => 3,
        256..=65535 => 2,
        _ => 1,
    };
    (kind, values)
}

fn stored_bytes((kind, values): &(u8, Vec<i32>)) -> usize {
    let size = match kind {
        3 => 1,
        2 => 2,
        _ => 4,
    };
    size * values.len()
}

/// Makes a constant sparse where that is smaller.
pub(super) fn store(graph: &mut Graph, id: TensorId) -> Result<Stored, PruneError> {
    let found = tensor(graph, id)?.clone();
    let data = graph.data(&found).to_vec();
    let compressed = match compress(&found, &data) {
        Ok(compressed) => compressed,
        Err(why) => return dense(graph, id, Some(why)),
    };
    // LiteRT's dense layer of floats multiplies the sparse matrix itself; other weights are made dense on loading.
    let nodes = main(graph)?.nodes.iter();
    let mut readers = nodes.filter(|node| node.inputs.contains(&Some(id)));
    let direct = found.element_type == ElementType::Float32
        && readers
            .all(|node| node.kind() == Some(OpKind::FullyConnected) && node.input(1) == Some(id));
    let overhead = if direct { 0 } else { OVERHEAD };
    if compressed.bytes + overhead >= data.len() {
        let why = format!(
            "sparse it would take {} bytes: as many for places as for weights; more zeros would help",
            compressed.bytes
        );
        return dense(graph, id, Some(why));
    }
    let stored = Stored {
        name: found.name.clone(),
        dense: data.len(),
        bytes: compressed.bytes,
        storage: "sparse",
        reason: None,
    };
    let buffer = graph.add_buffer(compressed.values);
    let sparse = tensor_mut(graph, id)?;
    let old = core::mem::replace(&mut sparse.buffer, buffer);
    sparse.sparsity = Some(compressed.sparsity);
    release(graph, old);
    if !direct {
        densify(graph, id, &found)?;
    }
    Ok(stored)
}

/// Puts a DENSIFY in front of all that reads a tensor.
fn densify(graph: &mut Graph, id: TensorId, found: &Tensor) -> Result<(), PruneError> {
    let subgraph = main_mut(graph)?;
    let dense = subgraph.add_tensor(Tensor {
        name: format!("{}/dense", found.name),
        buffer: Default::default(),
        ..found.clone()
    });
    let inputs = subgraph.nodes.iter_mut().flat_map(|node| &mut node.inputs);
    for input in inputs.filter(|input| **input == Some(id)) {
        *input = Some(dense);
    }
    let op = OpaqueOp {
        code: DENSIFY,
        ..OpaqueOp::default()
    };
    let node = Node {
        op: NodeOp::Opaque(Box::new(op)),
        version: 1,
        inputs: vec![Some(id)],
        outputs: vec![dense],
        debug_metadata: -1,
        ..Node::default()
    };
    subgraph.nodes.insert(0, node);
    Ok(())
}
