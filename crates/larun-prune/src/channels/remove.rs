//! Cuts channels out of every tensor that has them, or sets them to zero.

use std::collections::{BTreeMap, BTreeSet};

use larun_graph::ops::{ElementType, IntList, Op, OpKind, Shape};
use larun_graph::{BufferId, Graph, NodeId, NodeOp, Place, Quantization, TensorId};

use super::atoms::Axis;
use super::parts::place_of;
use super::trace::ints_of;
use super::{ChannelGroups, Selection};
use crate::PruneError;
use crate::storage::release;
use crate::values::{main, main_mut, tensor, tensor_mut, zero_out};

/// For each axis that gets shorter, which of its indices stay.
type Kept = BTreeMap<Axis, Vec<usize>>;

/// A tensor's axes that get shorter, and which of their indices stay.
type Cuts = Vec<(usize, Vec<usize>)>;

/// Buffers that were cut, so that tensors that shared one go on sharing.
type CutBuffers = BTreeMap<(BufferId, Cuts), BufferId>;

impl ChannelGroups {
    /// The graph without the channels of a selection. Its shapes are those of its tensors; what the file said of other shapes
    /// (`shape_signature`) follows.
    ///
    /// # Errors
    /// When the selection is of another graph, empties a group, or a constant has elements that are packed.
    pub fn remove(&self, graph: &Graph, selection: &Selection) -> Result<Graph, PruneError> {
        let kept = self.kept(graph, selection)?;
        let mut pruned = graph.clone();
        let mut buffers = CutBuffers::new();
        let tensors: BTreeSet<TensorId> = kept.keys().map(|axis| axis.0).collect();
        for id in tensors {
            cut_tensor(&mut pruned, id, &kept, &mut buffers)?;
        }
        fix_shape_operands(graph, &mut pruned, &kept)?;
        for (old, _) in buffers.into_keys() {
            release(&mut pruned, old);
        }
        pruned.validate()?;
        Ok(pruned)
    }

    /// The graph with the channels of a selection set to zero: the weights that compute them and those that read them. It
    /// computes what [`ChannelGroups::remove`]'s does.
    ///
    /// # Errors
    /// As [`ChannelGroups::remove`].
    pub fn mask(&self, graph: &Graph, selection: &Selection) -> Result<Graph, PruneError> {
        let mut masked = graph.clone();
        for mask in self.weight_masks(graph, selection)? {
            zero_out(&mut masked, mask.tensor, &mask.keep)?;
        }
        Ok(masked)
    }

    /// The same as masks on constants, for training with channels on their way out.
    ///
    /// # Errors
    /// As [`ChannelGroups::remove`].
    pub fn weight_masks(
        &self,
        graph: &Graph,
        selection: &Selection,
    ) -> Result<Vec<crate::WeightMask>, PruneError> {
        let kept = self.kept(graph, selection)?;
        let mut masks: BTreeMap<TensorId, Vec<bool>> = BTreeMap::new();
        for ((id, axis), kept) in kept
            .iter()
            .filter(|(axis, _)| self.zeroed.contains(&axis.0))
        {
            let shape = tensor(graph, *id)?.shape;
            let run: usize = shape.dims().iter().skip(axis + 1).product();
            let size = shape.dims().get(*axis).copied().unwrap_or(1);
            let mut stays = vec![false; size];
            kept.iter().for_each(|&index| mark(&mut stays, index));
            let all = shape.elements().unwrap_or(0);
            let keep = masks.entry(*id).or_insert_with(|| vec![true; all]);
            for (element, keep) in keep.iter_mut().enumerate() {
                let index = element / run.max(1) % size.max(1);
                *keep &= stays.get(index).copied().unwrap_or(true);
            }
        }
        let mask = |(tensor, keep)| crate::WeightMask { tensor, keep };
        Ok(masks.into_iter().map(mask).collect())
    }

    fn kept(&self, graph: &Graph, selection: &Selection) -> Result<Kept, PruneError> {
        let mut gone: BTreeMap<Axis, BTreeSet<usize>> = BTreeMap::new();
        for (number, removed) in selection.removed.iter().enumerate() {
            let wrong = |channel| PruneError::Selection {
                group: number,
                channel,
            };
            if removed.is_empty() {
                continue;
            }
            let group = self.groups.get(number).ok_or_else(|| wrong(0))?;
            let distinct: BTreeSet<usize> = removed.iter().copied().collect();
            if distinct.len() >= group.len() {
                return Err(PruneError::EmptyGroup { group: number });
            }
            for channel in distinct {
                let places = group.channels.get(channel).filter(|_| group.is_free());
                for &(axis, index) in places.ok_or_else(|| wrong(channel))? {
                    gone.entry(axis).or_default().insert(index);
                }
            }
        }
        let mut kept = Kept::new();
        for ((id, axis), gone) in gone {
            let size = tensor(graph, id)?
                .shape
                .dims()
                .get(axis)
                .copied()
                .unwrap_or(0);
            let stays = (0..size).filter(|index| !gone.contains(index)).collect();
            kept.insert((id, axis), stays);
        }
        Ok(kept)
    }
}

fn mark(flags: &mut [bool], index: usize) {
    if let Some(flag) = flags.get_mut(index) {
        *flag = true;
    }
}

/// Shortens the axes of one tensor.
fn cut_tensor(
    graph: &mut Graph,
    id: TensorId,
    kept: &Kept,
    buffers: &mut CutBuffers,
) -> Result<(), PruneError> {
    let axes: Cuts = kept
        .range((id, 0)..=(id, usize::MAX))
        .map(|((_, axis), kept)| (*axis, kept.clone()))
        .collect();
    let old = tensor(graph, id)?.clone();
    let mut shape = old.shape;
    let mut data = graph.data(&old).to_vec();
    let is_constant = !data.is_empty();
    if is_constant {
        let bits = old
            .element_type
            .bits()
            .filter(|bits| bits.is_multiple_of(8));
        let size = bits.filter(|_| old.sparsity.is_none()).map(|bits| bits / 8);
        let size = size.ok_or_else(|| PruneError::Element {
            place: main(graph).map_or_else(|_| unknown(), |s| Place::tensor(s, id)),
            found: old.element_type,
        })?;
        for (axis, kept) in &axes {
            data = cut(&data, &shape, *axis, kept, size);
            set_dim(&mut shape, *axis, kept.len());
        }
    } else {
        axes.iter()
            .for_each(|(axis, kept)| set_dim(&mut shape, *axis, kept.len()));
    }
    let mut buffer = old.buffer;
    if is_constant {
        let key = (old.buffer, axes.clone());
        buffer = match buffers.get(&key) {
            Some(&same) => same,
            None => graph.add_buffer(data),
        };
        buffers.insert(key, buffer);
    }
    let found = tensor_mut(graph, id)?;
    found.shape = shape;
    found.buffer = buffer;
    for (axis, kept) in &axes {
        if let Some(dim) = found
            .shape_signature
            .get_mut(*axis)
            .filter(|dim| **dim >= 0)
        {
            *dim = i32::try_from(kept.len()).unwrap_or(i32::MAX);
        }
        if let Some(quantization) = &mut found.quantization {
            cut_quantization(quantization, &old.shape, *axis, kept);
        }
    }
    Ok(())
}

fn unknown() -> Place {
    Place::Tensor {
        index: 0,
        name: String::new(),
    }
}

fn set_dim(shape: &mut Shape, axis: usize, size: usize) {
    if let Some(dim) = shape.dims_mut().get_mut(axis) {
        *dim = size;
    }
}

/// The bytes of a tensor with some indices of an axis.
fn cut(data: &[u8], shape: &Shape, axis: usize, kept: &[usize], element: usize) -> Vec<u8> {
    let run = element * shape.dims().iter().skip(axis + 1).product::<usize>();
    let size = shape.dims().get(axis).copied().unwrap_or(1);
    let mut bytes = Vec::with_capacity(data.len() / size.max(1) * kept.len());
    for whole in data.chunks(run * size.max(1)) {
        let rows = kept
            .iter()
            .filter_map(|&index| whole.get(index * run..(index + 1) * run));
        rows.for_each(|row| bytes.extend_from_slice(row));
    }
    bytes
}

/// Scales and zero points of the channels that stay.
fn cut_quantization(quantization: &mut Quantization, old: &Shape, axis: usize, kept: &[usize]) {
    let own = match old.rank() {
        1 => Some(0),
        _ => old.axis(quantization.axis),
    };
    let size = old.dims().get(axis).copied().unwrap_or(0);
    if own != Some(axis) || quantization.scale.len() <= 1 || quantization.scale.len() != size {
        return;
    }
    let pick = |values: &mut Vec<f32>| {
        if values.len() == size {
            *values = kept
                .iter()
                .filter_map(|&index| values.get(index).copied())
                .collect();
        }
    };
    pick(&mut quantization.scale);
    pick(&mut quantization.min);
    pick(&mut quantization.max);
    if quantization.zero_point.len() == size {
        let points = &quantization.zero_point;
        quantization.zero_point = kept
            .iter()
            .filter_map(|&index| points.get(index).copied())
            .collect();
    }
}

/// Operands and options that say shapes or positions follow.
fn fix_shape_operands(old: &Graph, new: &mut Graph, kept: &Kept) -> Result<(), PruneError> {
    let count = main(old)?.nodes.len();
    for id in (0..count).map(NodeId::new) {
        let Some(node) = main(old)?.node(id).cloned() else {
            continue;
        };
        let (Some(kind), Some(&output)) = (node.kind(), node.outputs.first()) else {
            continue;
        };
        let shortened = |id: &TensorId| kept.range((*id, 0)..=(*id, usize::MAX)).next().is_some();
        let touched = node
            .inputs
            .iter()
            .flatten()
            .chain(&node.outputs)
            .any(shortened);
        if !touched {
            continue;
        }
        let after = tensor(new, output)?.shape;
        match kind {
            OpKind::Reshape => {
                let entries = |asked: &[i64]| retarget(asked, &after);
                change_ints(old, new, id, 1, entries)?;
                if let Some(Op::Reshape(options)) = known_mut(new, id)? {
                    let asked: Vec<i64> = options.new_shape.iter().map(|&d| d.into()).collect();
                    let entries: Vec<i32> = retarget(&asked, &after)
                        .into_iter()
                        .map(|d| d as i32)
                        .collect();
                    options.new_shape = IntList::new(&entries).unwrap_or_default();
                }
            }
            OpKind::Squeeze => {
                // Without a list, every axis of size 1 would be dropped, a channel that alone is left too.
                let input = node.input(0).map(|id| tensor(old, id).map(|t| t.shape));
                let before = input.transpose()?.unwrap_or_default();
                let ones = before
                    .dims()
                    .iter()
                    .enumerate()
                    .filter(|(_, dim)| **dim == 1);
                let ones: Vec<i32> = ones.map(|(axis, _)| axis as i32).collect();
                if let Some(Op::Squeeze(options)) = known_mut(new, id)?
                    && options.squeeze_dims.is_empty()
                {
                    options.squeeze_dims = IntList::new(&ones).unwrap_or_default();
                }
            }
            OpKind::TransposeConv => {
                change_ints(old, new, id, 0, |asked| retarget(asked, &after))?;
            }
            OpKind::SplitV => {
                let sizes = |asked: &[i64]| {
                    let mut sizes = asked.to_vec();
                    for (size, &part) in sizes.iter_mut().zip(&node.outputs) {
                        let axis = kept.range((part, 0)..=(part, usize::MAX)).next();
                        let cut = axis.filter(|((_, axis), _)| split_axis(old, id) == Some(*axis));
                        if let Some((_, kept)) = cut.filter(|_| *size >= 0) {
                            *size = kept.len() as i64;
                        }
                    }
                    sizes
                };
                change_ints(old, new, id, 1, sizes)?;
            }
            OpKind::Slice | OpKind::StridedSlice => fix_slice(old, new, id, kept)?,
            _ => {}
        }
    }
    Ok(())
}

/// The axis that SPLIT_V cuts.
fn split_axis(graph: &Graph, id: NodeId) -> Option<usize> {
    let subgraph = graph.main()?;
    let node = subgraph.node(id)?;
    let axis = *ints_of(graph, subgraph, node.input(2)?)?.first()?;
    subgraph
        .tensor(node.input(0)?)?
        .shape
        .axis(i32::try_from(axis).ok()?)
}

/// A list of dimensions as it was asked for, with the sizes that are left; -1 stays.
fn retarget(asked: &[i64], shape: &Shape) -> Vec<i64> {
    let dims = shape.dims().iter();
    let entries = asked.iter().zip(dims.map(|&dim| dim as i64));
    let mut all: Vec<i64> = entries
        .map(|(&asked, dim)| if asked < 0 { asked } else { dim })
        .collect();
    all.extend(asked.iter().skip(all.len()));
    all
}

/// The beginning and the end of a slice along the axis of the channels.
fn fix_slice(old: &Graph, new: &mut Graph, id: NodeId, kept: &Kept) -> Result<(), PruneError> {
    let subgraph = main(old)?;
    let Some(node) = subgraph.node(id) else {
        return Ok(());
    };
    let Some(input) = node.input(0) else {
        return Ok(());
    };
    for ((_, axis), kept) in kept.range((input, 0)..=(input, usize::MAX)) {
        let size = tensor(old, input)?
            .shape
            .dims()
            .get(*axis)
            .copied()
            .unwrap_or(0);
        let before = |place: usize| kept.iter().filter(|&&index| index < place).count() as i64;
        let begin = node.input(1).and_then(|id| ints_of(old, subgraph, id));
        let first = begin
            .as_ref()
            .and_then(|begin| begin.get(*axis))
            .copied()
            .unwrap_or(0);
        let first = place_of(first, size);
        let set = |asked: &[i64], value: i64| {
            let mut asked = asked.to_vec();
            if let Some(entry) = asked.get_mut(*axis) {
                *entry = value;
            }
            asked
        };
        change_ints(old, new, id, 1, |asked| set(asked, before(first)))?;
        let is_slice = node.kind() == Some(OpKind::Slice);
        change_ints(old, new, id, 2, |asked| {
            let entry = asked.get(*axis).copied().unwrap_or(-1);
            match is_slice {
                true if entry < 0 => asked.to_vec(),
                true => set(asked, before(first + entry as usize) - before(first)),
                false => set(asked, before(place_of(entry, size))),
            }
        })?;
    }
    Ok(())
}

fn known_mut(graph: &mut Graph, id: NodeId) -> Result<Option<&mut Op>, PruneError> {
    let node = main_mut(graph)?.nodes.get_mut(id.index());
    Ok(node.and_then(|node| match &mut node.op {
        NodeOp::Known(op) => Some(op),
        NodeOp::Opaque(_) => None,
    }))
}

/// Gives a node other integers at an operand, in a constant of its own: nodes may share the old one.
fn change_ints(
    old: &Graph,
    new: &mut Graph,
    id: NodeId,
    operand: usize,
    change: impl FnOnce(&[i64]) -> Vec<i64>,
) -> Result<(), PruneError> {
    let Some(constant) = main(new)?.node(id).and_then(|node| node.input(operand)) else {
        return Ok(());
    };
    let Some(values) =
        ints_of(old, main(old)?, constant).or_else(|| ints_of(new, main(new).ok()?, constant))
    else {
        return Ok(());
    };
    let changed = change(&values);
    if changed == values {
        return Ok(());
    }
    let mut copy = tensor(new, constant)?.clone();
    copy.buffer = BufferId::default();
    let element_type = copy.element_type;
    let copy = main_mut(new)?.add_tensor(copy);
    match element_type {
        ElementType::Int64 => new.set_values(copy, &changed)?,
        _ => {
            let narrow: Vec<i32> = changed.iter().map(|&value| value as i32).collect();
            new.set_values(copy, &narrow)?;
        }
    }
    let node = main_mut(new)?.nodes.get_mut(id.index());
    if let Some(slot) = node.and_then(|node| node.inputs.get_mut(operand)) {
        *slot = Some(copy);
    }
    Ok(())
}
