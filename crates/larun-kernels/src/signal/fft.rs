//! The fast Fourier transform of complex values, with the roundings of kissfft.
//!
//! A transform whose length is a product of 2, 3, 4 and 5 is joined from shorter ones, stage by stage, in place. Values
//! are put first where the stages want them: their index, written with the radices as digits, is read backwards.

use core::f64::consts::PI;

use super::butterfly::{Roots, join_2, join_3, join_4, join_5};
use super::sample::{Complex, Sample};
use crate::{InvokeError, PlanReader, PlanWriter};

/// More factors than a length below 2^31 has.
const MOST_STAGES: usize = 20;

/// Joins `radix` transforms of `len` values; `stride` such joins make up the stage.
type Stage = [u32; 3];

/// A transform as it stands in a plan.
pub(crate) struct Fft<'p, T> {
    stages: &'p [Stage],
    roots: &'p [Complex<T>],
    inverse: bool,
}

/// The stages of a transform of `len` values, the last one first; `None` where `len` has other factors.
fn stages(len: usize) -> Option<([Stage; MOST_STAGES], usize)> {
    let mut stages = [Stage::default(); MOST_STAGES];
    let (mut rest, mut count) = (u32::try_from(len).ok().filter(|&len| len > 1)?, 0);
    let mut stride = 1;
    for radix in [4, 2, 3, 5] {
        while rest.is_multiple_of(radix) {
            rest /= radix;
            *stages.get_mut(count)? = [radix, rest, stride];
            stride *= radix;
            count += 1;
        }
    }
    (rest == 1).then_some((stages, count))
}

/// Whether there is a transform of `len` values.
pub(crate) fn has_length(len: usize) -> bool {
    stages(len).is_some()
}

/// Writes stages and roots of unity; nothing where there is no such transform.
pub(crate) fn write<T: Sample>(len: usize, inverse: bool, plan: &mut PlanWriter<'_>) {
    let Some((stages, count)) = stages(len) else {
        return;
    };
    plan.push_usize(count);
    plan.push_table(count, |at| stages.get(at).copied().unwrap_or_default());
    plan.push_table(len, |k| {
        let phase = -2.0 * PI * k as f64 / len as f64;
        T::on_unit_circle(if inverse { -phase } else { phase })
    });
}

impl<'p, T: Sample> Fft<'p, T> {
    /// Reads what [`write`] wrote.
    pub(crate) fn read(
        len: usize,
        inverse: bool,
        plan: &mut PlanReader<'p>,
    ) -> Result<Self, InvokeError> {
        let count = plan.read_usize()?;
        Ok(Self {
            stages: plan.take_table(count)?,
            roots: plan.take_table(len)?,
            inverse,
        })
    }

    /// Puts the value of each index in its place. `value` is asked for indices in order.
    pub(crate) fn place(&self, values: &mut [Complex<T>], value: impl Fn(usize) -> Complex<T>) {
        let mut digits = [0u32; MOST_STAGES];
        let mut place = 0usize;
        for index in 0..values.len() {
            if let Some(slot) = values.get_mut(place) {
                *slot = value(index);
            }
            for (digit, &[radix, len, _]) in digits.iter_mut().zip(self.stages) {
                *digit += 1;
                place = place.wrapping_add(len as usize);
                if *digit < radix {
                    break;
                }
                *digit = 0;
                place = place.wrapping_sub(radix.wrapping_mul(len) as usize);
            }
        }
    }

    /// Joins placed values into their transform.
    pub(crate) fn join(&self, values: &mut [Complex<T>]) {
        for &[radix, len, stride] in self.stages.iter().rev() {
            let (len, stride) = (len as usize, stride as usize);
            let roots = self.roots;
            let roots = Roots { roots, stride };
            let block = len.saturating_mul(radix as usize).max(1);
            for block in values.chunks_exact_mut(block) {
                match radix {
                    2 => join_2(block, len, roots),
                    3 => join_3(block, len, roots),
                    4 => join_4(block, len, roots, self.inverse),
                    _ => join_5(block, len, roots),
                }
            }
        }
    }
}
