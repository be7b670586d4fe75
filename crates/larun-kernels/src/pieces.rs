//! The stretches of a node's memory between the regions that it has taken.

use crate::{InvokeError, Location, Memory};

/// The most regions of memory that one node may write at a time: outputs, variables and scratch.
pub const MAX_REGIONS: usize = 16;

/// Where the kept memory begins in the space that offsets count in; the arena begins at 0. No slice is longer than this.
pub(crate) const STATE_SPACE: usize = isize::MAX as usize + 1;

/// A stretch of memory.
#[derive(Clone, Copy, Default)]
pub(crate) struct Piece<B> {
    pub(crate) offset: usize,
    pub(crate) bytes: B,
}

/// The offset of a region in the space of both memories, and its length; `None` where it is in neither.
pub(crate) fn region(location: Location<'_>) -> Option<(usize, usize)> {
    match location {
        Location::Arena { offset, len } => Some((offset.min(STATE_SPACE - 1), len)),
        Location::State { offset, len } => Some((STATE_SPACE.saturating_add(offset), len)),
        Location::Absent | Location::Constant(_) => None,
    }
}

/// The stretches of the arena and the kept memory between the regions that were taken.
pub(crate) struct Pieces<B> {
    /// Where the arena and the kept memory end.
    ends: [usize; 2],
    len: usize,
    pieces: [Piece<B>; MAX_REGIONS + 2],
}

impl<B: AsRef<[u8]> + Default> Pieces<B> {
    /// Nothing taken yet.
    pub(crate) fn new(arena: B, state: B) -> Self {
        let ends = [arena.as_ref().len(), STATE_SPACE + state.as_ref().len()];
        let mut whole = [(0, arena), (STATE_SPACE, state)]
            .map(|(offset, bytes)| Piece { offset, bytes })
            .into_iter();
        Self {
            ends,
            len: 2,
            pieces: core::array::from_fn(|_| whole.next().unwrap_or_default()),
        }
    }

    pub(crate) fn push(&mut self, offset: usize, bytes: B) -> Result<(), InvokeError> {
        if bytes.as_ref().is_empty() {
            return Ok(());
        }
        let slot = self.pieces.get_mut(self.len);
        *slot.ok_or(InvokeError::TooManyRegions)? = Piece { offset, bytes };
        self.len += 1;
        Ok(())
    }

    /// The piece that holds `len` bytes at `offset`; its offset is at most `offset`.
    fn position(&self, offset: usize, len: usize, memory: Memory) -> Result<usize, InvokeError> {
        let [arena_end, state_end] = self.ends;
        let limit = if offset < STATE_SPACE {
            arena_end
        } else {
            state_end
        };
        let end = offset
            .checked_add(len)
            .filter(|&end| end <= limit)
            .ok_or(InvokeError::OutOfArena(memory))?;
        self.pieces
            .iter()
            .position(|piece| {
                let covered = piece.offset.saturating_add(piece.bytes.as_ref().len());
                piece.offset <= offset && end <= covered
            })
            .ok_or(InvokeError::Overlap(memory))
    }

    pub(crate) fn find(
        &mut self,
        (offset, len): (usize, usize),
        memory: Memory,
    ) -> Result<&mut Piece<B>, InvokeError> {
        let at = self.position(offset, len, memory)?;
        self.pieces.get_mut(at).ok_or(InvokeError::Overlap(memory))
    }

    pub(crate) fn get(
        &self,
        (offset, len): (usize, usize),
        memory: Memory,
    ) -> Result<&Piece<B>, InvokeError> {
        let at = self.position(offset, len, memory)?;
        self.pieces.get(at).ok_or(InvokeError::Overlap(memory))
    }

    pub(crate) fn map<C>(self, convert: impl Fn(B) -> C) -> Pieces<C> {
        Pieces {
            ends: self.ends,
            len: self.len,
            pieces: self.pieces.map(|piece| Piece {
                offset: piece.offset,
                bytes: convert(piece.bytes),
            }),
        }
    }
}

impl Pieces<&mut [u8]> {
    /// The same stretches, lent for a while.
    pub(crate) fn lend(&mut self) -> Pieces<&mut [u8]> {
        Pieces {
            ends: self.ends,
            len: self.len,
            pieces: self.pieces.each_mut().map(|piece| Piece {
                offset: piece.offset,
                bytes: &mut *piece.bytes,
            }),
        }
    }
}
