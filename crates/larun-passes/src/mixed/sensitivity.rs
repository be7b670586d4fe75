//! How much noise each layer puts on the outputs when it alone is quantised.

use larun_graph::{Node, NodeId, Subgraph, TensorId};

use super::knapsack::Item;
use super::measure::{Float, relative_noise};
use super::{NARROW, NIBBLES, Search, UNCLIPPED_NIBBLES, WIDE, is_layer, with_real_border};
use crate::quantize::check::weight_inputs;
use crate::quantize::decide::{Chosen, fit};
use crate::quantize::{Activations, Granularity, LayerScheme, QuantizeOptions, Weights, quantize};
use crate::{PassError, edit};

/// One way to quantise a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerOption {
    /// What the layer becomes.
    pub scheme: LayerScheme,
    /// Power of the error that it alone puts on the model's outputs, relative to their power.
    pub noise: f64,
    /// Bytes that its weights, scales and bias take.
    pub bytes: usize,
}

impl LayerOption {
    /// Signal to noise in decibels with this layer alone quantised.
    #[must_use]
    pub fn sqnr_db(&self) -> f64 {
        -10.0 * self.noise.log10()
    }
}

/// A layer, and what each way to quantise it costs.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSensitivity {
    /// The node of the float graph.
    pub node: NodeId,
    /// The name of its result.
    pub name: String,
    /// The operator.
    pub op: String,
    /// Elements that it reads and writes besides its weights.
    pub activation_elements: usize,
    /// The ways to quantise it.
    pub options: Vec<LayerOption>,
}

impl LayerSensitivity {
    pub(super) fn items(&self) -> Vec<Item> {
        let items = self.options.iter().map(|option| Item {
            bytes: option.bytes,
            noise: option.noise,
        });
        items.collect()
    }
}

/// Measures every layer with weights, quantised alone in every way that its operator has: INT4 and INT8 weights on INT8 activations,
/// INT8 weights on INT16 activations.
///
/// # Errors
/// When there is no sample, or the model cannot be quantised or run.
pub fn sensitivity(
    search: &Search<'_>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<LayerSensitivity>, PassError> {
    let subgraph = edit::main(search.graph)?;
    let float = Float::new(search.graph, search.samples)?;
    let layers = subgraph.iter_nodes();
    let layers: Vec<_> = layers
        .filter(|(_, node)| is_layer(search.graph, subgraph, node))
        .collect();
    let mut measured = Vec::with_capacity(layers.len());
    for (done, &(id, node)) in layers.iter().enumerate() {
        progress(done, layers.len());
        measured.push(measure(search, &float, subgraph, id, node)?);
    }
    progress(layers.len(), layers.len());
    Ok(measured)
}

fn measure(
    search: &Search<'_>,
    float: &Float<'_>,
    subgraph: &Subgraph,
    id: NodeId,
    node: &Node,
) -> Result<LayerSensitivity, PassError> {
    let mut options = Vec::new();
    for wanted in [NIBBLES, UNCLIPPED_NIBBLES, NARROW, WIDE] {
        let fitted = fit(
            search.graph,
            subgraph,
            node,
            wanted,
            search.options,
            Chosen::ByHand,
        );
        // What an operator would take instead is measured under its own name.
        let Some(fitted) = fitted.ok().filter(|f| f.weights == wanted.weights) else {
            continue;
        };
        let alone = alone(search.options, subgraph.nodes.len(), id, wanted);
        let graph = search.graph.clone();
        let quantized = quantize(graph, search.calibration, &alone, search.rounder)?;
        let compared = float.compare(&quantized.graph)?;
        keep_better(
            &mut options,
            LayerOption {
                scheme: wanted,
                noise: relative_noise(&compared.measures),
                bytes: stored_bytes(subgraph, node, &fitted),
            },
        );
    }
    if options.is_empty() {
        options.push(LayerOption {
            scheme: LayerScheme::FLOAT,
            noise: 0.0,
            bytes: stored_bytes(subgraph, node, &LayerScheme::FLOAT),
        });
    }
    let elements = |id: &TensorId| subgraph.tensor(*id).and_then(|t| t.shape.elements());
    let outputs = node.outputs.iter().filter_map(elements);
    let inputs = node.inputs.iter().flatten().take(1).filter_map(elements);
    Ok(LayerSensitivity {
        node: id,
        name: node
            .outputs
            .first()
            .and_then(|&id| subgraph.tensor(id))
            .map_or_else(String::new, |tensor| tensor.name.clone()),
        op: node.op_name(),
        activation_elements: outputs.chain(inputs).sum(),
        options,
    })
}

/// Adds an option, or puts it in the place of one of the same types that is noisier.
fn keep_better(options: &mut Vec<LayerOption>, option: LayerOption) {
    let types = |o: &LayerOption| (o.scheme.activations, o.scheme.weights);
    match options.iter_mut().find(|o| types(o) == types(&option)) {
        Some(found) if found.noise <= option.noise => {}
        Some(found) => *found = option,
        None => options.push(option),
    }
}

/// One layer quantised, all others real.
fn alone(
    options: &QuantizeOptions,
    nodes: usize,
    id: NodeId,
    scheme: LayerScheme,
) -> QuantizeOptions {
    let mut layers = vec![Some(LayerScheme::FLOAT); nodes];
    if let Some(slot) = layers.get_mut(id.index()) {
        *slot = Some(scheme);
    }
    QuantizeOptions {
        layers,
        ..with_real_border(options)
    }
}

/// Bytes of a scale and its zero point.
const SCALE_BYTES: usize = 12;

/// Bytes that weights, scales and bias of a layer take in a file.
fn stored_bytes(subgraph: &Subgraph, node: &Node, layer: &LayerScheme) -> usize {
    let channels = node.outputs.first().and_then(|&id| subgraph.tensor(id));
    let channels = channels.map_or(1, |tensor| tensor.shape.last());
    let scales = match (layer.weights, layer.granularity) {
        (Weights::Float32 | Weights::Float16, _) => 0,
        (_, Some(Granularity::PerTensor)) => 1,
        _ => channels,
    };
    let bias = match layer.activations {
        Activations::Int16 => 8,
        _ => 4,
    };
    let weights = weight_inputs(node).map(|(_, _, id)| {
        let elements = subgraph.tensor(id).and_then(|t| t.shape.elements());
        elements
            .unwrap_or(0)
            .saturating_mul(layer.weights.bits())
            .div_ceil(8)
    });
    // The bias has as many scales as the weights.
    weights.sum::<usize>() + 2 * scales * SCALE_BYTES + channels * bias
}
