//! L2_POOL_2D: the root of the mean square of each window.

use larun_ops::{ElementType, Op, op};

use crate::operand::{Operand, clamp, wrong_op};
use crate::plan::Record;
use crate::pool::{pool, window};
use crate::requantize::Clamp;
use crate::{ImageWindow, InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Refusal};

impl Kernel for op::L2Pool2D {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::L2Pool2D(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let input = Operand::input(node, 0)?;
        let element_type = input.one_of(&[ElementType::Float32])?;
        Operand::output(node, 0)?.has_type(element_type)?;
        window(options, &input)?.write(plan);
        clamp(options.activation)?.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let (window, clamp) = (Record::read(&mut plan)?, Record::read(&mut plan)?);
        let output = io.output(0)?;
        l2_pool_f32(&window, &clamp, io.freeze().input(0)?, output)
    }
}

/// Real root of the mean square of each window: input `[N, H, W, C]`, output `[N, H', W', C]`.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
pub fn l2_pool_f32(
    window: &ImageWindow,
    clamp: &Clamp,
    input: &[f32],
    output: &mut [f32],
) -> Result<(), InvokeError> {
    let add = |sum: f32, value: f32| sum + value * value;
    pool(window, input, output, 0.0, add, |count| {
        move |sum| clamp.apply(libm::sqrtf(sum / count as f32))
    })
}
