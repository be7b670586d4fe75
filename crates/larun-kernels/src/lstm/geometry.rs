//! The sizes of an LSTM, its operands, and the order in which it goes through a sequence.

use larun_ops::UnidirectionalSequenceLstmOptions;

use crate::operand::Operand;
use crate::plan::record;
use crate::window::nonzero;
use crate::{FrozenIo, InvokeError, Memory, NodeView, Reason, Refusal, check_len};

/// Input weights of the gates: the first of four.
pub(super) const INPUT_WEIGHTS: usize = 1;
/// Recurrent weights of the gates: the first of four.
pub(super) const RECURRENT_WEIGHTS: usize = 5;
/// Biases of the gates: the first of four.
pub(super) const BIAS: usize = 12;
/// The output of the step before.
pub(super) const HIDDEN: usize = 18;
/// The cell state.
pub(super) const CELL: usize = 19;

/// The operands of variants that are not computed: peepholes, projection, layer normalisation.
const VARIANTS: [usize; 9] = [9, 10, 11, 16, 17, 20, 21, 22, 23];

record! {
    /// The sizes of an LSTM: input `[B, T, I]`, or `[T, B, I]` where time comes first, output `[B, T, H]` or `[T, B, H]`,
    /// states `[B, H]`.
    pub struct LstmGeometry {
        /// Sequences, `B`.
        pub batch: usize,
        /// Steps of each, `T`.
        pub steps: usize,
        /// Values of one step, `I`.
        pub inputs: usize,
        /// Units, `H`.
        pub units: usize,
        /// Whether time is the outermost axis.
        pub time_major: bool,
    }
}

impl LstmGeometry {
    /// The row of input and output at which a step of a sequence lies.
    const fn row(&self, sequence: usize, step: usize) -> usize {
        if self.time_major {
            step * self.batch + sequence
        } else {
            sequence * self.steps + step
        }
    }

    /// Goes through the steps of a sequence: `each` gets the input and the output of each.
    pub(super) fn for_each_step<T>(
        &self,
        sequence: usize,
        input: &[T],
        output: &mut [T],
        mut each: impl FnMut(&[T], &mut [T]),
    ) {
        for step in 0..self.steps {
            let row = self.row(sequence, step);
            let input = input.chunks_exact(nonzero(self.inputs)).nth(row);
            let output = output.chunks_exact_mut(nonzero(self.units)).nth(row);
            if let (Some(input), Some(output)) = (input, output) {
                each(input, output);
            }
        }
    }

    /// Checks the lengths of everything but scratch memory.
    pub(super) fn check<T, W, B, C>(
        &self,
        weights: &LstmWeights<'_, W, B>,
        input: &[T],
        state: &LstmState<'_, T, C>,
        output: &[T],
    ) -> Result<(), InvokeError> {
        let len = |a: usize, b: usize| a.checked_mul(b).ok_or(InvokeError::Plan);
        let rows = len(self.batch, self.steps)?;
        check_len(Memory::input(0), input.len(), len(rows, self.inputs)?)?;
        check_len(Memory::output(0), output.len(), len(rows, self.units)?)?;
        let states = len(self.batch, self.units)?;
        check_len(Memory::input(HIDDEN), state.hidden.len(), states)?;
        check_len(Memory::input(CELL), state.cell.len(), states)?;
        let of_input = len(self.units, self.inputs)?;
        let recurrent = len(self.units, self.units)?;
        check_lens(INPUT_WEIGHTS, &weights.input, of_input)?;
        check_lens(RECURRENT_WEIGHTS, &weights.recurrent, recurrent)?;
        check_lens(BIAS, &weights.bias, self.units)
    }
}

/// Checks the length of each of four inputs from `first` on.
fn check_lens<T>(first: usize, operands: &[&[T]; 4], expected: usize) -> Result<(), InvokeError> {
    let mut numbered = operands.iter().zip(first..);
    numbered
        .try_for_each(|(operand, index)| check_len(Memory::input(index), operand.len(), expected))
}

/// The weights of an LSTM, those of the input gate first, then those of the forget, cell and output gates.
#[derive(Clone, Copy, Debug)]
pub struct LstmWeights<'a, W, B> {
    /// What the input is multiplied with, `[H, I]` each.
    pub input: [&'a [W]; 4],
    /// What the output of the step before is multiplied with, `[H, H]` each.
    pub recurrent: [&'a [W]; 4],
    /// Biases, `[H]` each.
    pub bias: [&'a [B]; 4],
}

impl<'a, W: crate::Element, B: crate::Element> LstmWeights<'a, W, B> {
    /// The weights among a node's inputs.
    pub(super) fn read(io: &FrozenIo<'a>) -> Result<Self, InvokeError> {
        Ok(Self {
            input: four(io, INPUT_WEIGHTS)?,
            recurrent: four(io, RECURRENT_WEIGHTS)?,
            bias: four(io, BIAS)?,
        })
    }
}

fn four<'a, T: crate::Element>(
    io: &FrozenIo<'a>,
    first: usize,
) -> Result<[&'a [T]; 4], InvokeError> {
    let mut operands: [&[T]; 4] = [&[]; 4];
    for (operand, index) in operands.iter_mut().zip(first..) {
        *operand = io.input(index)?;
    }
    Ok(operands)
}

/// What an LSTM remembers, `[B, H]` each.
#[derive(Debug)]
pub struct LstmState<'a, T, C> {
    /// The output of the last step.
    pub hidden: &'a mut [T],
    /// The cell state.
    pub cell: &'a mut [C],
}

impl<T, C> LstmState<'_, T, C> {
    /// The state of each sequence, with its number.
    pub(super) fn sequences(
        &mut self,
        units: usize,
    ) -> impl Iterator<Item = (usize, (&mut [T], &mut [C]))> {
        let cells = self.cell.chunks_exact_mut(nonzero(units));
        let hidden = self.hidden.chunks_exact_mut(nonzero(units));
        hidden.zip(cells).enumerate()
    }
}

/// The row of one unit in each of the four matrices.
#[inline]
pub(super) fn rows<'a, W>(matrices: &[&'a [W]; 4], unit: usize, len: usize) -> [&'a [W]; 4] {
    matrices.map(|matrix| matrix.get(unit * len..(unit + 1) * len).unwrap_or(&[]))
}

/// Works out the sizes and checks all operands' shapes, and that there are none of a variant that is not computed.
pub(super) fn checked(
    options: &UnidirectionalSequenceLstmOptions,
    node: &dyn NodeView,
) -> Result<LstmGeometry, Refusal> {
    if options.diagonal_recurrent_tensors {
        let (what, found) = ("diagonal recurrent weights", 1);
        return Err(Refusal::options(Reason::Option { what, found }));
    }
    for index in VARIANTS {
        if let Some(operand) = Operand::optional_input(node, index) {
            return Err(operand.refuse(Reason::Variant));
        }
    }
    let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
    let [outer, inner, inputs] = three_dims(&input)?;
    let [.., units] = three_dims(&output)?;
    output.has_dims(&[outer, inner, units])?;
    let (batch, steps) = match options.time_major {
        true => (inner, outer),
        false => (outer, inner),
    };
    for gate in 0..4 {
        Operand::input(node, INPUT_WEIGHTS + gate)?.has_dims(&[units, inputs])?;
        Operand::input(node, RECURRENT_WEIGHTS + gate)?.has_dims(&[units, units])?;
        Operand::input(node, BIAS + gate)?.has_dims(&[units])?;
    }
    for index in [HIDDEN, CELL] {
        let state = Operand::input(node, index)?;
        state.is_variable()?;
        state.has_elements(batch.saturating_mul(units))?;
    }
    Ok(LstmGeometry {
        batch,
        steps,
        inputs,
        units,
        time_major: options.time_major,
    })
}

/// The dimensions of a sequence, the innermost not 0.
fn three_dims(sequence: &Operand<'_>) -> Result<[usize; 3], Refusal> {
    let dims = sequence.info.shape.dims();
    match *dims {
        [.., 0] => Err(sequence.refuse(Reason::Empty)),
        [outer, inner, last] => Ok([outer, inner, last]),
        _ => {
            let (found, expected) = (dims.len(), 3);
            Err(sequence.refuse(Reason::Rank { found, expected }))
        }
    }
}
