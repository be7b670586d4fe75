//! Operators that join tensors or cut them, along the axis of the channels or across it.

use larun_graph::Node;
use larun_graph::ops::Op;

use super::moves::Pairs;
use super::rules::{input, option_axis, output};
use super::trace::{Blocked, Tracer};

/// Channels side by side, or the same channels one after the other.
pub(crate) fn concatenation(tracer: &mut Tracer<'_>, node: &Node, op: &Op) -> Result<(), Blocked> {
    let result = output(node, 0)?;
    let joined = option_axis(op).and_then(|axis| tracer.shape(result).axis(axis));
    let joined = joined.ok_or("its axis does not exist")?;
    let inputs: Vec<_> = node.inputs.iter().copied().flatten().collect();
    let mut axis = None;
    for &id in &inputs {
        if tracer.is_constant(id) {
            continue;
        }
        let (_, own) = tracer.axis(id)?;
        if axis.is_some_and(|axis| axis != own) {
            return Err("its operands have their channels along different axes");
        }
        axis = Some(own);
    }
    let axis = axis.ok_or("it joins constants")?;
    let to = tracer.give_axis(result, axis)?;
    let mut offset = 0;
    for id in inputs {
        let from = (id, axis);
        if joined == axis {
            let size = tracer.size(from);
            let pairs: Pairs = (0..size).map(|index| (index, offset + index)).collect();
            tracer.tie_pairs(from, to, &pairs)?;
            offset += size;
        } else {
            tracer.tie(from, to)?;
        }
    }
    Ok(())
}

/// Equal parts stay equal: what one loses, all lose.
pub(crate) fn split(tracer: &mut Tracer<'_>, node: &Node) -> Result<(), Blocked> {
    let cut = tracer.ints(node, 0)?;
    let from = tracer.axis(input(node, 1)?)?;
    let cut = axis_of(tracer, from.0, &cut)?;
    let mut offset = 0;
    let mut first = None;
    for &part in &node.outputs {
        let to = tracer.give_axis(part, from.1)?;
        if cut == from.1 {
            let size = tracer.size(to);
            let pairs: Pairs = (0..size).map(|index| (offset + index, index)).collect();
            tracer.tie_pairs(from, to, &pairs)?;
            tracer.tie(*first.get_or_insert(to), to)?;
            offset += size;
        } else {
            tracer.tie(from, to)?;
        }
    }
    Ok(())
}

pub(crate) fn split_v(tracer: &mut Tracer<'_>, node: &Node) -> Result<(), Blocked> {
    tracer.ints(node, 1)?;
    let cut = tracer.ints(node, 2)?;
    let from = tracer.axis(input(node, 0)?)?;
    let cut = axis_of(tracer, from.0, &cut)?;
    let mut offset = 0;
    for &part in &node.outputs {
        let to = tracer.give_axis(part, from.1)?;
        if cut == from.1 {
            let size = tracer.size(to);
            let pairs: Pairs = (0..size).map(|index| (offset + index, index)).collect();
            tracer.tie_pairs(from, to, &pairs)?;
            offset += size;
        } else {
            tracer.tie(from, to)?;
        }
    }
    Ok(())
}

fn axis_of(
    tracer: &Tracer<'_>,
    tensor: larun_graph::TensorId,
    values: &[i64],
) -> Result<usize, Blocked> {
    let axis = values.first().and_then(|&axis| i32::try_from(axis).ok());
    let axis = axis.and_then(|axis| tracer.shape(tensor).axis(axis));
    axis.ok_or("its axis does not exist")
}

pub(crate) fn slice(tracer: &mut Tracer<'_>, node: &Node) -> Result<(), Blocked> {
    let begin = tracer.ints(node, 1)?;
    tracer.ints(node, 2)?;
    let from = tracer.axis(input(node, 0)?)?;
    let to = tracer.give_axis(output(node, 0)?, from.1)?;
    let begin = begin
        .get(from.1)
        .and_then(|&begin| usize::try_from(begin).ok());
    let begin = begin.ok_or("it begins before the first channel")?;
    let pairs: Pairs = (0..tracer.size(to))
        .map(|index| (begin + index, index))
        .collect();
    tracer.tie_pairs(from, to, &pairs)
}

/// A slice of neighbouring channels, or of other axes, some of which it may drop.
pub(crate) fn strided_slice(tracer: &mut Tracer<'_>, node: &Node, op: &Op) -> Result<(), Blocked> {
    let Op::StridedSlice(options) = op else {
        return Err("it is no slice");
    };
    if options.ellipsis_mask != 0 || options.new_axis_mask != 0 || options.offset {
        return Err("its slice adds axes or counts from its beginning");
    }
    let (begin, strides) = (tracer.ints(node, 1)?, tracer.ints(node, 3)?);
    tracer.ints(node, 2)?;
    let from = tracer.axis(input(node, 0)?)?;
    let bit = |mask: i32, axis: usize| mask >> axis & 1 == 1;
    if bit(options.shrink_axis_mask, from.1) {
        return Err("it takes a single channel");
    }
    if strides.get(from.1).is_some_and(|&stride| stride != 1) {
        return Err("it takes channels that are not neighbours");
    }
    let dropped = (0..from.1)
        .filter(|&axis| bit(options.shrink_axis_mask, axis))
        .count();
    let to = tracer.give_axis(output(node, 0)?, from.1 - dropped)?;
    let first = match begin.get(from.1) {
        Some(_) if bit(options.begin_mask, from.1) => 0,
        Some(&begin) => place_of(begin, tracer.size(from)),
        None => 0,
    };
    let pairs: Pairs = (0..tracer.size(to))
        .map(|index| (first + index, index))
        .collect();
    tracer.tie_pairs(from, to, &pairs)
}

/// Where a slice begins or ends that counts from the end below zero.
pub(crate) fn place_of(place: i64, size: usize) -> usize {
    let size = size as i64;
    let place = if place < 0 { place + size } else { place };
    place.clamp(0, size) as usize
}

pub(crate) fn pack(tracer: &mut Tracer<'_>, node: &Node, op: &Op) -> Result<(), Blocked> {
    let result = output(node, 0)?;
    let added = option_axis(op).and_then(|axis| tracer.shape(result).axis(axis));
    let added = added.ok_or("its axis does not exist")?;
    for id in node.inputs.iter().copied().flatten() {
        let axis = match tracer.is_constant(id) {
            true => return Err("it stacks constants"),
            false => tracer.axis(id)?,
        };
        let moved = axis.1 + usize::from(axis.1 >= added);
        let to = tracer.give_axis(result, moved)?;
        tracer.tie(axis, to)?;
    }
    Ok(())
}

pub(crate) fn unpack(tracer: &mut Tracer<'_>, node: &Node, op: &Op) -> Result<(), Blocked> {
    let from = tracer.axis(input(node, 0)?)?;
    let dropped = option_axis(op).and_then(|axis| tracer.shape(from.0).axis(axis));
    let dropped = dropped.ok_or("its axis does not exist")?;
    if dropped == from.1 {
        return Err("it takes channels apart");
    }
    for &part in &node.outputs {
        let to = tracer.give_axis(part, from.1 - usize::from(from.1 > dropped))?;
        tracer.tie(from, to)?;
    }
    Ok(())
}
