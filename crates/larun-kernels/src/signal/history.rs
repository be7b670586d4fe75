//! The last elements of a stream, kept for the frames that reach back to them.

use core::cell::Cell;

use super::copy;

/// The first elements of the history and what follows it, as many as `frame` has.
pub(crate) fn read<T: Copy>(history: &[T], next: &[T], frame: &mut [T]) {
    let kept = history.len().min(frame.len());
    let (front, back) = frame.split_at_mut_checked(kept).unwrap_or_default();
    copy(front, history);
    copy(back, next);
}

/// Makes `next` the end of the history, whose length stays.
pub(crate) fn push<T: Copy>(history: &mut [T], next: &[T]) {
    let moved = history.len().min(next.len());
    shift(history, moved);
    let start = history.len().saturating_sub(moved);
    let end = history.get_mut(start..).unwrap_or_default();
    let skipped = next.len().saturating_sub(moved);
    copy(end, next.get(skipped..).unwrap_or_default());
}

/// Moves elements to the front by `by` places. The last `by` stay as they are.
pub(crate) fn shift<T: Copy>(elements: &mut [T], by: usize) {
    let cells = Cell::from_mut(elements).as_slice_of_cells();
    for (to, from) in cells.iter().zip(cells.iter().skip(by)) {
        to.set(from.get());
    }
}
