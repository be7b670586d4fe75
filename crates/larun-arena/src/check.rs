//! The checker: whether a plan is right, worked out without any planner's code.

use core::fmt;

use crate::PlanError;
use crate::problem::{Problem, buffers, validate};

/// Two buffers that live at the same step and share bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The buffer with the lower index.
    pub first: u32,
    /// The buffer with the higher index.
    pub second: u32,
    /// The first byte of the arena that both claim.
    pub offset: u32,
    /// The first step at which both live.
    pub step: u32,
}

/// What is wrong with a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Two buffers that live at the same step share bytes.
    Overlap(Overlap),
    /// A buffer's offset is not a multiple of the alignment.
    Misaligned {
        /// The buffer.
        buffer: u32,
        /// Its offset in bytes.
        offset: u32,
        /// The alignment in bytes.
        alignment: u32,
    },
    /// A buffer with a fixed offset lies elsewhere.
    Moved {
        /// The buffer.
        buffer: u32,
        /// Where it must lie.
        fixed: u32,
        /// Where the plan has it.
        offset: u32,
    },
    /// The problem is malformed, the plan has too few offsets, or a buffer ends beyond 4 GiB.
    Problem(PlanError),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Overlap(Overlap {
                first,
                second,
                offset,
                step,
            }) => {
                write!(
                    f,
                    "buffers {first} and {second} both hold the byte at offset {offset} at step {step}"
                )
            }
            Self::Misaligned {
                buffer,
                offset,
                alignment,
            } => {
                write!(
                    f,
                    "buffer {buffer} lies at offset {offset}, which is no multiple of the alignment {alignment}"
                )
            }
            Self::Moved {
                buffer,
                fixed,
                offset,
            } => {
                write!(
                    f,
                    "buffer {buffer} must lie at offset {fixed}, the plan has it at {offset}"
                )
            }
            Self::Problem(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Fault {}

impl From<PlanError> for Fault {
    fn from(error: PlanError) -> Self {
        Self::Problem(error)
    }
}

/// Proves a plan right and returns its peak in bytes, or says what is wrong with it.
///
/// A plan is right when no two buffers that live at a common step share a byte, every offset is a multiple of `alignment`, and every
/// fixed offset is kept. The peak is the highest end of a buffer, its size rounded up to the alignment.
///
/// Takes O(n²) steps and no memory.
///
/// # Errors
/// The first [`Fault`] found, naming the buffers.
pub fn check<P: Problem + ?Sized>(
    problem: &P,
    offsets: &[u32],
    alignment: u32,
) -> Result<u32, Fault> {
    validate(problem, alignment)?;
    let (needed, given) = (problem.len(), offsets.len());
    let offsets = offsets
        .get(..needed)
        .ok_or(PlanError::SliceTooShort { needed, given })?;

    let mut peak = 0;
    for ((id, buffer), &offset) in buffers(problem).zip(offsets) {
        if offset % alignment != 0 {
            return Err(Fault::Misaligned {
                buffer: id,
                offset,
                alignment,
            });
        }
        if let Some(fixed) = buffer.fixed.filter(|&fixed| fixed != offset) {
            return Err(Fault::Moved {
                buffer: id,
                fixed,
                offset,
            });
        }
        let end = buffer
            .footprint(alignment)
            .and_then(|bytes| offset.checked_add(bytes));
        peak = peak.max(end.ok_or(PlanError::Overflow { buffer: id })?);
        if let Some(overlap) = overlap_with_earlier(problem, offsets, id, offset) {
            return Err(Fault::Overlap(overlap));
        }
    }
    Ok(peak)
}

fn overlap_with_earlier<P: Problem + ?Sized>(
    problem: &P,
    offsets: &[u32],
    id: u32,
    offset: u32,
) -> Option<Overlap> {
    let buffer = problem.buffer(id as usize);
    let earlier = buffers(problem).zip(offsets).take(id as usize);
    for ((other, theirs), &their_offset) in earlier {
        if buffer.lives_with(&theirs)
            && shares_bytes((offset, buffer.size), (their_offset, theirs.size))
        {
            let (offset, step) = (offset.max(their_offset), buffer.first.max(theirs.first));
            return Some(Overlap {
                first: other,
                second: id,
                offset,
                step,
            });
        }
    }
    None
}

/// Whether two runs of bytes, each an offset and a size, have a byte in common.
fn shares_bytes((a, a_size): (u32, u32), (b, b_size): (u32, u32)) -> bool {
    let end = |offset, size| u64::from(offset) + u64::from(size);
    u64::from(a.max(b)) < end(a, a_size).min(end(b, b_size))
}

#[cfg(test)]
mod tests {
    use super::shares_bytes;

    #[test]
    fn empty_runs_share_nothing() {
        assert!(!shares_bytes((4, 0), (0, 16)));
        assert!(!shares_bytes((0, 16), (16, 16)));
        assert!(shares_bytes((0, 17), (16, 16)));
        assert!(!shares_bytes((u32::MAX, 1), (0, u32::MAX)));
        assert!(shares_bytes((u32::MAX, 1), (1, u32::MAX)));
    }
}
