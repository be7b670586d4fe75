//! Batch normalisation folded into the layer before it, or into a product and a sum.

use larun_graph::ops::{Activation, AddOptions, BatchNormOptions, MulOptions, Op, OpKind, Role};
use larun_graph::{Graph, Node, NodeId, Tensor, TensorId};

use crate::channels::bias_operand;
use crate::cleanup::remove_unused;
use crate::{PassError, edit};

/// Removes every batch normalisation in inference form: `gamma (x - mean) / sqrt(variance + epsilon) + beta`.
///
/// After a convolution, depthwise convolution or dense layer that nothing else reads and that applies no activation, the factors go
/// into its weights and bias (Jacob et al. 2018, section 3.2). Anywhere else the node becomes MUL and ADD with constants.
///
/// # Errors
/// When the graph is not valid or a statistic is not a constant.
pub fn fold_batch_norm(mut graph: Graph) -> Result<Graph, PassError> {
    graph.validate()?;
    while let Some(id) = next_batch_norm(&graph) {
        let affine = ChannelAffine::of(&graph, id)?;
        match foldable_producer(&graph, id) {
            Some(producer) => fold_into(&mut graph, producer, id, &affine)?,
            None => lower(&mut graph, id, &affine)?,
        }
    }
    remove_unused(&mut graph);
    graph.validate()?;
    Ok(graph)
}

fn next_batch_norm(graph: &Graph) -> Option<NodeId> {
    let mut nodes = graph.main()?.iter_nodes();
    nodes
        .find(|(_, node)| node.kind() == Some(OpKind::BatchNorm))
        .map(|(id, _)| id)
}

/// What batch normalisation does to each channel: `factor * x + offset`.
struct ChannelAffine {
    factor: Vec<f64>,
    offset: Vec<f64>,
}

impl ChannelAffine {
    fn of(graph: &Graph, id: NodeId) -> Result<Self, PassError> {
        let subgraph = edit::main(graph)?;
        let node = edit::node(subgraph, id)?;
        let Some(&Op::BatchNorm(BatchNormOptions { epsilon, .. })) = node.known() else {
            return Err(PassError::missing_operand(
                subgraph,
                id,
                "batch normalisation",
            ));
        };
        let statistic = |index, name| {
            let tensor = node
                .input(index)
                .ok_or_else(|| PassError::missing_operand(subgraph, id, name))?;
            Ok::<_, PassError>(graph.values::<f32>(tensor)?)
        };
        let (gamma, beta) = (statistic(1, "gamma")?, statistic(2, "beta")?);
        let (mean, variance) = (statistic(3, "mean")?, statistic(4, "variance")?);
        let factor: Vec<f64> = gamma
            .iter()
            .zip(&variance)
            .map(|(&gamma, &variance)| {
                f64::from(gamma) / (f64::from(variance) + f64::from(epsilon)).sqrt()
            })
            .collect();
        let offset = beta
            .iter()
            .zip(&mean)
            .zip(&factor)
            .map(|((&beta, &mean), factor)| f64::from(beta) - f64::from(mean) * factor)
            .collect();
        Ok(Self { factor, offset })
    }
}

/// The layer that computes the input of a batch normalisation, where the factors can go into it.
fn foldable_producer(graph: &Graph, id: NodeId) -> Option<NodeId> {
    let subgraph = graph.main()?;
    let input = subgraph.node(id)?.input(0)?;
    let producer = *subgraph.producers().get(input.index())?.as_ref()?;
    let node = subgraph.node(producer)?;
    let weights = subgraph.tensor(node.input(1)?)?;
    let only_reader = subgraph.consumers().get(input.index())?.len() == 1;
    let foldable = only_reader
        && !subgraph.outputs.contains(&input)
        && channel_axis(node).is_some()
        && node.known().and_then(Op::activation) == Some(Activation::None)
        && graph.is_constant(weights);
    foldable.then_some(producer)
}

/// The axis of the output channels of the weights of a node that only multiplies and adds, `None` for any other: an LSTM has
/// weights too, but its output is no linear function of them.
fn channel_axis(node: &Node) -> Option<usize> {
    let kind = node.kind().filter(|kind| {
        matches!(
            kind,
            OpKind::Conv2D
                | OpKind::DepthwiseConv2D
                | OpKind::FullyConnected
                | OpKind::TransposeConv
        )
    });
    match kind?.info().input(1)?.role {
        Role::Weights { channel_axis } => Some(usize::from(channel_axis)),
        _ => None,
    }
}

/// Scales the weights and bias of `layer`, and makes it compute what the batch normalisation did.
fn fold_into(
    graph: &mut Graph,
    layer: NodeId,
    batch_norm: NodeId,
    affine: &ChannelAffine,
) -> Result<(), PassError> {
    let subgraph = edit::main(graph)?;
    let node = edit::node(subgraph, layer)?.clone();
    let weights = node
        .input(1)
        .ok_or_else(|| PassError::missing_operand(subgraph, layer, "weights"))?;
    let output = edit::output(subgraph, batch_norm)?;
    let name = edit::tensor(subgraph, output)?.name.clone();
    let axis = channel_axis(&node).unwrap_or_default();

    let scaled = scale_channels(graph, weights, axis, &affine.factor)?;
    let place =
        bias_operand(&node).ok_or_else(|| PassError::missing_operand(subgraph, layer, "bias"))?;
    let old_bias = node
        .input(place)
        .map(|bias| graph.values::<f32>(bias))
        .transpose()?;
    let bias: Vec<f32> = affine
        .factor
        .iter()
        .zip(&affine.offset)
        .enumerate()
        .map(|(channel, (factor, offset))| {
            let old = old_bias
                .as_ref()
                .and_then(|bias| bias.get(channel))
                .copied();
            (f64::from(old.unwrap_or(0.0)) * factor + offset) as f32
        })
        .collect();
    let weights = edit::add_copy(graph, weights, &scaled)?;
    let bias = edit::add_constant(graph, &format!("{name}/bias"), &[bias.len()], &bias)?;

    let subgraph = edit::main_mut(graph)?;
    let layer = edit::node_mut(subgraph, layer)?;
    layer.inputs.resize(layer.inputs.len().max(place + 1), None);
    if let Some(slot) = layer.inputs.get_mut(place) {
        *slot = Some(bias);
    }
    if let Some(slot) = layer.inputs.get_mut(1) {
        *slot = Some(weights);
    }
    layer.outputs = vec![output];
    subgraph.nodes.remove(batch_norm.index());
    Ok(())
}

/// The values of a constant, each multiplied by the factor of its channel.
fn scale_channels(
    graph: &Graph,
    id: TensorId,
    axis: usize,
    factors: &[f64],
) -> Result<Vec<f32>, PassError> {
    let shape = edit::tensor(edit::main(graph)?, id)?.shape;
    let inner: usize = shape.dims().iter().skip(axis + 1).product();
    let values = graph.values::<f32>(id)?;
    let factor = |i: usize| {
        factors
            .get(i / inner.max(1) % factors.len().max(1))
            .copied()
    };
    let scale = |(i, value): (usize, f32)| (f64::from(value) * factor(i).unwrap_or(1.0)) as f32;
    Ok(values.into_iter().enumerate().map(scale).collect())
}

/// Replaces a batch normalisation that no layer can take by MUL and ADD.
fn lower(graph: &mut Graph, id: NodeId, affine: &ChannelAffine) -> Result<(), PassError> {
    let subgraph = edit::main(graph)?;
    let node = edit::node(subgraph, id)?;
    let input = node
        .input(0)
        .ok_or_else(|| PassError::missing_operand(subgraph, id, "input"))?;
    let output = edit::output(subgraph, id)?;
    let template = edit::tensor(subgraph, output)?.clone();
    let narrow = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<_>>();
    let channels = affine.factor.len();
    let factor = edit::add_constant(
        graph,
        &format!("{}/factor", template.name),
        &[channels],
        &narrow(&affine.factor),
    )?;
    let offset = edit::add_constant(
        graph,
        &format!("{}/offset", template.name),
        &[channels],
        &narrow(&affine.offset),
    )?;
    let subgraph = edit::main_mut(graph)?;
    let product = subgraph.add_tensor(Tensor {
        name: format!("{}/product", template.name),
        ..template
    });
    let mul = Node::new(Op::Mul(MulOptions::default()), &[input, factor], &[product]);
    let add = Node::new(
        Op::Add(AddOptions::default()),
        &[product, offset],
        &[output],
    );
    subgraph.nodes.splice(id.index()..=id.index(), [mul, add]);
    Ok(())
}
