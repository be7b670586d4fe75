//! TFLM_DECODE: constants that a model holds compressed, decompressed into memory.
//!
//! Inputs are pairs: an encoded tensor and its description, which begins with [`HEADER`] bytes. Byte 0 is the kind of code,
//! byte 1 the version of the header, 1; byte 4 the version of the code, 1; the rest is the code's own.
//!
//! | kind | encoded tensor | description |
//! |---|---|---|
//! | 0, by table | a number for each element | byte 5: its bits; byte 6: entries of each channel's table; the tables |
//! | 1, Huffman | a prefix code for each element | byte 5: the layout of the tables; the tables ([`HuffmanLayout`]) |
//! | 2, pruned | a bit for each element, set where it is not the zero point | those elements |
//!
//! Where a dense layer alone reads what is decoded, as its weights, the decoder takes the layer over
//! ([`Kernel::TAKE_OVER`]): it multiplies while it decodes, and the weights take no memory.

mod codes;
mod dense;
mod huffman;
mod prepare;

use larun_ops::op;

use crate::plan::Record;
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Refusal, TakeOver, check_len,
};

pub use codes::Channels;
use codes::Decoder;
pub use dense::fully_connected_encoded;
pub use huffman::HuffmanLayout;

/// Bytes of a description before its values.
const HEADER: usize = 16;

/// What a plan begins with where it is not one of decoding, which begins with the number of outputs.
const TAKEN_OVER: u32 = u32::MAX;

impl Kernel for op::Decode {
    const TAKE_OVER: Option<TakeOver> = Some(dense::take_over);

    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        prepare::prepare(node, plan)
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let outputs = plan.read_u32()?;
        if outputs == TAKEN_OVER {
            return dense::invoke(plan, io);
        }
        for index in 0..outputs as usize {
            let encoding = Encoding::read(&mut plan)?;
            let element_len = plan.read_usize()?;
            let mut io = io.lend();
            let output = io.output::<u8>(index)?;
            let io = io.freeze();
            let [encoded, description] = [io.input(2 * index)?, io.input(2 * index + 1)?];
            decode(&encoding, element_len, encoded, description, output)?;
        }
        Ok(())
    }
}

/// How a tensor is encoded.
#[derive(Clone, Copy, Debug)]
pub struct Encoding<'a> {
    /// Which elements belong to which channel.
    pub channels: Channels,
    /// What stands for an element.
    pub code: Code<'a>,
}

/// What stands for an element of an encoded tensor.
#[derive(Clone, Copy, Debug)]
pub enum Code<'a> {
    /// The number of an entry of the channel's table.
    Table {
        /// Bits of a number, 1 to 7.
        width: u32,
        /// Entries from one channel's table to the next.
        stride: usize,
    },
    /// A prefix code, the same for all channels.
    Huffman(HuffmanLayout),
    /// A bit: whether the element is the next of the values, or its channel's zero point.
    Pruned {
        /// The zero point of each channel, all 0 where elements are larger than a byte.
        zero_points: &'a [i8],
    },
}

impl<'a> Encoding<'a> {
    fn read(plan: &mut PlanReader<'a>) -> Result<Self, InvokeError> {
        let channels = Channels::read(plan)?;
        let code = match plan.read_u32()? {
            0 => Code::Table {
                width: plan.read_u32()?,
                stride: plan.read_usize()?,
            },
            1 => {
                let count = plan.read_usize()?;
                let zero_points = plan.take_i8s(count)?;
                Code::Pruned { zero_points }
            }
            2 => Code::Huffman(HuffmanLayout::new(plan.read_u32()? as u8)),
            _ => return Err(InvokeError::Plan),
        };
        Ok(Self { channels, code })
    }
}

/// Decodes a tensor whose elements have `element_len` bytes: 1, 2, 4 or 8.
///
/// `encoded` holds the codes, the most significant bit first; `description` a header of 16 bytes, then values.
///
/// # Errors
/// [`InvokeError::Length`] when the description is shorter than its header or the output does not hold whole elements.
pub fn decode(
    encoding: &Encoding<'_>,
    element_len: usize,
    encoded: &[u8],
    description: &[u8],
    output: &mut [u8],
) -> Result<(), InvokeError> {
    match element_len {
        1 => decode_elements::<1>(encoding, encoded, description, output),
        2 => decode_elements::<2>(encoding, encoded, description, output),
        4 => decode_elements::<4>(encoding, encoded, description, output),
        8 => decode_elements::<8>(encoding, encoded, description, output),
        _ => Err(InvokeError::Plan),
    }
}

fn decode_elements<const N: usize>(
    encoding: &Encoding<'_>,
    encoded: &[u8],
    description: &[u8],
    output: &mut [u8],
) -> Result<(), InvokeError> {
    let values = values_of(description)?;
    let (output, rest) = output.as_chunks_mut::<N>();
    check_len(Memory::output(0), rest.len(), 0)?;
    Decoder::new(encoding, encoded, values).fill(output);
    Ok(())
}

/// What a description has behind its header.
fn values_of(description: &[u8]) -> Result<&[u8], InvokeError> {
    description.get(HEADER..).ok_or(InvokeError::length(
        Memory::input(1),
        HEADER,
        description.len(),
    ))
}
