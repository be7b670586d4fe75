//! How large a file can become: known before any of it is written.

use larun_graph::{
    Graph, Node, NodeOp, Quantization, QuantizationDetails, Sparsity, Subgraph, Tensor,
};

use super::flexbuffer;

/// More than any table takes, its vtable and the heads and padding of its vectors included.
const TABLE: usize = 384;

/// Bytes that the file of a graph takes at most.
pub(super) fn bound(graph: &Graph) -> usize {
    let buffers = graph.buffers.iter().map(|buffer| buffer.data.len());
    let metadata = graph.metadata.iter().map(|m| text(m.name.as_ref()));
    let signatures = graph.signatures.iter().map(|signature| {
        let tensors = signature.inputs.iter().chain(&signature.outputs);
        let names = tensors.map(|tensor| text(tensor.name.as_ref()));
        sum(names) + text(signature.key.as_ref()) + text(signature.tag.as_ref())
    });
    let external = graph.external_buffers.iter();
    let parts = [
        sum(buffers),
        sum(graph.subgraphs.iter().map(subgraph)),
        sum(metadata),
        sum(signatures),
        sum(graph.external_files.iter().map(|name| text(name.as_ref()))),
        sum(external.map(|buffer| text(buffer.packing.as_ref()))),
        4 * graph.metadata_buffers.len(),
        text(graph.description.as_ref()),
    ];
    sum(parts.into_iter())
}

fn subgraph(subgraph: &Subgraph) -> usize {
    let ids = 4 * (subgraph.inputs.len() + subgraph.outputs.len());
    let tensors = sum(subgraph.tensors.iter().map(tensor));
    let nodes = sum(subgraph.nodes.iter().map(node));
    ids + tensors + nodes + text(subgraph.name.as_ref())
}

fn tensor(tensor: &Tensor) -> usize {
    let numbers = tensor.shape.rank() + tensor.shape_signature.len() + 16 * tensor.variants.len();
    let quantization = tensor.quantization.as_ref().map_or(0, quantization);
    let sparsity = tensor.sparsity.as_ref().map_or(0, sparsity);
    let variants = tensor.variants.len() * TABLE;
    4 * numbers + quantization + sparsity + variants + tensor.name.len()
}

fn quantization(quantization: &Quantization) -> usize {
    let floats = quantization.scale.len() + quantization.min.len() + quantization.max.len();
    let details = match &quantization.details {
        Some(QuantizationDetails::Custom(bytes)) => bytes.len(),
        Some(QuantizationDetails::Opaque { table, .. }) => table.len(),
        Some(QuantizationDetails::Blockwise { .. }) | None => 0,
    };
    4 * floats + 8 * quantization.zero_point.len() + details + 2 * TABLE
}

fn sparsity(sparsity: &Sparsity) -> usize {
    let dimensions = sparsity.dimensions.iter().map(|dimension| {
        let vectors = dimension.segments.iter().chain(&dimension.indices);
        sum(vectors.map(|(_, values)| 4 * values.len()))
    });
    4 * (sparsity.traversal_order.len() + sparsity.block_map.len()) + sum(dimensions)
}

fn node(node: &Node) -> usize {
    let ids = node.inputs.len() + node.outputs.len() + node.intermediates.len();
    let opaque = match &node.op {
        NodeOp::Opaque(op) => {
            let options = op.options.as_ref().map_or(0, |options| options.table.len());
            let custom = op.custom_options.as_ref().map_or(0, Vec::len);
            2 * options + custom + text(op.custom_code.as_ref())
        }
        NodeOp::Known(op) => {
            let name = match op.kind().info().is_custom {
                true => op.kind().info().name.len(),
                false => 0,
            };
            name + flexbuffer::custom_options(op).map_or(0, |bytes| bytes.len())
        }
    };
    4 * ids + node.mutating_variable_inputs.len() + opaque + 2 * TABLE
}

fn text(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

/// The sum of parts, each with room for a table.
fn sum(parts: impl Iterator<Item = usize>) -> usize {
    parts.fold(TABLE, |all, part| {
        all.saturating_add(part).saturating_add(TABLE)
    })
}
