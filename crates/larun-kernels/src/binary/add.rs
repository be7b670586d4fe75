//! ADD and SUB.

use larun_ops::{Activation, ElementType, Op, op};
use larun_quant::Affine;
use larun_quant::fixed_point::FixedMultiplier;

use super::{ARITHMETIC, Arithmetic, Broadcast, Operands, invoke, run};
use crate::arch;
use crate::integer::Quantized;
use crate::operand::{
    Operand, clamp, clamp_i32, operands, output_stage_of, scale_ratio_below_one, wrong_op,
};
use crate::plan::{Record, record};
use crate::requantize::{Clamp, OutputStage};
use crate::types::{FLOAT32, INT16, INT32};
use crate::ways::{self, ByWays, Way, every_way};
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Refusal, check_len,
};

every_way!(op::Add);

impl ByWays for op::Add {
    fn prepare_by<const WAYS: u32>(
        node: &dyn NodeView,
        plan: &mut PlanWriter<'_>,
    ) -> Result<(), Refusal> {
        // TFLM takes no notice of `pot_scale_int16`; scales that are powers of two are but a case of the general one.
        let Op::Add(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        match ways::links_definition(WAYS) {
            true => prepare(node, options.activation, plan),
            false => prepare_one_shape(WAYS, node, options.activation, plan),
        }
    }

    fn invoke_by<const WAYS: u32>(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        if ways::links_definition(WAYS) {
            return run::<Self>(plan, io);
        }
        let quantization = AddQuantization::read(&mut plan)?;
        invoke(io, |a: &[i8], b: &[i8], output: &mut [i8]| {
            check_len(Memory::input(0), a.len(), output.len())?;
            check_len(Memory::input(1), b.len(), output.len())?;
            let computed = Way::OneShape.is_in(WAYS) && arch::add_i8(&quantization, a, b, output);
            // Refused when the node was prepared.
            computed.then_some(()).ok_or(InvokeError::Plan)
        })
    }
}

/// [`prepare`] for a program that links INT8 sums of operands of one shape alone.
fn prepare_one_shape(
    ways: u32,
    node: &dyn NodeView,
    activation: Activation,
    plan: &mut PlanWriter<'_>,
) -> Result<(), Refusal> {
    operands! { operands = Operands::of_one_type(node, &[ElementType::Int8]); }
    let elements = operands.output.elements()?;
    // The shapes fit each other: where there are as many elements, none are stretched.
    if operands.a.elements()? != elements || operands.b.elements()? != elements {
        return ways::linked(ways, Way::Definition);
    }
    let inputs = operands.affines()?;
    let quantization = AddQuantization::of::<i8>(inputs, &operands.output, activation)?;
    ways::linked(ways, arch::ways::of_add(&quantization))?;
    quantization.write(plan);
    Ok(())
}

/// The way of a sum on Armv7E-M from its plan, `None` for one of other types.
#[cfg(feature = "processors")]
pub(crate) fn way(plan: &mut PlanReader<'_>) -> Option<Way> {
    let element_type = ElementType::read(plan).ok()?;
    let broadcast = Broadcast::read(plan).ok()?;
    if element_type != ElementType::Int8 {
        return None;
    }
    let quantization = AddQuantization::read(plan).ok()?;
    Some(match broadcast.of_one_shape() {
        Some(_) => arch::armv7em::ways::of_add(&quantization),
        None => Way::Definition,
    })
}

impl Arithmetic for op::Add {
    type Quantization = AddQuantization;

    #[inline]
    fn quantized<T: Summand>(quantization: &AddQuantization, a: T, b: T) -> T {
        quantization.sum(a, b)
    }

    #[inline]
    fn int32(a: i32, b: i32) -> i32 {
        a.wrapping_add(b)
    }

    #[inline]
    fn float32(a: f32, b: f32) -> f32 {
        a + b
    }

    fn int8(
        broadcast: &Broadcast,
        quantization: &AddQuantization,
        a: &[i8],
        b: &[i8],
        output: &mut [i8],
    ) -> Result<(), InvokeError> {
        add_i8(broadcast, quantization, a, b, output)
    }
}

impl Kernel for op::Sub {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        match node.op() {
            Op::Sub(options) => prepare(node, options.activation, plan),
            _ => Err(wrong_op::<Self>(node)),
        }
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        run::<Self>(plan, io)
    }
}

impl Arithmetic for op::Sub {
    type Quantization = AddQuantization;

    #[inline]
    fn quantized<T: Summand>(quantization: &AddQuantization, a: T, b: T) -> T {
        quantization.difference(a, b)
    }

    #[inline]
    fn int32(a: i32, b: i32) -> i32 {
        a.wrapping_sub(b)
    }

    #[inline]
    fn float32(a: f32, b: f32) -> f32 {
        a - b
    }
}

fn prepare(
    node: &dyn NodeView,
    activation: Activation,
    plan: &mut PlanWriter<'_>,
) -> Result<(), Refusal> {
    operands! { operands = Operands::of_one_type(node, ARITHMETIC); }
    operands.write(plan)?;
    match operands.element_type {
        ElementType::Int8 => {
            let inputs = operands.affines()?;
            AddQuantization::of::<i8>(inputs, &operands.output, activation)?.write(plan);
        }
        ElementType::Int16 if INT16 => {
            let inputs = operands.affines()?;
            AddQuantization::of::<i16>(inputs, &operands.output, activation)?.write(plan);
        }
        ElementType::Int32 if INT32 => clamp_i32(activation)?.write(plan),
        _ if FLOAT32 => clamp(activation)?.write(plan),
        // Of types that are left out, which are refused before.
        _ => {}
    }
    Ok(())
}

record! {
    /// Quantisation of an INT8 or INT16 sum or difference. Both inputs are brought to a common scale, 2^20 times finer
    /// than twice the larger of theirs, or 2^15 times for INT16.
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

/// The element types of quantised sums.
pub(crate) trait Summand: Quantized {
    /// Left shift of the inputs, which keeps their sum within 32 bits: two halves of 255 * 2^20, or of 65535 * 2^15.
    const LEFT_SHIFT: u32;
}

impl Summand for i8 {
    const LEFT_SHIFT: u32 = 20;
}

impl Summand for i16 {
    const LEFT_SHIFT: u32 = 15;
}

impl AddQuantization {
    pub(crate) fn of<T: Summand>(
        [a, b]: [Affine; 2],
        output: &Operand<'_>,
        activation: Activation,
    ) -> Result<Self, Refusal> {
        let larger = a.scale.max(b.scale);
        let twice_finer = 2.0 / (1u32 << T::LEFT_SHIFT) as f32;
        Ok(Self {
            zero_points: [a.zero_point, b.zero_point],
            inputs: [
                scale_ratio_below_one([a.scale, 0.5], larger)?,
                scale_ratio_below_one([b.scale, 0.5], larger)?,
            ],
            output: scale_ratio_below_one([larger, twice_finer], output.affine()?.scale)?,
            stage: output_stage_of(activation, output)?,
        })
    }

    /// Input `index` in the common scale.
    #[inline]
    pub(crate) fn scaled<T: Summand, const INDEX: usize>(&self, value: T) -> i32 {
        let value = value.into().wrapping_sub(self.zero_points[INDEX]);
        self.inputs[INDEX].apply_smaller_than_one(value << T::LEFT_SHIFT)
    }

    #[inline]
    pub(crate) fn finish<T: Summand>(&self, value: i32) -> T {
        let scaled = self.output.apply_smaller_than_one(value);
        T::narrow(self.stage.bound(scaled))
    }

    #[inline]
    fn sum<T: Summand>(&self, a: T, b: T) -> T {
        let (a, b) = (self.scaled::<T, 0>(a), self.scaled::<T, 1>(b));
        self.finish(a.wrapping_add(b))
    }

    #[inline]
    fn difference<T: Summand>(&self, a: T, b: T) -> T {
        let (a, b) = (self.scaled::<T, 0>(a), self.scaled::<T, 1>(b));
        self.finish(a.wrapping_sub(b))
    }
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
        let quantization = *quantization;
        broadcast.zip(a, b, output, |a, b| quantization.sum(a, b))
    }
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
