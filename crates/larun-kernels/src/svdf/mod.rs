//! SVDF: a dense layer over time, as two small products: features of each input, then a filter over what is remembered of
//! them.

mod filters;
mod integer;
mod prepare;
mod real;

use larun_ops::{Op, op};

use crate::integer::Quantized;
use crate::operand::wrong_op;
use crate::plan::{Record, record};
use crate::requantize::Clamp;
use crate::window::nonzero;
use crate::{
    Element, FrozenIo, InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Refusal,
    check_len,
};

pub use integer::{SvdfQuantization, svdf_i8, svdf_i8_i16};
use prepare::Arithmetic;
pub use real::{HybridSvdf, svdf_f32, svdf_hybrid};

/// The bias.
const BIAS: usize = 3;
/// What is remembered.
const STATE: usize = 4;

impl Kernel for op::Svdf {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        match node.op() {
            Op::Svdf(options) => prepare::prepare(options, node, plan),
            _ => Err(wrong_op::<Self>(node)),
        }
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let arithmetic = Arithmetic::read(&mut plan)?;
        let geometry = SvdfGeometry::read(&mut plan)?;
        match arithmetic {
            Arithmetic::Int8 => invoke_integer::<i8>(&geometry, plan, io),
            Arithmetic::Int8WithInt16 => invoke_integer::<i16>(&geometry, plan, io),
            Arithmetic::Float32 => {
                let clamp = Clamp::read(&mut plan)?;
                let (output, state) = (io.output(0)?, io.state(STATE)?);
                let io = io.freeze();
                let weights = SvdfWeights::read(&io)?;
                svdf_f32(&geometry, &clamp, &weights, io.input(0)?, state, output)
            }
            Arithmetic::Hybrid | Arithmetic::HybridTime => {
                let hybrid = HybridSvdf::read(&mut plan)?;
                let (output, state) = (io.output(0)?, io.state(STATE)?);
                let scratch = io.scratch()?;
                let io = io.freeze();
                let input = io.input(0)?;
                if let Arithmetic::Hybrid = arithmetic {
                    let weights = SvdfWeights::<_, f32, _>::read(&io)?;
                    svdf_hybrid(&geometry, &hybrid, &weights, input, state, output, scratch)
                } else {
                    let weights = SvdfWeights::<_, i8, _>::read(&io)?;
                    svdf_hybrid(&geometry, &hybrid, &weights, input, state, output, scratch)
                }
            }
        }
    }
}

fn invoke_integer<T: Quantized>(
    geometry: &SvdfGeometry,
    mut plan: PlanReader<'_>,
    mut io: Io<'_>,
) -> Result<(), InvokeError> {
    let quantization = SvdfQuantization::read(&mut plan)?;
    let (output, state) = (io.output(0)?, io.state::<T>(STATE)?);
    let scratch = io.scratch()?;
    let io = io.freeze();
    let (weights, input) = (SvdfWeights::read(&io)?, io.input(0)?);
    integer::run(
        geometry,
        &quantization,
        &weights,
        input,
        state,
        output,
        scratch,
    )
}

record! {
    /// The sizes of an SVDF: input `[B, I]`, feature weights `[F, I]`, time weights `[F, M]`, state `[B, F * M]`, output
    /// `[B, F / rank]`.
    pub struct SvdfGeometry {
        /// Rows of the input, `B`.
        pub batch: usize,
        /// Values of one row, `I`.
        pub inputs: usize,
        /// Filters, `F`: a multiple of the rank.
        pub filters: usize,
        /// Inputs that are remembered, `M`.
        pub memory: usize,
        /// Filters that one output sums.
        pub rank: usize,
    }
}

/// The weights of an SVDF.
#[derive(Clone, Copy, Debug)]
pub struct SvdfWeights<'a, F, T, B> {
    /// Feature weights, `[F, I]`.
    pub feature: &'a [F],
    /// Time weights, `[F, M]`, those of the oldest input first.
    pub time: &'a [T],
    /// Bias, `[F / rank]`.
    pub bias: Option<&'a [B]>,
}

impl<'a, F: Element, T: Element, B: Element> SvdfWeights<'a, F, T, B> {
    /// The weights among a node's inputs.
    fn read(io: &FrozenIo<'a>) -> Result<Self, InvokeError> {
        Ok(Self {
            feature: io.input(1)?,
            time: io.input(2)?,
            bias: io.optional_input(BIAS)?,
        })
    }
}

impl SvdfGeometry {
    fn units(&self) -> usize {
        self.filters / nonzero(self.rank)
    }

    /// Checks the lengths of everything but scratch memory.
    fn check<I, F, T, B, S, O>(
        &self,
        weights: &SvdfWeights<'_, F, T, B>,
        input: &[I],
        state: &[S],
        output: &[O],
    ) -> Result<(), InvokeError> {
        let len = |a: usize, b: usize| a.checked_mul(b).ok_or(InvokeError::Plan);
        let remembered = len(self.filters, self.memory)?;
        let features = len(self.filters, self.inputs)?;
        check_len(Memory::input(0), input.len(), len(self.batch, self.inputs)?)?;
        check_len(Memory::input(1), weights.feature.len(), features)?;
        check_len(Memory::input(2), weights.time.len(), remembered)?;
        if let Some(bias) = weights.bias {
            check_len(Memory::input(BIAS), bias.len(), self.units())?;
        }
        check_len(
            Memory::input(STATE),
            state.len(),
            len(self.batch, remembered)?,
        )?;
        check_len(
            Memory::output(0),
            output.len(),
            len(self.batch, self.units())?,
        )
    }

    /// The rows of input, state and output that belong together.
    fn rows<'a, I, T, O>(
        &self,
        input: &'a [I],
        state: &'a mut [T],
        output: &'a mut [O],
    ) -> impl Iterator<Item = (&'a [I], &'a mut [T], &'a mut [O])> {
        let states = state.chunks_exact_mut(nonzero(self.filters * self.memory));
        let outputs = output.chunks_exact_mut(nonzero(self.units()));
        let rows = input.chunks_exact(nonzero(self.inputs)).zip(states);
        rows.zip(outputs)
            .map(|((input, state), output)| (input, state, output))
    }
}
