//! Normalisation of channels, layers and lengths, and softmax.

use larun_graph::ops::{
    AddOptions, BatchNormOptions, L2NormOptions, LogSoftmaxOptions, MulOptions, NoOptions, Op,
    ReducerOptions, SoftmaxOptions, SquareOptions, SubOptions,
};

use super::conv::image_slots;
use super::elementwise::{combine, with_number};
use super::reduce::reduced;
use super::{Converter, Value};
use crate::constant::Constant;
use crate::error::Refusal;
use crate::node::{OnnxNode, axis};
use crate::view::{Slot, View};

/// A constant with one value for each channel.
fn channels(
    converter: &Converter<'_>,
    node: OnnxNode<'_>,
    index: usize,
    what: &str,
    count: usize,
) -> Result<Vec<f32>, Refusal> {
    let constant = converter
        .constant(node, index, what)?
        .ok_or_else(|| format!("it has no {what}"))?;
    match constant.len() == count {
        true => Ok(constant.to_floats().iter().copied().collect()),
        false => Err(format!(
            "its {what} have {} values for {count} channels",
            constant.len()
        )),
    }
}

pub(super) fn batch_norm(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    if node.flag("training_mode") {
        return Err("it is in training mode: export the model for inference".to_owned());
    }
    let view = converter.input(node, 0)?;
    let count = view.dim(1);
    let names = ["scales", "offsets", "means", "variances"];
    let mut operands = Vec::with_capacity(5);
    let slots: Vec<Slot> = match view.rank() {
        2 => vec![Some(0), Some(1)],
        rank => image_slots(rank)?.to_vec(),
    };
    operands.push(converter.net.arrange(&view, &slots)?);
    for (i, what) in names.into_iter().enumerate() {
        let values = channels(converter, node, i + 1, what, count)?;
        operands.push(converter.net.floats(what, &[count], &values)?);
    }
    let options = BatchNormOptions {
        epsilon: node.float("epsilon").unwrap_or(1e-5),
        ..BatchNormOptions::default()
    };
    let output = converter.net.node(Op::BatchNorm(options), &operands)?;
    converter.set_output(node, View::stored(output, &view.dims(), &slots));
    Ok(())
}

pub(super) fn instance_norm(
    converter: &mut Converter<'_>,
    node: OnnxNode<'_>,
) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    let count = view.dim(1);
    let mut dims = vec![1; view.rank().saturating_sub(1)];
    if let Some(first) = dims.first_mut() {
        *first = count;
    }
    let mut operands = Vec::new();
    for (index, what) in [(1, "scales"), (2, "offsets")] {
        let values = channels(converter, node, index, what, count)?;
        operands.push(Constant::floats(&dims, values).ok_or("its scales have no shape")?);
    }
    let axes: Vec<usize> = (2..view.rank()).collect();
    let normal = normalized(
        converter,
        &view,
        &axes,
        node.float("epsilon").unwrap_or(1e-5),
    )?;
    let output = scaled(converter, normal, operands)?;
    converter.set_output(node, output);
    Ok(())
}

pub(super) fn layer_norm(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    let first = axis(node.int("axis").unwrap_or(-1), view.rank())?;
    let axes: Vec<usize> = (first..view.rank()).collect();
    let normal = normalized(
        converter,
        &view,
        &axes,
        node.float("epsilon").unwrap_or(1e-5),
    )?;
    let constants = [
        converter.constant(node, 1, "scales")?,
        converter.constant(node, 2, "offsets")?,
    ];
    let output = scaled(converter, normal, constants.into_iter().flatten().collect())?;
    if [1, 2]
        .iter()
        .any(|&i| !node.output(i).is_empty() && converter.is_read(node.output(i)))
    {
        return Err("its mean and deviation are read, which have no counterpart".to_owned());
    }
    converter.set_output(node, output);
    Ok(())
}

/// `(x - mean) / sqrt(variance + epsilon)` over axes.
fn normalized(
    converter: &mut Converter<'_>,
    view: &View,
    axes: &[usize],
    epsilon: f32,
) -> Result<View, Refusal> {
    let mean = Op::Mean(ReducerOptions { keep_dims: true });
    let (sub, mul) = (
        Op::Sub(SubOptions::default()),
        Op::Mul(MulOptions::default()),
    );
    let middle = reduced(converter, view, mean, axes)?;
    let centred = combine(
        converter,
        sub,
        false,
        Value::View(view.clone()),
        Value::View(middle),
    )?;
    let squares = centred.of(converter
        .net
        .node(Op::Square(SquareOptions {}), &[centred.tensor])?);
    let variance = reduced(converter, &squares, mean, axes)?;
    let above = with_number(
        converter,
        Op::Add(AddOptions::default()),
        &variance,
        epsilon,
    )?;
    let inverse = above.of(converter
        .net
        .node(Op::Rsqrt(NoOptions {}), &[above.tensor])?);
    combine(
        converter,
        mul,
        false,
        Value::View(centred),
        Value::View(inverse),
    )
}

/// A factor and an offset, the latter where there is one.
fn scaled(
    converter: &mut Converter<'_>,
    view: View,
    constants: Vec<Constant>,
) -> Result<View, Refusal> {
    let mut view = view;
    let ops = [
        Op::Mul(MulOptions::default()),
        Op::Add(AddOptions::default()),
    ];
    for (op, constant) in ops.into_iter().zip(constants) {
        view = combine(
            converter,
            op,
            false,
            Value::View(view),
            Value::Constant(constant),
        )?;
    }
    Ok(view)
}

/// A value whose axis `axis` lies innermost, and how the others lie.
fn innermost(
    converter: &mut Converter<'_>,
    view: &View,
    axis: usize,
) -> Result<(larun_graph::TensorId, Vec<Slot>), Refusal> {
    let (tensor, slots) = converter.settled(view)?;
    if slots.last() == Some(&Some(axis)) {
        return Ok((tensor, slots));
    }
    let mut moved: Vec<Slot> = slots
        .into_iter()
        .filter(|&slot| slot != Some(axis))
        .collect();
    moved.push(Some(axis));
    Ok((converter.net.arrange(view, &moved)?, moved))
}

pub(super) fn softmax(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    let axis = axis(node.int("axis").unwrap_or(-1), view.rank())?;
    let (tensor, slots) = innermost(converter, &view, axis)?;
    let op = match node.op() {
        "Softmax" => Op::Softmax(SoftmaxOptions { beta: 1.0 }),
        _ => Op::LogSoftmax(LogSoftmaxOptions {}),
    };
    let output = converter.net.node(op, &[tensor])?;
    converter.set_output(node, View::stored(output, &view.dims(), &slots));
    Ok(())
}

pub(super) fn lp_norm(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    if node.int("p").unwrap_or(2) != 2 {
        return Err("only the Euclidean length has a counterpart".to_owned());
    }
    let view = converter.input(node, 0)?;
    let axis = axis(node.int("axis").unwrap_or(-1), view.rank())?;
    let (tensor, slots) = innermost(converter, &view, axis)?;
    let output = converter
        .net
        .node(Op::L2Normalization(L2NormOptions::default()), &[tensor])?;
    converter.set_output(node, View::stored(output, &view.dims(), &slots));
    Ok(())
}
