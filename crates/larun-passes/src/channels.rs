//! Channels that are scaled together: tensors between which operators only move, add or cut off values.
//!
//! If `f(s x) = s f(x)` for positive `s`, a channel may be divided by `s` where it is computed and multiplied by it
//! where it is read, and the network computes the same. A [`Family`] is a set of tensors that such operators tie to each
//! other, a residual path with all its sums for one, with the layers that compute its channels and those that read them.

use larun_graph::ops::{Activation, OpKind, Role};
use larun_graph::{Graph, Node, NodeId, Subgraph, TensorId};

use crate::groups::Groups;
use crate::{PassError, edit};

/// Tensors whose channels must be scaled alike.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    /// How many channels there are: element `i` of a tensor belongs to channel `i % channels`.
    pub(crate) channels: usize,
    /// The tensors.
    pub(crate) tensors: Vec<TensorId>,
    /// The layers whose output channels these are.
    pub(crate) producers: Vec<NodeId>,
    /// The layers that read them as their input channels.
    pub(crate) consumers: Vec<NodeId>,
    /// The value at which some operator cuts all channels off, as RELU6 does.
    pub(crate) ceiling: Option<f32>,
}

/// The families of a graph. Tensors that an operator of another kind reads or computes, and those that the caller sees,
/// are in none.
///
/// # Errors
/// When the graph names nodes or tensors that it lacks.
pub(crate) fn families(graph: &Graph) -> Result<Vec<Family>, PassError> {
    let subgraph = edit::main(graph)?;
    let count = subgraph.tensors.len();
    let mut groups = Groups::new(count);
    let ties: Vec<_> = subgraph.nodes.iter().map(|node| tie(graph, node)).collect();
    for tie in ties.iter().flatten() {
        let pairs = tie.tensors.iter().zip(tie.tensors.iter().skip(1));
        pairs.for_each(|(a, b)| groups.join(a.index(), b.index()));
    }
    let mut all: Vec<Option<Family>> = vec![None; count];
    let mut blocked = vec![false; count];
    for (index, tensor) in subgraph.tensors.iter().enumerate() {
        let root = groups.find(index);
        let last = tensor.shape.last();
        if let Some(slot) = all.get_mut(root) {
            let family = slot.get_or_insert_with(|| Family {
                channels: last,
                tensors: Vec::new(),
                producers: Vec::new(),
                consumers: Vec::new(),
                ceiling: None,
            });
            family.tensors.push(TensorId::new(index));
            family.channels = family.channels.min(last);
        }
    }
    let mut members = Members {
        graph,
        groups,
        families: &mut all,
        blocked: &mut blocked,
    };
    for ((id, node), tie) in subgraph.iter_nodes().zip(&ties) {
        members.add(id, node, tie.as_ref());
    }
    let seen = subgraph.inputs.iter().chain(&subgraph.outputs);
    seen.for_each(|&id| members.block(id));
    let whole = |family: &Family| {
        let periodic = |id: &TensorId| {
            let last = subgraph.tensor(*id).map_or(0, |t| t.shape.last());
            family.channels > 0 && last % family.channels == 0
        };
        !family.producers.is_empty()
            && !family.consumers.is_empty()
            && family.tensors.iter().all(periodic)
            && family
                .producers
                .iter()
                .all(|&id| gives_whole(subgraph, id, family.channels))
            && family
                .consumers
                .iter()
                .all(|&id| reads_whole(subgraph, id, family.channels))
    };
    let free = all.into_iter().zip(blocked).filter(|(_, blocked)| !blocked);
    Ok(free
        .filter_map(|(family, _)| family)
        .filter(whole)
        .collect())
}

/// Tensors that an operator ties.
struct Tie {
    tensors: Vec<TensorId>,
    ceiling: Option<f32>,
}

/// What a node ties, `None` for one that does not.
fn tie(graph: &Graph, node: &Node) -> Option<Tie> {
    let subgraph = graph.main()?;
    let kind = node.kind()?;
    let value = |index| {
        let id = node.input(index)?;
        (!graph.is_constant(subgraph.tensor(id)?)).then_some(id)
    };
    let shape = |id| Some(subgraph.tensor(id)?.shape);
    let &output = node.outputs.first()?;
    let mut tensors = vec![value(0)?, output];
    match kind {
        OpKind::Relu
        | OpKind::Relu6
        | OpKind::LeakyRelu
        | OpKind::MaxPool2D
        | OpKind::AveragePool2D
        | OpKind::ResizeBilinear
        | OpKind::ResizeNearestNeighbor
        | OpKind::SpaceToBatchNd
        | OpKind::BatchToSpaceNd => {}
        OpKind::Reshape | OpKind::Squeeze | OpKind::ExpandDims => {
            let (from, to) = (shape(value(0)?)?.last(), shape(output)?.last());
            (from > 0 && to.is_multiple_of(from)).then_some(())?;
        }
        OpKind::Add | OpKind::Sub => {
            tensors.push(value(1)?);
            let alike = tensors.iter().all(|&id| shape(id) == shape(output));
            alike.then_some(())?;
        }
        OpKind::Mean | OpKind::ReduceMax => {
            let rank = shape(value(0)?)?.dims().len();
            let axes = graph.values::<i32>(node.input(1)?).ok()?;
            let last =
                |&axis: &i32| axis == -1 || usize::try_from(axis) == Ok(rank.wrapping_sub(1));
            (!axes.iter().any(last)).then_some(())?;
        }
        OpKind::Pad => {
            let pads = graph.values::<i32>(node.input(1)?).ok()?;
            pads.ends_with(&[0, 0]).then_some(())?;
        }
        _ => return None,
    }
    let ceiling = match (kind, node.known()?.activation()) {
        (OpKind::Relu6, _) | (_, Some(Activation::Relu6)) => Some(6.0),
        (_, None | Some(Activation::None | Activation::Relu)) => None,
        _ => return None,
    };
    Some(Tie { tensors, ceiling })
}

/// The families while nodes are added to them.
struct Members<'g> {
    graph: &'g Graph,
    groups: Groups,
    families: &'g mut [Option<Family>],
    blocked: &'g mut [bool],
}

impl Members<'_> {
    fn add(&mut self, id: NodeId, node: &Node, tie: Option<&Tie>) {
        if let Some(tie) = tie {
            for tensor in &tie.tensors {
                self.cut_off(*tensor, tie.ceiling);
            }
            return;
        }
        let layer = layer(self.graph, node);
        for (index, input) in node.inputs.iter().enumerate() {
            let Some(input) = *input else { continue };
            match &layer {
                Some(layer) if index == layer.input => {
                    if let Some(family) = self.family(input) {
                        family.consumers.push(id);
                    }
                }
                _ => self.block(input),
            }
        }
        for &output in &node.outputs {
            match &layer {
                Some(layer) => {
                    self.cut_off(output, layer.ceiling);
                    if let Some(family) = self.family(output) {
                        family.producers.push(id);
                    }
                }
                None => self.block(output),
            }
        }
    }

    fn family(&mut self, id: TensorId) -> Option<&mut Family> {
        let root = self.groups.find(id.index());
        self.families.get_mut(root)?.as_mut()
    }

    fn cut_off(&mut self, id: TensorId, ceiling: Option<f32>) {
        if let (Some(family), Some(_)) = (self.family(id), ceiling) {
            family.ceiling = ceiling;
        }
    }

    fn block(&mut self, id: TensorId) {
        let root = self.groups.find(id.index());
        if let Some(blocked) = self.blocked.get_mut(root) {
            *blocked = true;
        }
    }
}

/// A node with constant weights whose outputs grow with its inputs.
struct Layer {
    /// Which operand is the data.
    input: usize,
    ceiling: Option<f32>,
}

fn layer(graph: &Graph, node: &Node) -> Option<Layer> {
    let input = match node.kind()? {
        OpKind::Conv2D | OpKind::DepthwiseConv2D | OpKind::FullyConnected => 0,
        OpKind::TransposeConv => 2,
        _ => return None,
    };
    let constant = |id| {
        let tensor = graph.main().and_then(|subgraph| subgraph.tensor(id));
        tensor.is_some_and(|tensor| graph.is_constant(tensor))
    };
    let bias = bias_operand(node).and_then(|index| node.input(index));
    let constants = constant(node.input(1)?) && bias.is_none_or(constant);
    let ceiling = match node.known()?.activation() {
        None | Some(Activation::None | Activation::Relu) => None,
        Some(Activation::Relu6) => Some(6.0),
        Some(_) => return None,
    };
    constants.then_some(Layer { input, ceiling })
}

/// Which operand of a node is its bias.
pub(crate) fn bias_operand(node: &Node) -> Option<usize> {
    let inputs = node.kind()?.info().inputs;
    inputs.iter().position(|input| input.role == Role::Bias)
}

/// Whether the output channels of a layer are those of the family, one to one.
fn gives_whole(subgraph: &Subgraph, id: NodeId, channels: usize) -> bool {
    let output = subgraph.node(id).and_then(|node| node.outputs.first());
    let tensor = output.and_then(|&output| subgraph.tensor(output));
    tensor.is_some_and(|tensor| tensor.shape.last() == channels)
}

/// Whether the weights of a layer take the family's channels, once or several times in a row.
fn reads_whole(subgraph: &Subgraph, id: NodeId, channels: usize) -> bool {
    let Some(node) = subgraph.node(id) else {
        return false;
    };
    let weights = node.input(1).and_then(|id| subgraph.tensor(id));
    let last = weights.map_or(0, |weights| weights.shape.last());
    match node.kind() {
        // Of a grouped convolution each filter reads other channels.
        Some(OpKind::Conv2D | OpKind::TransposeConv) => last == channels,
        Some(_) => last > 0 && last.is_multiple_of(channels),
        None => false,
    }
}
