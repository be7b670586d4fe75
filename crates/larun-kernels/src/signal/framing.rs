//! SignalDelay, SignalFramer and SignalStacker: a stream cut into frames that reach back into its past.

use larun_ops::{ElementType, Op, op};

use super::{count, history, product, state};
use crate::operand::{Operand, wrong_op};
use crate::plan::{Record, record};
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Reason, Refusal};

record! {
    /// How a stream is delayed.
    struct Delay {
        /// Samples of a row of the input.
        row: usize,
        /// Samples of the delay.
        delay: usize,
        /// Samples kept, of all rows.
        kept: usize,
    }
}

impl Kernel for op::SignalDelay {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::SignalDelay(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        Operand::all_have_type(node, ElementType::Int16)?;
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        let elements = input.elements()?;
        output.has_elements(elements)?;
        let row = row(&input)?;
        let delay = count("delay_length", options.delay_length, 0)?;
        let kept = product(&[elements / row, delay])?;
        request_state::<i16>(kept, 0, plan)?;
        Delay { row, delay, kept }.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let Delay { row, delay, kept } = Delay::read(&mut plan)?;
        let mut histories = state::<i16>(&mut io, kept)?.chunks_exact_mut(delay.max(1));
        let output = io.output::<i16>(0)?;
        let input = io.freeze().input::<i16>(0)?;
        let outputs = output.chunks_exact_mut(row.max(1));
        for (samples, delayed) in input.chunks_exact(row.max(1)).zip(outputs) {
            let history = histories.next().unwrap_or_default();
            history::read(history, samples, delayed);
            history::push(history, samples);
        }
        Ok(())
    }
}

record! {
    /// How a stream is cut into frames.
    struct Framer {
        /// Samples of a frame.
        size: usize,
        /// Samples from one frame to the next.
        step: usize,
        /// Frames of a row.
        frames: usize,
        /// Samples before a frame's last `step` ones that are kept, for one row.
        history: usize,
        /// Frames that pass before the first whole one.
        missing: u32,
    }
}

impl Kernel for op::SignalFramer {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::SignalFramer(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let input = Operand::input(node, 0)?;
        let (output, valid) = (Operand::output(node, 0)?, Operand::output(node, 1)?);
        input.has_type(ElementType::Int16)?;
        output.has_type(ElementType::Int16)?;
        valid.has_type(ElementType::Bool)?;
        valid.has_elements(1)?;
        let row = row(&input)?;
        let rows = input.elements()? / row;
        let size = count("frame_size", options.frame_size, 1)?;
        let step = count("frame_step", options.frame_step, 1)?;
        let uneven = Reason::Option {
            what: "frame_step",
            found: options.frame_step,
        };
        // With zeros before the first sample, a step must not go past the end of a frame.
        if row % step != 0 || (options.prefill && step > size) {
            return Err(Refusal::options(uneven));
        }
        let frames = row / step;
        output.has_rank(input.info.shape.rank() + 1)?;
        output.has_last(size)?;
        output.has_elements(product(&[rows, frames, size])?)?;
        // TFLM begins with no samples, and then keeps whole steps.
        let missing = size.div_ceil(step) - 1;
        let history = match options.prefill {
            true => size - step,
            false => missing * step,
        };
        let missing = if options.prefill { 0 } else { missing };
        request_state::<i16>(product(&[rows, history])?, COUNTER, plan)?;
        let framer = Framer {
            size,
            step,
            frames,
            history,
            missing: u32::try_from(missing).map_err(|_| Refusal::options(uneven))?,
        };
        framer.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let framer = Framer::read(&mut plan)?;
        let (passed, histories) = counted(io.node_state()?)?;
        let frames = io.output::<i16>(0)?;
        let valid = io.output::<u8>(1)?;
        let input = io.freeze().input::<i16>(0)?;
        let Framer { size, step, .. } = framer;
        let per_row = framer.frames.max(1);
        let mut histories = histories.chunks_exact_mut(framer.history.max(1));
        let rows = input.chunks_exact(per_row.saturating_mul(step).max(1));
        let outputs = frames.chunks_exact_mut(per_row.saturating_mul(size).max(1));
        for (samples, frames) in rows.zip(outputs) {
            let history = histories.next().unwrap_or_default();
            let frames = frames.chunks_exact_mut(size.max(1));
            for (at, (next, frame)) in
                (*passed..).zip(samples.chunks_exact(step.max(1)).zip(frames))
            {
                if at < framer.missing {
                    frame.fill(0);
                } else {
                    history::read(history, next, frame);
                }
                history::push(history, next);
            }
        }
        valid.fill(u8::from(*passed >= framer.missing));
        let passing = u32::try_from(per_row).unwrap_or(u32::MAX);
        *passed = passed.saturating_add(passing).min(framer.missing);
        Ok(())
    }
}

record! {
    /// How frames are stacked.
    struct Stacker {
        /// Elements of a frame.
        channels: usize,
        /// Frames before the one in the middle.
        left: usize,
        /// Frames behind it.
        right: u32,
        /// Elements of all frames but the newest.
        history: usize,
        /// Frames from one output to the next.
        step: u32,
    }
}

impl Kernel for op::SignalStacker {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::SignalStacker(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let input = Operand::input(node, 0)?;
        let (output, valid) = (Operand::output(node, 0)?, Operand::output(node, 1)?);
        input.has_type(ElementType::Int16)?;
        output.has_type(ElementType::Int16)?;
        valid.has_type(ElementType::Bool)?;
        valid.has_elements(1)?;
        let channels = count("num_channels", options.num_channels, 1)?;
        let left = count("stacker_left_context", options.stacker_left_context, 0)?;
        let right = count("stacker_right_context", options.stacker_right_context, 0)?;
        let step = count("stacker_step", options.stacker_step, 1)?;
        let too_large = Refusal::options(Reason::TooLarge);
        let context = left.checked_add(right).ok_or(too_large)?;
        let frames = context.checked_add(1).ok_or(too_large)?;
        // A step goes past frames that were there, never past those to come.
        if step > frames {
            let (what, found) = ("stacker_step", options.stacker_step);
            return Err(Refusal::options(Reason::Option { what, found }));
        }
        input.has_elements(channels)?;
        output.has_elements(product(&[channels, frames])?)?;
        let history = product(&[channels, context])?;
        request_state::<i16>(history, COUNTER, plan)?;
        let stacker = Stacker {
            channels,
            left,
            right: right as u32,
            history,
            step: step as u32,
        };
        stacker.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let stacker = Stacker::read(&mut plan)?;
        let (counter, history) = counted(io.node_state()?)?;
        let history = history.get_mut(..stacker.history).unwrap_or_default();
        let output = io.output::<i16>(0)?;
        let valid = io.output::<u8>(1)?;
        let frame = io.freeze().input::<i16>(0)?;
        // The frames that the next output waits for; 0 before the first frame, which stands for those before it too.
        let waiting = match *counter {
            0 => {
                let channels = stacker.channels.max(1);
                let before = stacker.left.saturating_mul(channels);
                let start = history.len().saturating_sub(before);
                let history = history.get_mut(start..).unwrap_or_default();
                for before in history.chunks_exact_mut(channels) {
                    super::copy(before, frame);
                }
                stacker.right
            }
            waiting => waiting - 1,
        };
        if waiting == 0 {
            history::read(history, frame, output);
        } else {
            output.fill(0);
        }
        valid.fill(u8::from(waiting == 0));
        *counter = if waiting == 0 { stacker.step } else { waiting };
        history::push(history, frame);
        Ok(())
    }
}

/// Bytes of a counter before what else is kept.
const COUNTER: usize = size_of::<u32>();

/// The counter at the start of a node's state, and the samples behind it.
fn counted(state: &mut [u32]) -> Result<(&mut u32, &mut [i16]), InvokeError> {
    let (counter, samples) = state.split_first_mut().ok_or(InvokeError::Plan)?;
    let samples = bytemuck::try_cast_slice_mut(samples).unwrap_or_default();
    Ok((counter, samples))
}

/// Asks for the memory of `len` elements behind `before` bytes, in whole words.
fn request_state<T>(len: usize, before: usize, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
    let bytes = product(&[len, size_of::<T>()])?;
    let bytes = bytes
        .checked_add(before)
        .and_then(|bytes| bytes.checked_next_multiple_of(4));
    plan.request_state(bytes.ok_or(Refusal::options(Reason::TooLarge))?);
    Ok(())
}

/// The innermost dimension, which must hold something.
fn row(input: &Operand<'_>) -> Result<usize, Refusal> {
    match (input.info.shape.rank(), input.info.shape.last()) {
        (0, _) => Err(input.refuse(Reason::Rank {
            found: 0,
            expected: 1,
        })),
        (_, 0) => Err(input.refuse(Reason::Empty)),
        (_, row) => Ok(row),
    }
}
