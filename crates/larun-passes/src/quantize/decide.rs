//! What becomes of each layer: what the scheme or a recipe wants, as far as the operator can.

use larun_graph::ops::{OpKind, Role};
use larun_graph::{Graph, Node, NodeId, Place, Subgraph};

use super::check::{is_float, is_real_constant, keeps_state, weight_inputs};
use super::scheme::{Activations, Algorithm, Granularity, LayerScheme, Scheme, Weights};
use super::{DenseWeights, QuantizeOptions, state};
use crate::{PassError, edit};

/// What to do with an operator that cannot be quantised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsupported {
    /// Say which one and why, and quantise nothing.
    #[default]
    Refuse,
    /// Let it compute on real numbers, between DEQUANTIZE and QUANTIZE.
    LeaveFloat,
}

/// Who wants a layer to be as it is wanted.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Chosen {
    /// A scheme for all: layers that are not worth it are left as they are.
    ByScheme,
    /// A recipe or a search.
    ByHand,
}

/// What becomes of one node of the float graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Its types.
    pub scheme: LayerScheme,
    /// Why it stays float though integers were asked for.
    pub left_float: Option<&'static str>,
}

/// Decides for every node of the main subgraph, by index.
pub(crate) fn decide(graph: &Graph, options: &QuantizeOptions) -> Result<Vec<Decision>, PassError> {
    let subgraph = edit::main(graph)?;
    let ends = Ends::of(graph, subgraph);
    let decide_node = |(id, node): (NodeId, &Node)| {
        let (wanted, chosen) = match options.layers.get(id.index()) {
            Some(Some(layer)) => (*layer, Chosen::ByHand),
            _ => {
                let layer = ends.spare(options.scheme.layer(), id, options.scheme);
                (layer, Chosen::ByScheme)
            }
        };
        match fit(graph, subgraph, node, wanted, options, chosen) {
            Ok(scheme) => Ok(Decision {
                scheme,
                left_float: None,
            }),
            Err(reason) => match options.unsupported {
                Unsupported::LeaveFloat => Ok(Decision {
                    scheme: LayerScheme::FLOAT,
                    left_float: Some(reason),
                }),
                Unsupported::Refuse => Err(PassError::NotQuantizable {
                    place: Place::node(subgraph, id),
                    reason,
                }),
            },
        }
    };
    subgraph.iter_nodes().map(decide_node).collect()
}

/// The first and the last layer with weights, which suffer most from few bits (Rastegari et al. 2016, section 4.1).
struct Ends {
    first: Option<NodeId>,
    last: Option<NodeId>,
}

impl Ends {
    fn of(graph: &Graph, subgraph: &Subgraph) -> Self {
        let has_weights = |node: &Node| {
            weight_inputs(node).any(|(_, _, id)| is_real_constant(graph, subgraph, id))
        };
        let mut layers = subgraph.iter_nodes().filter(|(_, node)| has_weights(node));
        let first = layers.next().map(|(id, _)| id);
        let last = layers.last().map(|(id, _)| id).or(first);
        Self { first, last }
    }

    fn spare(&self, layer: LayerScheme, id: NodeId, scheme: Scheme) -> LayerScheme {
        let is_end = self.first == Some(id) || self.last == Some(id);
        match scheme {
            Scheme::Binary if is_end => Scheme::Int8.layer(),
            _ => layer,
        }
    }
}

/// What a node can do of what is wanted of it, or why it cannot.
pub(crate) fn fit(
    graph: &Graph,
    subgraph: &Subgraph,
    node: &Node,
    wanted: LayerScheme,
    options: &QuantizeOptions,
    chosen: Chosen,
) -> Result<LayerScheme, &'static str> {
    if wanted.activations.is_integer() {
        fit_integer(graph, subgraph, node, wanted, options)
    } else {
        Ok(fit_real(graph, subgraph, node, wanted, chosen))
    }
}

fn fit_integer(
    graph: &Graph,
    subgraph: &Subgraph,
    node: &Node,
    wanted: LayerScheme,
    options: &QuantizeOptions,
) -> Result<LayerScheme, &'static str> {
    let reads_real = node.inputs.iter().flatten().any(|&t| is_float(subgraph, t));
    if !reads_real {
        return Ok(LayerScheme::FLOAT);
    }
    let kind = node.kind().ok_or("the operator table does not know it")?;
    let info = kind.info();
    let (version, missing) = match wanted.activations {
        Activations::Int16 => (info.int16_version, "the runtimes have no INT16 form of it"),
        _ => (
            info.int8_version,
            "the runtimes have no INT8 form of it that means the same",
        ),
    };
    version.ok_or(missing)?;
    if keeps_state(node) {
        state::check(subgraph, node)?;
    }
    let mut weights = weight_inputs(node).peekable();
    if weights.peek().is_none() {
        return Ok(LayerScheme {
            weights: Weights::Int8,
            ..wanted
        });
    }
    if !weights.all(|(_, _, id)| is_real_constant(graph, subgraph, id)) {
        return Err("its weights are not constant");
    }
    let weights = match wanted.weights {
        Weights::Int4 | Weights::Binary if takes_low_bits(kind, wanted.activations) => {
            wanted.weights
        }
        _ => Weights::Int8,
    };
    let algorithm = match weights == wanted.weights {
        true => wanted.algorithm,
        false => Algorithm::MinMax,
    };
    Ok(LayerScheme {
        weights,
        algorithm,
        granularity: Some(granularity(kind, wanted, weights, options)),
        ..wanted
    })
}

/// Operators whose integer kernels take weights of fewer than eight bits.
const fn takes_low_bits(kind: OpKind, activations: Activations) -> bool {
    let is_layer = matches!(
        kind,
        OpKind::Conv2D | OpKind::DepthwiseConv2D | OpKind::FullyConnected
    );
    is_layer && matches!(activations, Activations::Int8)
}

/// How many scales the weights of an integer layer have.
fn granularity(
    kind: OpKind,
    wanted: LayerScheme,
    weights: Weights,
    options: &QuantizeOptions,
) -> Granularity {
    match (kind, wanted.granularity) {
        // Their kernels read one scale.
        (OpKind::UnidirectionalSequenceLstm | OpKind::Svdf, _) => Granularity::PerTensor,
        (_, Some(granularity)) => granularity,
        // TFLM refuses INT4 matrices with several scales.
        (OpKind::FullyConnected, None) if weights == Weights::Int4 => Granularity::PerTensor,
        (OpKind::FullyConnected, None) => match options.dense {
            DenseWeights::PerTensor => Granularity::PerTensor,
            DenseWeights::PerChannel => Granularity::PerChannel,
        },
        (_, None) => Granularity::PerChannel,
    }
}

/// What becomes of a layer on real activations: its weights alone may change.
fn fit_real(
    graph: &Graph,
    subgraph: &Subgraph,
    node: &Node,
    wanted: LayerScheme,
    chosen: Chosen,
) -> LayerScheme {
    let Some(kind) = node.kind() else {
        return LayerScheme::FLOAT;
    };
    let is_constant = |id| is_real_constant(graph, subgraph, id);
    if wanted.weights == Weights::Float16 {
        let mut inputs = node.inputs.iter().flatten();
        return match inputs.any(|&id| is_constant(id)) {
            true => wanted,
            false => LayerScheme::FLOAT,
        };
    }
    let mut weights = weight_inputs(node).peekable();
    let all_constant = weights.peek().is_some() && weights.all(|(_, _, id)| is_constant(id));
    if wanted.weights == Weights::Float32 || !all_constant {
        return LayerScheme::FLOAT;
    }
    let dequantize = wanted.dequantize || !has_hybrid_kernel(kind, wanted.weights);
    let granularity = match (kind, wanted.granularity) {
        (OpKind::UnidirectionalSequenceLstm | OpKind::Svdf, _) => Granularity::PerTensor,
        (_, given) => given.unwrap_or_default(),
    };
    let fitted = LayerScheme {
        dequantize,
        granularity: Some(granularity),
        ..wanted
    };
    match chosen == Chosen::ByHand || is_smaller(subgraph, node, &fitted) {
        true => fitted,
        false => LayerScheme::FLOAT,
    }
}

/// Operators that quantise their real input while they run.
const fn has_hybrid_kernel(kind: OpKind, weights: Weights) -> bool {
    match weights {
        Weights::Int4 => matches!(kind, OpKind::Conv2D | OpKind::FullyConnected),
        Weights::Int8 => matches!(
            kind,
            OpKind::Conv2D
                | OpKind::DepthwiseConv2D
                | OpKind::FullyConnected
                | OpKind::EmbeddingLookup
                | OpKind::UnidirectionalSequenceLstm
                | OpKind::Svdf
        ),
        _ => false,
    }
}

/// Bytes that a scale and its zero point take in a file.
const SCALE_BYTES: usize = 12;
/// Bytes of the tables that describe a quantised tensor and, where there is one, the DEQUANTIZE behind it.
const TABLE_BYTES: usize = 100;

/// Whether the file gets smaller by quantising the weights of a node: small weights are not worth their scales.
fn is_smaller(subgraph: &Subgraph, node: &Node, layer: &LayerScheme) -> bool {
    weight_inputs(node).any(|(_, axis, id)| {
        let shape = subgraph.tensor(id).map(|tensor| tensor.shape);
        let shape = shape.unwrap_or_default();
        let elements = shape.elements().unwrap_or(0);
        let channels = match layer.granularity {
            Some(Granularity::PerTensor) => 1,
            _ => shape.dims().get(usize::from(axis)).copied().unwrap_or(1),
        };
        let quantized = elements.saturating_mul(layer.weights.bits()) / 8;
        let scales = channels.saturating_mul(SCALE_BYTES) + TABLE_BYTES;
        quantized.saturating_add(scales) < elements.saturating_mul(4)
    })
}

/// Whether an input is a bias.
pub(crate) fn is_bias(role: Option<Role>) -> bool {
    role == Some(Role::Bias)
}
