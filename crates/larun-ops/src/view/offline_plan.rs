//! A memory plan in a file: metadata that says where each tensor lies in the arena.

use super::Model;
use super::error::{ViewError, ViewErrorKind};
use crate::view::fields::metadata;

/// The name of the metadata, as TensorFlow Lite Micro has it.
pub const OFFLINE_PLAN: &str = "OfflineMemoryAllocation";

/// Words before the offsets: a version and a number of subgraphs, which nobody reads, and the number of tensors.
const HEADER_WORDS: usize = 3;
const WORD: usize = size_of::<i32>();

/// Where each tensor of a file lies, by the number it has when those of all subgraphs are counted in order.
///
/// The plan is as the file has it: nothing says that it is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfflinePlan<'a> {
    offsets: &'a [u8],
}

impl OfflinePlan<'_> {
    /// How many tensors the plan has.
    pub const fn tensors(&self) -> usize {
        self.offsets.len() / WORD
    }

    /// The offset of a tensor in bytes, `None` where the runtime is to find a place.
    pub fn offset(&self, tensor: usize) -> Option<u32> {
        word(self.offsets, tensor).and_then(|offset| u32::try_from(offset).ok())
    }
}

impl<'a> Model<'a> {
    /// The memory plan in the file, where there is one.
    ///
    /// # Errors
    /// When the file is damaged there, or the plan has fewer offsets than it says.
    pub fn offline_plan(&self) -> Result<Option<OfflinePlan<'a>>, ViewError> {
        let Some(bytes) = self.find_metadata(OFFLINE_PLAN.as_bytes())? else {
            return Ok(None);
        };
        let offsets = || {
            let count = usize::try_from(word(bytes, HEADER_WORDS - 1)?).ok()?;
            bytes
                .get(HEADER_WORDS * WORD..)?
                .get(..count.checked_mul(WORD)?)
        };
        match offsets() {
            Some(offsets) => Ok(Some(OfflinePlan { offsets })),
            None => Err(metadata::BUFFER.error(ViewErrorKind::NoEntry(bytes.len() as u32 / 4))),
        }
    }
}

fn word(bytes: &[u8], index: usize) -> Option<i32> {
    let bytes = bytes.get(index.checked_mul(WORD)?..)?;
    bytes.first_chunk().map(|bytes| i32::from_le_bytes(*bytes))
}
