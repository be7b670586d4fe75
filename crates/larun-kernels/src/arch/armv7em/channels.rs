//! How accumulators become outputs, with one multiplication that rounds (SMMLAR) and without branches.
//!
//! `round(acc * multiplier / 2^31)` is the high half of `2 acc * multiplier`, rounded, which the instruction gives
//! and to which it adds a word. The word is half of the divisor `2^shift` plus the zero point times `2^shift`, so that
//! a shift is all that is left. Where that gives the definition's bytes for every accumulator is decided here.

use larun_quant::fixed_point::FixedMultiplier;

use super::dsp::{smmlar, ssat8};
#[cfg(doc)]
use crate::ways::Way;
use crate::{OutputStage, WeightedQuantization};

/// A channel as four words: what its accumulators start from, and its [`Scale`].
pub(crate) type Channel = [i32; 4];

/// The numbers that scale an accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Scale {
    /// Q0.31.
    multiplier: i32,
    /// Half of `2^shift`, plus the zero point times `2^shift`.
    rounding: i32,
    /// Right shift, in `0..=24`.
    shift: u32,
}

/// What is left to do when an accumulator is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Finish {
    /// Saturate: the zero point is -128, so that what is below it saturates however it is rounded.
    Rectified = 0,
    /// Round negative ties down, saturate.
    Signed = 1,
    /// Round negative ties down, bring within the bounds.
    Clamped = 2,
}

impl Finish {
    pub(super) const fn of(stage: &OutputStage) -> Self {
        match stage {
            OutputStage {
                zero_point: -128,
                min: -128,
                max: 127,
            } => Self::Rectified,
            OutputStage {
                min: -128,
                max: 127,
                ..
            } => Self::Signed,
            _ => Self::Clamped,
        }
    }
}

impl Scale {
    /// The numbers for accumulators of a magnitude up to `largest`; `None` where they cannot give the definition's
    /// bytes.
    #[inline]
    pub(super) fn new(
        FixedMultiplier { multiplier, shift }: FixedMultiplier,
        zero_point: i32,
        finish: Finish,
        largest: u32,
    ) -> Option<Self> {
        // Twice the accumulator must fit.
        if largest >= 1 << 30 || multiplier < 0 || !is_int8(zero_point) {
            return None;
        }
        let shift = shift.wrapping_neg() as u32;
        // The rounding of negative ties takes a half for granted.
        let least = u32::from(finish != Finish::Rectified);
        // Of any accumulator, less than a half is left.
        let vanishes = multiplier == 0 || (shift < 32 && largest < 1 << (shift.max(1) - 1));
        if vanishes {
            return Some(Self::constant(zero_point as i8));
        }
        (least..=23).contains(&shift).then(|| Self {
            multiplier,
            rounding: ((1 << shift) >> 1) + (zero_point << shift),
            shift,
        })
    }

    /// What gives the same output for any accumulator.
    const fn constant(output: i8) -> Self {
        Self {
            multiplier: 0,
            rounding: 2 * output as i32 + 1,
            shift: 1,
        }
    }

    /// What gives `output` for accumulators from 0 on, and one less for negative ones. They must be less than
    /// [`STEP_REACH`](Self::STEP_REACH) in magnitude.
    const fn step_up_to(output: i8) -> Self {
        Self {
            multiplier: i32::MAX,
            rounding: (output as i32) << 24,
            shift: 24,
        }
    }

    /// Accumulators that a step tells apart.
    const STEP_REACH: i32 = 1 << 24;

    /// The channel of this scale and a bias.
    #[inline]
    pub(super) const fn channel(self, bias: i32) -> Channel {
        [bias, self.multiplier, self.rounding, self.shift as i32]
    }

    /// The scale in three words of a channel.
    #[cfg(not(target_arch = "arm"))]
    pub(super) const fn from_words([multiplier, rounding, shift]: [i32; 3]) -> Self {
        Self {
            multiplier,
            rounding,
            shift: shift as u32,
        }
    }

    /// The output of an accumulator, as the assembly computes it.
    #[inline]
    pub(super) fn apply(&self, accumulator: i32, finish: Finish, stage: &OutputStage) -> i8 {
        self.apply_doubled(accumulator << 1, finish, stage)
    }

    /// The output of an accumulator that is doubled already.
    #[inline]
    pub(super) fn apply_doubled(&self, doubled: i32, finish: Finish, stage: &OutputStage) -> i8 {
        let sign = match finish {
            Finish::Rectified => 0,
            _ => doubled >> 31,
        };
        let scaled = smmlar(doubled, self.multiplier, self.rounding.wrapping_add(sign));
        match finish {
            Finish::Clamped => (scaled >> self.shift).max(stage.min).min(stage.max) as i8,
            _ => ssat8(scaled >> self.shift),
        }
    }
}

/// Whether all channels of a layer can be had.
pub(crate) fn are_had(
    count: usize,
    quantization: &WeightedQuantization<'_>,
    bias: Option<&[i32]>,
    products: usize,
    with_faint: bool,
) -> bool {
    let had = |channel| {
        prepare(
            &mut [[0; 4]],
            channel,
            quantization,
            bias,
            products,
            with_faint,
        )
    };
    (0..count).all(had)
}

/// What is left to do with sums that are doubled: as [`Finish`], or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum End {
    Rectified = 0,
    Signed = 1,
    Clamped = 2,
    /// As rectified; sums are shifted further so that the shift behind the multiplication is [`FIXED_SHIFT`] for all.
    Fixed = 3,
}

impl End {
    /// The end of channels that are fixed, or not.
    pub(super) const fn of(stage: &OutputStage, fixed: bool) -> Self {
        match Finish::of(stage) {
            Finish::Rectified if fixed => Self::Fixed,
            Finish::Rectified => Self::Rectified,
            Finish::Signed => Self::Signed,
            Finish::Clamped => Self::Clamped,
        }
    }
}

/// The shift of all outputs whose end is [`End::Fixed`].
const FIXED_SHIFT: i32 = 12;

/// Four channels that are computed side by side.
pub(super) struct Four {
    /// What sums start from, shifted, and multiplier, rounding and shift.
    pub(super) channels: [Channel; 4],
    /// How far the weights of each are to be shifted.
    pub(super) bits: [u32; 4],
    pub(super) end: End,
}

impl Four {
    /// Channels as [`prepare`] makes them, for so many products.
    pub(super) fn new(channels: [Channel; 4], products: usize, stage: &OutputStage) -> Self {
        Self::fixed(channels, products, stage).unwrap_or_else(|| Self::plain(channels, stage))
    }

    /// The same, with [`End::Fixed`]; `None` where they cannot have it.
    pub(super) fn fixed(
        channels: [Channel; 4],
        products: usize,
        stage: &OutputStage,
    ) -> Option<Self> {
        if Finish::of(stage) != Finish::Rectified {
            return None;
        }
        let (mut own, mut bits) = (channels, [1; 4]);
        for (channel, bits) in own.iter_mut().zip(&mut bits) {
            let further;
            (*channel, further) = fixed(*channel, products)?;
            *bits += further;
        }
        Some(Self::shifted(own, bits, End::Fixed))
    }

    /// The same, with any other end.
    pub(super) fn plain(channels: [Channel; 4], stage: &OutputStage) -> Self {
        Self::shifted(channels, [1; 4], End::of(stage, false))
    }

    fn shifted(mut channels: [Channel; 4], bits: [u32; 4], end: End) -> Self {
        for ([start, ..], bits) in channels.iter_mut().zip(bits) {
            *start <<= bits;
        }
        Self {
            channels,
            bits,
            end,
        }
    }
}

/// A channel for sums that are shifted by so many bits, so that the shift behind the multiplication is [`FIXED_SHIFT`]; `None`
/// where bits would be lost.
///
/// With `s` for the shift and `b` for the bits, the definition is the floor of `(sum * multiplier + 2^30) / 2^31`, plus the
/// rounding, shifted by `s`. That is `2^b sum * multiplier` by `2^31`, plus `2^b` times the rounding and the half of the
/// first one, `2^(b - 1)`, shifted by `s + b`: the floor of a floor.
#[inline(never)]
fn fixed([bias, multiplier, rounding, shift]: Channel, products: usize) -> Option<(Channel, u32)> {
    if multiplier == 0 {
        let rounding = (rounding >> shift) << FIXED_SHIFT;
        return Some(([0, 0, rounding, FIXED_SHIFT], 0));
    }
    let bits = u32::try_from(FIXED_SHIFT - shift).ok()?;
    let magnitude = bias.unsigned_abs().saturating_add(largest(products));
    // Weights that are doubled, too, have to fit their lanes.
    if !(1..=7).contains(&bits) || magnitude >= 1 << (30 - bits) {
        return None;
    }
    let rounding = (rounding << bits) + (1 << (bits - 1));
    Some(([bias, multiplier, rounding, FIXED_SHIFT], bits))
}

/// The output of a sum, as the assembly computes it.
#[cfg(not(target_arch = "arm"))]
pub(super) fn finish(
    [multiplier, rounding, shift]: [i32; 3],
    sum: i32,
    end: End,
    [min, max]: [i32; 2],
) -> i8 {
    let finish = match end {
        End::Fixed => {
            let high = (i64::from(sum) * i64::from(multiplier)) >> 32;
            return ssat8((high as i32).wrapping_add(rounding) >> FIXED_SHIFT);
        }
        End::Rectified => Finish::Rectified,
        End::Signed => Finish::Signed,
        End::Clamped => Finish::Clamped,
    };
    let stage = OutputStage {
        zero_point: 0,
        min,
        max,
    };
    Scale::from_words([multiplier, rounding, shift]).apply_doubled(sum, finish, &stage)
}

/// The channels of a layer, from number `first` on; `false` where one of them cannot be had. [Faint](Way::Faint) ones are
/// had `with_faint` only.
#[inline(never)]
pub(crate) fn prepare(
    channels: &mut [Channel],
    first: usize,
    quantization: &WeightedQuantization<'_>,
    bias: Option<&[i32]>,
    products: usize,
    with_faint: bool,
) -> bool {
    if !is_int8(quantization.input_zero_point) {
        return false;
    }
    for (place, channel) in channels.iter_mut().zip(first..) {
        let bias = bias.and_then(|bias| bias.get(channel)).copied();
        let (bias, spread) = (bias.unwrap_or(0), largest(products));
        let had = match of(quantization, channel, bias, spread) {
            None if with_faint => step(quantization, channel, bias, spread),
            had => had,
        };
        match had {
            Some(channel) => *place = channel,
            None => return false,
        }
    }
    true
}

/// Channel `channel`, whose products sum up to a magnitude of `spread`; `None` for a faint one.
#[inline]
fn of(
    quantization: &WeightedQuantization<'_>,
    channel: usize,
    bias: i32,
    spread: u32,
) -> Option<Channel> {
    let stage = &quantization.output;
    let multiplier = quantization.multipliers.get(channel);
    let largest = spread.saturating_add(bias.unsigned_abs());
    let scale = Scale::new(multiplier, stage.zero_point, Finish::of(stage), largest);
    scale.map(|scale| scale.channel(bias))
}

/// A faint channel, of one or two outputs: that of a filter whose weights are all next to nothing. Its scale is so small that
/// the bias is huge and the products do not count.
#[cold]
#[inline(never)]
fn step(
    quantization: &WeightedQuantization<'_>,
    channel: usize,
    bias: i32,
    spread: u32,
) -> Option<Channel> {
    let spread = i32::try_from(spread).ok()?;
    let (mut below, mut above) = (bias.checked_sub(spread)?, bias.checked_add(spread)?);
    let output = |accumulator| quantization.finish(channel, accumulator);
    let (low, high) = (output(below), output(above));
    if low == high {
        return Some(Scale::constant(low).channel(0));
    }
    let by_one = i32::from(high) - i32::from(low) == 1;
    if !by_one || spread >= Scale::STEP_REACH / 2 {
        return None;
    }
    // The least accumulator with the higher output.
    while above - below > 1 {
        let middle = below + (above - below) / 2;
        match output(middle) == high {
            true => above = middle,
            false => below = middle,
        }
    }
    Some(Scale::step_up_to(high).channel(bias - above))
}

/// Whether a zero point is one that an INT8 can have.
pub(super) const fn is_int8(zero_point: i32) -> bool {
    zero_point as i8 as i32 == zero_point
}

/// The largest magnitude of a sum of `products` of an input less its zero point and a weight.
pub(super) fn largest(products: usize) -> u32 {
    u32::try_from(products)
        .unwrap_or(u32::MAX)
        .saturating_mul(255 * 128)
}
