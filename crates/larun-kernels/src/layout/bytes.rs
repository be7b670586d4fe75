//! Bytes copied and repeated, and integers read from them.

use larun_ops::ElementType;

use crate::Refusal;
use crate::operand::Operand;

/// Copies as many bytes as both have.
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    let len = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..len), from.get(..len)) {
        to.copy_from_slice(from);
    }
}

/// Fills memory with a pattern, by copies that double in length.
pub(crate) fn repeat(output: &mut [u8], pattern: &[u8]) {
    copy(output, pattern);
    let mut filled = pattern.len().max(1);
    while let Some((done, rest)) = output.split_at_mut_checked(filled) {
        if rest.is_empty() {
            break;
        }
        copy(rest, done);
        filled = filled.saturating_mul(2);
    }
}

/// Integers that are known at run time only.
#[derive(Clone, Copy)]
pub(crate) struct Integers<'a> {
    bytes: &'a [u8],
    width: usize,
}

impl<'a> Integers<'a> {
    /// Integers of 8 bytes, or of 4.
    pub(crate) fn new(bytes: &'a [u8], are_wide: bool) -> Self {
        let width = if are_wide { 8 } else { 4 };
        Self { bytes, width }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / self.width
    }

    pub(crate) fn get(&self, index: usize) -> Option<i64> {
        let bytes = self.bytes.get(index.checked_mul(self.width)?..)?;
        Some(match self.width {
            8 => i64::from_le_bytes(*bytes.first_chunk()?),
            _ => i32::from_le_bytes(*bytes.first_chunk()?).into(),
        })
    }

    /// Entry `index`, where it is in `0..below`.
    pub(crate) fn below(&self, index: usize, below: usize) -> Option<usize> {
        let value = usize::try_from(self.get(index)?).ok()?;
        (value < below).then_some(value)
    }
}

/// Checks that an operand holds integers; whether they have 8 bytes.
pub(crate) fn are_wide(operand: &Operand<'_>) -> Result<bool, Refusal> {
    let found = operand.one_of(&[ElementType::Int32, ElementType::Int64])?;
    Ok(found == ElementType::Int64)
}
