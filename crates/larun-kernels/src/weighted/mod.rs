//! Layers with integer weights whose types are not INT8 throughout: one body for each operator serves all of them.
//!
//! An operator brings a [`Walk`]: it gathers values, multiplies them with the [`Weights`], and hands every sum to the
//! [`Sink`], which makes an output of it. INT8 throughout and FLOAT32 throughout have kernels of their own.

mod prepare;
mod scheme;
mod sink;
mod weights;

use larun_quant::DynamicInput;

pub(crate) use prepare::{Layer, scales_differ};
pub(crate) use scheme::{Mixed, Scheme};
pub(crate) use sink::Sink;
pub(crate) use weights::Weights;

use crate::plan::Record;
use crate::requantize::{Clamp, OutputStage, WeightedQuantization};
use crate::window::nonzero;
use crate::{FrozenIo, InvokeError, Io, Memory, PlanReader, check_len};
use scheme::{BiasType, Finish, Values};
use sink::{Bias, Outputs, Scales, Stage};

/// Which inputs of an operator are what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Roles {
    pub(crate) input: usize,
    pub(crate) weights: usize,
    pub(crate) bias: usize,
}

impl Roles {
    /// Those of CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED.
    pub(crate) const INPUT_FIRST: Self = Self {
        input: 0,
        weights: 1,
        bias: 2,
    };
}

/// How an operator visits its outputs.
pub(crate) trait Walk {
    /// Puts the sum of every output of some whole batches into `sink`, in order. `convert` makes an INT16 of a value,
    /// less its zero point.
    fn sums<T: Copy>(
        &mut self,
        values: &[T],
        convert: impl Fn(T) -> i16,
        weights: &Weights<'_>,
        sink: &mut Sink<'_, '_>,
    );
}

/// The number of elements of each operand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lens {
    /// Batches, each of which quantises real values with a scale of its own.
    pub(crate) batch: usize,
    /// Values of one batch of the input.
    pub(crate) input: usize,
    pub(crate) weights: usize,
    /// Channels of the output: values of the bias.
    pub(crate) channels: usize,
    /// Values of one batch of the output.
    pub(crate) output: usize,
}

impl Mixed {
    /// Runs a layer. The plan goes on with what [`Layer::write_quantization`] wrote.
    pub(crate) fn run(
        self,
        roles: Roles,
        lens: &Lens,
        mut plan: PlanReader<'_>,
        mut io: Io<'_>,
        walk: &mut impl Walk,
    ) -> Result<(), InvokeError> {
        let stage = self.stage(&mut plan)?;
        let zero_point = stage.input_zero_point();
        match self.values {
            Values::Int8 => {
                let output: &mut [i8] = io.output(0)?;
                lens.check_output(output.len())?;
                let io = io.freeze();
                let (weights, bias) = self.constants(roles, lens, &io)?;
                let input: &[i8] = lens.input(roles, &io)?;
                let outputs = Outputs::Int8(output.iter_mut());
                let mut sink = Sink {
                    stage,
                    bias,
                    outputs,
                };
                let convert = |x: i8| i16::from(x).wrapping_sub(zero_point);
                walk.sums(input, convert, &weights, &mut sink);
            }
            Values::Int16 => {
                let output: &mut [i16] = io.output(0)?;
                lens.check_output(output.len())?;
                let io = io.freeze();
                let (weights, bias) = self.constants(roles, lens, &io)?;
                let input: &[i16] = lens.input(roles, &io)?;
                let outputs = Outputs::Int16(output.iter_mut());
                let mut sink = Sink {
                    stage,
                    bias,
                    outputs,
                };
                walk.sums(input, |x: i16| x, &weights, &mut sink);
            }
            Values::Float32 => {
                let output: &mut [f32] = io.output(0)?;
                lens.check_output(output.len())?;
                let io = io.freeze();
                let (weights, bias) = self.constants(roles, lens, &io)?;
                let input: &[f32] = lens.input(roles, &io)?;
                let outputs = output.chunks_exact_mut(nonzero(lens.output));
                for (input, output) in input.chunks_exact(nonzero(lens.input)).zip(outputs) {
                    let dynamic = match self.finish {
                        Finish::Asymmetric => DynamicInput::asymmetric(input),
                        _ => DynamicInput::symmetric(input),
                    };
                    let outputs = Outputs::Float32(output.iter_mut());
                    let mut sink = Sink {
                        stage: stage.with_input_scale(dynamic.affine.scale),
                        bias,
                        outputs,
                    };
                    walk.sums(input, |x| dynamic.centred(x), &weights, &mut sink);
                }
            }
        }
        Ok(())
    }

    fn constants<'a>(
        &self,
        roles: Roles,
        lens: &Lens,
        io: &FrozenIo<'a>,
    ) -> Result<(Weights<'a>, Bias<'a>), InvokeError> {
        let weights = if self.nibbles {
            Weights::Int4(io.input(roles.weights)?)
        } else {
            Weights::Int8(io.input(roles.weights)?)
        };
        weights.check(Memory::input(roles.weights), lens.weights)?;
        let bias = match self.bias {
            BiasType::Int16 => io.optional_input(roles.bias)?.map(Bias::Int16),
            BiasType::Int32 => io.optional_input(roles.bias)?.map(Bias::Int32),
            BiasType::Int64 => io.optional_input(roles.bias)?.map(Bias::Int64),
            BiasType::Float32 => io.optional_input(roles.bias)?.map(Bias::Float32),
        };
        let bias = bias.unwrap_or(Bias::None);
        if let Some(len) = bias.len() {
            check_len(Memory::input(roles.bias), len, lens.channels)?;
        }
        Ok((weights, bias))
    }

    fn stage<'a>(&self, plan: &mut PlanReader<'a>) -> Result<Stage<'a>, InvokeError> {
        Ok(match self.finish {
            Finish::Narrow => Stage::Narrow(WeightedQuantization::read(plan)?),
            Finish::Wide => Stage::Wide(WeightedQuantization::read(plan)?),
            Finish::Exact => Stage::Exact {
                input_zero_point: plan.read_i32()?,
                output: OutputStage::read(plan)?,
                scales: Record::read(plan)?,
                weights: Scales::read(plan)?,
            },
            Finish::Symmetric | Finish::Asymmetric => Stage::Real {
                input: 1.0,
                clamp: Clamp::read(plan)?,
                scales_first: bool::read(plan)?,
                weights: Scales::read(plan)?,
            },
        })
    }
}

impl Lens {
    fn check_output(&self, found: usize) -> Result<(), InvokeError> {
        let expected = self.batch.checked_mul(self.output);
        check_len(Memory::output(0), found, expected.ok_or(InvokeError::Plan)?)
    }

    fn input<'a, T: crate::Element>(
        &self,
        roles: Roles,
        io: &FrozenIo<'a>,
    ) -> Result<&'a [T], InvokeError> {
        let input: &[T] = io.input(roles.input)?;
        let expected = self.batch.checked_mul(self.input);
        let memory = Memory::input(roles.input);
        check_len(memory, input.len(), expected.ok_or(InvokeError::Plan)?)?;
        Ok(input)
    }
}
