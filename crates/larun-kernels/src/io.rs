//! The memory of a running node: outputs and scratch to write, inputs to read, out of one arena without `unsafe`.

use bytemuck::{AnyBitPattern, NoUninit};

use crate::pieces::{Pieces, region};
use crate::types::is_linked;
use crate::{InvokeError, Locate, Location, Memory};

/// The first `expected` elements of the scratch memory.
pub(crate) fn check_scratch<T>(
    scratch: &mut [T],
    expected: usize,
) -> Result<&mut [T], InvokeError> {
    let found = scratch.len();
    scratch
        .get_mut(..expected)
        .ok_or(InvokeError::length(Memory::Scratch, expected, found))
}

/// An element that memory can be viewed as.
pub trait Element: AnyBitPattern + NoUninit {}

impl<T: AnyBitPattern + NoUninit> Element for T {}

/// The memory of a node while outputs and scratch are taken.
///
/// A region is taken once; [`freeze`](Self::freeze) then lends out what is left for reading.
pub struct Io<'a> {
    /// Untaken stretches of memory with their offsets.
    free: Pieces<'a>,
    locate: &'a dyn Locate,
}

/// The memory of a node while inputs are read.
#[derive(Clone, Copy)]
pub struct FrozenIo<'a> {
    free: &'a Pieces<'a>,
    locate: &'a dyn Locate,
}

impl<'a> Io<'a> {
    /// The arena, and where in it the node's operands lie.
    pub fn new(arena: &'a mut [u8], locate: &'a dyn Locate) -> Self {
        Self::with_state(arena, &mut [], locate)
    }

    /// The arena, the memory that is kept from one inference to the next, and where in them the node's operands lie.
    pub fn with_state(arena: &'a mut [u8], state: &'a mut [u8], locate: &'a dyn Locate) -> Self {
        Self {
            free: Pieces::new(arena, state),
            locate,
        }
    }

    /// Takes output `index` to write.
    ///
    /// # Errors
    /// When it is in neither memory, overlaps what was taken before, or is not aligned for `T`.
    #[inline]
    pub fn output<T: Element>(&mut self, index: usize) -> Result<&'a mut [T], InvokeError> {
        linked::<T>()?;
        let bytes = self.output_bytes(index)?;
        cast_mut(bytes, Memory::output(index))
    }

    #[inline(never)]
    fn output_bytes(&mut self, index: usize) -> Result<&'a mut [u8], InvokeError> {
        let memory = Memory::output(index);
        match self.locate.output(index) {
            location @ (Location::Arena { .. } | Location::State { .. }) => {
                self.take(location, memory)
            }
            _ => Err(InvokeError::Missing(memory)),
        }
    }

    /// Takes the scratch memory.
    ///
    /// # Errors
    /// As [`output`](Self::output).
    #[inline]
    pub fn scratch<T: Element>(&mut self) -> Result<&'a mut [T], InvokeError> {
        cast_mut(self.scratch_bytes()?, Memory::Scratch)
    }

    #[inline(never)]
    fn scratch_bytes(&mut self) -> Result<&'a mut [u8], InvokeError> {
        self.take(self.locate.scratch(), Memory::Scratch)
    }

    /// Takes input `index`, which must be a variable tensor, to read and change.
    ///
    /// # Errors
    /// When it is not a variable, overlaps what was taken before, or is not aligned for `T`.
    #[inline]
    pub fn state<T: Element>(&mut self, index: usize) -> Result<&'a mut [T], InvokeError> {
        linked::<T>()?;
        cast_mut(self.state_bytes(index)?, Memory::input(index))
    }

    #[inline(never)]
    fn state_bytes(&mut self, index: usize) -> Result<&'a mut [u8], InvokeError> {
        let memory = Memory::input(index);
        match self.locate.input(index) {
            Location::Absent => Err(InvokeError::Missing(memory)),
            location @ Location::State { .. } => self.take(location, memory),
            Location::Arena { .. } | Location::Constant(_) => Err(InvokeError::NotVariable(memory)),
        }
    }

    /// Takes the memory that the node keeps from one inference to the next: zeros at first, and after a reset.
    ///
    /// # Errors
    /// As [`output`](Self::output); the node's `prepare` must have asked for it.
    pub fn node_state<T: Element>(&mut self) -> Result<&'a mut [T], InvokeError> {
        let bytes = self.take(self.locate.node_state(), Memory::State)?;
        cast_mut(bytes, Memory::State)
    }

    /// Takes the bytes of the resource variable that input `index` names.
    ///
    /// # Errors
    /// When it names none, or the variable was taken before.
    pub fn resource(&mut self, index: usize) -> Result<&'a mut [u8], InvokeError> {
        let number = read_number(self.locate, index, |at| {
            let piece = self.free.get(at, Memory::input(index))?;
            Ok((piece.offset, &*piece.bytes))
        })?;
        match self.locate.resource(number) {
            location @ Location::State { .. } => self.take(location, Memory::resource(index)),
            _ => Err(InvokeError::NoResource(Memory::input(index))),
        }
    }

    /// Takes the scratch memory, or nothing where `prepare` asked for none.
    ///
    /// # Errors
    /// As [`output`](Self::output).
    #[inline]
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

    /// Lends the memory for a while, so that a node with many outputs can take them one after the other, each together
    /// with its inputs.
    pub fn lend(&mut self) -> Io<'_> {
        Io {
            free: self.free.lend(),
            locate: self.locate,
        }
    }

    /// Ends the taking: what is left may be read.
    pub fn freeze(&self) -> FrozenIo<'_> {
        FrozenIo {
            free: &self.free,
            locate: self.locate,
        }
    }

    fn take(
        &mut self,
        location: Location<'_>,
        memory: Memory,
    ) -> Result<&'a mut [u8], InvokeError> {
        let (offset, len) = region(location).ok_or(InvokeError::Missing(memory))?;
        if len == 0 {
            return Ok(&mut []);
        }
        let piece = self.free.find((offset, len), memory)?;
        let start = piece.offset;
        let (before, rest) = split(core::mem::take(&mut piece.bytes), offset - start);
        let (region, after) = split(rest, len);
        piece.bytes = before;
        self.free.push(offset + len, after)?;
        Ok(region)
    }
}

/// Fails at once where the type of an operand is left out.
#[inline(always)]
fn linked<T: Element>() -> Result<(), InvokeError> {
    if is_linked::<T>() {
        return Ok(());
    }
    Err(InvokeError::Plan)
}

#[inline]
fn cast_mut<T: Element>(bytes: &mut [u8], memory: Memory) -> Result<&mut [T], InvokeError> {
    if bytes.is_empty() {
        return Ok(&mut []);
    }
    bytemuck::try_cast_slice_mut(bytes).map_err(|_| InvokeError::Misaligned(memory))
}

fn split(bytes: &mut [u8], at: usize) -> (&mut [u8], &mut [u8]) {
    bytes.split_at_mut_checked(at).unwrap_or_default()
}

impl<'a> FrozenIo<'a> {
    /// Reads input `index`.
    ///
    /// # Errors
    /// When it is absent, reaches past the arena, overlaps a region that was taken, or is not aligned for `T`.
    #[inline]
    pub fn input<T: Element>(&self, index: usize) -> Result<&'a [T], InvokeError> {
        let memory = Memory::input(index);
        self.optional_input(index)?
            .ok_or(InvokeError::Missing(memory))
    }

    /// Reads input `index` where there is one.
    ///
    /// # Errors
    /// As [`input`](Self::input), but absence is no error.
    #[inline]
    pub fn optional_input<T: Element>(&self, index: usize) -> Result<Option<&'a [T]>, InvokeError> {
        linked::<T>()?;
        let Some(bytes) = self.input_bytes(index)? else {
            return Ok(None);
        };
        if bytes.is_empty() {
            return Ok(Some(&[]));
        }
        bytemuck::try_cast_slice(bytes)
            .map(Some)
            .map_err(|_| InvokeError::Misaligned(Memory::input(index)))
    }

    #[inline(never)]
    fn input_bytes(&self, index: usize) -> Result<Option<&'a [u8]>, InvokeError> {
        let bytes = match self.locate.input(index) {
            Location::Absent => return Ok(None),
            Location::Constant(bytes) => bytes,
            location => self.read(location, Memory::input(index))?,
        };
        Ok(Some(bytes))
    }

    /// Reads the bytes of the resource variable that input `index` names.
    ///
    /// # Errors
    /// When it names none, or the variable was taken to write.
    pub fn resource(&self, index: usize) -> Result<&'a [u8], InvokeError> {
        let number = read_number(self.locate, index, |at| {
            let piece = self.free.get(at, Memory::input(index))?;
            Ok((piece.offset, &*piece.bytes))
        })?;
        match self.locate.resource(number) {
            location @ Location::State { .. } => self.read(location, Memory::resource(index)),
            _ => Err(InvokeError::NoResource(Memory::input(index))),
        }
    }

    fn read(&self, location: Location<'_>, memory: Memory) -> Result<&'a [u8], InvokeError> {
        let (offset, len) = region(location).ok_or(InvokeError::Missing(memory))?;
        if len == 0 {
            return Ok(&[]);
        }
        let piece = self.free.get((offset, len), memory)?;
        slice(piece.bytes, offset - piece.offset, len).ok_or(InvokeError::OutOfArena(memory))
    }
}

fn slice(bytes: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    bytes.get(at..)?.get(..len)
}

/// The number in input `index`, a handle. `piece` gives the stretch of memory that holds a region, with its offset.
fn read_number<'p>(
    locate: &'p dyn Locate,
    index: usize,
    piece: impl FnOnce((usize, usize)) -> Result<(usize, &'p [u8]), InvokeError>,
) -> Result<u32, InvokeError> {
    let memory = Memory::input(index);
    let location = locate.input(index);
    let bytes = match (location, region(location)) {
        (Location::Constant(bytes), _) => bytes,
        (_, Some((offset, len))) => {
            let (start, bytes) = piece((offset, len))?;
            slice(bytes, offset - start, len).ok_or(InvokeError::OutOfArena(memory))?
        }
        _ => return Err(InvokeError::Missing(memory)),
    };
    let number = bytes.first_chunk().ok_or(InvokeError::NoResource(memory))?;
    Ok(u32::from_le_bytes(*number))
}
