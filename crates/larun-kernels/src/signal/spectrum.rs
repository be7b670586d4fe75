//! SignalWindow, SignalFftAutoScale and SignalEnergy: what is done to a frame before its transform and to its spectrum.

use larun_ops::{ElementType, Op, op};

use super::{count, shift};
use crate::operand::{Operand, wrong_op};
use crate::plan::Record;
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Reason, Refusal};

impl Kernel for op::SignalWindow {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::SignalWindow(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        Operand::all_have_type(node, ElementType::Int16)?;
        let (input, weights) = (Operand::input(node, 0)?, Operand::input(node, 1)?);
        weights.has_rank(1)?;
        let frame = weights.elements()?;
        if frame == 0 {
            return Err(weights.refuse(Reason::Empty));
        }
        input.has_last(frame)?;
        Operand::output(node, 0)?.has_elements(input.elements()?)?;
        plan.push_u32(shift("shift", options.shift, i32::BITS)?);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let shift = plan.read_u32()?;
        let output = io.output::<i16>(0)?;
        let io = io.freeze();
        let (input, weights) = (io.input::<i16>(0)?, io.input::<i16>(1)?);
        let frame = weights.len().max(1);
        for (samples, weighted) in input
            .chunks_exact(frame)
            .zip(output.chunks_exact_mut(frame))
        {
            for ((to, &sample), &weight) in weighted.iter_mut().zip(samples).zip(weights) {
                let product = i32::from(sample).wrapping_mul(i32::from(weight));
                let shifted = product.wrapping_shr(shift);
                *to = shifted.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
            }
        }
        Ok(())
    }
}

impl Kernel for op::SignalFftAutoScale {
    fn prepare(node: &dyn NodeView, _: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let input = Operand::input(node, 0)?;
        let (output, bits) = (Operand::output(node, 0)?, Operand::output(node, 1)?);
        input.has_type(ElementType::Int16)?;
        output.has_type(ElementType::Int16)?;
        bits.has_type(ElementType::Int32)?;
        output.has_elements(input.elements()?)?;
        bits.has_elements(1)
    }

    fn invoke(_: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let output = io.output::<i16>(0)?;
        let bits = io.output::<i32>(1)?;
        let input = io.freeze().input::<i16>(0)?;
        let shift = headroom(input);
        for (scaled, &sample) in output.iter_mut().zip(input) {
            *scaled = sample.wrapping_shl(shift);
        }
        bits.fill(shift as i32);
        Ok(())
    }
}

/// By how many bits a frame can be shifted up, 0 for one of zeros.
fn headroom(frame: &[i16]) -> u32 {
    let largest = frame.iter().fold(0i16, |largest, &sample| {
        // As TFLM: -32768 counts as the largest of all, but gives way to any sample that follows.
        match sample > largest {
            true => sample,
            false if sample.unsigned_abs() as i32 > i32::from(largest) => sample.wrapping_neg(),
            false => largest,
        }
    });
    match u16::try_from(largest) {
        Ok(largest @ 1..) => largest.leading_zeros().saturating_sub(1),
        _ => 0,
    }
}

impl Kernel for op::SignalEnergy {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::SignalEnergy(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        input.has_type(ElementType::Int16)?;
        output.has_type(ElementType::UInt32)?;
        let bins = output.elements()?.min(input.elements()? / 2);
        let start = count("start_index", options.start_index, 0)?;
        let end = count("end_index", options.end_index, 0)?;
        if end > bins {
            let (what, found) = ("end_index", options.end_index);
            return Err(Refusal::options(Reason::Option { what, found }));
        }
        start.write(plan);
        end.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let (start, end) = (plan.read_usize()?, plan.read_usize()?);
        let output = io.output::<u32>(0)?;
        let (spectrum, _) = io.freeze().input::<i16>(0)?.as_chunks();
        output.fill(0);
        let bins = output.iter_mut().zip(spectrum).take(end).skip(start);
        for (energy, part) in bins {
            let [real, imaginary] = part.map(|part: i16| u32::from(part.unsigned_abs()));
            *energy = real * real + imaginary * imaginary;
        }
        Ok(())
    }
}
