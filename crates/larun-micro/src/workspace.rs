//! The arena while a model is loaded: what is kept grows from its start, notes for the planner from its end.
//!
//! An arena that is too small is measured with the same code. Then the tables and records, which are only written to
//! here, are counted and not stored, and what remains fits a small piece of memory.

use larun_arena::{Buffer, PlanError, Problem};
use larun_ops::view::OfflinePlan;

use crate::activations::{ALIGNMENT, Owner, Span};
use crate::load::{EXPLAIN, OFFLINE_PLANS};

/// There is too little memory.
pub(crate) struct NoRoom;

/// Words of notes of a buffer that is to be planned: owner and size; while it is planned, offset and turn.
const BUFFER_NOTES: usize = 2;
const PLAN_NOTES: usize = 2;

pub(crate) struct Workspace<'w> {
    words: &'w mut [u32],
    /// Whether tables and records are stored.
    keep: bool,
    /// Words in use at the start.
    stored: usize,
    /// Words of persistent memory so far, stored or not.
    kept: usize,
    /// Tensors of the subgraph, a word of notes each at the end of the memory.
    tensors: usize,
    /// Buffers to plan, whose notes lie before those.
    buffers: usize,
    /// The most words that were needed at a time.
    needed: usize,
}

impl<'w> Workspace<'w> {
    /// All of `words`, to store tables and records or only to count them.
    pub(crate) const fn new(words: &'w mut [u32], keep: bool) -> Self {
        Self {
            words,
            keep,
            stored: 0,
            kept: 0,
            tensors: 0,
            buffers: 0,
            needed: 0,
        }
    }

    /// Whether tables and records are stored: where errors are not explained, no arena is measured.
    const fn keeps(&self) -> bool {
        self.keep || !EXPLAIN
    }

    /// Words of persistent memory so far.
    pub(crate) const fn kept(&self) -> usize {
        self.kept
    }

    /// The words that were needed so far, at least: of persistent memory and notes together.
    pub(crate) const fn needed(&self) -> usize {
        self.needed
    }

    fn notes(&self) -> usize {
        self.tensors + BUFFER_NOTES * self.buffers
    }

    /// The end of what may be written from the start.
    fn end(&self) -> usize {
        self.words.len().saturating_sub(self.notes())
    }

    /// Notes that so many more words are needed now.
    #[inline(never)]
    fn need(&mut self, more: usize) {
        let now = self.kept.saturating_add(self.notes());
        self.needed = self.needed.max(now.saturating_add(more));
    }

    /// Takes so many words of persistent memory that are stored in any case, and sets them to 0; returns where they
    /// begin.
    #[inline(never)]
    pub(crate) fn store(&mut self, count: usize) -> Result<usize, NoRoom> {
        self.need(count);
        let start = self.stored;
        let end = start.checked_add(count).filter(|&end| end <= self.end());
        let end = end.ok_or(NoRoom)?;
        self.words.get_mut(start..end).ok_or(NoRoom)?.fill(0);
        self.stored = end;
        self.kept += count;
        Ok(start)
    }

    /// Takes so many words that are stored where tables are.
    pub(crate) fn take(&mut self, count: usize) -> Result<(), NoRoom> {
        if self.keeps() {
            return self.store(count).map(|_| ());
        }
        self.need(count);
        self.kept = self.kept.saturating_add(count);
        Ok(())
    }

    /// What is free for a record, nothing where records are only counted. It counts once it is [`take`](Self::taken)n.
    pub(crate) fn free(&mut self) -> &mut [u32] {
        let range = self.stored..if self.keeps() {
            self.end()
        } else {
            self.stored
        };
        self.words.get_mut(range).unwrap_or_default()
    }

    /// Takes the first words of what is [`free`](Self::free), as they are.
    pub(crate) fn taken(&mut self, count: usize) -> Result<(), NoRoom> {
        self.need(count);
        if self.keeps() {
            let end = self.stored.checked_add(count);
            self.stored = end.filter(|&end| end <= self.end()).ok_or(NoRoom)?;
        }
        self.kept = self.kept.saturating_add(count);
        Ok(())
    }

    /// Words that are stored in any case.
    pub(crate) fn words(&self) -> &[u32] {
        self.words.get(..self.stored).unwrap_or_default()
    }

    /// Words of tables and records, none where they are only counted.
    pub(crate) fn kept_words(&self) -> &[u32] {
        match self.keeps() {
            true => self.words(),
            false => &[],
        }
    }

    /// Overwrites words that are stored in any case.
    pub(crate) fn write(&mut self, at: usize, values: &[u32]) {
        let stored = self.words.get_mut(..self.stored).unwrap_or_default();
        put(stored, at, values);
    }

    /// Overwrites words of tables and records, where they are stored.
    #[inline(never)]
    pub(crate) fn write_kept(&mut self, at: usize, values: &[u32]) {
        if self.keeps() {
            self.write(at, values);
        }
    }

    /// Begins the notes of a subgraph with so many tensors.
    pub(crate) fn begin_notes(&mut self, tensors: usize) -> Result<(), NoRoom> {
        self.buffers = 0;
        self.tensors = 0;
        self.need(tensors);
        if tensors > self.end().saturating_sub(self.stored) {
            return Err(NoRoom);
        }
        self.tensors = tensors;
        let end = self.end();
        let spans = self.words.get_mut(end..).unwrap_or_default();
        spans.fill(Span::NEVER.pack());
        Ok(())
    }

    /// Ends them.
    pub(crate) const fn end_notes(&mut self) {
        self.buffers = 0;
        self.tensors = 0;
    }

    /// When a tensor is alive.
    #[inline(never)]
    pub(crate) fn span(&self, tensor: usize) -> Span {
        let spans = self.words.len().saturating_sub(self.tensors);
        let word = self.words.get(spans.saturating_add(tensor));
        word.map_or(Span::NEVER, |&word| Span::unpack(word))
    }

    #[inline(never)]
    pub(crate) fn set_span(&mut self, tensor: usize, span: Span) {
        let spans = self.words.len().saturating_sub(self.tensors);
        if let Some(word) = self.words.get_mut(spans.saturating_add(tensor)) {
            *word = span.pack();
        }
    }

    /// Adds a buffer to plan. Ties between buffers go by the order in which they come.
    pub(crate) fn push_buffer(&mut self, owner: Owner, size: u32) -> Result<(), NoRoom> {
        self.need(BUFFER_NOTES);
        if self.end().saturating_sub(self.stored) < BUFFER_NOTES {
            return Err(NoRoom);
        }
        self.buffers += 1;
        let at = self.end();
        if let Some([slot, size_slot]) = self.words.get_mut(at..).and_then(<[u32]>::first_chunk_mut)
        {
            (*slot, *size_slot) = (owner.pack(), size);
        }
        Ok(())
    }

    /// Finds an offset for every buffer, or takes that of `given`; returns the bytes that they take together.
    pub(crate) fn plan(
        &mut self,
        given: Option<OfflinePlan<'_>>,
    ) -> Result<Result<u32, PlanError>, NoRoom> {
        let count = self.buffers;
        self.need(PLAN_NOTES * count);
        let (end, stored) = (self.end(), self.stored);
        let (free, notes) = self.words.split_at_mut_checked(end).ok_or(NoRoom)?;
        let free = free.get_mut(stored..).ok_or(NoRoom)?;
        let (offsets, rest) = free.split_at_mut_checked(count).ok_or(NoRoom)?;
        let order = rest.get_mut(..count).ok_or(NoRoom)?;
        let problem = Buffers {
            notes,
            count,
            given,
        };
        #[cfg(feature = "planner")]
        let bytes = larun_arena::greedy_by_size(&problem, ALIGNMENT as u32, offsets, order);
        #[cfg(not(feature = "planner"))]
        let bytes = {
            let _ = order;
            larun_arena::keep_given(&problem, ALIGNMENT as u32, offsets)
        };
        Ok(bytes)
    }

    /// Buffer `index` with the offset that [`plan`](Self::plan) found, if nothing was stored since.
    pub(crate) fn planned(&self, index: usize) -> Option<(Owner, Buffer, u32)> {
        let notes = self.words.get(self.end()..)?;
        let problem = Buffers {
            notes,
            count: self.buffers,
            given: None,
        };
        let offset = *self.words.get(self.stored.checked_add(index)?)?;
        Some((problem.owner(index)?, problem.get(index)?, offset))
    }
}

/// Overwrites words from `at` on, as far as there are any.
pub(crate) fn put(words: &mut [u32], at: usize, values: &[u32]) {
    for (word, &value) in words.iter_mut().skip(at).zip(values) {
        *word = value;
    }
}

/// The buffers as a planning problem. Their notes lie in reverse order before those of the tensors.
struct Buffers<'n> {
    notes: &'n [u32],
    count: usize,
    /// Offsets that the model brings.
    given: Option<OfflinePlan<'n>>,
}

impl Problem for Buffers<'_> {
    fn len(&self) -> usize {
        self.count
    }

    fn buffer(&self, i: usize) -> Buffer {
        self.get(i).unwrap_or_default()
    }

    fn has_fixed(&self) -> bool {
        OFFLINE_PLANS
    }
}

impl Buffers<'_> {
    fn notes_of(&self, i: usize) -> Option<[u32; BUFFER_NOTES]> {
        let from_end = self.count.checked_sub(i)?.checked_sub(1)?;
        let notes = self.notes.get(from_end.checked_mul(BUFFER_NOTES)?..)?;
        notes.first_chunk().copied()
    }

    fn owner(&self, i: usize) -> Option<Owner> {
        self.notes_of(i).map(|[owner, _]| Owner::unpack(owner))
    }

    fn get(&self, i: usize) -> Option<Buffer> {
        let [owner, size] = self.notes_of(i)?;
        let (mut fixed, owner) = (None, Owner::unpack(owner));
        let (first, last) = match owner {
            Owner::Tensor(tensor) => {
                if OFFLINE_PLANS {
                    fixed = self.given.and_then(|plan| plan.offset(tensor));
                }
                let spans = self.count.checked_mul(BUFFER_NOTES)?;
                let word = *self.notes.get(spans.checked_add(tensor)?)?;
                Span::unpack(word).alive()?
            }
            Owner::Scratch(node) => (node as u32, node as u32),
        };
        Some(Buffer {
            fixed,
            ..Buffer::new(size, first, last)
        })
    }
}
