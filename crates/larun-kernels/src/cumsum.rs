//! CUMSUM: sums of all elements so far along an axis.

use larun_ops::{ElementType, Op, op};
use larun_quant::fixed_point::FixedMultiplier;

use crate::arg::Lines;
use crate::operand::{Operand, wrong_op};
use crate::plan::{Record, record};
use crate::{
    Element, InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal,
    check_len,
};

impl Kernel for op::CumSum {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        use ElementType::{Float32, Int8, Int32, Int64};
        let Op::CumSum(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        let element_type = input.one_of(&[Int8, Int32, Int64, Float32])?;
        output.has_type(element_type)?;
        let direction = Direction {
            lines: Lines::of(node)?,
            exclusive: options.exclusive,
            reverse: options.reverse,
        };
        element_type.write(plan);
        direction.write(plan);
        if element_type == Int8 {
            SumQuantization::of(&input, &output)?.write(plan);
        }
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        let element_type = ElementType::read(&mut plan)?;
        let direction = Direction::read(&mut plan)?;
        match element_type {
            ElementType::Int8 => {
                let quantization = SumQuantization::read(&mut plan)?;
                let add = |sum: i32, x: i8| sum.wrapping_add(quantization.fine(i32::from(x)));
                direction.run(io, quantization.fine(0), add, |sum| {
                    quantization.finish(sum)
                })
            }
            ElementType::Int32 => direction.run(io, 0, i32::wrapping_add, |sum| sum),
            ElementType::Int64 => direction.run(io, 0, i64::wrapping_add, |sum| sum),
            _ => direction.run(io, 0.0, |sum: f32, x: f32| sum + x, |sum| sum),
        }
    }
}

record! {
    /// Along which axis, and from where to where.
    struct Direction {
        lines: Lines,
        /// Whether an element is left out of its own sum.
        exclusive: bool,
        /// Whether sums run from the end.
        reverse: bool,
    }
}

impl Direction {
    fn run<T: Element, S: Copy>(
        &self,
        mut io: Io<'_>,
        start: S,
        add: impl Fn(S, T) -> S,
        finish: impl Fn(S) -> T,
    ) -> Result<(), InvokeError> {
        let output: &mut [T] = io.output(0)?;
        let io = io.freeze();
        let input: &[T] = io.input(0)?;
        check_len(Memory::output(0), output.len(), input.len())?;
        let Lines { len, inner } = self.lines;
        let block = self.lines.block()?;
        let outputs = output.chunks_exact_mut(block);
        for (input, output) in input.chunks_exact(block).zip(outputs) {
            for first in 0..inner {
                let mut sum = start;
                for step in 0..len {
                    let at = if self.reverse { len - 1 - step } else { step };
                    let at = at * inner + first;
                    let (Some(output), Some(&x)) = (output.get_mut(at), input.get(at)) else {
                        continue;
                    };
                    let with = add(sum, x);
                    *output = finish(if self.exclusive { sum } else { with });
                    sum = with;
                }
            }
        }
        Ok(())
    }
}

record! {
    /// Quantisation of INT8 sums, which are of values 2^20 times finer than twice the input's scale.
    struct SumQuantization {
        input_zero_point: i32,
        output_zero_point: i32,
        /// One half.
        input: FixedMultiplier,
        /// `2 * input_scale / (2^20 * output_scale)`.
        output: FixedMultiplier,
    }
}

impl SumQuantization {
    const LEFT_SHIFT: u32 = 20;

    fn of(input: &Operand<'_>, output: &Operand<'_>) -> Result<Self, Refusal> {
        let (from, to) = (input.affine()?, output.affine()?);
        let twice = 2.0 * f64::from(from.scale);
        let fixed = |real: f64| {
            let ratio = Refusal::options(Reason::ScaleRatio);
            FixedMultiplier::from_real_smaller_than_one(real).ok_or(ratio)
        };
        Ok(Self {
            input_zero_point: from.zero_point,
            output_zero_point: to.zero_point,
            input: fixed(f64::from(from.scale) / twice)?,
            output: fixed(twice / (f64::from(1u32 << Self::LEFT_SHIFT) * f64::from(to.scale)))?,
        })
    }

    /// An input in the finer scale. TFLM begins its sums with that of the integer 0, which stands for 0 only where the
    /// zero point is 0 as well.
    #[inline]
    fn fine(&self, x: i32) -> i32 {
        let centred = x.wrapping_sub(self.input_zero_point);
        self.input
            .apply_smaller_than_one(centred << Self::LEFT_SHIFT)
    }

    #[inline]
    fn finish(&self, sum: i32) -> i8 {
        let scaled = self.output.apply_smaller_than_one(sum);
        scaled
            .saturating_add(self.output_zero_point)
            .clamp(-128, 127) as i8
    }
}
