//! From integer accumulators to integer outputs: multipliers per tensor or per channel, zero point, activation.

use larun_quant::fixed_point::{FixedMultiplier, Rounding};

use crate::plan::{Record, linked, record};
use crate::{InvokeError, PlanReader};

/// Fixed-point multipliers, one for all channels or one a channel: five bytes each.
#[derive(Clone, Copy, Debug)]
pub struct Multipliers<'a> {
    multipliers: &'a [i32],
    shifts: &'a [i8],
}

impl<'a> Multipliers<'a> {
    /// Channel `c` has the multiplier `multipliers[c] * 2^(shifts[c] - 31)`; slices of one element serve all channels.
    /// A channel past the end has the multiplier 0.
    #[must_use]
    pub const fn new(multipliers: &'a [i32], shifts: &'a [i8]) -> Self {
        Self {
            multipliers,
            shifts,
        }
    }

    /// The multiplier of a channel.
    #[inline]
    #[must_use]
    pub fn get(&self, channel: usize) -> FixedMultiplier {
        let at = if self.multipliers.len() == 1 {
            0
        } else {
            channel
        };
        match (self.multipliers.get(at), self.shifts.get(at)) {
            (Some(&multiplier), Some(&shift)) => FixedMultiplier {
                multiplier,
                shift: i32::from(shift),
            },
            _ => FixedMultiplier::ZERO,
        }
    }

    /// Whether one multiplier serves all channels.
    #[cfg_attr(not(larun_arch = "armv7em"), allow(dead_code))]
    pub(crate) const fn are_common(&self) -> bool {
        self.multipliers.len() == 1
    }

    /// Multipliers and shifts of eight channels from `first` on, where there are as many.
    #[cfg(larun_arch = "x86_64")]
    pub(crate) fn eight(&self, first: usize) -> Option<(&'a [i32; 8], &'a [i8; 8])> {
        let multipliers = self.multipliers.get(first..)?.first_chunk()?;
        Some((multipliers, self.shifts.get(first..)?.first_chunk()?))
    }

    /// Multipliers and shifts from channel `first` on.
    #[cfg(larun_arch = "x86_64")]
    pub(crate) fn from(&self, first: usize) -> (&'a [i32], &'a [i8]) {
        let (multipliers, shifts) = (self.multipliers.get(first..), self.shifts.get(first..));
        (multipliers.unwrap_or_default(), shifts.unwrap_or_default())
    }

    /// Whether a product with a multiplier may be one that saturates.
    #[cfg(larun_arch = "x86_64")]
    pub(crate) fn can_saturate(&self) -> bool {
        self.multipliers.contains(&i32::MIN)
    }

    pub(crate) fn read(plan: &mut PlanReader<'a>) -> Result<Self, InvokeError> {
        let count = plan.read_usize()?;
        Ok(Self {
            multipliers: plan.take_i32s(count)?,
            shifts: plan.take_i8s(count)?,
        })
    }
}

record! {
    /// The end of an integer computation: the output's zero point, then its fused activation as a clamp.
    pub struct OutputStage {
        /// Zero point of the output.
        pub zero_point: i32,
        /// Smallest output, that of the element type without activation.
        pub min: i32,
        /// Largest output, that of the element type without activation.
        pub max: i32,
    }
}

impl OutputStage {
    /// The INT8 output of a value that is scaled already.
    #[inline]
    #[must_use]
    pub fn finish(&self, scaled: i32) -> i8 {
        self.bound(scaled) as i8
    }

    /// The output of a value that is scaled already, within the bounds.
    #[inline]
    #[must_use]
    pub fn bound(&self, scaled: i32) -> i32 {
        let shifted = scaled.wrapping_add(self.zero_point);
        shifted.max(self.min).min(self.max)
    }
}

/// What a kernel with weights knows of its quantisation beside the weights themselves.
#[derive(Clone, Copy, Debug)]
pub struct WeightedQuantization<'a> {
    /// Zero point of the input, in `-128..=127`.
    pub input_zero_point: i32,
    /// How scaled accumulators are rounded. Other roundings than TFLM's need the feature `roundings`.
    pub rounding: Rounding,
    /// `input_scale * weight_scale / output_scale` of every output channel.
    pub multipliers: Multipliers<'a>,
    /// Zero point and activation of the output.
    pub output: OutputStage,
}

impl<'a> WeightedQuantization<'a> {
    /// The INT8 output of an accumulator of `channel`.
    #[inline]
    #[must_use]
    pub fn finish(&self, channel: usize, accumulator: i32) -> i8 {
        self.bound(channel, accumulator) as i8
    }

    /// The INT8 output of an accumulator whose multiplier is looked up already.
    #[inline]
    pub(crate) fn finish_by(&self, multiplier: FixedMultiplier, accumulator: i32) -> i8 {
        let scaled = multiplier.apply_with(accumulator, linked(self.rounding));
        self.output.finish(scaled)
    }

    /// The output of an accumulator of `channel`, within the bounds.
    #[inline]
    #[must_use]
    pub fn bound(&self, channel: usize, accumulator: i32) -> i32 {
        let multiplier = self.multipliers.get(channel);
        let scaled = multiplier.apply_with(accumulator, linked(self.rounding));
        self.output.bound(scaled)
    }

    /// The output of a 64-bit accumulator of `channel`, within the bounds.
    #[inline]
    #[must_use]
    pub fn bound_i64(&self, channel: usize, accumulator: i64) -> i32 {
        let multiplier = self.multipliers.get(channel);
        let scaled = multiplier.apply_i64_with(accumulator, linked(self.rounding));
        self.output.bound(scaled)
    }

    /// Whether accumulators are rounded as TFLM does: then faster versions of kernels may take over.
    #[inline]
    pub(crate) fn rounds_as_tflm(&self) -> bool {
        linked(self.rounding) == Rounding::TflmDouble
    }

    pub(crate) fn read(plan: &mut PlanReader<'a>) -> Result<Self, InvokeError> {
        Ok(Self {
            rounding: plan.rounding(),
            input_zero_point: plan.read_i32()?,
            output: OutputStage::read(plan)?,
            multipliers: Multipliers::read(plan)?,
        })
    }
}

record! {
    /// A fused activation of real values as a clamp.
    pub struct Clamp {
        /// Smallest output.
        pub min: f32,
        /// Largest output.
        pub max: f32,
    }
}

impl Clamp {
    /// The value within the bounds; NaN stays NaN.
    #[inline]
    #[must_use]
    pub fn apply(&self, value: f32) -> f32 {
        let raised = if value < self.min { self.min } else { value };
        if raised > self.max { self.max } else { raised }
    }
}

record! {
    /// A fused activation of INT32 values that are not quantised.
    pub(crate) struct ClampI32 {
        pub(crate) min: i32,
        pub(crate) max: i32,
    }
}

impl ClampI32 {
    #[inline]
    pub(crate) fn apply(&self, value: i32) -> i32 {
        value.max(self.min).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use larun_quant::fixed_point::{FixedMultiplier, Rounding};

    use super::{Multipliers, OutputStage, WeightedQuantization};

    #[test]
    fn roundings() {
        let FixedMultiplier { multiplier, shift } = FixedMultiplier::from_real(1.0 / 3.0);
        let (multipliers, shifts) = ([multiplier], [shift as i8]);
        let finish = |rounding, sum| {
            let quantization = WeightedQuantization {
                input_zero_point: 0,
                rounding,
                multipliers: Multipliers::new(&multipliers, &shifts),
                output: OutputStage {
                    zero_point: 1,
                    min: -128,
                    max: 127,
                },
            };
            quantization.finish(0, sum)
        };
        // A third of 100 is first two thirds, rounded to 67, and half of that is rounded to 34.
        assert_eq!(finish(Rounding::TflmDouble, 100), 35);
        let single = if cfg!(feature = "roundings") { 34 } else { 35 };
        assert_eq!(finish(Rounding::Single, 100), single);
        assert_eq!(finish(Rounding::XnnFloat, 100), single);
        assert_eq!(finish(Rounding::XnnFloat, i32::MAX), 127);
        assert_eq!(finish(Rounding::XnnFloat, i32::MIN), -128);
    }
}
