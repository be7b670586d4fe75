//! ADD and MUL: two operands element by element, stretched where one of them has size 1.

use larun_ops::{Activation, ElementType, Op, Shape, op};
use larun_quant::fixed_point::FixedMultiplier;

use crate::arch;
use crate::axes::{Axes, Axis, row_major};
use crate::operand::{INT8_OR_FLOAT32, Operand, clamp, multiplier, output_stage, wrong_op};
use crate::plan::{Precision, Record, record};
use crate::requantize::{Clamp, OutputStage};
use crate::{
    Element, InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal,
    check_len,
};

impl Kernel for op::Add {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        match node.op() {
            Op::Add(options) => prepare(node, options.activation, plan, AddQuantization::of),
            _ => Err(wrong_op::<Self>(node)),
        }
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        let precision = Precision::read(&mut plan)?;
        let broadcast = Broadcast::read(&mut plan)?;
        match precision {
            Precision::Int8 => {
                let quantization = AddQuantization::read(&mut plan)?;
                invoke(io, |a, b, output| {
                    add_i8(&broadcast, &quantization, a, b, output)
                })
            }
            Precision::Float32 => {
                let clamp = Clamp::read(&mut plan)?;
                invoke(io, |a, b, output| add_f32(&broadcast, &clamp, a, b, output))
            }
        }
    }
}

impl Kernel for op::Mul {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        match node.op() {
            Op::Mul(options) => prepare(node, options.activation, plan, MulQuantization::of),
            _ => Err(wrong_op::<Self>(node)),
        }
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        let precision = Precision::read(&mut plan)?;
        let broadcast = Broadcast::read(&mut plan)?;
        match precision {
            Precision::Int8 => {
                let quantization = MulQuantization::read(&mut plan)?;
                invoke(io, |a, b, output| {
                    mul_i8(&broadcast, &quantization, a, b, output)
                })
            }
            Precision::Float32 => {
                let clamp = Clamp::read(&mut plan)?;
                invoke(io, |a, b, output| mul_f32(&broadcast, &clamp, a, b, output))
            }
        }
    }
}

fn prepare<Q: Record>(
    node: &dyn NodeView,
    activation: Activation,
    plan: &mut PlanWriter<'_>,
    quantization: impl Fn(&Operands<'_>, Activation) -> Result<Q, Refusal>,
) -> Result<(), Refusal> {
    let operands = Operands {
        a: Operand::input(node, 0)?,
        b: Operand::input(node, 1)?,
        output: Operand::output(node, 0)?,
    };
    let element_type = operands.a.one_of(INT8_OR_FLOAT32)?;
    Operand::all_have_type(node, element_type)?;
    let broadcast = Broadcast::new(&operands.a.info.shape, &operands.b.info.shape)
        .ok_or(Refusal::options(Reason::TooLarge))?;
    match element_type {
        ElementType::Int8 => {
            Precision::Int8.write(plan);
            broadcast.write(plan);
            quantization(&operands, activation)?.write(plan);
        }
        _ => {
            Precision::Float32.write(plan);
            broadcast.write(plan);
            clamp(activation)?.write(plan);
        }
    }
    Ok(())
}

fn invoke<T: Element>(
    mut io: Io<'_>,
    kernel: impl FnOnce(&[T], &[T], &mut [T]) -> Result<(), InvokeError>,
) -> Result<(), InvokeError> {
    let output = io.output(0)?;
    let io = io.freeze();
    kernel(io.input(0)?, io.input(1)?, output)
}

struct Operands<'m> {
    a: Operand<'m>,
    b: Operand<'m>,
    output: Operand<'m>,
}

record! {
    /// Quantisation of an INT8 sum. Both inputs are brought to a common scale, 2^20 times finer than twice the larger
    /// of theirs.
    pub struct AddQuantization {
        /// Zero points of the inputs.
        pub zero_points: [i32; 2],
        /// `input_scale / (2 * larger_input_scale)` of each input.
        pub inputs: [FixedMultiplier; 2],
        /// `2 * larger_input_scale / (2^20 * output_scale)`.
        pub output: FixedMultiplier,
        /// Zero point and activation of the output.
        pub stage: OutputStage,
    }
}

impl AddQuantization {
    /// Left shift of the inputs, which keeps their sum within 32 bits: two times 255 * 2^20.
    const LEFT_SHIFT: u32 = 20;

    fn of(operands: &Operands<'_>, activation: Activation) -> Result<Self, Refusal> {
        let (a, b) = (operands.a.affine()?, operands.b.affine()?);
        let output = operands.output.affine()?;
        let twice_larger = 2.0 * f64::from(a.scale.max(b.scale));
        let finer = f64::from(1u32 << Self::LEFT_SHIFT) * f64::from(output.scale);
        let fixed = |real: f64| {
            let ratio = Refusal::options(Reason::ScaleRatio);
            FixedMultiplier::from_real_smaller_than_one(real).ok_or(ratio)
        };
        Ok(Self {
            zero_points: [a.zero_point, b.zero_point],
            inputs: [
                fixed(f64::from(a.scale) / twice_larger)?,
                fixed(f64::from(b.scale) / twice_larger)?,
            ],
            output: fixed(twice_larger / finer)?,
            stage: output_stage(activation, output)?,
        })
    }

    /// Input `index` in the common scale.
    #[inline]
    fn scaled<const INDEX: usize>(&self, value: i8) -> i32 {
        let value = i32::from(value).wrapping_sub(self.zero_points[INDEX]);
        self.inputs[INDEX].apply_smaller_than_one(value << Self::LEFT_SHIFT)
    }
}

record! {
    /// Quantisation of an INT8 product.
    pub struct MulQuantization {
        /// Zero points of the inputs.
        pub zero_points: [i32; 2],
        /// `a_scale * b_scale / output_scale`.
        pub multiplier: FixedMultiplier,
        /// Zero point and activation of the output.
        pub stage: OutputStage,
    }
}

impl MulQuantization {
    fn of(operands: &Operands<'_>, activation: Activation) -> Result<Self, Refusal> {
        let (a, b) = (operands.a.affine()?, operands.b.affine()?);
        let output = operands.output.affine()?;
        let product = f64::from(a.scale) * f64::from(b.scale);
        Ok(Self {
            zero_points: [a.zero_point, b.zero_point],
            multiplier: multiplier(product / f64::from(output.scale))?,
            stage: output_stage(activation, output)?,
        })
    }
}

/// How two operands are stretched to a common shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broadcast {
    axes: Axes<2>,
}

impl Broadcast {
    /// Aligns two shapes at their innermost axes; axes of size 1 stretch. `None` when sizes disagree or overflow.
    #[must_use]
    pub fn new(a: &Shape, b: &Shape) -> Option<Self> {
        let rank = a.rank().max(b.rank());
        let (a_strides, b_strides) = (row_major(a.dims())?, row_major(b.dims())?);
        let mut axes = Axes::POINT;
        for i in 0..rank {
            let (a, a_stride) = aligned(a, &a_strides, i, rank);
            let (b, b_stride) = aligned(b, &b_strides, i, rank);
            if a != b && a != 1 && b != 1 {
                return None;
            }
            axes.push(Axis {
                len: if a == 1 { b } else { a },
                strides: [
                    if a == 1 { 0 } else { a_stride },
                    if b == 1 { 0 } else { b_stride },
                ],
            })?;
        }
        axes.points()?;
        Some(Self { axes })
    }

    /// Elements of the common shape.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.axes.points().unwrap_or(0)
    }

    /// Elements of operand `index`.
    fn operand_len(&self, index: usize) -> usize {
        let axes = self.axes.as_slice().iter();
        axes.filter(|axis| axis.strides.get(index) != Some(&0))
            .fold(1, |len, axis| len.saturating_mul(axis.len))
    }

    /// Checks the lengths of both operands and the output.
    fn check<A, B, T>(&self, a: &[A], b: &[B], output: &[T]) -> Result<(), InvokeError> {
        check_len(Memory::input(0), a.len(), self.operand_len(0))?;
        check_len(Memory::input(1), b.len(), self.operand_len(1))?;
        check_len(Memory::output(0), output.len(), self.elements())
    }

    /// Combines each pair of elements.
    #[inline]
    pub(crate) fn zip<A: Copy, B: Copy, T>(
        &self,
        a: &[A],
        b: &[B],
        output: &mut [T],
        combine: impl Fn(A, B) -> T,
    ) -> Result<(), InvokeError> {
        self.check(a, b, output)?;
        let (outer, inner) = self.axes.split_innermost();
        let rows = output.chunks_exact_mut(inner.len.max(1));
        for (row, [from_a, from_b]) in rows.zip(outer.walk()) {
            let (a, b) = (
                a.get(from_a..).unwrap_or(&[]),
                b.get(from_b..).unwrap_or(&[]),
            );
            match (a, b, inner.strides) {
                ([a, ..], b, [0, _]) => {
                    for (output, &b) in row.iter_mut().zip(b) {
                        *output = combine(*a, b);
                    }
                }
                (a, [b, ..], [_, 0]) => {
                    for (output, &a) in row.iter_mut().zip(a) {
                        *output = combine(a, *b);
                    }
                }
                (a, b, _) => {
                    for ((output, &a), &b) in row.iter_mut().zip(a).zip(b) {
                        *output = combine(a, b);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Record for Broadcast {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        self.axes.write(plan);
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        Axes::read(plan).map(|axes| Self { axes })
    }
}

/// Dimension `i` of a shape that is aligned at its innermost axis with one of rank `rank`, and its stride.
fn aligned(shape: &Shape, strides: &[usize], i: usize, rank: usize) -> (usize, usize) {
    let at = (i + shape.rank()).checked_sub(rank);
    at.and_then(|at| Some((*shape.dims().get(at)?, *strides.get(at)?)))
        .unwrap_or((1, 0))
}

/// INT8 sum with broadcasting and activation, as TFLM's `reference_integer_ops::Add`.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the shapes say.
pub fn add_i8(
    broadcast: &Broadcast,
    quantization: &AddQuantization,
    a: &[i8],
    b: &[i8],
    output: &mut [i8],
) -> Result<(), InvokeError> {
    broadcast.check(a, b, output)?;
    let of_one_shape = a.len() == output.len() && b.len() == output.len();
    if of_one_shape && arch::add_i8(quantization, a, b, output) {
        return Ok(());
    }
    portable::add_i8(broadcast, quantization, a, b, output)
}

/// The definition.
pub(crate) mod portable {
    use super::*;

    /// [`add_i8`](crate::add_i8) as any processor computes it.
    ///
    /// # Errors
    /// As that.
    pub fn add_i8(
        broadcast: &Broadcast,
        quantization: &AddQuantization,
        a: &[i8],
        b: &[i8],
        output: &mut [i8],
    ) -> Result<(), InvokeError> {
        let AddQuantization {
            output: rescale,
            stage,
            ..
        } = *quantization;
        broadcast.zip(a, b, output, |a, b| {
            let (a, b) = (quantization.scaled::<0>(a), quantization.scaled::<1>(b));
            stage.finish(rescale.apply_smaller_than_one(a.wrapping_add(b)))
        })
    }
}

/// INT8 product with broadcasting and activation, as TFLM's `reference_integer_ops::Mul`.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the shapes say.
pub fn mul_i8(
    broadcast: &Broadcast,
    quantization: &MulQuantization,
    a: &[i8],
    b: &[i8],
    output: &mut [i8],
) -> Result<(), InvokeError> {
    let MulQuantization {
        zero_points: [zero_a, zero_b],
        multiplier,
        stage,
    } = *quantization;
    broadcast.zip(a, b, output, |a, b| {
        let (a, b) = (
            i32::from(a).wrapping_sub(zero_a),
            i32::from(b).wrapping_sub(zero_b),
        );
        stage.finish(multiplier.apply(a.wrapping_mul(b)))
    })
}

/// Real sum with broadcasting and activation.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the shapes say.
pub fn add_f32(
    broadcast: &Broadcast,
    clamp: &Clamp,
    a: &[f32],
    b: &[f32],
    output: &mut [f32],
) -> Result<(), InvokeError> {
    broadcast.zip(a, b, output, |a, b| clamp.apply(a + b))
}

/// Real product with broadcasting and activation.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the shapes say.
pub fn mul_f32(
    broadcast: &Broadcast,
    clamp: &Clamp,
    a: &[f32],
    b: &[f32],
    output: &mut [f32],
) -> Result<(), InvokeError> {
    broadcast.zip(a, b, output, |a, b| clamp.apply(a * b))
}
