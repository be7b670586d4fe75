//! TFLM_DECODE nodes in front of the layers that read weights.

use larun_graph::ops::{ElementType, NoOptions, Op, Shape};
use larun_graph::{Graph, Node, Place, Tensor, TensorId};

use super::codes::{Encoded, Encoding};
use super::{Stored, dense};
use crate::PruneError;
use crate::values::{main, main_mut, tensor};

/// Bytes that a node, its two constants and their buffers take in a file beside their data, roughly: what a tensor must save
/// at least.
const OVERHEAD: usize = 300;

/// Replaces a constant by TFLM_DECODE nodes, one before each node that reads it, where one of the encodings is smaller.
pub(super) fn store(
    graph: &mut Graph,
    id: TensorId,
    encodings: &[Encoding],
) -> Result<Stored, PruneError> {
    let found = tensor(graph, id)?.clone();
    let data = graph.data(&found).to_vec();
    if main(graph)?.outputs.contains(&id) {
        return dense(graph, id, Some("the caller reads it".to_owned()));
    }
    let mut best: Option<(Encoding, Encoded)> = None;
    let mut reason = String::new();
    for &encoding in encodings {
        match Encoded::new(&found, &data, encoding) {
            Ok(encoded)
                if best
                    .as_ref()
                    .is_none_or(|(_, best)| encoded.len() < best.len()) =>
            {
                best = Some((encoding, encoded));
            }
            Ok(_) => {}
            Err(why) => reason = why,
        }
    }
    let Some((encoding, encoded)) = best else {
        return dense(graph, id, Some(reason));
    };
    let readers = readers(graph, id)?;
    let bytes = encoded.len() + OVERHEAD * readers.len();
    if bytes >= data.len() {
        let name = encoding.name();
        let why = format!(
            "{name} would take {} bytes and some {} for its nodes",
            encoded.len(),
            OVERHEAD * readers.len()
        );
        return dense(graph, id, Some(why));
    }
    if encoded.decode(&found).as_deref() != Some(&data) {
        return Err(PruneError::Storage {
            place: Place::tensor(main(graph)?, id),
            reason: format!(
                "the {} code does not give the weights back",
                encoding.name()
            ),
        });
    }
    let stored = Stored {
        name: found.name.clone(),
        dense: data.len(),
        bytes: encoded.len(),
        storage: encoding.name(),
        reason: None,
    };
    insert(graph, id, &found, encoded)?;
    Ok(stored)
}

/// The positions of the nodes that read a tensor.
fn readers(graph: &Graph, id: TensorId) -> Result<Vec<usize>, PruneError> {
    let nodes = main(graph)?.nodes.iter().enumerate();
    let reads = nodes.filter(|(_, node)| node.inputs.contains(&Some(id)));
    Ok(reads.map(|(index, _)| index).collect())
}

fn insert(
    graph: &mut Graph,
    id: TensorId,
    found: &Tensor,
    encoded: Encoded,
) -> Result<(), PruneError> {
    let stream = add_bytes(graph, &format!("{}/encoded", found.name), encoded.stream)?;
    let description = add_bytes(
        graph,
        &format!("{}/description", found.name),
        encoded.description,
    )?;
    // From the last reader to the first, so that positions stay right.
    for position in readers(graph, id)?.into_iter().rev() {
        let subgraph = main_mut(graph)?;
        let decoded = subgraph.add_tensor(Tensor {
            name: format!("{}/decoded", found.name),
            buffer: Default::default(),
            ..found.clone()
        });
        if let Some(node) = subgraph.nodes.get_mut(position) {
            let inputs = node.inputs.iter_mut().filter(|input| **input == Some(id));
            inputs.for_each(|input| *input = Some(decoded));
        }
        let decode = Node::new(Op::Decode(NoOptions {}), &[stream, description], &[decoded]);
        subgraph.nodes.insert(position, decode);
    }
    // Nothing reads the dense constant any more; the tensor stays, so that numbers do, without its bytes.
    let unused = graph
        .main_mut()
        .and_then(|subgraph| subgraph.tensor_mut(id));
    if let Some(unused) = unused {
        let buffer = core::mem::take(&mut unused.buffer);
        release(graph, buffer);
    }
    Ok(())
}

/// Empties a buffer that no tensor names any more.
pub(crate) fn release(graph: &mut Graph, buffer: larun_graph::BufferId) {
    let tensors = graph
        .subgraphs
        .iter()
        .flat_map(|subgraph| &subgraph.tensors);
    let mut named = tensors.map(|tensor| tensor.buffer);
    let metadata = graph
        .metadata
        .iter()
        .any(|metadata| metadata.buffer == buffer);
    if !named.any(|other| other == buffer)
        && !metadata
        && let Some(slot) = graph.buffers.get_mut(buffer.index())
    {
        slot.data = Vec::new();
    }
}

fn add_bytes(graph: &mut Graph, name: &str, bytes: Vec<u8>) -> Result<TensorId, PruneError> {
    let shape = Shape::new(&[bytes.len()]).unwrap_or_default();
    let buffer = graph.add_buffer(bytes);
    Ok(main_mut(graph)?.add_tensor(Tensor {
        name: name.to_owned(),
        shape,
        element_type: ElementType::UInt8,
        buffer,
        ..Tensor::default()
    }))
}
