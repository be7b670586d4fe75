//! What the decoding of constants checks when a model is loaded: everything, since all that it reads is constant.

use larun_ops::ElementType;

use super::HEADER;
use super::codes::{Channels, Codes};
use super::huffman::{HuffmanLayout, Symbols};
use crate::operand::Operand;
use crate::plan::Record;
use crate::{NodeView, PlanWriter, Reason, Refusal};

/// The types that TFLM decodes.
const DECODED: &[ElementType] = &[
    ElementType::Bool,
    ElementType::Int8,
    ElementType::Int16,
    ElementType::Int32,
    ElementType::Int64,
    ElementType::Float32,
];

pub(super) fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
    let (found, outputs) = (node.input_count(), node.output_count());
    if outputs.checked_mul(2) != Some(found) {
        return Err(Refusal::options(Reason::Inputs { found }));
    }
    plan.push_usize(outputs);
    for index in 0..outputs {
        with_pair(node, index, |pair| {
            pair.check_codes()?;
            pair.write(plan)
        })?;
    }
    Ok(())
}

/// Writes how output `index` is encoded. What the codes themselves are is not checked: [`prepare`] does.
pub(super) fn write_encoding(
    node: &dyn NodeView,
    index: usize,
    plan: &mut PlanWriter<'_>,
) -> Result<(), Refusal> {
    with_pair(node, index, |pair| pair.write(plan))
}

fn with_pair(
    node: &dyn NodeView,
    index: usize,
    body: impl FnOnce(&Pair<'_>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let encoded = Operand::input(node, 2 * index)?;
    let description = Operand::input(node, 2 * index + 1)?;
    let output = Operand::output(node, index)?;
    body(&Pair::new(&encoded, &description, &output)?)
}

/// What stands for an element.
enum Kind {
    Table { width: u32, stride: usize },
    Huffman(HuffmanLayout),
    Pruned,
}

/// An encoded tensor with its description and what it decodes to.
struct Pair<'a> {
    encoded: &'a Operand<'a>,
    description: &'a Operand<'a>,
    output: &'a Operand<'a>,
    codes: &'a [u8],
    header: &'a [u8; HEADER],
    values: &'a [u8],
}

impl<'a> Pair<'a> {
    fn new(
        encoded: &'a Operand<'a>,
        description: &'a Operand<'a>,
        output: &'a Operand<'a>,
    ) -> Result<Self, Refusal> {
        output.one_of(DECODED)?;
        let codes = encoded.constant()?;
        let bytes = description.constant()?;
        let (found, expected) = (bytes.len(), HEADER);
        let short = description.refuse(Reason::ConstantSize { found, expected });
        let (header, values) = bytes.split_first_chunk().ok_or(short)?;
        for (what, byte) in [("version of the header", 1), ("version of the code", 4)] {
            let found = i32::from(header[byte]);
            if found != 1 {
                return Err(description.refuse(Reason::Option { what, found }));
            }
        }
        Ok(Self {
            encoded,
            description,
            output,
            codes,
            header,
            values,
        })
    }

    /// Writes the plan.
    fn write(&self, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let channels = self.channels()?;
        channels.write(plan);
        match self.kind()? {
            Kind::Table { width, stride } => {
                plan.push_u32(0);
                plan.push_u32(width);
                plan.push_usize(stride);
            }
            Kind::Huffman(layout) => {
                plan.push_u32(2);
                plan.push_u32(u32::from(layout.byte()));
            }
            Kind::Pruned => self.write_pruned(&channels, plan)?,
        }
        plan.push_usize(self.output.element_len()?);
        Ok(())
    }

    fn kind(&self) -> Result<Kind, Refusal> {
        let unknown = |what, found: u8| {
            let found = i32::from(found);
            Err(self.description.refuse(Reason::Option { what, found }))
        };
        match (self.header[0], self.header[5] & 7) {
            (0, 0) => unknown("bits of a code", 0),
            (0, width) => Ok(Kind::Table {
                width: u32::from(width),
                stride: usize::from(self.header[6]),
            }),
            (1, _) => {
                let layout = HuffmanLayout::new(self.header[5]);
                // Symbols of 16-bit entries have 8 bits.
                self.output.one_of(match layout.is_wide() {
                    true => &[ElementType::Int8, ElementType::Int16],
                    false => &[ElementType::Int8],
                })?;
                Ok(Kind::Huffman(layout))
            }
            (2, _) => Ok(Kind::Pruned),
            (kind, _) => unknown("kind of code", kind),
        }
    }

    /// Checks that there are codes for all elements, and values for all codes.
    fn check_codes(&self) -> Result<(), Refusal> {
        match self.kind()? {
            Kind::Table { width, stride } => {
                let elements = self.has_codes(width)?;
                let mut codes = Codes::new(self.codes, width);
                let largest = (0..elements).map(|_| codes.next()).max().unwrap_or(0);
                let before = (self.channels()?.count - 1).saturating_mul(stride);
                self.has_values(before.saturating_add(largest + 1))
            }
            Kind::Huffman(layout) => {
                // Every code has a bit at least.
                let elements = self.has_codes(1)?;
                let mut symbols = Symbols::new(self.codes, self.values, layout);
                let read = (0..elements).map_while(|_| symbols.next()).count();
                match read == elements {
                    true => Ok(()),
                    false => Err(self.encoded.refuse(Reason::ConstantSize {
                        found: read,
                        expected: elements,
                    })),
                }
            }
            Kind::Pruned => {
                let elements = self.has_codes(1)?;
                let mut bitmap = Codes::new(self.codes, 1);
                self.has_values((0..elements).map(|_| bitmap.next()).sum())
            }
        }
    }

    /// Channels lie along the first axis or the last.
    fn channels(&self) -> Result<Channels, Refusal> {
        let (output, elements) = (&self.output.info, self.output.elements()?);
        let count = output.quantization.channels().max(1);
        let axis = match (count, output.quantization.axis()) {
            (1, _) => 0,
            (_, axis) => axis,
        };
        let dims = output.shape.dims();
        if dims
            .get(axis)
            .is_some_and(|&found| count > 1 && found != count)
        {
            let (found, expected) = (count, dims.get(axis).copied().unwrap_or(0));
            return Err(self.output.refuse(Reason::ChannelCount { found, expected }));
        }
        let run = match axis {
            _ if axis + 1 == dims.len() && count > 1 => 1,
            0 => elements / count,
            found => {
                let expected = 0;
                return Err(self.output.refuse(Reason::ChannelAxis { found, expected }));
            }
        };
        Ok(Channels { count, run })
    }

    fn write_pruned(&self, channels: &Channels, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let output = self.output;
        let quantized = output.info.quantization.channels();
        for channel in 0..quantized {
            match output.info.element_type {
                ElementType::Int8 => output.channel_affine(channel).map(|_| ())?,
                _ => output.has_zero_point(channel, 0)?,
            }
        }
        plan.push_u32(1);
        plan.push_usize(channels.count);
        let zero_point = |channel| output.info.quantization.zero_point(channel).unwrap_or(0) as i8;
        plan.push_i8s((0..channels.count).map(zero_point));
        Ok(())
    }

    /// Checks that there is a code of this width for each element; how many elements.
    fn has_codes(&self, width: u32) -> Result<usize, Refusal> {
        let elements = self.output.elements()?;
        let bits = elements.saturating_mul(width as usize);
        let (found, expected) = (self.codes.len(), bits.div_ceil(8));
        match found >= expected {
            true => Ok(elements),
            false => Err(self
                .encoded
                .refuse(Reason::ConstantSize { found, expected })),
        }
    }

    /// Checks that the description holds this many elements.
    fn has_values(&self, count: usize) -> Result<(), Refusal> {
        let bytes = count.saturating_mul(self.output.element_len()?);
        let (found, expected) = (self.values.len() + HEADER, bytes.saturating_add(HEADER));
        match found >= expected {
            true => Ok(()),
            false => Err(self
                .description
                .refuse(Reason::ConstantSize { found, expected })),
        }
    }
}
