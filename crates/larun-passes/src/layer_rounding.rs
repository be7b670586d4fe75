//! The weights of one layer rounded again, with heed of what it reads.

use larun_graph::ops::{ElementType, Role};
use larun_graph::{Graph, Node, NodeId, TensorId};
use larun_quant::rounding::{
    Descent, Gram, Hessian, Hessians, Layer, Rounded, RoundingMethod, ScaleRefinement,
};
use larun_quant::{ChannelAxis, IntegerRange, QuantError};
use rayon::prelude::*;

use crate::channels::bias_operand;
use crate::patches::Patches;
use crate::{PassError, edit};

/// Rows of inputs that a layer's statistics are taken from, at most; and at most this many for each weight of a channel.
const MOST_ROWS: usize = 4096;
const MOST_ROWS_A_WEIGHT: usize = 8;

/// Rounds the weights of node `id` of `integer` anew, those of `float` (in the same order) being the real ones, for the
/// least error on `inputs`, the values that the node reads, a piece for each sample. Nodes of other kinds, and weights
/// that are no INT8, stay.
///
/// # Errors
/// When the two graphs' weights differ in number, or a value is not finite.
pub(crate) fn round_layer(
    integer: &mut Graph,
    id: NodeId,
    real: &[f32],
    inputs: &[Vec<f32>],
    method: &RoundingMethod,
) -> Result<(), PassError> {
    let subgraph = edit::main(integer)?;
    let node = edit::node(subgraph, id)?.clone();
    let Some(patches) = Patches::of(subgraph, &node) else {
        return Ok(());
    };
    let Some((weights, axis)) = weights_of(&node) else {
        return Ok(());
    };
    let tensor = edit::tensor(subgraph, weights)?;
    let Some(quantization) = &tensor.quantization else {
        return Ok(());
    };
    if tensor.element_type != ElementType::Int8 {
        return Ok(());
    }
    let place = larun_graph::Place::tensor(subgraph, weights);
    let at = |source: QuantError| PassError::Quantization { place, source };
    let axis = ChannelAxis::new(tensor.shape.dims(), axis);
    let scales: Vec<f32> = match (&axis, quantization.scale.as_slice()) {
        (Ok(axis), &[scale]) => vec![scale; axis.channels()],
        (_, scales) => scales.to_vec(),
    };
    // One scale for all channels cannot follow each.
    let method = match quantization.scale.len() {
        1 => with_fixed_scales(*method),
        _ => *method,
    };
    let rounded = axis.and_then(|axis| {
        let rounded = rounded(real, axis, &scales, &patches, inputs, &method)?;
        let mut placed = vec![0; rounded.values.len()];
        axis.scatter(&rounded.values, &mut placed)?;
        Ok((placed, rounded.scales))
    });
    let (values, new_scales) = rounded.map_err(at)?;
    integer.set_values(weights, &values)?;
    if new_scales != scales {
        rescale(integer, &node, weights, &scales, &new_scales)?;
    }
    Ok(())
}

fn with_fixed_scales(method: RoundingMethod) -> RoundingMethod {
    match method {
        RoundingMethod::Descent(descent) => RoundingMethod::Descent(Descent {
            scales: ScaleRefinement::Fixed,
            ..descent
        }),
        other => other,
    }
}

/// Gives the weights of a node new scales, and its bias those that follow from them, with the same real values.
fn rescale(
    graph: &mut Graph,
    node: &Node,
    weights: TensorId,
    old: &[f32],
    new: &[f32],
) -> Result<(), PassError> {
    let set = |graph: &mut Graph, id: TensorId, scales: Vec<f32>| {
        let tensor = edit::main_mut(graph)?.tensor_mut(id);
        if let Some(quantization) = tensor.and_then(|tensor| tensor.quantization.as_mut()) {
            quantization.scale = scales;
        }
        Ok::<_, PassError>(())
    };
    if let Some(bias) = bias_operand(node).and_then(|operand| node.input(operand)) {
        let tensor = edit::tensor(edit::main(graph)?, bias)?;
        let before = tensor.quantization.as_ref().map_or(&[][..], |q| &q.scale);
        let ratios = new
            .iter()
            .zip(old)
            .map(|(new, old)| f64::from(*new) / f64::from(*old));
        let scales = before.iter().zip(ratios.clone());
        let scales = scales
            .map(|(&scale, ratio)| (f64::from(scale) * ratio) as f32)
            .collect();
        if tensor.element_type == ElementType::Int64 {
            let values = graph.values::<i64>(bias)?.into_iter().zip(ratios);
            let values: Vec<_> = values
                .map(|(b, ratio)| (b as f64 / ratio).round() as i64)
                .collect();
            graph.set_values(bias, &values)?;
        } else {
            let values = graph.values::<i32>(bias)?.into_iter().zip(ratios);
            let values: Vec<_> = values
                .map(|(b, ratio)| (f64::from(b) / ratio).round() as i32)
                .collect();
            graph.set_values(bias, &values)?;
        }
        set(graph, bias, scales)?;
    }
    set(graph, weights, new.to_vec())
}

/// The integers and scales, channel after channel.
fn rounded(
    real: &[f32],
    axis: ChannelAxis,
    scales: &[f32],
    patches: &Patches,
    inputs: &[Vec<f32>],
    method: &RoundingMethod,
) -> Result<Rounded, QuantError> {
    let weights = axis.gather(real)?;
    let matrices = (0..patches.matrices()).into_par_iter();
    let hessians: Vec<Hessian> = matrices
        .map(|matrix| covariance(patches, matrix, inputs))
        .collect::<Result<_, _>>()?;
    // Each input channel of a depthwise convolution has one matrix for all its filters.
    let repeated: Vec<Hessian>;
    let hessians = match hessians.as_slice() {
        [one] if patches.filters() == 1 => Hessians::Shared(one),
        each => {
            let filters = patches.filters();
            let each = each.iter();
            let copies = each.flat_map(|hessian| core::iter::repeat_n(hessian.clone(), filters));
            repeated = copies.collect();
            Hessians::PerChannel(&repeated)
        }
    };
    let layer = Layer {
        weights: &weights,
        hessians,
        scales,
        integers: IntegerRange::INT8_NARROW,
    };
    let r: Rounded<i8> = layer.round(method)?;
    let n: Rounded<i8> = layer.round(&RoundingMethod::Nearest)?;
    if std::env::var_os("DBG").is_some() {
        eprintln!(
            "{} x {}: gain {:.2} dB",
            layer.weights.len() / scales.len(),
            scales.len(),
            10.0 * (n.errors.iter().sum::<f64>() / r.errors.iter().sum::<f64>()).log10()
        );
    }
    Ok(r)
}

/// The covariance of the rows of a matrix: the mean is the bias's to correct.
fn covariance(
    patches: &Patches,
    matrix: usize,
    inputs: &[Vec<f32>],
) -> Result<Hessian, QuantError> {
    let size = patches.size();
    let mut gram = Gram::new(size)?;
    let count: usize = inputs.iter().map(|values| patches.rows(values.len())).sum();
    let most = MOST_ROWS.max(MOST_ROWS_A_WEIGHT * size);
    // An odd step, so that not always the same columns of an image are met.
    let step = count.div_ceil(most) | 1;
    let mut rows = Vec::new();
    let mut next = 0;
    for values in inputs {
        let here = patches.rows(values.len());
        while next < here {
            patches.gather(values, matrix, next, &mut rows);
            next += step;
        }
        next -= here;
        gram.add_rows(&rows)?;
        rows.clear();
    }
    gram.covariance()
}

/// The weights of a node and the axis of their output channels.
pub(crate) fn weights_of(node: &Node) -> Option<(TensorId, usize)> {
    match node.kind()?.info().input(1)?.role {
        Role::Weights { channel_axis } => Some((node.input(1)?, usize::from(channel_axis))),
        _ => None,
    }
}
