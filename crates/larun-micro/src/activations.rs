//! When each value is alive, and where in the arena it lies meanwhile.

use larun_arena::{Buffer, PlanError, Problem, greedy_by_size};

use crate::error::LoadError;
use crate::source::Source;

/// Alignment of every tensor in the arena, in bytes.
pub(crate) const ALIGNMENT: usize = 16;

/// What a planned buffer is for.
#[cfg_attr(
    not(feature = "alloc"),
    allow(unreachable_pub, reason = "`host` exports it")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The value of a tensor.
    Tensor(usize),
    /// The scratch memory of a node.
    Scratch(usize),
}

impl Owner {
    const SCRATCH: u32 = 1 << 16;

    const fn pack(self) -> u32 {
        match self {
            Self::Tensor(tensor) => tensor as u32,
            Self::Scratch(node) => node as u32 | Self::SCRATCH,
        }
    }

    const fn unpack(word: u32) -> Self {
        match word & Self::SCRATCH {
            0 => Self::Tensor(word as usize),
            _ => Self::Scratch((word & !Self::SCRATCH) as usize),
        }
    }
}

/// The planner's notes: a word a tensor, and four words a buffer that is planned.
pub(crate) struct Notes<'w> {
    /// When each tensor is alive.
    spans: &'w mut [u32],
    /// What each buffer is for.
    owners: &'w mut [u32],
    sizes: &'w mut [u32],
    offsets: &'w mut [u32],
    order: &'w mut [u32],
    /// How many buffers there are.
    len: usize,
}

const WORDS_A_BUFFER: usize = 4;

/// Bytes of an arena for so many persistent words and bytes of activations. The planner's notes share memory with the
/// activations.
pub(crate) fn needed(persistent_words: usize, note_words: usize, activation_bytes: usize) -> usize {
    let word = size_of::<u32>();
    let notes = persistent_words.saturating_add(note_words);
    let activations = persistent_words
        .saturating_mul(word)
        .checked_next_multiple_of(ALIGNMENT)
        .unwrap_or(usize::MAX)
        .saturating_add(activation_bytes);
    notes.saturating_mul(word).max(activations)
}

/// There are more buffers than the notes have room for.
pub(crate) struct NoRoom;

impl<'w> Notes<'w> {
    /// Notes in all of `words`, for a model of so many tensors; `None` where they are too few.
    pub(crate) fn new(words: &'w mut [u32], tensors: usize) -> Option<Self> {
        let (spans, rest) = words.split_at_mut_checked(tensors)?;
        spans.fill(Span::NEVER.pack());
        let room = rest.len() / WORDS_A_BUFFER;
        let (owners, rest) = rest.split_at_mut_checked(room)?;
        let (sizes, rest) = rest.split_at_mut_checked(room)?;
        let (offsets, order) = rest.split_at_mut_checked(room)?;
        Some(Self {
            spans,
            owners,
            sizes,
            offsets,
            order,
            len: 0,
        })
    }

    /// The words that these notes need.
    pub(crate) const fn words(&self) -> usize {
        self.spans.len() + self.len * WORDS_A_BUFFER
    }

    /// Marks a tensor as a constant, which is not planned.
    pub(crate) fn set_constant(&mut self, tensor: usize) {
        self.set_span(tensor, Span::CONSTANT);
    }

    /// Whether a tensor takes memory: it is computed or set, and somebody may look at it.
    pub(crate) fn is_alive(&self, tensor: usize) -> bool {
        !matches!(self.span(tensor), Span::NEVER | Span::CONSTANT)
    }

    /// Adds a buffer to plan. Ties between buffers go by the order in which they come.
    pub(crate) fn push(&mut self, owner: Owner, size: u32) -> Result<(), NoRoom> {
        let slots = (self.owners.get_mut(self.len), self.sizes.get_mut(self.len));
        let (Some(owner_slot), Some(size_slot)) = slots else {
            return Err(NoRoom);
        };
        (*owner_slot, *size_slot) = (owner.pack(), size);
        self.len += 1;
        Ok(())
    }

    /// Finds an offset for every buffer; returns the bytes that they take together.
    pub(crate) fn plan(&mut self) -> Result<usize, PlanError> {
        let (offsets, order) = (&mut *self.offsets, &mut *self.order);
        let problem = Buffers {
            spans: self.spans,
            owners: self.owners,
            sizes: self.sizes,
            len: self.len,
        };
        let peak = greedy_by_size(&problem, ALIGNMENT as u32, offsets, order)?;
        usize::try_from(peak).map_err(|_| PlanError::Overflow { buffer: 0 })
    }

    /// The buffers with their offsets.
    pub(crate) fn planned(&self) -> impl Iterator<Item = (Owner, Buffer, u32)> {
        let problem = Buffers {
            spans: self.spans,
            owners: self.owners,
            sizes: self.sizes,
            len: self.len,
        };
        let owners = self.owners.iter().copied().map(Owner::unpack);
        let planned = owners.zip(self.offsets.iter()).take(self.len);
        planned
            .enumerate()
            .map(move |(i, (owner, &offset))| (owner, problem.buffer(i), offset))
    }

    /// Notes when each value is first and last alive, and checks that it is computed once, before it is read.
    pub(crate) fn find_lifetimes<'m>(&mut self, source: &Source<'m>) -> Result<(), LoadError<'m>> {
        let end = source.nodes.saturating_sub(1);
        for tensor in 0..source.tensors {
            // A variable remembers from one inference to the next. Operators change it as an input.
            if source.subgraph.tensor(tensor)?.is_variable()? {
                self.touch(tensor, 0);
                self.touch(tensor, end);
            }
        }
        for number in source.subgraph.inputs()?.iter() {
            self.touch(source.tensor_number(None, number)?, 0);
        }
        for index in 0..source.nodes {
            let operator = source.subgraph.operator(index)?;
            for number in operator.inputs()?.iter().filter(|&number| number != -1) {
                let tensor = source.tensor_number(Some(index), number)?;
                self.read(source, Some(index), tensor, index)?;
            }
            for number in operator.outputs()?.iter() {
                let tensor = source.tensor_number(Some(index), number)?;
                self.write(source, index, tensor)?;
            }
        }
        for number in source.subgraph.outputs()?.iter() {
            let tensor = source.tensor_number(None, number)?;
            self.read(source, None, tensor, end)?;
        }
        Ok(())
    }

    fn read<'m>(
        &mut self,
        source: &Source<'m>,
        index: Option<usize>,
        tensor: usize,
        at: usize,
    ) -> Result<(), LoadError<'m>> {
        if self.span(tensor) == Span::NEVER {
            return Err(LoadError::NotComputed {
                index,
                tensor,
                name: source.name(tensor),
            });
        }
        self.touch(tensor, at);
        Ok(())
    }

    fn write<'m>(
        &mut self,
        source: &Source<'m>,
        index: usize,
        tensor: usize,
    ) -> Result<(), LoadError<'m>> {
        if self.span(tensor) != Span::NEVER {
            return Err(LoadError::WrittenTwice {
                index,
                tensor,
                name: source.name(tensor),
            });
        }
        self.touch(tensor, index);
        Ok(())
    }

    fn touch(&mut self, tensor: usize, at: usize) {
        let span = self.span(tensor);
        if span != Span::CONSTANT {
            self.set_span(tensor, span.with(at as u16));
        }
    }

    fn span(&self, tensor: usize) -> Span {
        let word = self.spans.get(tensor).copied();
        word.map_or(Span::NEVER, Span::unpack)
    }

    fn set_span(&mut self, tensor: usize, span: Span) {
        if let Some(word) = self.spans.get_mut(tensor) {
            *word = span.pack();
        }
    }
}

/// The first and last node at which a value is alive. Nodes are numbered below `u16::MAX`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Span {
    first: u16,
    last: u16,
}

impl Span {
    /// No node has touched the value.
    const NEVER: Self = Self {
        first: u16::MAX,
        last: 0,
    };
    /// It lies in the file.
    const CONSTANT: Self = Self {
        first: u16::MAX,
        last: u16::MAX,
    };

    fn with(self, at: u16) -> Self {
        Self {
            first: self.first.min(at),
            last: self.last.max(at),
        }
    }

    const fn pack(self) -> u32 {
        self.first as u32 | (self.last as u32) << 16
    }

    const fn unpack(word: u32) -> Self {
        Self {
            first: word as u16,
            last: (word >> 16) as u16,
        }
    }
}

/// The buffers as a planning problem.
struct Buffers<'n> {
    spans: &'n [u32],
    owners: &'n [u32],
    sizes: &'n [u32],
    len: usize,
}

impl Problem for Buffers<'_> {
    fn len(&self) -> usize {
        self.len
    }

    fn buffer(&self, i: usize) -> Buffer {
        self.get(i).unwrap_or_default()
    }
}

impl Buffers<'_> {
    fn get(&self, i: usize) -> Option<Buffer> {
        let size = *self.sizes.get(i)?;
        let (first, last) = match Owner::unpack(*self.owners.get(i)?) {
            Owner::Tensor(tensor) => {
                let span = Span::unpack(*self.spans.get(tensor)?);
                (span.first.into(), span.last.into())
            }
            Owner::Scratch(node) => (node as u32, node as u32),
        };
        Some(Buffer::new(size, first, last))
    }
}
