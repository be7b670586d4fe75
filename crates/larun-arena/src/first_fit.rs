//! Placing buffers one after another, each at the lowest offset that is free for its lifetime.

use crate::PlanError;
use crate::problem::{Buffer, Problem, validate};

/// Places the buffers in the order given, each at the lowest multiple of `alignment` where it collides with none already placed.
///
/// Buffers with a fixed offset are placed before all others, whatever their place in `order`. What the order is decides how good the
/// plan is: [`greedy_by_size`](crate::greedy_by_size) takes the largest first, a search tries many.
///
/// `order` holds the index of every buffer once; on return it lists them by offset. `offsets[i]` becomes the offset of buffer `i` in
/// bytes. Entries of the slices past `problem.len()` are left alone. Returns the peak: the arena's size in bytes, sizes rounded up to
/// the alignment.
///
/// Takes O(n²) steps at worst, and no memory but the slices.
///
/// # Errors
/// [`PlanError`], when the problem is malformed, a slice is too short, `order` names a buffer that does not exist, fixed buffers
/// collide, or the plan would not fit in 4 GiB.
pub fn first_fit<P: Problem + ?Sized>(
    problem: &P,
    alignment: u32,
    order: &mut [u32],
    offsets: &mut [u32],
) -> Result<u32, PlanError> {
    validate(problem, alignment)?;
    let count = problem.len();
    let order = first_entries(order, count)?;
    let offsets = first_entries(offsets, count)?;
    if problem.has_fixed() {
        fixed_first(problem, order);
    }

    let mut peak = 0;
    for turn in 0..count {
        let Some((placed, &mut [id, ..])) = order.split_at_mut_checked(turn) else {
            break;
        };
        let buffer = problem.buffer(id as usize);
        let offset = match buffer.fixed.filter(|_| problem.has_fixed()) {
            Some(offset) => clear_of_fixed(problem, placed, offsets, id, &buffer, offset)?,
            None => lowest_gap(problem, alignment, placed, offsets, &buffer)
                .ok_or(PlanError::Overflow { buffer: id })?,
        };
        let end = end(&buffer, offset, alignment).ok_or(PlanError::Overflow { buffer: id })?;
        peak = peak.max(end);
        *offsets
            .get_mut(id as usize)
            .ok_or(PlanError::UnknownBuffer { buffer: id, count })? = offset;

        insert(order, turn, id, |other| offset_of(offsets, other) > offset);
    }
    Ok(peak)
}

/// The first `count` entries of a slice lent by the caller.
pub(crate) fn first_entries(slice: &mut [u32], count: usize) -> Result<&mut [u32], PlanError> {
    let given = slice.len();
    slice.get_mut(..count).ok_or(PlanError::SliceTooShort {
        needed: count,
        given,
    })
}

/// Puts `id` among the first `turn` entries, before the last of them that `goes_behind` is true of. Those move one up.
pub(crate) fn insert(order: &mut [u32], turn: usize, id: u32, goes_behind: impl Fn(u32) -> bool) {
    let mut at = turn;
    while let Some(before) = at.checked_sub(1)
        && let Some(&other) = order.get(before)
        && goes_behind(other)
        && let Some(slot) = order.get_mut(at)
    {
        *slot = other;
        at = before;
    }
    if let Some(slot) = order.get_mut(at) {
        *slot = id;
    }
}

/// Moves the entry at `from` down to `to <= from`, and those between one up.
pub(crate) fn move_last_to(order: &mut [u32], from: usize, to: usize) {
    let Some(&moved) = order.get(from) else {
        return;
    };
    let mut carried = moved;
    for slot in order.iter_mut().take(from + 1).skip(to) {
        core::mem::swap(slot, &mut carried);
    }
}

/// Brings the buffers with fixed offsets to the front, leaving the rest in their order.
fn fixed_first<P: Problem + ?Sized>(problem: &P, order: &mut [u32]) {
    let mut fixed = 0;
    for turn in 0..order.len() {
        let is_fixed = order
            .get(turn)
            .is_some_and(|&id| problem.buffer(id as usize).fixed.is_some());
        if is_fixed {
            move_last_to(order, turn, fixed);
            fixed += 1;
        }
    }
}

/// The fixed offset itself, unless a buffer fixed earlier is in the way.
fn clear_of_fixed<P: Problem + ?Sized>(
    problem: &P,
    placed: &[u32],
    offsets: &[u32],
    id: u32,
    buffer: &Buffer,
    offset: u32,
) -> Result<u32, PlanError> {
    let in_the_way = |other: u32| {
        let (theirs, their_offset) = (problem.buffer(other as usize), offset_of(offsets, other));
        let above =
            |low: u32, size: u32, high: u32| u64::from(low) + u64::from(size) <= u64::from(high);
        let clear =
            above(offset, buffer.size, their_offset) || above(their_offset, theirs.size, offset);
        buffer.size > 0 && theirs.size > 0 && buffer.lives_with(&theirs) && !clear
    };
    match placed.iter().find(|&&other| in_the_way(other)) {
        Some(&other) => Err(PlanError::FixedOverlap {
            first: other.min(id),
            second: other.max(id),
        }),
        None => Ok(offset),
    }
}

/// The lowest offset at which `buffer` collides with none of `placed`, which are sorted by offset. `None` beyond `u32`.
fn lowest_gap<P: Problem + ?Sized>(
    problem: &P,
    alignment: u32,
    placed: &[u32],
    offsets: &[u32],
    buffer: &Buffer,
) -> Option<u32> {
    let wanted = buffer.footprint(alignment)?;
    let mut candidate = 0u32;
    for &id in placed {
        let other = problem.buffer(id as usize);
        if other.size == 0 || !buffer.lives_with(&other) {
            continue;
        }
        let start = offset_of(offsets, id);
        if start
            .checked_sub(candidate)
            .is_some_and(|gap| gap >= wanted)
        {
            break;
        }
        candidate = candidate.max(end(&other, start, alignment)?);
    }
    Some(candidate)
}

fn end(buffer: &Buffer, offset: u32, alignment: u32) -> Option<u32> {
    offset.checked_add(buffer.footprint(alignment)?)
}

fn offset_of(offsets: &[u32], id: u32) -> u32 {
    offsets.get(id as usize).copied().unwrap_or(0)
}
