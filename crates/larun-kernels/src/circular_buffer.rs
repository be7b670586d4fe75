//! CIRCULAR_BUFFER: the last slices of a stream, the oldest first.
//!
//! The node keeps them in a ring in its state, so that each slice is written there once. What comes after the operator has
//! something to do every so many slices only: in between, the node ends the inference.

use larun_ops::{CircularBufferOptions, Op, op};

use crate::operand::{Operand, wrong_op};
use crate::plan::{Record, record};
use crate::window::nonzero;
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_len,
};

/// Words of the state before its slices: the slot of the next slice, whether all slots are filled, and the slices that
/// came since the last output.
const HEAD: usize = 3;

impl Kernel for op::CircularBuffer {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::CircularBuffer(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let ring = ring(options, node)?;
        plan.request_state(circular_buffer_state_len(&ring));
        ring.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let ring = Ring::read(&mut plan)?;
        let (output, state) = (io.output(0)?, io.node_state()?);
        match circular_buffer(&ring, io.freeze().input(0)?, state, output)? {
            true => Ok(()),
            false => Err(InvokeError::Waiting),
        }
    }
}

record! {
    /// The sizes of a CIRCULAR_BUFFER: input `[1, 1, H, W]`, output `[1, slots, H, W]`.
    pub struct Ring {
        /// Slices that are kept.
        pub slots: usize,
        /// Bytes of a slice.
        pub slice_len: usize,
        /// Slices from one output to the next.
        pub cycles: u32,
        /// Four bytes that are repeated where no slice came yet.
        pub zeros: u32,
    }
}

/// Bytes of state that [`circular_buffer`] keeps: zeros at first.
#[must_use]
pub const fn circular_buffer_state_len(ring: &Ring) -> usize {
    let slices = ring.slots.saturating_mul(ring.slice_len);
    slices.saturating_add(HEAD * size_of::<u32>())
}

/// Takes the next slice of a stream and gives the last ones. Whether they count: every so many slices they do.
///
/// `state` has [`circular_buffer_state_len`] bytes or more and is aligned to words.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the ring says; [`InvokeError::Misaligned`] when the state
/// is not aligned.
pub fn circular_buffer(
    ring: &Ring,
    input: &[u8],
    state: &mut [u8],
    output: &mut [u8],
) -> Result<bool, InvokeError> {
    let slices = ring
        .slots
        .checked_mul(ring.slice_len)
        .ok_or(InvokeError::Plan)?;
    check_len(Memory::input(0), input.len(), ring.slice_len)?;
    check_len(Memory::output(0), output.len(), slices)?;
    let (expected, found) = (circular_buffer_state_len(ring), state.len());
    let state =
        state
            .get_mut(..expected)
            .ok_or(InvokeError::length(Memory::State, expected, found))?;
    let (head, kept) = state
        .split_at_mut_checked(HEAD * size_of::<u32>())
        .unwrap_or_default();
    let head =
        bytemuck::try_cast_slice_mut(head).map_err(|_| InvokeError::Misaligned(Memory::State))?;
    let [slot, is_full, came] = head else {
        return Err(InvokeError::Plan);
    };
    let at = (*slot as usize).min(ring.slots.saturating_sub(1));
    if let Some(place) = kept.chunks_exact_mut(nonzero(ring.slice_len)).nth(at) {
        place.copy_from_slice(input);
    }
    let newest = (at + 1).saturating_mul(ring.slice_len);
    let (newer, older) = kept.split_at_checked(newest).unwrap_or_default();
    let (first, last) = output.split_at_mut_checked(older.len()).unwrap_or_default();
    last.copy_from_slice(newer);
    if *is_full != 0 {
        first.copy_from_slice(older);
    } else {
        let zeros = ring.zeros.to_le_bytes().into_iter().cycle();
        first
            .iter_mut()
            .zip(zeros)
            .for_each(|(byte, zero)| *byte = zero);
    }
    if at + 1 == ring.slots {
        (*slot, *is_full) = (0, 1);
    } else {
        *slot = at as u32 + 1;
    }
    *came = came.wrapping_add(1);
    let counts = *came >= ring.cycles;
    if counts {
        *came = 0;
    }
    Ok(counts)
}

fn ring(options: &CircularBufferOptions, node: &dyn NodeView) -> Result<Ring, Refusal> {
    let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
    let [_, slots, height, width] = output.nhwc()?;
    input.has_dims(&[1, 1, height, width])?;
    output.has_dims(&[1, slots, height, width])?;
    let slice_len = input.inner_len(0)?.saturating_mul(input.element_len()?);
    if slice_len == 0 || slots == 0 {
        return Err(output.refuse(Reason::Empty));
    }
    output.has_type(input.info.element_type)?;
    if input.is_quantized() {
        let from = input.affine()?;
        output.has_affine(from, from.scale * 1e-5)?;
    }
    Ok(Ring {
        slots,
        slice_len,
        cycles: cycles(options.cycles_max, [slots, height, width])?,
        zeros: output.info.zeros(),
    })
}

/// Slices from one output to the next. Where the options do not say, TFLM goes by the sizes of two models of its authors.
fn cycles(given: i32, sizes: [usize; 3]) -> Result<u32, Refusal> {
    match (u32::try_from(given), sizes) {
        (Ok(given @ 1..), _) => Ok(given),
        (_, [5 | 13 | 25, ..]) => Ok(1),
        // Here TFLM counts the nodes of all models that it loaded before.
        (_, [_, 2, 96]) => {
            let (what, found) = ("cycles_max", given);
            Err(Refusal::options(Reason::Option { what, found }))
        }
        _ => Ok(2),
    }
}
