//! Matrix products: dense layers where one side is constant, batches of products where both are computed.

use larun_graph::TensorId;
use larun_graph::ops::{BatchMatmulOptions, FullyConnectedOptions, Op};

use super::Converter;
use crate::constant::Constant;
use crate::error::Refusal;
use crate::node::OnnxNode;
use crate::view::{Slot, View};

/// `alpha A' B' + beta C`.
pub(super) fn gemm(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let mut input = converter.input(node, 0)?;
    if input.rank() != 2 {
        return Err(format!("its first matrix has {} axes", input.rank()));
    }
    if node.flag("transA") {
        input = input
            .permuted(&[1, 0])
            .ok_or("its first matrix has no two axes")?;
    }
    let weights = converter
        .constant(node, 1, "weights")?
        .ok_or("it has no weights")?;
    // Rows of outputs, as the graph keeps them.
    let weights = match node.flag("transB") {
        true => weights,
        false => weights.transposed(&[1, 0])?,
    };
    let &[outputs, _] = weights.dims() else {
        return Err(format!("its weights have the shape {:?}", weights.dims()));
    };
    let scaled = |constant: Constant, factor: f32| {
        Constant::Float(constant.to_floats().mapv(|v| v * factor))
    };
    let weights = scaled(weights, node.float("alpha").unwrap_or(1.0));
    let bias = match converter.constant(node, 2, "bias")? {
        None => vec![0.0; outputs],
        Some(bias) => {
            let bias = scaled(bias, node.float("beta").unwrap_or(1.0)).broadcast(&[1, outputs])?;
            bias.to_floats().iter().copied().collect()
        }
    };
    let output = dense(converter, &input, &weights, Some(&bias))?;
    converter.set_output(node, output);
    Ok(())
}

/// A product with constant weights `[I, O]` and the bias that is added to it.
pub(super) fn with_bias(
    converter: &mut Converter<'_>,
    node: OnnxNode<'_>,
    input: &str,
    weights: &str,
    bias: &str,
) -> Result<(), Refusal> {
    use super::Value;
    let (Value::Constant(weights), Value::Constant(bias)) = (
        converter.value(weights)?.clone(),
        converter.value(bias)?.clone(),
    ) else {
        return Err("its weights and bias must be constants".to_owned());
    };
    let input = converter.view(input)?;
    let bias: Vec<f32> = bias.to_floats().iter().copied().collect();
    let output = dense(
        converter,
        &input,
        &weights.transposed(&[1, 0])?,
        Some(&bias),
    )?;
    converter.set_output(node, output);
    Ok(())
}

pub(super) fn matmul(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    if let Ok(Some(weights)) = converter.constant(node, 1, "weights")
        && weights.dims().len() == 2
        && node
            .input(0)
            .is_some_and(|name| matches!(converter.value(name), Ok(super::Value::View(_))))
    {
        let input = converter.input(node, 0)?;
        let output = dense(converter, &input, &weights.transposed(&[1, 0])?, None)?;
        converter.set_output(node, output);
        return Ok(());
    }
    let (a, b) = (converter.input(node, 0)?, converter.input(node, 1)?);
    if a.rank() < 2 || b.rank() < 2 {
        return Err(
            "products with vectors have no counterpart: give both sides two axes".to_owned(),
        );
    }
    let (x, adj_x) = side(converter, &a)?;
    let (y, adj_y) = side(converter, &b)?;
    let options = BatchMatmulOptions {
        adj_x,
        adj_y,
        asymmetric_quantize_inputs: false,
    };
    let output = converter.net.node(Op::BatchMatmul(options), &[x, y])?;
    let dims = converter.net.dims(output);
    converter.set_output(node, View::plain(output, &dims));
    Ok(())
}

/// One side of a product as its matrices lie, and whether they lie transposed.
fn side(converter: &mut Converter<'_>, view: &View) -> Result<(TensorId, bool), Refusal> {
    let rank = view.rank();
    let mut swapped: Vec<Slot> = (0..rank).map(Some).collect();
    if view.lies_in(&swapped) {
        return Ok((converter.net.arrange(view, &swapped)?, false));
    }
    swapped.swap(rank - 1, rank - 2);
    match view.lies_in(&swapped) {
        true => Ok((converter.net.arrange(view, &swapped)?, true)),
        false => Ok((converter.net.as_in_file(view)?, false)),
    }
}

/// A dense layer on the last axis: weights `[O, I]`.
///
/// Where the last axis lies inside out, as after flattening an image, the weights take the order of the memory.
fn dense(
    converter: &mut Converter<'_>,
    input: &View,
    weights: &Constant,
    bias: Option<&[f32]>,
) -> Result<View, Refusal> {
    let &[outputs, inputs] = weights.dims() else {
        return Err(format!("its weights have the shape {:?}", weights.dims()));
    };
    let last = input
        .rank()
        .checked_sub(1)
        .ok_or("its input is a single value")?;
    if input.dim(last) != inputs {
        return Err(format!(
            "weights for {inputs} inputs do not go with an input of {}",
            input.dim(last)
        ));
    }
    let outer: Vec<Slot> = (0..last).map(Some).collect();
    let outer_dims: Vec<usize> = (0..last).map(|axis| input.dim(axis)).collect();
    let outer_runs = input.sequence(&outer);
    let in_front = outer_runs.iter().copied().eq(0..outer_runs.len());
    let runs = input.axis(last);
    let (tensor, weights) = match in_front && runs.len() > 1 {
        true => {
            let mut dims = outer_dims.clone();
            dims.push(inputs);
            (
                converter.net.reshape(input.tensor, &dims)?,
                reordered(weights, input, runs)?,
            )
        }
        false => (converter.net.as_in_file(input)?, weights.clone()),
    };
    let values: Vec<f32> = weights.to_floats().iter().copied().collect();
    let filter = converter
        .net
        .floats("weights", &[outputs, inputs], &values)?;
    let mut operands = vec![tensor, filter];
    if let Some(bias) = bias {
        operands.push(converter.net.floats("bias", &[outputs], bias)?);
    }
    let options = FullyConnectedOptions {
        keep_num_dims: input.rank() != 2,
        ..FullyConnectedOptions::default()
    };
    let output = converter.net.node(Op::FullyConnected(options), &operands)?;
    let mut dims = outer_dims;
    dims.push(outputs);
    Ok(View::plain(output, &dims))
}

/// Weights `[O, I]` with their inputs in the order in which an axis of several runs lies in memory.
fn reordered(weights: &Constant, input: &View, runs: &[usize]) -> Result<Constant, Refusal> {
    let size = |&run: &usize| input.runs().get(run).copied().unwrap_or(1);
    let &[outputs, inputs] = weights.dims() else {
        return Err("its weights are no matrix".to_owned());
    };
    let mut dims = vec![outputs];
    dims.extend(runs.iter().map(size));
    let mut places: Vec<usize> = (0..runs.len()).collect();
    places.sort_by_key(|&place| runs.get(place).copied());
    let mut order = vec![0];
    order.extend(places.into_iter().map(|place| place + 1));
    weights
        .reshaped(&dims)?
        .transposed(&order)?
        .reshaped(&[outputs, inputs])
}
