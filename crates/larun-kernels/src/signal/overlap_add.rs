//! SignalOverlapAdd: a stream from frames that overlap.

use larun_ops::{ElementType, Op, op};

use super::{copy, count, history, product, state};
use crate::operand::{Operand, wrong_op};
use crate::plan::{Record, record};
use crate::{Element, InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Reason, Refusal};

record! {
    /// How frames overlap.
    struct Overlap {
        /// Samples of a frame.
        size: usize,
        /// Samples from one frame to the next.
        step: usize,
        /// Frames of a row.
        frames: usize,
        /// Samples kept, of all rows.
        kept: usize,
    }
}

impl Kernel for op::SignalOverlapAdd {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::SignalOverlapAdd(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        let element_type = input.one_of(&[ElementType::Int16, ElementType::Float32])?;
        output.has_type(element_type)?;
        let [.., frames, size] = *input.info.shape.dims() else {
            let found = input.info.shape.rank();
            return Err(input.refuse(Reason::Rank { found, expected: 2 }));
        };
        let elements = input.elements()?;
        if elements == 0 {
            return Err(input.refuse(Reason::Empty));
        }
        let step = count("frame_step", options.frame_step, 1)?;
        if step > size {
            let (what, found) = ("frame_step", options.frame_step);
            return Err(Refusal::options(Reason::Option { what, found }));
        }
        let kept = elements / frames;
        output.has_rank(input.info.shape.rank() - 1)?;
        output.has_elements(product(&[elements / size, step])?)?;
        plan.request_state(product(&[kept, input.element_len()?])?);
        element_type.write(plan);
        let overlap = Overlap {
            size,
            step,
            frames,
            kept,
        };
        overlap.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        match ElementType::read(&mut plan)? {
            ElementType::Int16 => run(plan, io, i16::saturating_add),
            _ => run(plan, io, |a: f32, b| a + b),
        }
    }
}

fn run<T: Element + Default>(
    mut plan: PlanReader<'_>,
    mut io: Io<'_>,
    add: impl Fn(T, T) -> T,
) -> Result<(), InvokeError> {
    let overlap = Overlap::read(&mut plan)?;
    let (size, step) = (overlap.size.max(1), overlap.step.max(1));
    let sums = state::<T>(&mut io, overlap.kept)?;
    let output = io.output::<T>(0)?;
    let input = io.freeze().input::<T>(0)?;
    let rows = input.chunks_exact(overlap.frames.saturating_mul(size).max(1));
    let outputs = output.chunks_exact_mut(overlap.frames.saturating_mul(step).max(1));
    for ((frames, samples), sums) in rows.zip(outputs).zip(sums.chunks_exact_mut(size)) {
        for (frame, samples) in frames
            .chunks_exact(size)
            .zip(samples.chunks_exact_mut(step))
        {
            for (sum, &sample) in sums.iter_mut().zip(frame) {
                *sum = add(sample, *sum);
            }
            copy(samples, sums);
            history::shift(sums, step);
            let done = sums.len().saturating_sub(step);
            for sum in sums.iter_mut().skip(done) {
                *sum = T::default();
            }
        }
    }
    Ok(())
}
