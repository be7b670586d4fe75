//! Stored weights made dense again: sparse constants, DENSIFY, TFLM_DECODE.

use larun_graph::ops::OpKind;
use larun_graph::{DimensionFormat, DimensionMetadata, Graph, NodeOp, Place, Tensor, TensorId};

use super::codes::Encoded;
use super::decode::release;
use super::sparse::DENSIFY;
use crate::PruneError;
use crate::values::{main, main_mut, tensor, tensor_mut};

/// How many times larger than its stored bytes a constant may become: a small file must not ask for all memory.
const GROWTH: usize = 4096;

/// The graph with every stored constant dense again, and without the nodes that would decode it.
///
/// # Errors
/// When stored bytes are damaged.
pub fn expand(graph: &Graph) -> Result<Graph, PruneError> {
    graph.validate()?;
    let mut expanded = graph.clone();
    let count = main(graph)?.tensors.len();
    for id in (0..count).map(TensorId::new) {
        let found = tensor(&expanded, id)?.clone();
        if found.sparsity.is_some() && expanded.is_constant(&found) {
            let dense = densify(&found, expanded.data(&found));
            let dense = dense.ok_or_else(|| {
                damaged(graph, id, "its sparsity parameters do not fit its shape")
            })?;
            replace(&mut expanded, id, dense)?;
        }
    }
    let nodes = core::mem::take(&mut main_mut(&mut expanded)?.nodes);
    let mut left = Vec::with_capacity(nodes.len());
    for node in nodes {
        let densifies = matches!(&node.op, NodeOp::Opaque(op) if op.code == DENSIFY && op.custom_code.is_none());
        if densifies {
            if let (Some(input), Some(&output)) = (node.input(0), node.outputs.first()) {
                let data = expanded.data(tensor(&expanded, input)?).to_vec();
                replace(&mut expanded, output, data)?;
            }
        } else if node.kind() == Some(OpKind::Decode) {
            for (pair, &output) in node.inputs.chunks(2).zip(&node.outputs) {
                let bytes = |id: Option<&Option<TensorId>>| -> Result<Vec<u8>, PruneError> {
                    let id = id.copied().flatten().unwrap_or(output);
                    Ok(expanded.data(tensor(&expanded, id)?).to_vec())
                };
                let encoded = Encoded {
                    stream: bytes(pair.first())?,
                    description: bytes(pair.get(1))?,
                };
                let data = encoded.decode(tensor(&expanded, output)?);
                let data = data.ok_or_else(|| damaged(graph, output, "its codes do not decode"))?;
                replace(&mut expanded, output, data)?;
            }
        } else {
            left.push(node);
        }
    }
    main_mut(&mut expanded)?.nodes = left;
    expanded.validate()?;
    Ok(expanded)
}

fn damaged(graph: &Graph, id: TensorId, reason: &str) -> PruneError {
    let place = main(graph).map(|subgraph| Place::tensor(subgraph, id));
    PruneError::Storage {
        place: place.unwrap_or(Place::Tensor {
            index: id.0,
            name: String::new(),
        }),
        reason: reason.to_owned(),
    }
}

/// Gives a tensor dense bytes.
fn replace(graph: &mut Graph, id: TensorId, data: Vec<u8>) -> Result<(), PruneError> {
    if tensor(graph, id)?.byte_len() != Some(data.len()) {
        return Err(damaged(graph, id, "its bytes do not fill its shape"));
    }
    let buffer = graph.add_buffer(data);
    let found = tensor_mut(graph, id)?;
    found.sparsity = None;
    let old = core::mem::replace(&mut found.buffer, buffer);
    release(graph, old);
    Ok(())
}

/// The dense bytes of a sparse constant, `None` where its parameters do not fit its shape.
fn densify(found: &Tensor, data: &[u8]) -> Option<Vec<u8>> {
    let sparsity = found.sparsity.as_ref()?;
    let (size, dims) = (found.element_type.byte_len(1)?, found.shape.dims());
    let len = found.byte_len()?;
    let stored = sparsity.dimensions.iter().flat_map(|dimension| {
        let lists = [&dimension.segments, &dimension.indices];
        lists.into_iter().flatten().map(|(_, values)| values.len())
    });
    let stored = stored.sum::<usize>() + data.len();
    if len > stored.saturating_mul(GROWTH)
        || sparsity.dimensions.len() != sparsity.traversal_order.len()
    {
        return None;
    }
    let level = |(&order, dimension): (&i32, _)| {
        let order = usize::try_from(order).ok()?;
        let block = order
            .checked_sub(dims.len())
            .map(|block| sparsity.block_map.get(block));
        let axis = match block {
            Some(axis) => usize::try_from(*axis?).ok()?,
            None => order,
        };
        (axis < dims.len()).then_some(Level {
            axis,
            is_block: block.is_some(),
            dimension,
        })
    };
    let levels: Option<Vec<Level<'_>>> = sparsity
        .traversal_order
        .iter()
        .zip(&sparsity.dimensions)
        .map(level)
        .collect();
    let mut filler = Filler {
        levels: levels?,
        dims,
        size,
        values: data,
        dense: vec![0; len],
    };
    let places = vec![0; dims.len()];
    filler.fill(0, 0, &places)?;
    Some(filler.dense)
}

/// A stored dimension: a whole axis, or the blocks within one.
struct Level<'t> {
    axis: usize,
    is_block: bool,
    dimension: &'t DimensionMetadata,
}

struct Filler<'t> {
    levels: Vec<Level<'t>>,
    dims: &'t [usize],
    size: usize,
    values: &'t [u8],
    dense: Vec<u8>,
}

impl Filler<'_> {
    /// Goes down one level from position `parent` of the level above. There are at most as many levels as a shape has
    /// dimensions, twice.
    fn fill(&mut self, depth: usize, parent: usize, places: &[usize]) -> Option<()> {
        let Some(level) = self.levels.get(depth) else {
            return self.put(parent, places);
        };
        let (axis, is_block, dimension) = (level.axis, level.is_block, level.dimension);
        let blocks = self
            .levels
            .iter()
            .filter(|other| other.is_block && other.axis == axis);
        let block: usize = blocks
            .map(|other| usize::try_from(other.dimension.dense_size).unwrap_or(0))
            .product();
        let step = |this: &mut Self, position: usize, index: usize| {
            let mut places = places.to_vec();
            // The outer index counts blocks, the inner one elements of a block.
            *places.get_mut(axis)? += if is_block {
                index
            } else {
                index.checked_mul(block)?
            };
            this.fill(depth + 1, position, &places)
        };
        match dimension.format {
            DimensionFormat::Dense => {
                let count = usize::try_from(dimension.dense_size).ok()?;
                (count <= self.dense.len()).then_some(())?;
                for index in 0..count {
                    step(self, parent.checked_mul(count)?.checked_add(index)?, index)?;
                }
            }
            DimensionFormat::SparseCsr => {
                let (_, segments) = dimension.segments.as_ref()?;
                let (_, indices) = dimension.indices.as_ref()?;
                let start = usize::try_from(*segments.get(parent)?).ok()?;
                let end = usize::try_from(*segments.get(parent + 1)?).ok()?;
                for (position, &index) in indices.get(start..end)?.iter().enumerate() {
                    step(self, start + position, usize::try_from(index).ok()?)?;
                }
            }
        }
        Some(())
    }

    fn put(&mut self, position: usize, places: &[usize]) -> Option<()> {
        let mut at = 0usize;
        for (&place, &dim) in places.iter().zip(self.dims) {
            (place < dim).then_some(())?;
            at = at * dim + place;
        }
        let value = self
            .values
            .get(position * self.size..(position + 1) * self.size)?;
        self.dense
            .get_mut(at * self.size..(at + 1) * self.size)?
            .copy_from_slice(value);
        Some(())
    }
}
