//! Parts put together and taken apart along an axis: each works where the axis lies.

use larun_graph::TensorId;
use larun_graph::ops::{
    BroadcastToOptions, ConcatenationOptions, GatherOptions, MirrorPadMode, MirrorPadOptions, Op,
    PadOptions, PadV2Options, SplitVOptions, StridedSliceOptions,
};

use super::{Converter, place};
use crate::constant::stretched;
use crate::error::Refusal;
use crate::net::to_i32;
use crate::node::{OnnxNode, axis};
use crate::view::{Slot, View};

/// The view of a result that is stored in the slots of what it was made of.
fn result(converter: &Converter<'_>, tensor: TensorId, rank: usize, slots: &[Slot]) -> View {
    let stored = converter.net.dims(tensor);
    let mut dims = vec![1; rank];
    for (slot, &size) in slots.iter().zip(&stored) {
        if let Some(dim) = slot.and_then(|axis| dims.get_mut(axis)) {
            *dim = size;
        }
    }
    View::stored(tensor, &dims, slots)
}

pub(super) fn concat(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let views = node
        .inputs()
        .map(|name| converter.view(name))
        .collect::<Result<Vec<_>, _>>()?;
    let first = views.first().ok_or("it has no inputs")?;
    let rank = first.rank();
    let joined = axis(node.int("axis").ok_or("it names no axis")?, rank)?;
    // The order of a part in which the joined axis has its place.
    let telling = views
        .iter()
        .find(|v| !v.axis(joined).is_empty())
        .unwrap_or(first);
    let slots = converter.net.slots_of(telling);
    let mut parts = Vec::with_capacity(views.len());
    for view in &views {
        if view.rank() != rank {
            return Err("its inputs have different numbers of axes".to_owned());
        }
        parts.push(converter.net.arrange(view, &slots)?);
    }
    let options = ConcatenationOptions {
        axis: to_i32(place(&slots, joined)?)?,
        ..ConcatenationOptions::default()
    };
    let output = converter.net.node(Op::Concatenation(options), &parts)?;
    let view = result(converter, output, rank, &slots);
    converter.set_output(node, view);
    Ok(())
}

pub(super) fn split(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    let axis = axis(node.int("axis").unwrap_or(0), view.rank())?;
    let (count, size) = (node.outputs().count(), view.dim(axis));
    let sizes = match converter.int_list(node, 1, "split")? {
        Some(sizes) => sizes
            .iter()
            .map(|&s| usize::try_from(s).map_err(|_| format!("a part has the size {s}")))
            .collect::<Result<Vec<_>, _>>()?,
        None => {
            let each = size.div_ceil(count.max(1));
            (0..count)
                .map(|i| each.min(size.saturating_sub(i * each)))
                .collect()
        }
    };
    if sizes.len() != count || sizes.iter().sum::<usize>() != size || sizes.contains(&0) {
        return Err(format!("parts of {sizes:?} do not make an axis of {size}"));
    }
    let (tensor, slots) = converter.settled(&view)?;
    let lengths = converter.net.ints("sizes", &sizes)?;
    let at = converter
        .net
        .signed("axis", &[], &[to_i32(place(&slots, axis)?)?])?;
    let options = SplitVOptions {
        num_splits: to_i32(count)?,
    };
    let element = converter.net.element_type(tensor);
    let outputs = converter.net.node_with_outputs(
        Op::SplitV(options),
        &[tensor, lengths, at],
        count,
        element,
    )?;
    for (name, output) in node.outputs().zip(outputs) {
        let view = result(converter, output, view.rank(), &slots);
        converter.set_view(name, view);
    }
    Ok(())
}

pub(super) fn slice(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    let rank = view.rank();
    let starts = converter
        .int_list(node, 1, "starts")?
        .ok_or("it has no starts")?;
    let ends = converter
        .int_list(node, 2, "ends")?
        .ok_or("it has no ends")?;
    let axes = converter
        .int_list(node, 3, "axes")?
        .unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = converter
        .int_list(node, 4, "steps")?
        .unwrap_or_else(|| vec![1; starts.len()]);
    let (tensor, slots) = converter.settled(&view)?;
    let stored = converter.net.dims(tensor);
    let (mut begin, mut end, mut strides) =
        (vec![0; stored.len()], Vec::new(), vec![1; stored.len()]);
    for &size in &stored {
        end.push(to_i32(size)?);
    }
    let mut end_mask = 0;
    for (((&start, &stop), &of), &step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let axis = axis(of, rank)?;
        let at = place(&slots, axis)?;
        let cut = Cut::new(start, stop, step, view.dim(axis))?;
        let missing = || "an axis has no place".to_owned();
        *begin.get_mut(at).ok_or_else(missing)? = cut.begin;
        *end.get_mut(at).ok_or_else(missing)? = cut.end;
        *strides.get_mut(at).ok_or_else(missing)? = cut.step;
        if cut.to_the_front {
            end_mask |= 1 << at;
        }
    }
    let count = [stored.len()];
    let begin = converter.net.signed("begin", &count, &begin)?;
    let end = converter.net.signed("end", &count, &end)?;
    let strides = converter.net.signed("strides", &count, &strides)?;
    let options = StridedSliceOptions {
        end_mask,
        ..StridedSliceOptions::default()
    };
    let output = converter
        .net
        .node(Op::StridedSlice(options), &[tensor, begin, end, strides])?;
    let view = result(converter, output, rank, &slots);
    converter.set_output(node, view);
    Ok(())
}

/// One axis of a slice, with ends inside the axis.
struct Cut {
    begin: i32,
    end: i32,
    step: i32,
    /// Backwards down to the first element, which no end stands for.
    to_the_front: bool,
}

impl Cut {
    fn new(start: i64, stop: i64, step: i64, size: usize) -> Result<Self, Refusal> {
        let size = i64::try_from(size).map_err(|_| "an axis is too large".to_owned())?;
        let counted = |at: i64| if at < 0 { at.saturating_add(size) } else { at };
        let (start, stop) = (counted(start), counted(stop));
        let (begin, end, empty) = match step {
            1.. => {
                let (begin, end) = (start.clamp(0, size), stop.clamp(0, size));
                (begin, end, begin >= end)
            }
            0 => return Err("a slice has a step of 0".to_owned()),
            _ => {
                let (begin, end) = (start.clamp(-1, size - 1), stop.clamp(-1, size - 1));
                (begin, end, begin <= end)
            }
        };
        if empty {
            return Err("a slice holds nothing".to_owned());
        }
        let to_the_front = step < 0 && end < 0;
        let small =
            |value: i64| i32::try_from(value).map_err(|_| format!("{value} does not fit 32 bits"));
        Ok(Self {
            begin: small(begin)?,
            end: small(end.max(0))?,
            step: small(step.max(-i64::from(i32::MAX)))?,
            to_the_front,
        })
    }
}

pub(super) fn pad(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    let rank = view.rank();
    let pads = converter
        .int_list(node, 1, "pads")?
        .ok_or("it has no pads")?;
    let axes = match converter.int_list(node, 3, "axes")? {
        Some(axes) => axes
            .iter()
            .map(|&a| axis(a, rank))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(format!("{} pads for {} axes", pads.len(), axes.len()));
    }
    let (tensor, slots) = converter.settled(&view)?;
    let mut sizes = vec![[0; 2]; slots.len()];
    for (i, &axis) in axes.iter().enumerate() {
        let read = |at: usize| pads.get(at).and_then(|&p| usize::try_from(p).ok());
        let pair = read(i).zip(read(i + axes.len()));
        let (before, after) = pair.ok_or("negative padding crops the input: slice it instead")?;
        let at = place(&slots, axis)?;
        *sizes.get_mut(at).ok_or("an axis has no place")? = [before, after];
    }
    let value = match converter.constant(node, 2, "value")? {
        Some(value) => value.scalar().ok_or("its value is no single number")?,
        None => 0.0,
    };
    let output = match node.text("mode").unwrap_or("constant") {
        "constant" if value == 0.0 => pad_stored(converter, tensor, &sizes)?,
        "constant" => {
            let paddings = paddings(converter, &sizes)?;
            let value = converter.net.floats("value", &[1], &[value])?;
            converter
                .net
                .node(Op::PadV2(PadV2Options {}), &[tensor, paddings, value])?
        }
        "reflect" => mirror(converter, tensor, &sizes, MirrorPadMode::Reflect)?,
        // The border element repeated once is the mirror image of one element.
        "edge" if sizes.iter().flatten().all(|&p| p <= 1) => {
            mirror(converter, tensor, &sizes, MirrorPadMode::Symmetric)?
        }
        other => {
            return Err(format!(
                "padding by '{other}' has no counterpart beyond one element"
            ));
        }
    };
    let view = result(converter, output, rank, &slots);
    converter.set_output(node, view);
    Ok(())
}

fn paddings(converter: &mut Converter<'_>, sizes: &[[usize; 2]]) -> Result<TensorId, Refusal> {
    let values = sizes
        .iter()
        .flatten()
        .map(|&p| to_i32(p))
        .collect::<Result<Vec<_>, _>>()?;
    converter.net.signed("paddings", &[sizes.len(), 2], &values)
}

/// Zeros around a tensor, before and after each of its axes.
pub(super) fn pad_stored(
    converter: &mut Converter<'_>,
    tensor: TensorId,
    sizes: &[[usize; 2]],
) -> Result<TensorId, Refusal> {
    let paddings = paddings(converter, sizes)?;
    converter
        .net
        .node(Op::Pad(PadOptions {}), &[tensor, paddings])
}

/// The border mirrored around a tensor.
pub(super) fn mirror(
    converter: &mut Converter<'_>,
    tensor: TensorId,
    sizes: &[[usize; 2]],
    mode: MirrorPadMode,
) -> Result<TensorId, Refusal> {
    let paddings = paddings(converter, sizes)?;
    converter.net.node(
        Op::MirrorPad(MirrorPadOptions { mode }),
        &[tensor, paddings],
    )
}

pub(super) fn gather(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    if let (Ok(super::Value::Constant(table)), Some(name)) =
        (converter.value(node.input(0).unwrap_or("")), node.input(1))
    {
        // A table looked up by what the network computes.
        let (table, dims) = (table.clone(), table.dims().to_vec());
        let indices = converter.view(name)?;
        let axis = axis(node.int("axis").unwrap_or(0), dims.len())?;
        let table = converter.net.constant("table", &table)?;
        let numbers = converter.net.as_in_file(&indices)?;
        return gathered(
            converter,
            node,
            table,
            &dims,
            numbers,
            &indices.dims(),
            axis,
        );
    }
    let view = converter.input(node, 0)?;
    let axis = axis(node.int("axis").unwrap_or(0), view.rank())?;
    let indices = converter
        .constant(node, 1, "indices")?
        .ok_or("it has no indices")?;
    let size = view.dim(axis);
    let counted = indices
        .to_ints()?
        .into_iter()
        .map(|i| {
            crate::node::axis(i, size)
                .and_then(to_i32)
                .map_err(|_| format!("index {i} is outside an axis of {size}"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let (tensor, slots) = converter.settled(&view)?;
    let at = place(&slots, axis)?;
    if indices.dims().len() == 1 {
        let numbers = converter.net.signed("indices", indices.dims(), &counted)?;
        let options = GatherOptions {
            axis: to_i32(at)?,
            batch_dims: 0,
        };
        let output = converter
            .net
            .node(Op::Gather(options), &[tensor, numbers])?;
        let view = result(converter, output, view.rank(), &slots);
        converter.set_output(node, view);
        return Ok(());
    }
    if let ([], [index]) = (indices.dims(), counted.as_slice()) {
        // One slice, its axis dropped: a slice of one, seen without the axis.
        return one_slice(converter, node, &view, tensor, &slots, at, axis, *index);
    }
    let dims = view.dims();
    let numbers = converter.net.signed("indices", indices.dims(), &counted)?;
    let tensor = converter.net.as_in_file(&view)?;
    gathered(
        converter,
        node,
        tensor,
        &dims,
        numbers,
        indices.dims(),
        axis,
    )
}

fn one_slice(
    converter: &mut Converter<'_>,
    node: OnnxNode<'_>,
    view: &View,
    tensor: TensorId,
    slots: &[Slot],
    at: usize,
    axis: usize,
    index: i32,
) -> Result<(), Refusal> {
    let stored = converter.net.dims(tensor);
    let mut begin = vec![0; stored.len()];
    let mut end = stored
        .iter()
        .map(|&d| to_i32(d))
        .collect::<Result<Vec<_>, _>>()?;
    if let (Some(begin), Some(end)) = (begin.get_mut(at), end.get_mut(at)) {
        (*begin, *end) = (index, index.saturating_add(1));
    }
    let count = [stored.len()];
    let begin = converter.net.signed("begin", &count, &begin)?;
    let end = converter.net.signed("end", &count, &end)?;
    let strides = converter
        .net
        .signed("strides", &count, &vec![1; stored.len()])?;
    let op = Op::StridedSlice(StridedSliceOptions::default());
    let output = converter.net.node(op, &[tensor, begin, end, strides])?;
    let whole = result(converter, output, view.rank(), slots);
    let mut dims = whole.dims();
    dims.remove(axis);
    let view = whole
        .reshaped(&dims)
        .ok_or("the slice cannot be seen without its axis")?;
    converter.set_output(node, view);
    Ok(())
}

/// `GATHER` on tensors that lie as in the file.
fn gathered(
    converter: &mut Converter<'_>,
    node: OnnxNode<'_>,
    table: TensorId,
    dims: &[usize],
    indices: TensorId,
    index_dims: &[usize],
    axis: usize,
) -> Result<(), Refusal> {
    let options = GatherOptions {
        axis: to_i32(axis)?,
        batch_dims: 0,
    };
    let output = converter.net.node(Op::Gather(options), &[table, indices])?;
    let (front, back) = dims.split_at(axis);
    let mut result = front.to_vec();
    result.extend(index_dims);
    result.extend(back.iter().skip(1));
    converter.set_output(node, View::plain(output, &result));
    Ok(())
}

pub(super) fn expand(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    let wanted = converter
        .int_list(node, 1, "shape")?
        .ok_or("it has no shape")?;
    let wanted = crate::fold::sizes(&wanted)?;
    let own = view.dims();
    let dims = stretched(&own, &wanted)?;
    if dims == own {
        converter.set_output(node, view);
        return Ok(());
    }
    let tensor = converter.net.as_in_file(&view)?;
    let shape = converter.net.ints("shape", &dims)?;
    let output = converter
        .net
        .node(Op::BroadcastTo(BroadcastToOptions {}), &[tensor, shape])?;
    converter.set_output(node, View::plain(output, &dims));
    Ok(())
}

pub(super) fn tile(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    let repeats = converter
        .int_list(node, 1, "repeats")?
        .ok_or("it has no repeats")?;
    let repeats = crate::fold::sizes(&repeats)?;
    if repeats.len() != view.rank() {
        return Err(format!(
            "{} repeats for {} axes",
            repeats.len(),
            view.rank()
        ));
    }
    // No operator of microcontrollers tiles: the input is joined with itself.
    let (mut tensor, slots) = converter.settled(&view)?;
    for (axis, &times) in repeats.iter().enumerate().filter(|&(_, &times)| times > 1) {
        if times > 256 {
            return Err(format!(
                "axis {axis} is repeated {times} times, 256 at most"
            ));
        }
        let options = ConcatenationOptions {
            axis: to_i32(place(&slots, axis)?)?,
            ..ConcatenationOptions::default()
        };
        tensor = converter
            .net
            .node(Op::Concatenation(options), &vec![tensor; times])?;
    }
    let view = result(converter, tensor, view.rank(), &slots);
    converter.set_output(node, view);
    Ok(())
}
