//! The greedy planner: the largest buffer first, each at the lowest free offset.

use crate::PlanError;
use crate::first_fit::{first_entries, first_fit, insert};
use crate::problem::{Problem, validate};

/// Plans an arena by placing the largest buffers first, each at the lowest free offset, around those with a fixed one.
///
/// The offsets are those of TensorFlow Lite Micro's planner (`GreedyMemoryPlanner`): sizes count rounded up to the alignment, and of two
/// equally large buffers the one with the *higher* index goes first. So a model takes the same peak here as there, given the same
/// buffers in the same order. The plan need not be the best one: compare its peak with [`lower_bound`](crate::lower_bound).
///
/// `offsets[i]` becomes the offset of buffer `i` in bytes. `order` is working memory; on return it lists the buffers by offset. Both need
/// one entry a buffer; entries past `problem.len()` are left alone. Returns the peak, the arena's size in bytes.
///
/// Takes O(n²) steps at worst, and no memory but the slices.
///
/// # Errors
/// [`PlanError`], when the problem is malformed, a slice is too short, fixed buffers collide, or the plan would not fit in 4 GiB.
///
/// # Example
/// ```
/// use larun_arena::{Buffer, greedy_by_size};
///
/// let buffers = [Buffer::new(64, 0, 2), Buffer::new(128, 1, 3), Buffer::new(32, 0, 3).at(64)];
/// let (mut offsets, mut order) = ([0; 3], [0; 3]);
/// let peak = greedy_by_size(&buffers[..], 16, &mut offsets, &mut order)?;
/// assert_eq!((peak, offsets), (224, [0, 96, 64]));
/// # Ok::<(), larun_arena::PlanError>(())
/// ```
pub fn greedy_by_size<P: Problem + ?Sized>(
    problem: &P,
    alignment: u32,
    offsets: &mut [u32],
    order: &mut [u32],
) -> Result<u32, PlanError> {
    validate(problem, alignment)?;
    sort_by_size(problem, alignment, first_entries(order, problem.len())?);
    first_fit(problem, alignment, order, offsets)
}

/// Fills `order` with the indices by size descending, then by index descending.
///
/// An insertion sort, because the library's sorts would cost a microcontroller kilobytes of code for a few dozen entries.
fn sort_by_size<P: Problem + ?Sized>(problem: &P, alignment: u32, order: &mut [u32]) {
    let footprint = |id: u32| problem.buffer(id as usize).footprint(alignment);
    for (id, turn) in (0..).zip(0..order.len()) {
        let own = footprint(id);
        // The newcomer has the highest index so far and goes ahead of its equals.
        insert(order, turn, id, |other| footprint(other) <= own);
    }
}
