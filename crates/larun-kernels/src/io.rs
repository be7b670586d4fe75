//! The memory of a running node: outputs and scratch to write, inputs to read, out of one arena without `unsafe`.

use core::fmt;

use bytemuck::{AnyBitPattern, NoUninit};

use crate::Site;

/// The most regions of the arena that one node may write: outputs and scratch.
pub const MAX_REGIONS: usize = 16;

/// Where an operand lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location<'m> {
    /// Nowhere: an optional operand that is left out.
    Absent,
    /// In the arena.
    Arena {
        /// Bytes from the start of the arena.
        offset: usize,
        /// Bytes.
        len: usize,
    },
    /// Outside of it: a constant of the model.
    Constant(&'m [u8]),
}

/// Says where the operands of a node lie.
pub trait Locate {
    /// Input `index`.
    fn input(&self, index: usize) -> Location<'_>;

    /// Output `index`.
    fn output(&self, index: usize) -> Location<'_>;

    /// The scratch memory that the node's `prepare` asked for.
    fn scratch(&self) -> Location<'_>;
}

/// Why a node could not run. Each of these is a fault of the caller: a node that was prepared and is given memory
/// as planned runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvokeError {
    /// The plan is not one that the kernel wrote.
    Plan,
    /// An operand is absent, or a constant where memory to write is needed.
    Missing(Memory),
    /// A region reaches past the end of the arena.
    OutOfArena(Memory),
    /// A region overlaps another that is written.
    Overlap(Memory),
    /// A region does not start at a multiple of its element size, or does not hold whole elements.
    Misaligned(Memory),
    /// More than [`MAX_REGIONS`] regions are written.
    TooManyRegions,
    /// An operand has another number of elements than the plan says.
    Length {
        /// The operand.
        operand: Memory,
        /// Elements expected.
        expected: usize,
        /// Elements found.
        found: usize,
    },
}

/// A piece of memory that a node uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// An input or output.
    Operand(Site),
    /// The scratch memory.
    Scratch,
}

impl Memory {
    /// Input `index`.
    pub const fn input(index: usize) -> Self {
        Self::Operand(Site::Input(index))
    }

    /// Output `index`.
    pub const fn output(index: usize) -> Self {
        Self::Operand(Site::Output(index))
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operand(site) => site.fmt(f),
            Self::Scratch => f.write_str("scratch memory"),
        }
    }
}

impl fmt::Display for InvokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan => f.write_str("the plan was not written by this kernel's prepare"),
            Self::Missing(memory) => write!(f, "{memory} is missing"),
            Self::OutOfArena(memory) => write!(f, "{memory} reaches past the end of the arena"),
            Self::Overlap(memory) => write!(f, "{memory} overlaps memory that the node writes"),
            Self::Misaligned(memory) => write!(
                f,
                "{memory} is not aligned to its elements; align the arena and the model to 16 bytes"
            ),
            Self::TooManyRegions => {
                write!(
                    f,
                    "a node may write at most {MAX_REGIONS} regions of memory"
                )
            }
            Self::Length {
                operand,
                expected,
                found,
            } => write!(f, "{operand} must have {expected} elements, has {found}"),
        }
    }
}

impl core::error::Error for InvokeError {}

/// Checks the length of an operand.
pub(crate) fn check_len(operand: Memory, found: usize, expected: usize) -> Result<(), InvokeError> {
    if found == expected {
        return Ok(());
    }
    Err(InvokeError::Length {
        operand,
        expected,
        found,
    })
}

/// Checks the length of a bias, input 2, where there is one.
pub(crate) fn check_bias<T>(bias: Option<&[T]>, channels: usize) -> Result<(), InvokeError> {
    bias.map_or(Ok(()), |bias| {
        check_len(Memory::input(2), bias.len(), channels)
    })
}

/// The first `expected` elements of the scratch memory.
pub(crate) fn check_scratch(
    scratch: &mut [i16],
    expected: usize,
) -> Result<&mut [i16], InvokeError> {
    let found = scratch.len();
    scratch.get_mut(..expected).ok_or(InvokeError::Length {
        operand: Memory::Scratch,
        expected,
        found,
    })
}

/// An element that memory can be viewed as.
pub trait Element: AnyBitPattern + NoUninit {}

impl<T: AnyBitPattern + NoUninit> Element for T {}

/// The memory of a node while outputs and scratch are taken.
///
/// A region is taken once; [`freeze`](Self::freeze) then lends out what is left for reading.
pub struct Io<'a> {
    /// Untaken stretches of the arena with their offsets.
    free: Pieces<&'a mut [u8]>,
    locate: &'a dyn Locate,
}

/// The memory of a node while inputs are read.
pub struct FrozenIo<'a> {
    free: Pieces<&'a [u8]>,
    locate: &'a dyn Locate,
}

impl<'a> Io<'a> {
    /// The arena, and where in it the node's operands lie.
    pub fn new(arena: &'a mut [u8], locate: &'a dyn Locate) -> Self {
        let mut free = Pieces::default();
        // The first piece always has room.
        let _ = free.push(0, arena);
        Self { free, locate }
    }

    /// Takes output `index` to write.
    ///
    /// # Errors
    /// When it is not in the arena, overlaps what was taken before, or is not aligned for `T`.
    pub fn output<T: Element>(&mut self, index: usize) -> Result<&'a mut [T], InvokeError> {
        self.take(self.locate.output(index), Memory::output(index))
    }

    /// Takes the scratch memory.
    ///
    /// # Errors
    /// As [`output`](Self::output).
    pub fn scratch<T: Element>(&mut self) -> Result<&'a mut [T], InvokeError> {
        self.take(self.locate.scratch(), Memory::Scratch)
    }

    /// Takes the scratch memory, or nothing where `prepare` asked for none.
    ///
    /// # Errors
    /// As [`output`](Self::output).
    pub fn optional_scratch<T: Element>(&mut self) -> Result<&'a mut [T], InvokeError> {
        match self.locate.scratch() {
            Location::Absent => Ok(&mut []),
            _ => self.scratch(),
        }
    }

    /// Whether the first output lies exactly where the first input does, so that an operator that leaves the bytes as
    /// they are has nothing to do.
    pub fn is_view(&self) -> bool {
        let input = self.locate.input(0);
        matches!(input, Location::Arena { .. }) && input == self.locate.output(0)
    }

    /// Ends the taking: what is left may be read.
    pub fn freeze(self) -> FrozenIo<'a> {
        FrozenIo {
            free: self.free.map(|piece| &*piece),
            locate: self.locate,
        }
    }

    fn take<T: Element>(
        &mut self,
        location: Location<'_>,
        memory: Memory,
    ) -> Result<&'a mut [T], InvokeError> {
        let Location::Arena { offset, len } = location else {
            return Err(InvokeError::Missing(memory));
        };
        if len == 0 {
            return Ok(&mut []);
        }
        let piece = self.free.find(offset, len, memory)?;
        let start = piece.offset;
        let (before, rest) = split(core::mem::take(&mut piece.bytes), offset - start);
        let (region, after) = split(rest, len);
        piece.bytes = before;
        self.free.push(offset + len, after)?;
        bytemuck::try_cast_slice_mut(region).map_err(|_| InvokeError::Misaligned(memory))
    }
}

fn split(bytes: &mut [u8], at: usize) -> (&mut [u8], &mut [u8]) {
    bytes.split_at_mut_checked(at).unwrap_or_default()
}

impl<'a> FrozenIo<'a> {
    /// Reads input `index`.
    ///
    /// # Errors
    /// When it is absent, reaches past the arena, overlaps a region that was taken, or is not aligned for `T`.
    pub fn input<T: Element>(&self, index: usize) -> Result<&'a [T], InvokeError> {
        let memory = Memory::input(index);
        self.optional_input(index)?
            .ok_or(InvokeError::Missing(memory))
    }

    /// Reads input `index` where there is one.
    ///
    /// # Errors
    /// As [`input`](Self::input), but absence is no error.
    pub fn optional_input<T: Element>(&self, index: usize) -> Result<Option<&'a [T]>, InvokeError> {
        let memory = Memory::input(index);
        let bytes = match self.locate.input(index) {
            Location::Absent => return Ok(None),
            Location::Constant([]) => return Ok(Some(&[])),
            Location::Constant(bytes) => bytes,
            Location::Arena { len: 0, .. } => return Ok(Some(&[])),
            Location::Arena { offset, len } => {
                let piece = self.free.get(offset, len, memory)?;
                piece
                    .bytes
                    .get(offset - piece.offset..)
                    .and_then(|rest| rest.get(..len))
                    .ok_or(InvokeError::OutOfArena(memory))?
            }
        };
        bytemuck::try_cast_slice(bytes)
            .map(Some)
            .map_err(|_| InvokeError::Misaligned(memory))
    }
}

/// A stretch of the arena.
#[derive(Clone, Copy, Default)]
struct Piece<B> {
    offset: usize,
    bytes: B,
}

/// The stretches of the arena between the regions that were taken.
struct Pieces<B> {
    /// The length of the arena.
    end: usize,
    len: usize,
    pieces: [Piece<B>; MAX_REGIONS + 1],
}

impl<B: Default> Default for Pieces<B> {
    fn default() -> Self {
        Self {
            end: 0,
            len: 0,
            pieces: core::array::from_fn(|_| Piece::default()),
        }
    }
}

impl<B: AsRef<[u8]> + Default> Pieces<B> {
    fn push(&mut self, offset: usize, bytes: B) -> Result<(), InvokeError> {
        self.end = self.end.max(offset.saturating_add(bytes.as_ref().len()));
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
        let end = offset
            .checked_add(len)
            .filter(|&end| end <= self.end)
            .ok_or(InvokeError::OutOfArena(memory))?;
        self.pieces
            .iter()
            .position(|piece| {
                let covered = piece.offset.saturating_add(piece.bytes.as_ref().len());
                piece.offset <= offset && end <= covered
            })
            .ok_or(InvokeError::Overlap(memory))
    }

    fn find(
        &mut self,
        offset: usize,
        len: usize,
        memory: Memory,
    ) -> Result<&mut Piece<B>, InvokeError> {
        let at = self.position(offset, len, memory)?;
        self.pieces.get_mut(at).ok_or(InvokeError::Overlap(memory))
    }

    fn get(&self, offset: usize, len: usize, memory: Memory) -> Result<&Piece<B>, InvokeError> {
        let at = self.position(offset, len, memory)?;
        self.pieces.get(at).ok_or(InvokeError::Overlap(memory))
    }

    fn map<C>(self, convert: impl Fn(B) -> C) -> Pieces<C> {
        Pieces {
            end: self.end,
            len: self.len,
            pieces: self.pieces.map(|piece| Piece {
                offset: piece.offset,
                bytes: convert(piece.bytes),
            }),
        }
    }
}
