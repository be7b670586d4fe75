//! Where the operands of a node lie, and what is wrong with memory that does not suit it.

use core::fmt;

use crate::Site;
use crate::pieces::MAX_REGIONS;

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
    /// In the memory that is kept from one inference to the next.
    State {
        /// Bytes from the start of that memory.
        offset: usize,
        /// Bytes.
        len: usize,
    },
    /// Outside of both: a constant of the model.
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

    /// The memory that the node's `prepare` asked to keep from one inference to the next.
    fn node_state(&self) -> Location<'_> {
        Location::Absent
    }

    /// The resource variable of this number.
    fn resource(&self, number: u32) -> Location<'_> {
        let _ = number;
        Location::Absent
    }
}

/// Why a node could not run. But for [`Waiting`](Self::Waiting), and [`OutOfRange`](Self::OutOfRange), which depends on the
/// values of its inputs, each of these is a fault of the caller: a node that was prepared and is given memory as planned
/// runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvokeError {
    /// The plan is not one that the kernel wrote.
    Plan,
    /// An operand is absent, or a constant where memory to write is needed.
    Missing(Memory),
    /// An input that the node changes is not a variable.
    NotVariable(Memory),
    /// An input names no resource variable.
    NoResource(Memory),
    /// A region reaches past the end of the arena.
    OutOfArena(Memory),
    /// A region overlaps another that is written.
    Overlap(Memory),
    /// A region does not start at a multiple of its element size, or does not hold whole elements.
    Misaligned(Memory),
    /// More than [`MAX_REGIONS`] regions are written.
    TooManyRegions,
    /// An operand holds an index outside the axis that it picks from, or a dimension other than the model's.
    OutOfRange(Memory),
    /// Operators that run subgraphs have run more of them than one inference may.
    TooManyCalls,
    /// No fault: the node waits for more input, and the rest of the inference is to be left out.
    Waiting,
    /// An operand has another number of elements than the plan says; which ones is kept with the feature `explain`.
    Length {
        /// The operand.
        operand: Memory,
        /// Elements expected.
        #[cfg(feature = "explain")]
        expected: usize,
        /// Elements found.
        #[cfg(feature = "explain")]
        found: usize,
    },
}

/// A piece of memory that a node uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// An input or output.
    Operand(Site),
    /// The resource variable that an input names.
    Resource(Site),
    /// The scratch memory.
    Scratch,
    /// The memory that the node keeps.
    State,
}

impl Memory {
    /// Input `index`.
    pub const fn input(index: usize) -> Self {
        Self::Operand(Site::input(index))
    }

    /// Output `index`.
    pub const fn output(index: usize) -> Self {
        Self::Operand(Site::output(index))
    }

    /// The resource variable that input `index` names.
    pub const fn resource(index: usize) -> Self {
        Self::Resource(Site::input(index))
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operand(site) => site.fmt(f),
            Self::Resource(site) => write!(f, "the resource variable of {site}"),
            Self::Scratch => f.write_str("scratch memory"),
            Self::State => f.write_str("the node's state"),
        }
    }
}

impl fmt::Display for InvokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan => f.write_str("the plan was not written by this kernel's prepare"),
            Self::Missing(memory) => write!(f, "{memory} is missing"),
            Self::NotVariable(memory) => write!(f, "{memory} is changed, but is not a variable"),
            Self::NoResource(memory) => write!(f, "{memory} names no resource variable"),
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
            Self::OutOfRange(memory) => write!(f, "{memory} holds a value out of range"),
            Self::TooManyCalls => f.write_str("a loop of subgraphs does not end"),
            Self::Waiting => f.write_str("the node waits for more input"),
            #[cfg(feature = "explain")]
            Self::Length {
                operand,
                expected,
                found,
            } => write!(f, "{operand} must have {expected} elements, has {found}"),
            #[cfg(not(feature = "explain"))]
            Self::Length { operand } => write!(f, "{operand} has another length than planned"),
        }
    }
}

impl core::error::Error for InvokeError {}

impl InvokeError {
    /// An operand that has `found` elements, not `expected` ones.
    #[inline(always)]
    pub(crate) const fn length(operand: Memory, expected: usize, found: usize) -> Self {
        #[cfg(not(feature = "explain"))]
        let _ = (expected, found);
        Self::Length {
            operand,
            #[cfg(feature = "explain")]
            expected,
            #[cfg(feature = "explain")]
            found,
        }
    }
}

/// Checks the length of an operand.
pub(crate) fn check_len(operand: Memory, found: usize, expected: usize) -> Result<(), InvokeError> {
    if found == expected {
        return Ok(());
    }
    Err(InvokeError::length(operand, expected, found))
}

/// Checks the length of a bias, input 2, where there is one.
pub(crate) fn check_bias<T>(bias: Option<&[T]>, channels: usize) -> Result<(), InvokeError> {
    bias.map_or(Ok(()), |bias| {
        check_len(Memory::input(2), bias.len(), channels)
    })
}
