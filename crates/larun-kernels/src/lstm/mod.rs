//! UNIDIRECTIONAL_SEQUENCE_LSTM: a long short-term memory over sequences.

mod geometry;
mod integer;
mod prepare;
mod real;

use larun_ops::{Op, op};

use crate::operand::wrong_op;
use crate::plan::Record;
use crate::{Element, InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Refusal};

use geometry::{CELL, HIDDEN};
pub use geometry::{LstmGeometry, LstmState, LstmWeights};
pub use integer::{LstmQuantization, lstm_i8, lstm_i16, lstm_scratch_len};
use prepare::Arithmetic;
pub use real::{HybridLstm, lstm_f32, lstm_hybrid, lstm_hybrid_scratch_len};

impl Kernel for op::UnidirectionalSequenceLstm {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        match node.op() {
            Op::UnidirectionalSequenceLstm(options) => prepare::prepare(options, node, plan),
            _ => Err(wrong_op::<Self>(node)),
        }
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let arithmetic = Arithmetic::read(&mut plan)?;
        let geometry = LstmGeometry::read(&mut plan)?;
        match arithmetic {
            Arithmetic::Float32 => {
                let cell_clip = plan.read_f32()?;
                let (output, state, scratch) = memory(&mut io)?;
                let io = io.freeze();
                let (weights, input) = (LstmWeights::read(&io)?, io.input(0)?);
                lstm_f32(
                    &geometry, cell_clip, &weights, input, state, output, scratch,
                )
            }
            Arithmetic::Hybrid => {
                let hybrid = HybridLstm::read(&mut plan)?;
                let (output, state, scratch) = memory(&mut io)?;
                let io = io.freeze();
                let (weights, input) = (LstmWeights::read(&io)?, io.input(0)?);
                lstm_hybrid(&geometry, &hybrid, &weights, input, state, output, scratch)
            }
            Arithmetic::Int8 => invoke_integer::<i8>(&geometry, plan, io),
            Arithmetic::Int16 => invoke_integer::<i16>(&geometry, plan, io),
        }
    }
}

fn invoke_integer<T: integer::Activation>(
    geometry: &LstmGeometry,
    mut plan: PlanReader<'_>,
    mut io: Io<'_>,
) -> Result<(), InvokeError> {
    let quantization = LstmQuantization::read(&mut plan)?;
    let (output, state, scratch) = memory::<T, _, _>(&mut io)?;
    let io = io.freeze();
    let (weights, input) = (LstmWeights::read(&io)?, io.input(0)?);
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

/// What a node writes: output, state and scratch.
type NodeMemory<'a, T, C, S> = (&'a mut [T], LstmState<'a, T, C>, &'a mut [S]);

fn memory<'a, T: Element, C: Element, S: Element>(
    io: &mut Io<'a>,
) -> Result<NodeMemory<'a, T, C, S>, InvokeError> {
    let output = io.output(0)?;
    let state = LstmState {
        hidden: io.state(HIDDEN)?,
        cell: io.state(CELL)?,
    };
    let scratch = io.scratch()?;
    Ok((output, state, scratch))
}
