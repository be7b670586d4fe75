//! Operators that move values: what becomes of the axis of the channels.

use larun_graph::Node;
use larun_graph::ops::{Op, Shape};

use super::atoms::{Axis, Blocker};
use super::rules::{input, output};
use super::trace::{Blocked, Tracer};

/// A position along one axis and the position along another that it belongs to.
pub(crate) type Pairs = Vec<(usize, usize)>;

/// PAD, PADV2. Channels that are added stay.
pub(crate) fn pad(tracer: &mut Tracer<'_>, node: &Node) -> Result<(), Blocked> {
    let paddings = tracer.ints(node, 1)?;
    let from = tracer.axis(input(node, 0)?)?;
    let to = tracer.give_axis(output(node, 0)?, from.1)?;
    let before = paddings.get(2 * from.1).copied().unwrap_or(0);
    let before = usize::try_from(before).map_err(|_| "a padding is negative")?;
    let (inner, outer) = (tracer.size(from), tracer.size(to));
    let pairs: Pairs = (0..inner).map(|index| (index, index + before)).collect();
    tracer.tie_pairs(from, to, &pairs)?;
    if outer > inner {
        let blocker = tracer.atoms.blocker(Blocker {
            node: None,
            place: "padded channels".to_owned(),
            reason: "they are constant",
        });
        let added = (0..before).chain(before + inner..outer);
        added.for_each(|index| tracer.atoms.freeze(to, index, blocker));
    }
    Ok(())
}

pub(crate) fn mirror_pad(tracer: &mut Tracer<'_>, node: &Node) -> Result<(), Blocked> {
    let (from, to) = (input(node, 0)?, output(node, 0)?);
    let axis = tracer.axis(from)?;
    if tracer.size(axis) != tracer.size((to, axis.1)) {
        return Err("it repeats channels");
    }
    tracer.pass(from, to)
}

/// MEAN, SUM and the like over axes other than that of the channels.
pub(crate) fn reduce(tracer: &mut Tracer<'_>, node: &Node, op: &Op) -> Result<(), Blocked> {
    let keep_dims = match op {
        Op::Mean(o) | Op::Sum(o) | Op::ReduceMax(o) | Op::ReduceMin(o) => o.keep_dims,
        _ => return Err("it is no reduction"),
    };
    let axes = tracer.ints(node, 1)?;
    let from = tracer.axis(input(node, 0)?)?;
    let shape = tracer.shape(from.0);
    let resolve = |&axis: &i64| shape.axis(i32::try_from(axis).ok()?);
    let reduced: Vec<usize> = axes.iter().filter_map(resolve).collect();
    if reduced.contains(&from.1) {
        return Err("every result depends on all channels");
    }
    let before = (0..from.1).filter(|axis| reduced.contains(axis)).count();
    let axis = match keep_dims {
        true => from.1,
        false => from.1 - before,
    };
    let to = tracer.give_axis(output(node, 0)?, axis)?;
    tracer.tie(from, to)
}

/// RESHAPE, SQUEEZE, EXPAND_DIMS: flattening and its reverse among them.
pub(crate) fn reshape(tracer: &mut Tracer<'_>, node: &Node) -> Result<(), Blocked> {
    let from = tracer.axis(input(node, 0)?)?;
    let result = output(node, 0)?;
    if let Some(target) = node.input(1).filter(|&id| !tracer.is_constant(id)) {
        // The target of a RESHAPE that is computed cannot be made smaller.
        tracer.axis(target)?;
        return Err("its shape is computed");
    }
    let (old, new) = (tracer.shape(from.0), tracer.shape(result));
    let (axis, pairs) =
        related_axis(&old, from.1, &new).ok_or("it mixes channels with other axes")?;
    let to = tracer.give_axis(result, axis)?;
    tracer.tie_pairs(from, to, &pairs)
}

/// The axis of a reshaped tensor that holds the channels, and which of its indices belong to which channel.
fn related_axis(old: &Shape, axis: usize, new: &Shape) -> Option<(usize, Pairs)> {
    if old.dims().get(axis) == Some(&1) {
        return None;
    }
    let candidates = (0..new.rank()).rev().filter_map(|candidate| {
        let pairs = related(old.dims(), axis, new.dims(), candidate)?;
        Some((candidate, pairs))
    });
    // An axis of the same size is the channels', and nothing else.
    let same = |(candidate, _): &(usize, Pairs)| new.dims().get(*candidate) != old.dims().get(axis);
    candidates.min_by_key(same)
}

/// Which channels of a value the columns of a matrix with `columns` of them read, the value taken row by row.
pub(crate) fn flattened(tracer: &Tracer<'_>, from: Axis, columns: usize) -> Result<Pairs, Blocked> {
    let shape = tracer.shape(from.0);
    let elements = shape.elements().unwrap_or(0);
    let rows = elements.checked_div(columns).unwrap_or(0);
    let pairs = related(shape.dims(), from.1, &[rows, columns], 1);
    pairs.ok_or("its rows do not hold whole channels")
}

/// For two views of the same elements, an axis of each: pairs of indices with common elements, where each index of one axis
/// has elements of a single index of the other. Otherwise removing indices would leave a ragged tensor.
fn related(old: &[usize], old_axis: usize, new: &[usize], new_axis: usize) -> Option<Pairs> {
    let inner = |dims: &[usize], axis: usize| dims.iter().skip(axis + 1).product::<usize>();
    let (old_run, new_run) = (inner(old, old_axis), inner(new, new_axis));
    let (old_size, new_size) = (*old.get(old_axis)?, *new.get(new_axis)?);
    let divides = |a: usize, b: usize| a > 0 && b.is_multiple_of(a);
    let (old_span, new_span) = (old_run * old_size, new_run * new_size);
    // Index `i` along an axis holds the elements `e` with `e / run % size == i`.
    if divides(new_run, old_run) && divides(old_span, new_span) {
        let step = old_run / new_run;
        Some(
            (0..new_size)
                .map(|index| (index / step % old_size, index))
                .collect(),
        )
    } else if divides(old_run, new_run) && divides(new_span, old_span) {
        let step = new_run / old_run;
        Some(
            (0..old_size)
                .map(|index| (index, index / step % new_size))
                .collect(),
        )
    } else {
        None
    }
}

pub(crate) fn transpose(tracer: &mut Tracer<'_>, node: &Node) -> Result<(), Blocked> {
    let order = tracer.ints(node, 1)?;
    let from = tracer.axis(input(node, 0)?)?;
    let axis = order
        .iter()
        .position(|&axis| usize::try_from(axis) == Ok(from.1));
    let to = tracer.give_axis(output(node, 0)?, axis.ok_or("its order lacks an axis")?)?;
    tracer.tie(from, to)
}

/// Channel `c` of the input is at `c`, `c + C`, `c + 2 C` and so on in the result.
pub(crate) fn space_to_depth(tracer: &mut Tracer<'_>, node: &Node) -> Result<(), Blocked> {
    let from = last(tracer, node)?;
    let to = tracer.give_axis(output(node, 0)?, from.1)?;
    let (inner, outer) = (tracer.size(from), tracer.size(to));
    let pairs: Pairs = (0..outer)
        .map(|index| (index % inner.max(1), index))
        .collect();
    tracer.tie_pairs(from, to, &pairs)
}

pub(crate) fn depth_to_space(tracer: &mut Tracer<'_>, node: &Node) -> Result<(), Blocked> {
    let from = last(tracer, node)?;
    let to = tracer.give_axis(output(node, 0)?, from.1)?;
    let (inner, outer) = (tracer.size(from), tracer.size(to));
    let pairs: Pairs = (0..inner)
        .map(|index| (index, index % outer.max(1)))
        .collect();
    tracer.tie_pairs(from, to, &pairs)
}

fn last(tracer: &mut Tracer<'_>, node: &Node) -> Result<Axis, Blocked> {
    let from = tracer.axis(input(node, 0)?)?;
    match from.1 {
        3 => Ok(from),
        _ => Err("it works along the axis of the channels"),
    }
}
