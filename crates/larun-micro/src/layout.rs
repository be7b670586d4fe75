//! The interpreter's persistent memory: where tensors are, and what each node needs to run.
//!
//! All of it is 32-bit words at the start of the arena:
//!
//! | words | what |
//! |---|---|
//! | 2 a tensor | place (offset in the activations or in the file), length in bytes; bit 31 of the length marks a constant |
//! | 1 a node | index of its record |
//! | a record a node | header (kernel, inputs, outputs), scratch offset and length, operands as 16-bit tensor numbers, the kernel's plan |

use larun_kernels::{Locate, Location};

/// Words of a tensor's entry.
pub(crate) const TENSOR_WORDS: usize = 2;
/// Words of a record before its operands: header, scratch offset, scratch length.
pub(crate) const RECORD_WORDS: usize = 3;
/// Where in a record the scratch offset and the scratch length are.
pub(crate) const RECORD_SCRATCH_OFFSET: usize = 1;
pub(crate) const RECORD_SCRATCH_LEN: usize = 2;
/// The operand that is absent. Tensors are numbered below it.
pub(crate) const ABSENT: u16 = u16::MAX;

const CONSTANT: u32 = 1 << 31;

/// Where a tensor's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) at: u32,
    len: u32,
}

impl Place {
    /// A constant at an offset of the file; lengths are below 2 GiB.
    pub(crate) const fn constant(at: u32, len: u32) -> Self {
        Self {
            at,
            len: len | CONSTANT,
        }
    }

    /// A value at an offset of the activations.
    pub(crate) const fn value(at: u32, len: u32) -> Self {
        Self { at, len }
    }

    pub(crate) const fn is_constant(self) -> bool {
        self.len & CONSTANT != 0
    }

    /// Bytes.
    pub(crate) const fn len(self) -> u32 {
        self.len & !CONSTANT
    }

    pub(crate) fn read(words: &[u32], tensor: usize) -> Option<Self> {
        let at = tensor.checked_mul(TENSOR_WORDS)?;
        match words.get(at..)? {
            &[at, len, ..] => Some(Self { at, len }),
            _ => None,
        }
    }

    pub(crate) fn write(self, words: &mut [u32], tensor: usize) -> Option<()> {
        let at = tensor.checked_mul(TENSOR_WORDS)?;
        let entry = words.get_mut(at..at.checked_add(TENSOR_WORDS)?)?;
        entry.copy_from_slice(&[self.at, self.len]);
        Some(())
    }

    fn locate(self, file: &[u8]) -> Location<'_> {
        let (at, len) = (self.at as usize, self.len() as usize);
        match self.is_constant() {
            false => Location::Arena { offset: at, len },
            true => file
                .get(at..)
                .and_then(|rest| rest.get(..len))
                .map_or(Location::Absent, Location::Constant),
        }
    }
}

/// The first word of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The index of the kernel among those linked.
    pub(crate) kernel: u8,
    pub(crate) inputs: u16,
    pub(crate) outputs: u8,
}

impl Header {
    pub(crate) const fn pack(self) -> u32 {
        self.kernel as u32 | (self.outputs as u32) << 8 | (self.inputs as u32) << 16
    }

    const fn unpack(word: u32) -> Self {
        Self {
            kernel: word as u8,
            outputs: (word >> 8) as u8,
            inputs: (word >> 16) as u16,
        }
    }

    /// Words that the operands take.
    pub(crate) const fn operand_words(self) -> usize {
        (self.inputs as usize + self.outputs as usize).div_ceil(2)
    }
}

/// A node's record, and the tables to resolve its operands with.
pub(crate) struct Record<'a> {
    pub(crate) header: Header,
    scratch: (u32, u32),
    operands: &'a [u16],
    /// The kernel's plan.
    pub(crate) plan: &'a [u32],
    words: &'a [u32],
    file: &'a [u8],
}

/// Where the record of a node begins.
pub(crate) fn record_start(words: &[u32], tensors: usize, node: usize) -> Option<usize> {
    let index = tensors.checked_mul(TENSOR_WORDS)?.checked_add(node)?;
    words.get(index).map(|&start| start as usize)
}

impl<'a> Record<'a> {
    /// The record of a node.
    pub(crate) fn read(
        words: &'a [u32],
        file: &'a [u8],
        tensors: usize,
        node: usize,
    ) -> Option<Self> {
        let start = record_start(words, tensors, node)?;
        let &[header, at, len, ref rest @ ..] = words.get(start..)? else {
            return None;
        };
        let header = Header::unpack(header);
        let (operands, plan) = rest.split_at_checked(header.operand_words())?;
        Some(Self {
            header,
            scratch: (at, len),
            operands: bytemuck::try_cast_slice(operands).ok()?,
            plan,
            words,
            file,
        })
    }

    fn operand(&self, index: usize) -> Location<'_> {
        match self.operands.get(index) {
            None | Some(&ABSENT) => Location::Absent,
            Some(&tensor) => self.tensor(usize::from(tensor)),
        }
    }

    fn tensor(&self, tensor: usize) -> Location<'_> {
        Place::read(self.words, tensor).map_or(Location::Absent, |place| place.locate(self.file))
    }

    /// The tensor number of output `index`.
    pub(crate) fn output_tensor(&self, index: usize) -> Option<usize> {
        if index >= usize::from(self.header.outputs) {
            return None;
        }
        let at = usize::from(self.header.inputs) + index;
        self.operands.get(at).map(|&tensor| usize::from(tensor))
    }
}

impl Locate for Record<'_> {
    fn input(&self, index: usize) -> Location<'_> {
        match index < usize::from(self.header.inputs) {
            true => self.operand(index),
            false => Location::Absent,
        }
    }

    fn output(&self, index: usize) -> Location<'_> {
        match index < usize::from(self.header.outputs) {
            true => self.operand(usize::from(self.header.inputs) + index),
            false => Location::Absent,
        }
    }

    fn scratch(&self) -> Location<'_> {
        Place::value(self.scratch.0, self.scratch.1).locate(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_what_was_packed() {
        for (kernel, inputs, outputs) in [(0, 0, 0), (1, 3, 1), (u8::MAX, u16::MAX, u8::MAX)] {
            let header = Header {
                kernel,
                inputs,
                outputs,
            };
            assert_eq!(Header::unpack(header.pack()), header);
        }
    }

    #[test]
    fn a_place_is_what_was_written() {
        let mut words = [0; 4];
        let constant = Place::constant(u32::MAX, i32::MAX as u32);
        let value = Place::value(16, 0);
        constant.write(&mut words, 0).unwrap();
        value.write(&mut words, 1).unwrap();
        assert_eq!(Place::read(&words, 0), Some(constant));
        assert_eq!(Place::read(&words, 1), Some(value));
        assert!(constant.is_constant() && !value.is_constant());
        assert_eq!((constant.len(), value.len()), (i32::MAX as u32, 0));
        assert_eq!(Place::read(&words, 2), None);
        assert_eq!(value.write(&mut words, 2), None);
    }

    #[test]
    fn a_record_that_is_cut_short_is_none() {
        // No tensors; one node, whose record begins behind the index: one input, one output, two words of plan.
        let header = Header {
            kernel: 7,
            inputs: 1,
            outputs: 1,
        };
        let words = [1, header.pack(), 32, 16, u32::from(ABSENT), 5, 6];
        let record = Record::read(&words, &[], 0, 0).unwrap();
        assert_eq!((record.header, record.plan), (header, &[5, 6][..]));
        assert_eq!(record.input(0), Location::Absent);
        assert_eq!(record.output_tensor(0), Some(0));
        let scratch = Location::Arena {
            offset: 32,
            len: 16,
        };
        assert_eq!(record.scratch(), scratch);
        for len in 0..5 {
            assert!(Record::read(&words[..len], &[], 0, 0).is_none());
        }
        assert!(Record::read(&words, &[], 0, usize::MAX).is_none());
    }
}
