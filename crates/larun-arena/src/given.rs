//! Plans made elsewhere: the offsets are given, and only checked.

use crate::PlanError;
use crate::check::{Fault, Overlap, check};
use crate::first_fit::first_entries;
use crate::problem::{Problem, buffers};

/// Takes the offsets that the buffers bring, and checks them; nothing is searched for.
///
/// A buffer that lives at one step only, such as an operator's scratch memory, may come without an offset: it goes above all that lives
/// at that step. `offsets[i]` becomes the offset of buffer `i`. Returns the peak in bytes.
///
/// Takes O(n²) steps and no memory, and far less code than a planner: for devices whose models always bring a plan.
///
/// # Errors
/// [`PlanError`], when a buffer that lives longer has no offset, buffers share bytes at a step, or the problem is malformed.
///
/// ```
/// use larun_arena::{Buffer, keep_given};
///
/// let buffers = [Buffer::new(64, 0, 1).at(0), Buffer::new(32, 1, 2).at(64), Buffer::new(8, 1, 1)];
/// let mut offsets = [0; 3];
/// assert_eq!(keep_given(&buffers[..], 16, &mut offsets)?, 112);
/// assert_eq!(offsets, [0, 64, 96]);
/// # Ok::<(), larun_arena::PlanError>(())
/// ```
pub fn keep_given<P: Problem + ?Sized>(
    problem: &P,
    alignment: u32,
    offsets: &mut [u32],
) -> Result<u32, PlanError> {
    let offsets = first_entries(offsets, problem.len())?;
    for ((id, buffer), slot) in buffers(problem).zip(&mut *offsets) {
        *slot = match buffer.fixed {
            Some(offset) => offset,
            None if buffer.first == buffer.last => {
                let ends = buffers(problem)
                    .filter(|(_, other)| other.lives_with(&buffer))
                    .filter_map(|(_, other)| other.fixed?.checked_add(other.footprint(alignment)?));
                ends.max().unwrap_or(0)
            }
            None => return Err(PlanError::NoOffset { buffer: id }),
        };
    }
    check(problem, offsets, alignment).map_err(|fault| match fault {
        Fault::Overlap(Overlap { first, second, .. }) => PlanError::FixedOverlap { first, second },
        Fault::Misaligned {
            buffer,
            offset,
            alignment,
        } => PlanError::Misaligned {
            buffer,
            offset,
            alignment,
        },
        Fault::Moved { buffer, .. } => PlanError::NoOffset { buffer },
        Fault::Problem(error) => error,
    })
}
