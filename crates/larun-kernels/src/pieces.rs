//! The stretches of a node's memory between the regions that it has taken.

use crate::{InvokeError, Location, Memory};

/// The most regions of memory that one node may write at a time: outputs, variables and scratch.
pub const MAX_REGIONS: usize = 8;

/// Where the kept memory begins in the space that offsets count in; the arena begins at 0. No slice is longer than this.
pub(crate) const STATE_SPACE: usize = isize::MAX as usize + 1;

/// A stretch of memory.
#[derive(Default)]
pub(crate) struct Piece<'a> {
    pub(crate) offset: usize,
    pub(crate) bytes: &'a mut [u8],
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
pub(crate) struct Pieces<'a> {
    /// Where the arena and the kept memory end.
    ends: [usize; 2],
    len: usize,
    pieces: [Piece<'a>; MAX_REGIONS + 2],
}

impl<'a> Pieces<'a> {
    /// Nothing taken yet.
    pub(crate) fn new(arena: &'a mut [u8], state: &'a mut [u8]) -> Self {
        let ends = [arena.len(), STATE_SPACE + state.len()];
        let mut pieces: [Piece<'_>; MAX_REGIONS + 2] = Default::default();
        let [first, second, ..] = &mut pieces;
        first.bytes = arena;
        *second = Piece {
            offset: STATE_SPACE,
            bytes: state,
        };
        Self {
            ends,
            len: 2,
            pieces,
        }
    }

    pub(crate) fn push(&mut self, offset: usize, bytes: &'a mut [u8]) -> Result<(), InvokeError> {
        if bytes.is_empty() {
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
                let covered = piece.offset.saturating_add(piece.bytes.len());
                piece.offset <= offset && end <= covered
            })
            .ok_or(InvokeError::Overlap(memory))
    }

    pub(crate) fn find(
        &mut self,
        (offset, len): (usize, usize),
        memory: Memory,
    ) -> Result<&mut Piece<'a>, InvokeError> {
        let at = self.position(offset, len, memory)?;
        self.pieces.get_mut(at).ok_or(InvokeError::Overlap(memory))
    }

    pub(crate) fn get(
        &self,
        (offset, len): (usize, usize),
        memory: Memory,
    ) -> Result<&Piece<'a>, InvokeError> {
        let at = self.position(offset, len, memory)?;
        self.pieces.get(at).ok_or(InvokeError::Overlap(memory))
    }

    /// The same stretches, lent for a while.
    pub(crate) fn lend(&mut self) -> Pieces<'_> {
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
