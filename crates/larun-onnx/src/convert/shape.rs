//! Operators that change how a value is seen: most leave the data where it lies.

use larun_graph::ops::{CastOptions, ElementType, Op};

use super::Converter;
use crate::constant::Constant;
use crate::error::Refusal;
use crate::node::{OnnxNode, axis};
use crate::view::View;

/// The value under another shape: another view where that is possible.
fn seen_as(converter: &mut Converter<'_>, view: &View, dims: &[usize]) -> Result<View, Refusal> {
    let count = |dims: &[usize]| dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    if count(&view.dims()) != count(dims) || dims.contains(&0) {
        return Err(format!(
            "the shape {dims:?} has other elements than {:?}",
            view.dims()
        ));
    }
    match view.reshaped(dims) {
        Some(view) => Ok(view),
        None => {
            let tensor = converter.net.as_in_file(view)?;
            let tensor = converter.net.reshape(tensor, dims)?;
            Ok(View::plain(tensor, dims))
        }
    }
}

pub(super) fn reshape(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    let wanted = converter
        .int_list(node, 1, "shape")?
        .ok_or("it has no shape")?;
    let dims = target(&view.dims(), &wanted, node.flag("allowzero"))?;
    let view = seen_as(converter, &view, &dims)?;
    converter.set_output(node, view);
    Ok(())
}

/// A shape in which 0 keeps a dimension and -1 takes what is left.
pub(crate) fn target(
    own: &[usize],
    wanted: &[i64],
    allow_zero: bool,
) -> Result<Vec<usize>, Refusal> {
    let mut dims = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (i, &size) in wanted.iter().enumerate() {
        dims.push(match size {
            0 if !allow_zero => own
                .get(i)
                .copied()
                .ok_or("it keeps a dimension that its input lacks")?,
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            size => usize::try_from(size).map_err(|_| format!("the shape {wanted:?} is none"))?,
        });
    }
    if let Some(open) = open {
        let count = |dims: &[usize]| dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let (all, known) = (count(own), count(&dims));
        let left = all
            .zip(known)
            .filter(|&(_, known)| known > 0)
            .map(|(all, known)| all / known);
        if let (Some(dim), Some(left)) = (dims.get_mut(open), left) {
            *dim = left;
        }
    }
    Ok(dims)
}

pub(super) fn flatten(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    let dims = flat(&view.dims(), node.int("axis").unwrap_or(1))?;
    let view = seen_as(converter, &view, &dims)?;
    converter.set_output(node, view);
    Ok(())
}

/// Two dimensions: the axes before `at`, and the others.
pub(crate) fn flat(dims: &[usize], at: i64) -> Result<Vec<usize>, Refusal> {
    let at = match usize::try_from(at) {
        Ok(at) if at == dims.len() => at,
        _ => axis(at, dims.len())?,
    };
    let (outer, inner) = dims.split_at(at);
    Ok(vec![outer.iter().product(), inner.iter().product()])
}

pub(super) fn transpose(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    let permutation = node
        .sizes("perm")?
        .unwrap_or_else(|| (0..view.rank()).rev().collect());
    let view = view.permuted(&permutation);
    let view = view.ok_or_else(|| format!("{permutation:?} is no order of its axes"))?;
    converter.set_output(node, view);
    Ok(())
}

pub(super) fn squeeze(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    let axes = converter.int_list(node, 1, "axes")?;
    let dims = squeezed(&view.dims(), axes.as_deref())?;
    let view = seen_as(converter, &view, &dims)?;
    converter.set_output(node, view);
    Ok(())
}

pub(crate) fn squeezed(dims: &[usize], axes: Option<&[i64]>) -> Result<Vec<usize>, Refusal> {
    let axes = match axes {
        Some(axes) => axes
            .iter()
            .map(|&a| axis(a, dims.len()))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..dims.len())
            .filter(|&a| dims.get(a) == Some(&1))
            .collect(),
    };
    if let Some(wide) = axes.iter().find(|&&a| dims.get(a) != Some(&1)) {
        return Err(format!("axis {wide} of {dims:?} is not of size 1"));
    }
    let kept = dims
        .iter()
        .enumerate()
        .filter(|(axis, _)| !axes.contains(axis));
    Ok(kept.map(|(_, &dim)| dim).collect())
}

pub(super) fn unsqueeze(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    let axes = converter
        .int_list(node, 1, "axes")?
        .ok_or("it names no axes")?;
    let dims = unsqueezed(&view.dims(), &axes)?;
    let view = seen_as(converter, &view, &dims)?;
    converter.set_output(node, view);
    Ok(())
}

pub(crate) fn unsqueezed(dims: &[usize], axes: &[i64]) -> Result<Vec<usize>, Refusal> {
    let rank = dims.len() + axes.len();
    let axes = axes
        .iter()
        .map(|&a| axis(a, rank))
        .collect::<Result<Vec<_>, _>>()?;
    let mut left = dims.iter().copied();
    Ok((0..rank)
        .map(|a| {
            if axes.contains(&a) {
                1
            } else {
                left.next().unwrap_or(1)
            }
        })
        .collect())
}

/// The shape of a value is known: a constant.
pub(super) fn shape(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let dims = match converter.value(node.input(0).ok_or("it has no input")?)? {
        super::Value::View(view) => view.dims(),
        super::Value::Constant(constant) => constant.dims().to_vec(),
    };
    let value = match node.op() {
        "Size" => Constant::ints(&[], vec![dims.iter().product::<usize>() as i64])
            .ok_or("a size is one value")?,
        _ => Constant::list(part_of(&dims, node)),
    };
    converter.set_constant(node.output(0), value);
    Ok(())
}

fn part_of(dims: &[usize], node: OnnxNode<'_>) -> Vec<usize> {
    let rank = dims.len() as i64;
    let counted =
        |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
    let (start, end) = (
        counted(node.int("start").unwrap_or(0)),
        counted(node.int("end").unwrap_or(rank)),
    );
    dims.get(start..end).unwrap_or(&[]).to_vec()
}

pub(super) fn identity(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    converter.set_output(node, view);
    Ok(())
}

/// Numbers of ONNX's element types by which a cast is what the graph has.
fn cast_target(to: i64) -> Option<ElementType> {
    match to {
        1 | 10 | 11 | 16 => Some(ElementType::Float32),
        2..=7 | 12 | 13 => Some(ElementType::Int32),
        9 => Some(ElementType::Bool),
        _ => None,
    }
}

pub(super) fn cast(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    let to = node.int("to").unwrap_or(0);
    let target = cast_target(to)
        .ok_or_else(|| format!("a cast to ONNX's element type {to} has no counterpart"))?;
    let from = converter.net.element_type(view.tensor);
    if from == target {
        converter.set_output(node, view);
        return Ok(());
    }
    let options = CastOptions {
        in_data_type: from,
        out_data_type: target,
    };
    let output = converter
        .net
        .node_of(Op::Cast(options), &[view.tensor], target)?;
    converter.set_output(node, view.of(output));
    Ok(())
}

pub(super) fn constant(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let floats = |values: &[f32], dims: &[usize]| Constant::floats(dims, values.to_vec());
    let ints = |values: &[i64], dims: &[usize]| Constant::ints(dims, values.to_vec());
    let value = if let Some(tensor) = node.tensor("value") {
        Some(converter.attribute_constant(tensor)?)
    } else if let Some(value) = node.float("value_float") {
        floats(&[value], &[])
    } else if let Some(value) = node.int("value_int") {
        ints(&[value], &[])
    } else if let Some(values) = node.ints("value_ints").filter(|v| !v.is_empty()) {
        ints(values, &[values.len()])
    } else {
        node.floats("value_floats")
            .and_then(|values| floats(values, &[values.len()]))
    };
    let value = value.ok_or("it holds no value of numbers")?;
    converter.set_constant(node.output(0), value);
    Ok(())
}

/// An operator that is computed while importing, from constants.
pub(super) fn folded_only(_: &mut Converter<'_>, _: OnnxNode<'_>) -> Result<(), Refusal> {
    Err(
        "it is computed while importing, from constants: here the network computes its input"
            .to_owned(),
    )
}
