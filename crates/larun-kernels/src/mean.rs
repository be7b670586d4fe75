//! MEAN over any axes.

use larun_ops::{ElementType, Op, Shape, op};
use larun_quant::fixed_point::FixedMultiplier;

use crate::axes::{Axes, Axis, row_major};
use crate::lanes::{Block, for_each_block, lanes, lanes_mut};
use crate::operand::{INT8_OR_FLOAT32, Operand, multiplier, wrong_op};
use crate::plan::{Precision, Record, record};
use crate::requantize::OutputStage;
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_len,
};

impl Kernel for op::Mean {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::Mean(_) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        let element_type = input.one_of(INT8_OR_FLOAT32)?;
        output.has_type(element_type)?;
        let reduction = reduction(node)?;
        match element_type {
            ElementType::Int8 => {
                let (from, to) = (input.affine()?, output.affine()?);
                let rescale = multiplier(f64::from(from.scale) / f64::from(to.scale))?;
                Precision::Int8.write(plan);
                reduction.write(plan);
                MeanQuantization::new(from.zero_point, to.zero_point, rescale, reduction.count())
                    .write(plan);
            }
            _ => {
                Precision::Float32.write(plan);
                reduction.write(plan);
            }
        }
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let precision = Precision::read(&mut plan)?;
        let reduction = Reduction::read(&mut plan)?;
        match precision {
            Precision::Int8 => {
                let quantization = MeanQuantization::read(&mut plan)?;
                let output = io.output(0)?;
                mean_i8(&reduction, &quantization, io.freeze().input(0)?, output)
            }
            Precision::Float32 => {
                let output = io.output(0)?;
                mean_f32(&reduction, io.freeze().input(0)?, output)
            }
        }
    }
}

fn reduction(node: &dyn NodeView) -> Result<Reduction, Refusal> {
    let (input, axes) = (Operand::input(node, 0)?, Operand::input(node, 1)?);
    let listed = axes.info.ints().ok_or(axes.refuse(Reason::NotConstant))?;
    let mut reduced = [false; larun_ops::MAX_RANK];
    for &axis in listed.iter() {
        let what = "axis";
        let at = input.info.shape.axis(axis);
        let place = at.and_then(|at| reduced.get_mut(at));
        *place.ok_or(axes.refuse(Reason::Option { what, found: axis }))? = true;
    }
    Reduction::new(&input.info.shape, &reduced).ok_or(input.refuse(Reason::Empty))
}

/// Which axes of a tensor are reduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reduction {
    kept: Axes<1>,
    reduced: Axes<1>,
}

impl Reduction {
    /// Reduces the axes `i` of a shape where `reduced[i]`; `None` when the shape is empty or too large.
    #[must_use]
    pub fn new(shape: &Shape, reduced: &[bool]) -> Option<Self> {
        let strides = row_major(shape.dims())?;
        let mut reduction = Self {
            kept: Axes::POINT,
            reduced: Axes::POINT,
        };
        for (i, (&len, &stride)) in shape.dims().iter().zip(&strides).enumerate() {
            let axes = match reduced.get(i) {
                Some(true) => &mut reduction.reduced,
                _ => &mut reduction.kept,
            };
            axes.push(Axis {
                len,
                strides: [stride],
            })?;
        }
        (shape.elements()? > 0).then_some(reduction)
    }

    /// How many elements become one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.reduced.points().unwrap_or(0)
    }

    fn outputs(&self) -> usize {
        self.kept.points().unwrap_or(0)
    }

    /// Sums with `add` from `start` on; `finish` makes the output of each sum.
    fn fold<T: Copy, S: Copy>(
        &self,
        input: &[T],
        output: &mut [T],
        start: S,
        add: impl Fn(S, T) -> S,
        finish: impl Fn(S) -> T,
    ) -> Result<(), InvokeError> {
        let inputs = self.outputs().checked_mul(self.count());
        check_len(
            Memory::input(0),
            input.len(),
            inputs.ok_or(InvokeError::Plan)?,
        )?;
        check_len(Memory::output(0), output.len(), self.outputs())?;
        let (outer, inner) = self.kept.split_innermost();
        let rows = output.chunks_exact_mut(inner.len.max(1));
        for (row, [from]) in rows.zip(outer.walk()) {
            if inner.strides == [1] {
                let mut block = MeanBlock {
                    reduced: &self.reduced,
                    input: input.get(from..).unwrap_or(&[]),
                    row,
                    start,
                    add: &add,
                    finish: &finish,
                };
                for_each_block(0..inner.len, &mut block);
                continue;
            }
            for (i, output) in row.iter_mut().enumerate() {
                let from = from.wrapping_add(i.wrapping_mul(inner.strides[0]));
                *output = finish(self.run_sum(input.get(from..).unwrap_or(&[]), start, &add));
            }
        }
        Ok(())
    }

    /// The sum of one output where the innermost axis is reduced.
    fn run_sum<T: Copy, S>(&self, input: &[T], start: S, add: impl Fn(S, T) -> S) -> S {
        let (outer, inner) = self.reduced.split_innermost();
        outer.walk().fold(start, |sum, [from]| {
            let run = input.get(from..).unwrap_or(&[]);
            let values = run.iter().step_by(inner.strides[0].max(1)).take(inner.len);
            values.fold(sum, |sum, &value| add(sum, value))
        })
    }
}

impl Record for Reduction {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        self.kept.write(plan);
        self.reduced.write(plan);
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        Ok(Self {
            kept: Record::read(plan)?,
            reduced: Record::read(plan)?,
        })
    }
}

/// A row of outputs whose inputs are neighbours.
struct MeanBlock<'a, T, S, A, F> {
    reduced: &'a Axes<1>,
    input: &'a [T],
    row: &'a mut [T],
    start: S,
    add: &'a A,
    finish: &'a F,
}

impl<T: Copy, S: Copy, A: Fn(S, T) -> S, F: Fn(S) -> T> Block for MeanBlock<'_, T, S, A, F> {
    #[inline]
    fn run<const L: usize>(&mut self, channel: usize) {
        let mut sums = [self.start; L];
        for [from] in self.reduced.walk() {
            if let Some(values) = lanes::<_, L>(self.input, from.wrapping_add(channel)) {
                for (sum, &value) in sums.iter_mut().zip(values) {
                    *sum = (self.add)(*sum, value);
                }
            }
        }
        if let Some(outputs) = lanes_mut::<_, L>(self.row, channel) {
            for (output, sum) in outputs.iter_mut().zip(sums) {
                *output = (self.finish)(sum);
            }
        }
    }
}

record! {
    /// Quantisation of an INT8 mean.
    pub struct MeanQuantization {
        /// Input zero point times the number of elements that become one.
        pub offset: i32,
        /// `input_scale / output_scale`, over that number.
        pub multiplier: FixedMultiplier,
        /// Zero point of the output.
        pub stage: OutputStage,
    }
}

impl MeanQuantization {
    /// The quantisation of means of `count` elements, `rescale` being `input_scale / output_scale`.
    ///
    /// The division goes into the multiplier, which is first shifted left by as many bits as the division takes away.
    #[must_use]
    pub fn new(
        input_zero_point: i32,
        output_zero_point: i32,
        rescale: FixedMultiplier,
        count: usize,
    ) -> Self {
        let count = i64::try_from(count).unwrap_or(i64::MAX).max(1);
        let bits = count.ilog2().min(32) as i32;
        let shift = bits.min(rescale.shift.saturating_add(31)).max(0);
        Self {
            offset: i64::from(input_zero_point).wrapping_mul(count) as i32,
            multiplier: FixedMultiplier {
                multiplier: ((i64::from(rescale.multiplier) << shift) / count) as i32,
                shift: rescale.shift.saturating_sub(shift),
            },
            stage: OutputStage {
                zero_point: output_zero_point,
                min: -128,
                max: 127,
            },
        }
    }
}

/// INT8 mean, as TFLM's `reference_ops::QuantizedMeanOrSum`.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the shape says.
pub fn mean_i8(
    reduction: &Reduction,
    quantization: &MeanQuantization,
    input: &[i8],
    output: &mut [i8],
) -> Result<(), InvokeError> {
    let add = |sum: i32, value: i8| sum.wrapping_add(i32::from(value));
    reduction.fold(input, output, 0, add, |sum: i32| {
        let centred = sum.wrapping_sub(quantization.offset);
        let scaled = quantization.multiplier.apply(centred);
        quantization.stage.finish(scaled)
    })
}

/// Real mean. Every output sums its elements in the order of the input, then divides.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the shape says.
pub fn mean_f32(
    reduction: &Reduction,
    input: &[f32],
    output: &mut [f32],
) -> Result<(), InvokeError> {
    let count = reduction.count() as f32;
    let add = |sum: f32, value: f32| sum + value;
    reduction.fold(input, output, 0.0, add, |sum: f32| sum / count)
}
