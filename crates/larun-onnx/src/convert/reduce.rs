//! Sums, means, extremes and their places along axes.

use larun_graph::TensorId;
use larun_graph::ops::{
    ArgMaxOptions, ArgMinOptions, CumSumOptions, ElementType, NoOptions, Op, ReducerOptions,
    SquareOptions,
};

use super::{Converter, place};
use crate::error::Refusal;
use crate::net::to_i32;
use crate::node::{OnnxNode, axis};
use crate::view::View;

pub(super) fn reduce(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    let rank = view.rank();
    let axes = match converter.int_list(node, 1, "axes")? {
        Some(axes) if !axes.is_empty() => axes
            .iter()
            .map(|&a| axis(a, rank))
            .collect::<Result<Vec<_>, _>>()?,
        _ if node.flag("noop_with_empty_axes") => {
            converter.set_output(node, view);
            return Ok(());
        }
        _ => (0..rank).collect(),
    };
    let keep = node.int("keepdims").unwrap_or(1) != 0;
    let squared = matches!(node.op(), "ReduceL2" | "ReduceSumSquare");
    let input = match squared {
        true => view.of(converter
            .net
            .node(Op::Square(SquareOptions {}), &[view.tensor])?),
        false => view,
    };
    let options = ReducerOptions { keep_dims: true };
    let op = match node.op() {
        "ReduceMean" => Op::Mean(options),
        "ReduceMax" => Op::ReduceMax(options),
        "ReduceMin" => Op::ReduceMin(options),
        _ => Op::Sum(options),
    };
    let mut output = reduced(converter, &input, op, &axes)?;
    if node.op() == "ReduceL2" {
        output = output.of(converter
            .net
            .node(Op::Sqrt(NoOptions {}), &[output.tensor])?);
    }
    if !keep {
        output = without(&output, &axes)?;
    }
    converter.set_output(node, output);
    Ok(())
}

/// A reduction that leaves axes of size 1.
pub(super) fn reduced(
    converter: &mut Converter<'_>,
    view: &View,
    op: Op,
    axes: &[usize],
) -> Result<View, Refusal> {
    let (tensor, slots) = converter.settled(view)?;
    let mut places = axes
        .iter()
        .map(|&a| place(&slots, a))
        .collect::<Result<Vec<_>, _>>()?;
    places.sort_unstable();
    let places = converter.net.ints("axes", &places)?;
    let output = converter.net.node(op, &[tensor, places])?;
    let mut dims = view.dims();
    for &axis in axes {
        if let Some(dim) = dims.get_mut(axis) {
            *dim = 1;
        }
    }
    Ok(View::stored(output, &dims, &slots))
}

/// A view without some axes of size 1.
fn without(view: &View, axes: &[usize]) -> Result<View, Refusal> {
    let kept = view
        .dims()
        .into_iter()
        .enumerate()
        .filter(|(axis, _)| !axes.contains(axis));
    let dims: Vec<usize> = kept.map(|(_, dim)| dim).collect();
    view.reshaped(&dims)
        .ok_or_else(|| "an axis cannot be left out".to_owned())
}

pub(super) fn arg(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    if node.flag("select_last_index") {
        return Err("the last of equal values has no counterpart, the first has".to_owned());
    }
    let view = converter.input(node, 0)?;
    let axis = axis(node.int("axis").unwrap_or(0), view.rank())?;
    let (tensor, slots) = converter.settled(&view)?;
    let at = place(&slots, axis)?;
    let along = converter.net.signed("axis", &[], &[to_i32(at)?])?;
    let output_type = ElementType::Int32;
    let op = match node.op() {
        "ArgMax" => Op::ArgMax(ArgMaxOptions { output_type }),
        _ => Op::ArgMin(ArgMinOptions { output_type }),
    };
    let output: TensorId = converter.net.node_of(op, &[tensor, along], output_type)?;
    let mut left = slots.clone();
    left.remove(at);
    let mut dims = view.dims();
    if let Some(dim) = dims.get_mut(axis) {
        *dim = 1;
    }
    let mut result = View::stored(output, &dims, &left);
    if node.int("keepdims").unwrap_or(1) == 0 {
        result = without(&result, &[axis])?;
    }
    converter.set_output(node, result);
    Ok(())
}

pub(super) fn cumulative(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    let along = converter
        .int_list(node, 1, "axis")?
        .and_then(|a| a.first().copied())
        .ok_or("it names no axis")?;
    let axis = axis(along, view.rank())?;
    let (tensor, slots) = converter.settled(&view)?;
    let along = converter
        .net
        .signed("axis", &[], &[to_i32(place(&slots, axis)?)?])?;
    let options = CumSumOptions {
        exclusive: node.flag("exclusive"),
        reverse: node.flag("reverse"),
    };
    let output = converter.net.node(Op::CumSum(options), &[tensor, along])?;
    converter.set_output(node, View::stored(output, &view.dims(), &slots));
    Ok(())
}
