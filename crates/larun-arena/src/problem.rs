//! What is to be planned: buffers with a size and a lifetime.

use crate::PlanError;

/// A run of bytes that must keep its contents from step `first` to step `last`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Buffer {
    /// Size in bytes. Plans round it up to a multiple of the alignment. A buffer of no bytes is in nobody's way.
    pub size: u32,
    /// The first step (operator) that touches the buffer.
    pub first: u32,
    /// The last step that touches the buffer, inclusive: two buffers with `a.last == b.first` must not share bytes.
    pub last: u32,
    /// The offset in bytes at which the buffer must lie, or `None` where the planner may choose.
    pub fixed: Option<u32>,
}

impl Buffer {
    /// A buffer of `size` bytes that lives from step `first` to step `last` inclusive, wherever the planner puts it.
    #[must_use]
    pub const fn new(size: u32, first: u32, last: u32) -> Self {
        Self {
            size,
            first,
            last,
            fixed: None,
        }
    }

    /// The same buffer, held at `offset` bytes.
    #[must_use]
    pub const fn at(self, offset: u32) -> Self {
        Self {
            fixed: Some(offset),
            ..self
        }
    }

    /// Whether there is a step at which both buffers live.
    #[must_use]
    pub const fn lives_with(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// The bytes the buffer takes in an arena: its size rounded up to `alignment`, `None` beyond `u32`.
    pub(crate) const fn footprint(&self, alignment: u32) -> Option<u32> {
        self.size.checked_next_multiple_of(alignment)
    }
}

/// A list of buffers that share an arena.
///
/// The planners ask for each buffer up to `len` times and keep no copy, so that a problem may be a view of a model file. Answers must
/// be cheap and must not change between calls.
pub trait Problem {
    /// How many buffers there are.
    fn len(&self) -> usize;

    /// The buffer with index `i`, where `i < self.len()`.
    fn buffer(&self, i: usize) -> Buffer;

    /// Whether buffers may have fixed offsets. Where it is known that none has, planners link nothing that minds them.
    fn has_fixed(&self) -> bool {
        true
    }

    /// Whether there is no buffer.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The buffers in order. An index past the end gives a buffer of no bytes.
impl Problem for [Buffer] {
    fn len(&self) -> usize {
        <[Buffer]>::len(self)
    }

    fn buffer(&self, i: usize) -> Buffer {
        self.get(i).copied().unwrap_or_default()
    }
}

#[cfg(feature = "alloc")]
impl Problem for alloc::vec::Vec<Buffer> {
    fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn buffer(&self, i: usize) -> Buffer {
        self.as_slice().buffer(i)
    }
}

/// The buffers of a problem with their indices.
pub(crate) fn buffers<P: Problem + ?Sized>(
    problem: &P,
) -> impl Iterator<Item = (u32, Buffer)> + '_ {
    (0..u32::MAX)
        .zip(0..problem.len())
        .map(|(id, i)| (id, problem.buffer(i)))
}

/// Refuses what no planner can plan, so that the planners' own arithmetic on one buffer cannot overflow.
pub(crate) fn validate<P: Problem + ?Sized>(problem: &P, alignment: u32) -> Result<(), PlanError> {
    if alignment == 0 {
        return Err(PlanError::ZeroAlignment);
    }
    if u32::try_from(problem.len()).is_err() {
        return Err(PlanError::TooManyBuffers {
            count: problem.len(),
        });
    }
    let has_fixed = problem.has_fixed();
    buffers(problem).try_for_each(|(id, buffer)| validate_buffer(id, &buffer, alignment, has_fixed))
}

fn validate_buffer(
    id: u32,
    buffer: &Buffer,
    alignment: u32,
    has_fixed: bool,
) -> Result<(), PlanError> {
    if buffer.first > buffer.last {
        return Err(PlanError::EndsBeforeStart {
            buffer: id,
            first: buffer.first,
            last: buffer.last,
        });
    }
    let footprint = buffer
        .footprint(alignment)
        .ok_or(PlanError::Overflow { buffer: id })?;
    let Some(offset) = buffer.fixed.filter(|_| has_fixed) else {
        return Ok(());
    };
    if offset % alignment != 0 {
        return Err(PlanError::Misaligned {
            buffer: id,
            offset,
            alignment,
        });
    }
    match offset.checked_add(footprint) {
        Some(_) => Ok(()),
        None => Err(PlanError::Overflow { buffer: id }),
    }
}
