//! Fake quantisation as candle operators, whose parameters are tensors that can be trained.
//!
//! Values and gradients are those of [`fake_quant`](crate::fake_quant); tensors are float32 on the CPU, of any layout.
//!
//! ```
//! use candle_core::{Device, Tensor, Var};
//! use larun_quant::candle::fake_quant;
//!
//! let device = Device::Cpu;
//! let x = Var::new(&[-2.0_f32, 0.1, 9.0], &device)?;
//! let (min, max) = (Var::new(-1.0_f32, &device)?, Var::new(6.0_f32, &device)?);
//! let y = fake_quant(&x, &min, &max, 8, false)?;
//! let gradients = y.sum_all()?.backward()?;
//! let of = |tensor: &Tensor| gradients.get(tensor).ok_or(candle_core::Error::Msg("no gradient".into()));
//! assert_eq!(of(&x)?.to_vec1::<f32>()?, [0.0, 1.0, 0.0]);
//! assert_eq!(of(&max)?.to_scalar::<f32>()?, 1.0);
//! # Ok::<(), candle_core::Error>(())
//! ```

use alloc::format;
use alloc::vec::Vec;

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Error, Layout, Result, Shape, Tensor,
};

use crate::affine::{Affine, IntegerRange};
use crate::axis::ChannelAxis;
use crate::error::QuantError;
use crate::fake_quant::{
    FakeQuant, LearnedStep, Pact, RangeGradient, backward_per_channel, forward_per_channel,
    quantize_dequantize, straight_through,
};

impl From<QuantError> for Error {
    fn from(error: QuantError) -> Self {
        Self::wrap(error)
    }
}

/// `x` quantised and dequantised as the integer model does, with the [straight-through] gradient.
///
/// # Errors
/// For a tensor that is not float32 on the CPU.
///
/// [straight-through]: crate::fake_quant::straight_through
pub fn quantize_dequantized(x: &Tensor, affine: Affine, integers: IntegerRange) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Fixed { affine, integers })
}

/// TensorFlow's `FakeQuantWithMinMaxVars` of `x`; `min` and `max` have one element each.
///
/// # Errors
/// Those of [`FakeQuant::new`], and for tensors that are not float32 on the CPU.
pub fn fake_quant(
    x: &Tensor,
    min: &Tensor,
    max: &Tensor,
    bits: u8,
    narrow_range: bool,
) -> Result<Tensor> {
    let whole = ChannelAxis::whole(x.elem_count());
    ranged(x, min, max, whole, bits, narrow_range)
}

/// TensorFlow's `FakeQuantWithMinMaxVarsPerChannel` of `x`, with channels along `axis`; `min` and `max` have one element a
/// channel.
///
/// # Errors
/// Those of [`FakeQuant::new`], for an axis that `x` does not have, and for tensors that are not float32 on the CPU.
pub fn fake_quant_per_channel(
    x: &Tensor,
    min: &Tensor,
    max: &Tensor,
    axis: usize,
    bits: u8,
    narrow_range: bool,
) -> Result<Tensor> {
    let axis = ChannelAxis::new(x.dims(), axis)?;
    ranged(x, min, max, axis, bits, narrow_range)
}

/// LSQ of `x`, or LSQ+ with an offset; `scale` and `offset` have one element each.
///
/// # Errors
/// Those of [`LearnedStep::forward`], and for tensors that are not float32 on the CPU.
pub fn learned_step(
    x: &Tensor,
    scale: &Tensor,
    offset: Option<&Tensor>,
    integers: IntegerRange,
) -> Result<Tensor> {
    let none = Tensor::zeros(1, DType::F32, x.device())?;
    let offset = offset.unwrap_or(&none).contiguous()?;
    x.contiguous()?
        .apply_op3(&scale.contiguous()?, &offset, Step { integers })
}

/// PACT of `x`; `alpha` has one element.
///
/// # Errors
/// Those of [`Pact::new`], and for tensors that are not float32 on the CPU.
pub fn pact(x: &Tensor, alpha: &Tensor, bits: u8) -> Result<Tensor> {
    x.contiguous()?
        .apply_op2(&alpha.contiguous()?, Clip { bits })
}

fn ranged(
    x: &Tensor,
    min: &Tensor,
    max: &Tensor,
    axis: ChannelAxis,
    bits: u8,
    narrow_range: bool,
) -> Result<Tensor> {
    let ranges = Ranges {
        axis,
        bits,
        narrow_range,
    };
    x.contiguous()?
        .apply_op3(&min.contiguous()?, &max.contiguous()?, ranges)
}

struct Fixed {
    affine: Affine,
    integers: IntegerRange,
}

impl CustomOp1 for Fixed {
    fn name(&self) -> &'static str {
        "quantize-dequantize"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let inputs = floats(storage, layout)?;
        output(layout, inputs, |outputs| {
            quantize_dequantize(self.affine, self.integers, inputs, outputs)
        })
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (inputs, of_outputs) = (values(x)?, values(gradient)?);
        let mut of_inputs = zeros(&inputs);
        straight_through(
            self.affine,
            self.integers,
            &inputs,
            &of_outputs,
            &mut of_inputs,
        )?;
        Ok(Some(like(x, of_inputs)?))
    }
}

struct Ranges {
    axis: ChannelAxis,
    bits: u8,
    narrow_range: bool,
}

impl Ranges {
    fn each(&self, min: &[f32], max: &[f32]) -> core::result::Result<Vec<FakeQuant>, QuantError> {
        crate::error::same_length("upper ends", min.len(), max.len())?;
        let pairs = min.iter().zip(max);
        pairs
            .map(|(&min, &max)| FakeQuant::new(min, max, self.bits, self.narrow_range))
            .collect()
    }
}

impl CustomOp3 for Ranges {
    fn name(&self) -> &'static str {
        "fake-quant"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        min: &CpuStorage,
        min_layout: &Layout,
        max: &CpuStorage,
        max_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ranges = self.each(floats(min, min_layout)?, floats(max, max_layout)?)?;
        let inputs = floats(x, x_layout)?;
        output(x_layout, inputs, |outputs| {
            forward_per_channel(&ranges, self.axis, inputs, outputs)
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        min: &Tensor,
        max: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ranges = self.each(&values(min)?, &values(max)?)?;
        let (inputs, of_outputs) = (values(x)?, values(gradient)?);
        let mut of_inputs = zeros(&inputs);
        let mut of_ranges = alloc::vec![RangeGradient::default(); ranges.len()];
        backward_per_channel(
            &ranges,
            self.axis,
            &inputs,
            &of_outputs,
            &mut of_inputs,
            &mut of_ranges,
        )?;
        let of_min = of_ranges.iter().map(|range| range.min).collect();
        let of_max = of_ranges.iter().map(|range| range.max).collect();
        Ok((
            Some(like(x, of_inputs)?),
            Some(like(min, of_min)?),
            Some(like(max, of_max)?),
        ))
    }
}

struct Step {
    integers: IntegerRange,
}

impl Step {
    fn with(&self, scale: &[f32], offset: &[f32]) -> Result<LearnedStep> {
        Ok(LearnedStep {
            scale: single(scale, "the scale")?,
            offset: single(offset, "the offset")?,
            integers: self.integers,
        })
    }
}

impl CustomOp3 for Step {
    fn name(&self) -> &'static str {
        "learned-step"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
        offset: &CpuStorage,
        offset_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let step = self.with(floats(scale, scale_layout)?, floats(offset, offset_layout)?)?;
        let inputs = floats(x, x_layout)?;
        output(x_layout, inputs, |outputs| step.forward(inputs, outputs))
    }

    fn bwd(
        &self,
        x: &Tensor,
        scale: &Tensor,
        offset: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let step = self.with(&values(scale)?, &values(offset)?)?;
        let (inputs, of_outputs) = (values(x)?, values(gradient)?);
        let mut of_inputs = zeros(&inputs);
        let of_step = step.backward(&inputs, &of_outputs, &mut of_inputs)?;
        Ok((
            Some(like(x, of_inputs)?),
            Some(like(scale, alloc::vec![of_step.scale])?),
            Some(like(offset, alloc::vec![of_step.offset])?),
        ))
    }
}

struct Clip {
    bits: u8,
}

impl CustomOp2 for Clip {
    fn name(&self) -> &'static str {
        "pact"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        alpha: &CpuStorage,
        alpha_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let pact = Pact::new(single(floats(alpha, alpha_layout)?, "alpha")?, self.bits)?;
        let inputs = floats(x, x_layout)?;
        output(x_layout, inputs, |outputs| pact.forward(inputs, outputs))
    }

    fn bwd(
        &self,
        x: &Tensor,
        alpha: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let pact = Pact::new(single(&values(alpha)?, "alpha")?, self.bits)?;
        let (inputs, of_outputs) = (values(x)?, values(gradient)?);
        let mut of_inputs = zeros(&inputs);
        let of_alpha = pact.backward(&inputs, &of_outputs, &mut of_inputs)?;
        Ok((
            Some(like(x, of_inputs)?),
            Some(like(alpha, alloc::vec![of_alpha])?),
        ))
    }
}

/// The values of a contiguous float32 tensor.
fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let CpuStorage::F32(values) = storage else {
        candle_core::bail!("fake quantisation takes float32 tensors");
    };
    let contiguous = layout.contiguous_offsets();
    let values = contiguous.and_then(|(start, end)| values.get(start..end));
    values.ok_or_else(|| Error::Msg("fake quantisation takes contiguous tensors".into()))
}

/// What a function writes for as many outputs as there are inputs.
fn output(
    layout: &Layout,
    inputs: &[f32],
    write: impl FnOnce(&mut [f32]) -> core::result::Result<(), QuantError>,
) -> Result<(CpuStorage, Shape)> {
    let mut outputs = zeros(inputs);
    write(&mut outputs)?;
    Ok((CpuStorage::F32(outputs), layout.shape().clone()))
}

fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

fn zeros(values: &[f32]) -> Vec<f32> {
    alloc::vec![0.0; values.len()]
}

fn like(tensor: &Tensor, values: Vec<f32>) -> Result<Tensor> {
    Tensor::from_vec(values, tensor.shape(), tensor.device())
}

fn single(values: &[f32], what: &str) -> Result<f32> {
    match values {
        &[value] => Ok(value),
        _ => candle_core::bail!("{what} must have one element, not {}", values.len()),
    }
}
