//! SignalFilterBank, its square roots and its logarithm: a spectrum gathered into a few channels.

use larun_ops::{ElementType, Op, op};
use larun_quant::fixed_point::{scaled_ln, square_root};

use super::{count, shift};
use crate::operand::{Operand, wrong_op};
use crate::plan::Record;
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Reason, Refusal};

/// The inputs of a filter bank.
const WEIGHTS: usize = 1;
const COMPLEMENTS: usize = 2;
const BIN_STARTS: usize = 3;
const WEIGHT_STARTS: usize = 4;
const WIDTHS: usize = 5;

impl Kernel for op::SignalFilterBank {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::SignalFilterBank(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        input.has_type(ElementType::UInt32)?;
        output.has_type(ElementType::UInt64)?;
        for index in WEIGHTS..=WIDTHS {
            Operand::input(node, index)?.has_type(ElementType::Int16)?;
        }
        let channels = count("num_channels", options.num_channels, 0)?;
        output.has_elements(channels)?;
        let weights = Operand::input(node, WEIGHTS)?.elements()?;
        Operand::input(node, COMPLEMENTS)?.has_elements(weights)?;
        let table = |index| Table::new(node, index, channels);
        let (bins, widths) = (table(BIN_STARTS)?, table(WIDTHS)?);
        bins.check(&widths, input.elements()?)?;
        table(WEIGHT_STARTS)?.check(&widths, weights)?;
        channels.write(plan);
        Ok(())
    }

    fn invoke(_: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let output = io.output::<u64>(0)?;
        let io = io.freeze();
        let input = io.input::<u32>(0)?;
        let (weights, complements) = (io.input::<i16>(WEIGHTS)?, io.input::<i16>(COMPLEMENTS)?);
        let starts = io.input::<i16>(BIN_STARTS)?.iter();
        let channels = starts
            .zip(io.input::<i16>(WEIGHT_STARTS)?)
            .zip(io.input::<i16>(WIDTHS)?);
        // The first sum is of what lies below the first channel.
        let mut below = 0;
        let outputs = core::iter::once(&mut below).chain(output);
        let mut carried = 0u64;
        for (sum, ((&bin, &weight), &width)) in outputs.zip(channels) {
            let width = usize::try_from(width).unwrap_or(0);
            let bins = part(input, bin).iter().take(width);
            let weights = part(weights, weight).iter().zip(part(complements, weight));
            *sum = core::mem::take(&mut carried);
            for (&energy, (&weight, &complement)) in bins.zip(weights) {
                *sum = sum.wrapping_add(weighted(energy, weight));
                carried = carried.wrapping_add(weighted(energy, complement));
            }
        }
        Ok(())
    }
}

fn part<T>(values: &[T], start: i16) -> &[T] {
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    values.get(start..).unwrap_or_default()
}

fn weighted(energy: u32, weight: i16) -> u64 {
    i64::from(weight)
        .wrapping_mul(i64::from(energy))
        .cast_unsigned()
}

/// A constant table with an entry for each channel, and one for what lies below the first.
struct Table<'m> {
    operand: Operand<'m>,
    bytes: &'m [u8],
}

impl<'m> Table<'m> {
    fn new(node: &'m dyn NodeView, index: usize, channels: usize) -> Result<Self, Refusal> {
        let operand = Operand::input(node, index)?;
        operand.has_elements(channels.saturating_add(1))?;
        let bytes = operand.info.constant;
        let bytes = bytes.ok_or(operand.refuse(Reason::NotConstant))?;
        Ok(Self { operand, bytes })
    }

    fn entries(&self) -> impl Iterator<Item = i16> + use<'m> {
        let (entries, _) = self.bytes.as_chunks();
        entries.iter().map(|entry| i16::from_le_bytes(*entry))
    }

    /// Checks that no part of a width leaves a list of `len` values.
    fn check(&self, widths: &Self, len: usize) -> Result<(), Refusal> {
        for (start, width) in self.entries().zip(widths.entries()) {
            let (found, width) = (i32::from(start), i32::from(width));
            let end = usize::try_from(found.saturating_add(width));
            let fits = found >= 0 && end.is_ok_and(|end| end <= len);
            if width > 0 && !fits {
                let what = "the start of a channel";
                return Err(self.operand.refuse(Reason::Option { what, found }));
            }
        }
        Ok(())
    }
}

impl Kernel for op::SignalFilterBankSquareRoot {
    fn prepare(node: &dyn NodeView, _: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let (input, bits) = (Operand::input(node, 0)?, Operand::input(node, 1)?);
        let output = Operand::output(node, 0)?;
        input.has_type(ElementType::UInt64)?;
        bits.has_type(ElementType::Int32)?;
        output.has_type(ElementType::UInt32)?;
        bits.has_elements(1)?;
        output.has_elements(input.elements()?)
    }

    fn invoke(_: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let output = io.output::<u32>(0)?;
        let io = io.freeze();
        let (input, bits) = (io.input::<u64>(0)?, io.input::<i32>(1)?);
        let bits = bits.first().copied().unwrap_or(0);
        for (root, &energy) in output.iter_mut().zip(input) {
            // What is shifted by comes from the model's input; processors take its five low bits.
            *root = square_root(energy).wrapping_shr(bits.cast_unsigned());
        }
        Ok(())
    }
}

impl Kernel for op::SignalFilterBankLog {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::SignalFilterBankLog(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        input.has_type(ElementType::UInt32)?;
        output.has_type(ElementType::Int16)?;
        output.has_elements(input.elements()?)?;
        let correction = options.input_correction_bits;
        plan.push_u32(shift("input_correction_bits", correction, u32::BITS)?);
        plan.push_i32(options.output_scale);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let (correction, scale) = (plan.read_u32()?, plan.read_u32()?);
        let output = io.output::<i16>(0)?;
        let input = io.freeze().input::<u32>(0)?;
        for (log, &energy) in output.iter_mut().zip(input) {
            let scaled = energy.wrapping_shl(correction);
            *log = i16::try_from(scaled_ln(scaled, scale)).unwrap_or(i16::MAX);
        }
        Ok(())
    }
}
