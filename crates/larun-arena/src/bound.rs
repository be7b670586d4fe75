//! Lower bounds: what no plan can undercut.

use crate::PlanError;
use crate::problem::{Buffer, Problem, buffers, validate};

/// A size in bytes that no plan can undercut: the most bytes that live at one step, or the highest end of a buffer with a fixed offset.
///
/// Sizes count rounded up to the alignment. A plan whose peak equals the bound is optimal; one above it may still be.
///
/// Takes O(n²) steps and no memory; see `lower_bound_by_sweep` (feature `alloc`) for O(n log n).
///
/// # Errors
/// [`PlanError`], when the problem is malformed or 4 GiB cannot hold what lives at one step.
pub fn lower_bound<P: Problem + ?Sized>(problem: &P, alignment: u32) -> Result<u32, PlanError> {
    validate(problem, alignment)?;
    let mut bound = highest_fixed_end(problem, alignment);
    // The most bytes live at a step at which some buffer starts.
    for (id, starting) in buffers(problem) {
        let live = buffers(problem)
            .filter(|(_, other)| (other.first..=other.last).contains(&starting.first))
            .try_fold(0, |sum, (_, other)| add(sum, &other, alignment));
        bound = bound.max(live.ok_or(PlanError::Overflow { buffer: id })?);
    }
    Ok(bound)
}

/// The same bound as [`lower_bound`] in O(n log n) steps, with two lists as working memory.
///
/// # Errors
/// As for [`lower_bound`].
#[cfg(feature = "alloc")]
pub fn lower_bound_by_sweep<P: Problem + ?Sized>(
    problem: &P,
    alignment: u32,
) -> Result<u32, PlanError> {
    use alloc::vec::Vec;

    validate(problem, alignment)?;
    let footprint = |buffer: &Buffer| u64::from(buffer.footprint(alignment).unwrap_or(u32::MAX));
    let mut starts: Vec<_> = buffers(problem)
        .map(|(id, b)| (b.first, footprint(&b), id))
        .collect();
    let mut ends: Vec<_> = buffers(problem)
        .map(|(_, b)| (b.last, footprint(&b)))
        .collect();
    starts.sort_unstable();
    ends.sort_unstable();

    let mut ended = ends.into_iter().peekable();
    let (mut live, mut bound) = (0u64, u64::from(highest_fixed_end(problem, alignment)));
    for (step, bytes, id) in starts {
        while let Some((_, freed)) = ended.next_if(|&(last, _)| last < step) {
            live -= freed;
        }
        live += bytes;
        bound = bound.max(live);
        if bound > u64::from(u32::MAX) {
            return Err(PlanError::Overflow { buffer: id });
        }
    }
    Ok(u32::try_from(bound).unwrap_or(u32::MAX))
}

fn highest_fixed_end<P: Problem + ?Sized>(problem: &P, alignment: u32) -> u32 {
    let ends = buffers(problem).filter_map(|(_, buffer)| add(buffer.fixed?, &buffer, alignment));
    ends.max().unwrap_or(0)
}

fn add(sum: u32, buffer: &Buffer, alignment: u32) -> Option<u32> {
    sum.checked_add(buffer.footprint(alignment)?)
}
