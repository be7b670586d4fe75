//! Why a problem cannot be planned.

use core::fmt;

/// Why a problem cannot be planned. Buffers are named by their index in the problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanError {
    /// The alignment is zero.
    ZeroAlignment,
    /// More buffers than a `u32` can number.
    TooManyBuffers {
        /// How many there are.
        count: usize,
    },
    /// A lifetime ends before it starts.
    EndsBeforeStart {
        /// The buffer.
        buffer: u32,
        /// Its first step.
        first: u32,
        /// Its last step.
        last: u32,
    },
    /// A fixed offset is not a multiple of the alignment.
    Misaligned {
        /// The buffer.
        buffer: u32,
        /// Its fixed offset in bytes.
        offset: u32,
        /// The alignment asked for in bytes.
        alignment: u32,
    },
    /// Two buffers with fixed offsets share bytes at a step at which both live.
    FixedOverlap {
        /// One of the two.
        first: u32,
        /// The other.
        second: u32,
    },
    /// The plan would reach past the 4 GiB that offsets can name.
    Overflow {
        /// The buffer that no longer fits.
        buffer: u32,
    },
    /// A buffer comes without an offset where every plan is made elsewhere.
    NoOffset {
        /// The buffer.
        buffer: u32,
    },
    /// A slice lent by the caller holds fewer entries than there are buffers.
    SliceTooShort {
        /// Entries needed: one a buffer.
        needed: usize,
        /// Entries lent.
        given: usize,
    },
    /// The order to place the buffers in names one that does not exist.
    UnknownBuffer {
        /// The index named.
        buffer: u32,
        /// How many buffers there are.
        count: usize,
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ZeroAlignment => {
                f.write_str("the alignment is 0: give 1 or more bytes (16 suits every kernel)")
            }
            Self::TooManyBuffers { count } => write!(
                f,
                "{count} buffers are more than a plan can number ({})",
                u32::MAX
            ),
            Self::EndsBeforeStart {
                buffer,
                first,
                last,
            } => {
                write!(
                    f,
                    "buffer {buffer} ends at step {last}, before it starts at step {first}"
                )
            }
            Self::Misaligned {
                buffer,
                offset,
                alignment,
            } => {
                write!(
                    f,
                    "buffer {buffer} is fixed at offset {offset}, which is no multiple of the alignment {alignment}"
                )
            }
            Self::FixedOverlap { first, second } => write!(
                f,
                "buffers {first} and {second} live at the same step and their fixed offsets make them share bytes: move or free one"
            ),
            Self::Overflow { buffer } => write!(
                f,
                "buffer {buffer} ends beyond {} bytes, the most a plan can address",
                u32::MAX
            ),
            Self::NoOffset { buffer } => write!(
                f,
                "the plan has no offset for buffer {buffer}, and nothing here makes plans: plan the model beforehand"
            ),
            Self::SliceTooShort { needed, given } => {
                write!(
                    f,
                    "planning {needed} buffers needs slices of {needed} entries, one has {given}"
                )
            }
            Self::UnknownBuffer { buffer, count } => {
                write!(
                    f,
                    "the placement order names buffer {buffer}, but there are only {count}"
                )
            }
        }
    }
}

impl core::error::Error for PlanError {}
