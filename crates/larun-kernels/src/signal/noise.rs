//! SignalFilterBankSpectralSubtraction and SignalPCAN: channels of a filter bank less their noise, and set off from it.

use larun_ops::{ElementType, Op, op};

use super::{count, product, shift, state};
use crate::operand::{Operand, wrong_op};
use crate::plan::{Record, record};
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Reason, Refusal};

record! {
    /// How noise is estimated and taken off.
    struct Subtraction {
        /// Channels of the filter bank.
        channels: usize,
        /// The signal's weight in the estimate, of even and odd channels.
        smoothing: [u32; 2],
        /// The old estimate's weight.
        persistence: [u32; 2],
        /// The least part of the signal that stays.
        least: u32,
        /// Fractional bits of the estimate.
        estimate_bits: u32,
        /// Fractional bits of the weights.
        weight_bits: u32,
        /// Whether the estimate is held at or below the signal.
        clamping: bool,
    }
}

impl Kernel for op::SignalFilterBankSpectralSubtraction {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::SignalFilterBankSpectralSubtraction(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        Operand::all_have_type(node, ElementType::UInt32)?;
        let channels = count("num_channels", options.num_channels, 0)?;
        Operand::input(node, 0)?.has_elements(channels)?;
        Operand::output(node, 0)?.has_elements(channels)?;
        Operand::output(node, 1)?.has_elements(channels)?;
        plan.request_state(product(&[channels, size_of::<u32>()])?);
        let even_odd = |even: i32, odd: i32| [even.cast_unsigned(), odd.cast_unsigned()];
        let subtraction = Subtraction {
            channels,
            smoothing: even_odd(options.smoothing, options.alternate_smoothing),
            persistence: even_odd(
                options.one_minus_smoothing,
                options.alternate_one_minus_smoothing,
            ),
            least: options.min_signal_remaining.cast_unsigned(),
            estimate_bits: shift("smoothing_bits", options.smoothing_bits, u32::BITS)?,
            weight_bits: shift(
                "spectral_subtraction_bits",
                options.spectral_subtraction_bits,
                u64::BITS,
            )?,
            clamping: options.clamping,
        };
        subtraction.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let subtraction = Subtraction::read(&mut plan)?;
        let estimates = state::<u32>(&mut io, subtraction.channels)?;
        let (output, noise) = (io.output::<u32>(0)?, io.output::<u32>(1)?);
        let input = io.freeze().input::<u32>(0)?;
        let channels = estimates.iter_mut().zip(input).zip(output);
        for (channel, ((estimate, &signal), rest)) in channels.enumerate() {
            (*rest, *estimate) = subtraction.channel(channel % 2 == 0, signal, *estimate);
        }
        super::copy(noise, estimates);
        Ok(())
    }
}

impl Subtraction {
    /// What stays of a channel's signal, and the new estimate of its noise.
    fn channel(&self, is_even: bool, signal: u32, estimate: u32) -> (u32, u32) {
        let of_channel = |[even, odd]: [u32; 2]| if is_even { even } else { odd };
        let (smoothing, persistence) = (of_channel(self.smoothing), of_channel(self.persistence));
        let weighted = |value: u32, weight: u32| u64::from(value) * u64::from(weight);
        let unweighted = |value: u64| value.wrapping_shr(self.weight_bits) as u32;
        let raised = signal.wrapping_shl(self.estimate_bits);
        let sum = weighted(raised, smoothing).wrapping_add(weighted(estimate, persistence));
        let estimate = unweighted(sum);
        let taken = estimate.min(raised);
        let least = unweighted(weighted(signal, self.least));
        let rest = (raised - taken).wrapping_shr(self.estimate_bits);
        (
            rest.max(least),
            if self.clamping { taken } else { estimate },
        )
    }
}

/// Entries of a gain table: three for the least noises, then a piece of a polynomial for each bit of a noise, of four.
const GAINS: usize = 125;

impl Kernel for op::SignalPcan {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::SignalPcan(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let (input, noise) = (Operand::input(node, 0)?, Operand::input(node, 1)?);
        let (gains, output) = (Operand::input(node, 2)?, Operand::output(node, 0)?);
        for operand in [&input, &noise, &output] {
            operand.has_type(ElementType::UInt32)?;
            operand.has_elements(input.elements()?)?;
        }
        gains.has_type(ElementType::Int16)?;
        let (found, expected) = (gains.elements()?, GAINS);
        if found < expected {
            return Err(gains.refuse(Reason::Elements { found, expected }));
        }
        plan.push_u32(shift("snr_shift", options.snr_shift, u64::BITS)?);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let shift = plan.read_u32()?;
        let output = io.output::<u32>(0)?;
        let io = io.freeze();
        let (input, noise) = (io.input::<u32>(0)?, io.input::<u32>(1)?);
        let gains = io.input::<i16>(2)?;
        for ((to, &signal), &noise) in output.iter_mut().zip(input).zip(noise) {
            // A gain below zero is none: C makes it a large number.
            let gain = u64::from(i32::from(gain(gains, noise)).cast_unsigned());
            let ratio = u64::from(signal).wrapping_mul(gain);
            *to = compressed(ratio.wrapping_shr(shift) as u32);
        }
        Ok(())
    }
}

/// The gain for a noise: a polynomial of degree two on each interval between powers of two.
fn gain(gains: &[i16], noise: u32) -> i16 {
    let at = |index: usize| i32::from(gains.get(index).copied().unwrap_or(0));
    if noise <= 2 {
        return at(noise as usize) as i16;
    }
    let bits = noise.ilog2() + 1;
    let first = (4 * bits as usize).saturating_sub(6);
    // Ten bits below the highest.
    let fraction = match bits.checked_sub(11) {
        Some(excess) => noise >> excess,
        None => noise << (11 - bits),
    };
    let fraction = (fraction & 0x3FF) as i32;
    let slope = at(first + 2).wrapping_mul(fraction) >> 5;
    let slope = slope.wrapping_add(at(first + 1) << 5);
    let rise = slope.wrapping_mul(fraction).wrapping_add(1 << 14) >> 15;
    rise.wrapping_add(at(first)) as i16
}

/// `x^2 / 4` below 2 and `x - 1` from there on: from 12 to 6 fractional bits.
fn compressed(ratio: u32) -> u32 {
    match ratio < 2 << 12 {
        true => (ratio * ratio) >> 20,
        false => (ratio >> 6) - (1 << 6),
    }
}
