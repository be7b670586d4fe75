//! FULLY_CONNECTED: a dense layer.

use larun_ops::{Op, WeightsFormat, op};

use crate::arch;
use crate::dot::{add_products, dot_row, dot_rows_i8, four_rows, quarters};
use crate::lanes::SMALL_DEFINITIONS;
use crate::operand::{Operand, operands, wrong_op};
use crate::plan::{Record, record};
use crate::requantize::{Clamp, WeightedQuantization};
use crate::types::{FLOAT32, MIXED};
use crate::weighted::{self, Lens, Roles, Scheme, Sink, Walk, Weights};
use crate::window::{nonzero, piece_pairs};
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_bias,
    check_len, check_scratch,
};

impl Kernel for op::FullyConnected {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::FullyConnected(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        if options.weights_format != WeightsFormat::Default {
            let (what, found) = ("weights format", i32::from(options.weights_format.code()));
            return Err(Refusal::options(Reason::Option { what, found }));
        }
        let geometry = geometry(node)?;
        let layer = weighted::Layer {
            node,
            roles: Roles::INPUT_FIRST,
            channel_axis: 0,
            channels: geometry.units,
            activation: options.activation,
            bias_type: options.quantized_bias_type,
            asymmetric: options.asymmetric_quantize_inputs,
            scales_first: true,
            dense: true,
        };
        let scheme = layer.scheme()?;
        scheme.write(plan);
        geometry.write(plan);
        let scratch = match scheme {
            Scheme::Int8 => plan.processor().fully_connected_i8_scratch_len(&geometry),
            Scheme::Mixed(_) => geometry.inputs,
            Scheme::Float32 => 0,
        };
        plan.request_scratch(scratch.saturating_mul(size_of::<i16>()));
        if scheme.is_fixed_point() {
            check_bias_scale(node)?;
        }
        layer.write_quantization(scheme, plan)
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let scheme = Scheme::read(&mut plan)?;
        let geometry = DenseGeometry::read(&mut plan)?;
        match scheme {
            Scheme::Int8 => {
                let quantization = WeightedQuantization::read(&mut plan)?;
                let (output, scratch) = (io.output(0)?, io.optional_scratch()?);
                let io = io.freeze();
                let (input, weights, bias) = (io.input(0)?, io.input(1)?, io.optional_input(2)?);
                fully_connected_i8(
                    &geometry,
                    &quantization,
                    input,
                    weights,
                    bias,
                    output,
                    scratch,
                )
            }
            Scheme::Float32 if FLOAT32 => {
                let clamp = Clamp::read(&mut plan)?;
                let output = io.output(0)?;
                let io = io.freeze();
                let (input, weights, bias) = (io.input(0)?, io.input(1)?, io.optional_input(2)?);
                fully_connected_f32(&geometry, &clamp, input, weights, bias, output)
            }
            Scheme::Mixed(mixed) if MIXED => {
                let lens = geometry.lens()?;
                let row = check_scratch(io.scratch()?, geometry.inputs)?;
                let mut walk = MixedDense {
                    row,
                    units: geometry.units,
                };
                mixed.run(Roles::INPUT_FIRST, &lens, plan, io, &mut walk)
            }
            // Of types that are left out: no such node is prepared.
            _ => Err(InvokeError::Plan),
        }
    }
}

/// The sizes and the quantisation of a layer that is INT8 throughout, from the plan that `prepare` wrote.
pub(crate) fn read_int8<'a>(
    plan: &mut PlanReader<'a>,
) -> Result<(DenseGeometry, WeightedQuantization<'a>), InvokeError> {
    match Scheme::read(plan)? {
        Scheme::Int8 => Ok((
            DenseGeometry::read(plan)?,
            WeightedQuantization::read(plan)?,
        )),
        _ => Err(InvokeError::Plan),
    }
}

record! {
    /// The sizes of a dense layer: input `[N, I]`, weights `[O, I]`, output `[N, O]`.
    pub struct DenseGeometry {
        /// Rows of the input, `N`.
        pub batch: usize,
        /// Values of one input row, `I`.
        pub inputs: usize,
        /// Values of one output row, `O`.
        pub units: usize,
    }
}

impl DenseGeometry {
    fn check<T, B>(
        &self,
        input: &[T],
        weights: &[T],
        bias: Option<&[B]>,
        output: &[T],
    ) -> Result<(), InvokeError> {
        let len = |a: usize, b: usize| a.checked_mul(b).ok_or(InvokeError::Plan);
        check_len(Memory::input(0), input.len(), len(self.batch, self.inputs)?)?;
        check_len(
            Memory::input(1),
            weights.len(),
            len(self.units, self.inputs)?,
        )?;
        check_len(
            Memory::output(0),
            output.len(),
            len(self.batch, self.units)?,
        )?;
        check_bias(bias, self.units)
    }

    fn lens(&self) -> Result<Lens, InvokeError> {
        Ok(Lens {
            batch: self.batch,
            input: self.inputs,
            weights: self
                .units
                .checked_mul(self.inputs)
                .ok_or(InvokeError::Plan)?,
            channels: self.units,
            output: self.units,
        })
    }

    /// Pairs of an input row and an output row. A row without elements has no pair.
    fn rows<'a, T>(
        &self,
        input: &'a [T],
        output: &'a mut [T],
    ) -> impl Iterator<Item = (&'a [T], &'a mut [T])> {
        piece_pairs((input, self.inputs), (output, self.units))
    }
}

fn geometry(node: &dyn NodeView) -> Result<DenseGeometry, Refusal> {
    operands! {
        input = Operand::input(node, 0);
        weights = Operand::input(node, 1);
    }
    let (units, inputs) = match *weights.info.shape.dims() {
        [units, inputs] if units > 0 && inputs > 0 => (units, inputs),
        _ => return Err(weights.refuse(Reason::Empty)),
    };
    Ok(DenseGeometry {
        batch: input.elements()? / inputs,
        inputs,
        units,
    })
}

/// The bias counts in units of input scale times weight scale; TFLM allows a difference of 0.02 output steps.
fn check_bias_scale(node: &dyn NodeView) -> Result<(), Refusal> {
    operands! {
        input = Operand::input(node, 0);
        weights = Operand::input(node, 1);
        output = Operand::output(node, 0);
    }
    let output = output.affine()?;
    let Some(bias) = &Operand::optional_input(node, 2) else {
        return Ok(());
    };
    if bias.info.quantization.channels() != 1 || weights.info.quantization.channels() != 1 {
        return Ok(());
    }
    let (found, product) = (bias.scale(0)?, input.scale(0)? * weights.scale(0)?);
    if (product - found).abs() / output.scale <= 0.02 {
        return Ok(());
    }
    let expected = product;
    Err(bias.refuse(Reason::BiasScale { found, expected }))
}

/// Elements of scratch memory that [`fully_connected_i8`] needs: none, but on processors that have a faster way.
#[must_use]
pub const fn fully_connected_i8_scratch_len(geometry: &DenseGeometry) -> usize {
    arch::fully_connected_i8_scratch_len(geometry)
}

/// INT8 dense layer: input `[N, I]`, weights `[O, I]`, bias `[O]`, output `[N, O]`.
///
/// Accumulates in 32 bits that wrap, as TFLM's `reference_integer_ops::FullyConnected`. `scratch` has
/// [`fully_connected_i8_scratch_len`] elements or more.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
pub fn fully_connected_i8(
    geometry: &DenseGeometry,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    weights: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
    scratch: &mut [i16],
) -> Result<(), InvokeError> {
    geometry.check(input, weights, bias, output)?;
    let scratch = check_scratch(scratch, fully_connected_i8_scratch_len(geometry))?;
    if quantization.rounds_as_tflm()
        && arch::fully_connected_i8(
            geometry,
            quantization,
            input,
            weights,
            bias,
            output,
            scratch,
        )
    {
        return Ok(());
    }
    portable::fully_connected_i8(geometry, quantization, input, weights, bias, output)
}

/// The definition.
pub(crate) mod portable {
    use super::*;

    /// [`fully_connected_i8`](crate::fully_connected_i8) as any processor computes it.
    ///
    /// # Errors
    /// As that.
    pub fn fully_connected_i8(
        geometry: &DenseGeometry,
        quantization: &WeightedQuantization<'_>,
        input: &[i8],
        weights: &[i8],
        bias: Option<&[i32]>,
        output: &mut [i8],
    ) -> Result<(), InvokeError> {
        geometry.check(input, weights, bias, output)?;
        let zero_point = quantization.input_zero_point as i16;
        let bias = bias.unwrap_or(&[]);
        // Most layers have one multiplier: it is looked up once.
        let multipliers = &quantization.multipliers;
        let common = multipliers.are_common().then(|| multipliers.get(0));
        let finish = |unit: usize, sum: i32, bias: i32| {
            let multiplier = common.unwrap_or_else(|| multipliers.get(unit));
            quantization.finish_by(multiplier, sum.wrapping_add(bias))
        };
        for (input, outputs) in geometry.rows(input, output) {
            let mut rest = weights;
            let (fours, behind) = match SMALL_DEFINITIONS {
                true => (Default::default(), outputs),
                false => outputs.as_chunks_mut::<4>(),
            };
            let first = 4 * fours.len();
            if !SMALL_DEFINITIONS {
                let mut blocks = weights.chunks_exact(nonzero(input.len().saturating_mul(4)));
                // The biases of four units are looked up at once.
                let mut biases = bias.as_chunks::<4>().0.iter();
                for (four, (outputs, block)) in fours.iter_mut().zip(&mut blocks).enumerate() {
                    let sums = dot_rows_i8(input, zero_point, quarters(block));
                    let biases = biases.next().copied().unwrap_or_default();
                    let sums = sums.into_iter().zip(biases);
                    for (unit, (output, (sum, bias))) in
                        (4 * four..).zip(outputs.iter_mut().zip(sums))
                    {
                        *output = finish(unit, sum, bias);
                    }
                }
                rest = blocks.remainder();
            }
            let mut rows = rest.chunks_exact(nonzero(input.len()));
            for (unit, output) in (first..).zip(behind) {
                let row = rows.next().unwrap_or_default();
                let bias = bias.get(unit).copied().unwrap_or(0);
                *output = finish(unit, dot_row(input, zero_point, row), bias);
            }
        }
        Ok(())
    }

    /// [`fully_connected_f32`](crate::fully_connected_f32) as any processor computes it.
    ///
    /// # Errors
    /// As that.
    pub fn fully_connected_f32(
        geometry: &DenseGeometry,
        clamp: &Clamp,
        input: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        output: &mut [f32],
    ) -> Result<(), InvokeError> {
        geometry.check(input, weights, bias, output)?;
        let bias = bias.unwrap_or(&[]);
        for (input, outputs) in geometry.rows(input, output) {
            let blocks = weights.chunks(input.len().saturating_mul(4));
            for (block, (outputs, rows)) in outputs.chunks_mut(4).zip(blocks).enumerate() {
                let mut sums = [0.0; 4];
                add_products(&mut sums, input, four_rows(rows, input.len()));
                for (lane, (output, sum)) in outputs.iter_mut().zip(sums).enumerate() {
                    let bias = bias.get(4 * block + lane).copied().unwrap_or(0.0);
                    *output = clamp.apply(sum + bias);
                }
            }
        }
        Ok(())
    }
}

/// Real dense layer: input `[N, I]`, weights `[O, I]`, bias `[O]`, output `[N, O]`.
///
/// Every output sums its products in order and adds the bias last, as TFLM's `reference_ops::FullyConnected`.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
pub fn fully_connected_f32(
    geometry: &DenseGeometry,
    clamp: &Clamp,
    input: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) -> Result<(), InvokeError> {
    geometry.check(input, weights, bias, output)?;
    if arch::fully_connected_f32(geometry, clamp, input, weights, bias, output) {
        return Ok(());
    }
    portable::fully_connected_f32(geometry, clamp, input, weights, bias, output)
}

/// Any other dense layer with integer weights: row by row of the input.
struct MixedDense<'a> {
    row: &'a mut [i16],
    units: usize,
}

impl Walk for MixedDense<'_> {
    fn sums<T: Copy>(
        &mut self,
        values: &[T],
        convert: impl Fn(T) -> i16,
        weights: &Weights<'_>,
        sink: &mut Sink<'_, '_>,
    ) {
        for values in values.chunks_exact(nonzero(self.row.len())) {
            for (place, &value) in self.row.iter_mut().zip(values) {
                *place = convert(value);
            }
            weights.put_rows(self.row, 0, self.units, sink);
        }
    }
}
