//! Layers whose weights are packed for the processor, so that less is left to do while they run.

use core::fmt::Write;

use larun_kernels::{Packable, PackedConstants, Processor, pack};
use larun_micro::host::{PreparedNode, PreparedSubgraph, PreparedTensor};

use super::items::Items;
use super::literal::words;
use crate::compiled::{Compiled, place};

/// The call that runs a node with packed weights, and its statics; `None` for a node that runs otherwise.
pub(super) fn node(
    id: &str,
    node: &PreparedNode,
    subgraph: &PreparedSubgraph<'_>,
    compiled: &Compiled<'_>,
    items: &mut Items,
) -> Option<String> {
    if compiled.processor != Processor::Armv7em {
        return None;
    }
    let input = activations(node.inputs.first()?.as_ref(), subgraph)?;
    let output = activations(node.outputs.first()?.as_ref(), subgraph)?;
    let weights = constant(node.inputs.get(1)?.as_ref(), subgraph)?;
    let bias = match node.inputs.get(2) {
        Some(Some(bias)) => Some(int32s(constant(Some(bias), subgraph)?)),
        _ => None,
    };
    let weights: Vec<i8> = weights.iter().map(|&byte| byte as i8).collect();
    let packed = pack(node.kind, &node.plan, &weights, bias.as_deref())?;
    let (at, len) = node.scratch?;
    let needed = 4 * packed.scratch_words;
    if len < needed || overlap(input, output) {
        return None;
    }
    let weights = items.words(&packed.weights);
    let places = [input, output, [at, at + needed]];
    push(id, &packed, &weights, places, items)?;
    Some(format!("PACKED_{id}.run(activations);"))
}

fn push(
    id: &str,
    packed: &PackedConstants,
    weights: &str,
    [input, output, scratch]: [[usize; 2]; 3],
    items: &mut Items,
) -> Option<()> {
    let (name, layer) = literal(&packed.layer)?;
    let mut text = format!(
        "static CHANNELS_{id}: [[i32; 4]; {}] = [\n",
        packed.channels.len()
    );
    for channel in &packed.channels {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "    {channel:?},");
    }
    let _ = write!(
        text,
        "];\nstatic PACKED_{id}: k::PackedNode<k::{name}> = k::PackedNode {{\n    layer: k::{layer},\n    weights: &{weights},\n    channels: &CHANNELS_{id},\n    input: {input:?},\n    output: {output:?},\n    scratch: {scratch:?},\n}};"
    );
    items.push(text);
    Some(())
}

/// The type of a packed layer, and its value as source.
pub(super) fn literal(layer: &Packable) -> Option<(&'static str, String)> {
    Some(match layer {
        Packable::Layer(layer) => ("PackedLayer", format!("{layer:?}")),
        Packable::Narrow(layer) => ("NarrowLayer", format!("{layer:?}")),
        Packable::Depthwise(layer) => ("PackedDepthwise", format!("{layer:?}")),
        _ => return None,
    })
}

/// Where a value lies in the activations: start and end.
fn activations(tensor: Option<&usize>, subgraph: &PreparedSubgraph<'_>) -> Option<[usize; 2]> {
    match place(subgraph, *tensor?)? {
        PreparedTensor::Activations { offset, len } => Some([offset, offset + len]),
        _ => None,
    }
}

pub(super) fn constant<'m>(
    tensor: Option<&usize>,
    subgraph: &PreparedSubgraph<'m>,
) -> Option<&'m [u8]> {
    match place(subgraph, *tensor?)? {
        PreparedTensor::Constant(bytes) => Some(bytes),
        _ => None,
    }
}

pub(super) fn int32s(bytes: &[u8]) -> Vec<i32> {
    let words = bytes.as_chunks::<4>().0.iter();
    words.map(|&word| i32::from_le_bytes(word)).collect()
}

const fn overlap([a, a_end]: [usize; 2], [b, b_end]: [usize; 2]) -> bool {
    a < b_end && b < a_end
}

impl Items {
    /// The name of the static that holds the words.
    pub(super) fn words(&mut self, values: &[u32]) -> String {
        let name = format!("WORDS_{}", self.count());
        self.push(format!(
            "static {name}: [u32; {}] = {};",
            values.len(),
            words(values)
        ));
        name
    }
}
