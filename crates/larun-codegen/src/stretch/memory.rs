//! The activations of a model some of whose nodes are run by rows, as a problem for a planner.

use larun_arena::Buffer;
use larun_micro::host::{Owner, Prepared};

use super::Stretch;
use super::nodes::Nodes;

/// Alignment of values in the activations, in bytes.
pub(crate) const ALIGNMENT: u32 = 16;

/// What a buffer of the problem is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// A buffer of the prepared model, by its number.
    Buffer(usize),
    /// The line behind a node of a stretch: the stretch's number, and the node's position in it.
    Line(usize, usize),
    /// The scratch memory of all nodes of a stretch.
    Scratch(usize),
    /// A value and the one that takes its place, while the stretch with a number runs.
    Both(usize),
}

/// A buffer of the problem.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) what: Use,
    pub(crate) buffer: Buffer,
    /// What lies together with others: the number of the group, and the offset in it.
    pub(crate) group: Option<(usize, u32)>,
}

/// Values that take each other's memory, and so lie at fixed distances.
#[derive(Default)]
struct Group {
    /// Buffers of the prepared model with their offsets.
    members: Vec<(usize, i64)>,
    /// The stretches.
    stretches: Vec<Shared>,
}

/// What the input and the output of a stretch take.
struct Shared {
    stretch: usize,
    /// First and last node.
    span: (u32, u32),
    start: i64,
    end: i64,
}

/// The buffers of a model with these stretches, which come in the order of their nodes.
pub(crate) fn pieces(prepared: &Prepared<'_>, nodes: &Nodes, stretches: &[Stretch]) -> Vec<Piece> {
    let mut buffers: Vec<Option<Buffer>> = prepared
        .buffers
        .iter()
        .map(|planned| Some(planned.buffer))
        .collect();
    let of_tensor = |tensor: usize| {
        let mut all = prepared.buffers.iter();
        all.position(|planned| planned.owner == Owner::Tensor(tensor))
    };
    let mut pieces = Vec::new();
    let mut groups: Vec<Group> = Vec::new();
    for (number, stretch) in stretches.iter().enumerate() {
        let (first, last) = stretch.span();
        let piece = |what, bytes: usize| Piece {
            what,
            buffer: Buffer::new(u32::try_from(bytes).unwrap_or(u32::MAX), first, last),
            group: None,
        };
        for (position, &bytes) in stretch.schedule.lines.iter().enumerate() {
            pieces.push(piece(Use::Line(number, position), bytes));
        }
        let mut scratch = u32::try_from(stretch.scratch).unwrap_or(u32::MAX);
        for (at, planned) in prepared.buffers.iter().enumerate() {
            if let Owner::Scratch(node) = planned.owner
                && stretch.nodes.contains(&node)
                && let Some(buffer) = buffers.get_mut(at).and_then(Option::take)
            {
                scratch = scratch.max(buffer.size);
            }
        }
        if scratch > 0 {
            pieces.push(piece(Use::Scratch(number), scratch as usize));
        }
        adjust(&mut buffers, nodes, stretch, of_tensor);
        if let Some((alias, behind)) = stretch.alias
            && let Some(output) = nodes.get(stretch.nodes.end - 1)
            && let (Some(from), Some(to)) = (of_tensor(alias), of_tensor(output.output.tensor))
        {
            let span = (first, last);
            take_over(&mut groups, &buffers, (number, span), [from, to], behind);
        }
    }
    for (number, group) in groups.iter().enumerate() {
        push_group(&mut pieces, &mut buffers, number, group);
    }
    let rest = buffers.into_iter().enumerate();
    pieces.extend(rest.filter_map(|(at, buffer)| {
        Some(Piece {
            what: Use::Buffer(at),
            buffer: buffer?,
            group: None,
        })
    }));
    pieces
}

/// Leaves out what never exists whole, and lets what a stretch reads or writes live while it runs.
fn adjust(
    buffers: &mut [Option<Buffer>],
    nodes: &Nodes,
    stretch: &Stretch,
    of_tensor: impl Fn(usize) -> Option<usize>,
) {
    let (first, last) = stretch.span();
    for node in stretch.nodes.clone() {
        let Some(row_node) = nodes.get(node) else {
            continue;
        };
        let is_last = node + 1 == stretch.nodes.end;
        if let Some(slot) = of_tensor(row_node.output.tensor).and_then(|at| buffers.get_mut(at)) {
            match (is_last, &mut *slot) {
                (true, Some(buffer)) => buffer.first = buffer.first.min(first),
                _ => *slot = None,
            }
        }
        for read in &row_node.reads {
            let slot = of_tensor(read.tensor).and_then(|at| buffers.get_mut(at));
            if let Some(Some(buffer)) = slot {
                buffer.last = buffer.last.max(last);
            }
        }
    }
}

/// Puts buffer `to` into the memory of `from`, so many bytes behind its start.
fn take_over(
    groups: &mut Vec<Group>,
    buffers: &[Option<Buffer>],
    (stretch, span): (usize, (u32, u32)),
    [from, to]: [usize; 2],
    behind: i64,
) {
    let has = |group: &Group| group.members.iter().any(|&(member, _)| member == from);
    let number = groups.iter().position(has).unwrap_or_else(|| {
        groups.push(Group {
            members: vec![(from, 0)],
            stretches: Vec::new(),
        });
        groups.len() - 1
    });
    let Some(group) = groups.get_mut(number) else {
        return;
    };
    let at = group.members.iter().find(|&&(member, _)| member == from);
    let at = at.map_or(0, |&(_, at)| at);
    let start = at + behind;
    let end = |buffer: usize, at: i64| {
        let size = buffers.get(buffer).copied().flatten();
        at + size.map_or(0, |buffer| i64::from(buffer.size))
    };
    group.members.push((to, start));
    let end = end(from, at).max(end(to, start));
    group.stretches.push(Shared {
        stretch,
        span,
        start: start.min(at),
        end,
    });
}

/// Adds a group: each member while it is alone, and what both ends of a stretch take while that runs.
fn push_group(
    pieces: &mut Vec<Piece>,
    buffers: &mut [Option<Buffer>],
    number: usize,
    group: &Group,
) {
    let lowest = group.members.iter().map(|&(_, at)| at).min();
    let lowest = lowest.unwrap_or(0);
    let offset = |at: i64| u32::try_from(at - lowest).unwrap_or(u32::MAX);
    for shared in &group.stretches {
        let (first, last) = shared.span;
        let start = offset(shared.start);
        pieces.push(Piece {
            what: Use::Both(shared.stretch),
            buffer: Buffer::new(offset(shared.end) - start, first, last),
            group: Some((number, start)),
        });
    }
    for &(member, at) in &group.members {
        let Some(buffer) = buffers.get_mut(member).and_then(Option::take) else {
            continue;
        };
        let (mut first, mut last) = (i64::from(buffer.first), i64::from(buffer.last));
        for shared in &group.stretches {
            let (from, to) = (i64::from(shared.span.0), i64::from(shared.span.1));
            if first == from {
                first = to + 1;
            }
            if last == to {
                last = from - 1;
            }
        }
        let alone = u32::try_from(first).ok().zip(u32::try_from(last).ok());
        let (alone, size) = match alone {
            Some((first, last)) if first <= last => ((first, last), buffer.size),
            // It is never alone: of no bytes, so that its place is known.
            _ => ((buffer.first, buffer.first), 0),
        };
        pieces.push(Piece {
            what: Use::Buffer(member),
            buffer: Buffer::new(size, alone.0, alone.1),
            group: Some((number, offset(at))),
        });
    }
}

/// The bytes that are alive at each node.
pub(crate) fn profile(pieces: &[Piece], nodes: usize) -> Vec<u64> {
    let mut alive = vec![0; nodes];
    for Piece { buffer, .. } in pieces {
        let bytes = u64::from(buffer.size).next_multiple_of(ALIGNMENT.into());
        let steps = alive.iter_mut().skip(buffer.first as usize);
        let count = (buffer.last - buffer.first) as usize + 1;
        steps.take(count).for_each(|alive| *alive += bytes);
    }
    alive
}

/// The bytes from the start of the longest group to its end, and how much farther than their largest piece groups reach.
pub(crate) fn extents(pieces: &[Piece]) -> [u64; 2] {
    let mut groups: Vec<[u64; 2]> = Vec::new();
    for piece in pieces {
        let Some((group, at)) = piece.group else {
            continue;
        };
        if groups.len() <= group {
            groups.resize(group + 1, [0; 2]);
        }
        if let Some([end, largest]) = groups.get_mut(group) {
            let size = u64::from(piece.buffer.size);
            *end = (*end).max(u64::from(at) + size);
            *largest = (*largest).max(size);
        }
    }
    let longest = groups.iter().map(|&[end, _]| end).max();
    let beyond = groups.iter().map(|&[end, largest]| end - largest).sum();
    [longest.unwrap_or(0), beyond]
}

/// The buffers, with those of groups at their places: each group as low as it fits on those before it, the largest first.
pub(crate) fn problem(pieces: &[Piece]) -> Vec<Buffer> {
    let count = pieces.iter().filter_map(|piece| piece.group);
    let count = count.map(|(group, _)| group + 1).max().unwrap_or(0);
    let members = |group: usize| {
        let mine = move |piece: &&Piece| piece.group.is_some_and(|(own, _)| own == group);
        pieces.iter().filter(mine)
    };
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|&group| {
        let largest = members(group).map(|piece| piece.buffer.size).max();
        core::cmp::Reverse(largest)
    });
    let mut bases = vec![0; count];
    let mut placed: Vec<(Buffer, u32)> = Vec::new();
    for group in order {
        let within = |piece: &Piece| piece.group.map_or(0, |(_, at)| at);
        let fits = |base: u32| {
            members(group).all(|piece| {
                let start = base + within(piece);
                let clear = |&(other, at): &(Buffer, u32)| {
                    !piece.buffer.lives_with(&other)
                        || piece.buffer.size.min(other.size) == 0
                        || at + other.size <= start
                        || start + piece.buffer.size <= at
                };
                placed.iter().all(clear)
            })
        };
        let ends = placed.iter().map(|&(buffer, at)| at + buffer.size);
        let mut candidates: Vec<u32> = ends.map(|end| end.next_multiple_of(ALIGNMENT)).collect();
        candidates.push(0);
        candidates.sort_unstable();
        let base = candidates.into_iter().find(|&base| fits(base));
        let base = base.unwrap_or(0);
        if let Some(slot) = bases.get_mut(group) {
            *slot = base;
        }
        placed.extend(members(group).map(|piece| (piece.buffer, base + within(piece))));
    }
    let fixed = |piece: &Piece| match piece.group {
        Some((group, at)) => {
            let base = bases.get(group).copied().unwrap_or(0);
            piece.buffer.at(base + at)
        }
        None => piece.buffer,
    };
    pieces.iter().map(fixed).collect()
}
