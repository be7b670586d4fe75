//! INT8 average pools and means over all pixels, four channels at a time.
#![cfg_attr(
    target_arch = "arm",
    allow(
        unsafe_code,
        reason = "loops in assembly, over memory that is checked here"
    )
)]

use super::depthwise::LANES;
#[cfg(not(target_arch = "arm"))]
use super::dsp::{sxtab16, sxtab16_odd, word};
use crate::divide::RoundedDivision;
use crate::ways::Way;
use crate::window::{Taps, nonzero};
use crate::{ImageWindow, OutputStage};

/// The largest values of 16-bit lanes hold sums of so many INT8.
const MOST_TAPS: usize = 255;

/// The way of a pool.
pub(crate) const fn way(window: &ImageWindow) -> Way {
    match window.output_channels() < LANES {
        true => Way::Definition,
        false => Way::FourChannels,
    }
}

/// The way of a pool that averages.
pub(crate) const fn way_of_average(window: &ImageWindow) -> Way {
    match window.rows().filter() * window.columns().filter() > MOST_TAPS {
        true => Way::Definition,
        false => way(window),
    }
}

pub(crate) fn average_pool_i8(
    window: &ImageWindow,
    stage: &OutputStage,
    input: &[i8],
    output: &mut [i8],
) -> bool {
    if way_of_average(window) == Way::Definition {
        return false;
    }
    let mut division = (0, RoundedDivision::new(1));
    for_each_group(window, input, output, |seen, outputs| {
        let count = seen.rows * seen.columns;
        if division.0 != count {
            division = (count, RoundedDivision::new(count));
        }
        *outputs = sums(seen).map(|sum| {
            let mean = division.1.divide(sum);
            mean.max(stage.min).min(stage.max) as i8
        });
    })
}

/// The mean of each channel over all pixels, of which `finish` makes one of the sum; `false` where there are fewer than four
/// channels or too many pixels.
pub(crate) fn mean_i8(input: &[i8], output: &mut [i8], finish: impl Fn(i32) -> i8) -> bool {
    let channels = output.len();
    let columns = input.len() / nonzero(channels);
    let Some(last) = channels.checked_sub(LANES).filter(|_| columns <= MOST_TAPS) else {
        return false;
    };
    let mut at = 0;
    loop {
        let seen = Seen {
            values: input.get(at..).unwrap_or(&[]),
            rows: 1,
            columns,
            step: channels,
            row_step: 0,
        };
        let outputs = output.get_mut(at..).unwrap_or_default();
        for (output, sum) in outputs.iter_mut().zip(sums(seen)) {
            *output = finish(sum);
        }
        if at == last {
            return true;
        }
        at += LANES.min(last - at);
    }
}

/// What a window sees of four channels.
#[derive(Clone, Copy)]
struct Seen<'a> {
    /// From the first tap's first channel on.
    values: &'a [i8],
    rows: usize,
    columns: usize,
    /// From a column to the next.
    step: usize,
    /// From a row to the next.
    row_step: usize,
}

/// Calls `body` with every window and each four of its channels, of which the last four may overlap those before; `false`
/// where there are fewer.
#[inline]
fn for_each_group(
    window: &ImageWindow,
    input: &[i8],
    output: &mut [i8],
    mut body: impl FnMut(Seen<'_>, &mut [i8; LANES]),
) -> bool {
    let channels = window.output_channels();
    let Some(last) = channels.checked_sub(LANES) else {
        return false;
    };
    window.for_each_pixel(input, output, |image, y: Taps, x: Taps, pixel| {
        let values = image.get(window.pixel(y.input, x.input)..);
        let mut seen = Seen {
            values: values.unwrap_or(&[]),
            rows: y.count,
            columns: x.count,
            step: x.step * channels,
            row_step: y.step * window.columns().input() * channels,
        };
        let (mut at, mut rest) = (0, pixel);
        while let Some(outputs) = rest.first_chunk_mut() {
            body(seen, outputs);
            if at == last {
                break;
            }
            let step = LANES.min(last - at);
            at += step;
            seen.values = seen.values.get(step..).unwrap_or(&[]);
            rest = rest.get_mut(step..).unwrap_or_default();
        }
    });
    true
}

impl Seen<'_> {
    /// Whether there is a tap, and all of them are inside.
    fn is_whole(&self) -> bool {
        let reach = |count: usize, step: usize| count.saturating_sub(1) * step;
        let end = reach(self.rows, self.row_step) + reach(self.columns, self.step) + LANES;
        let whole = self.rows > 0 && self.columns > 0 && end <= self.values.len();
        debug_assert!(whole, "a slice of another length");
        whole
    }

    #[cfg(not(target_arch = "arm"))]
    fn words(self) -> impl Iterator<Item = u32> {
        let rows = (0..self.rows).map(move |y| y * self.row_step);
        let taps = rows.flat_map(move |y| (0..self.columns).map(move |x| y + x * self.step));
        taps.filter_map(move |at| self.values[at..].first_chunk())
            .map(|&bytes| word(bytes))
    }
}

/// The sums of the four channels, which fit lanes.
#[inline]
fn sums(seen: Seen<'_>) -> [i32; LANES] {
    let [even, odd] = lane_sums(seen);
    let lane = |pair: u32| [i32::from(pair as i16), pair as i32 >> 16];
    let ([a, c], [b, d]) = (lane(even), lane(odd));
    [a, b, c, d]
}

/// The sums of bytes 0 and 2 of all taps, and those of bytes 1 and 3, as lanes.
#[inline]
fn lane_sums(seen: Seen<'_>) -> [u32; 2] {
    if !seen.is_whole() {
        return [0; 2];
    }
    #[cfg(target_arch = "arm")]
    {
        let (mut even, mut odd) = (0, 0);
        // SAFETY: a word is read at each of `columns` taps in each of `rows` rows, of which there is one, and the last of
        // which ends within the values.
        unsafe {
            core::arch::asm!(
                "2:",
                "mov {left}, {columns}",
                "3:",
                "ldr {value}, [{from}]",
                "add {from}, {from}, {step}",
                "sxtab16 {even}, {even}, {value}",
                "sxtab16 {odd}, {odd}, {value}, ror #8",
                "subs {left}, {left}, #1",
                "bne 3b",
                "add {from}, {from}, {gap}",
                "subs {rows}, {rows}, #1",
                "bne 2b",
                from = inout(reg) seen.values.as_ptr() => _,
                rows = inout(reg) seen.rows => _,
                columns = in(reg) seen.columns,
                step = in(reg) seen.step,
                gap = in(reg) seen.row_step.wrapping_sub(seen.columns.wrapping_mul(seen.step)),
                left = out(reg) _,
                value = out(reg) _,
                even = inout(reg) even,
                odd = inout(reg) odd,
                options(nostack, readonly),
            );
        }
        [even, odd]
    }
    #[cfg(not(target_arch = "arm"))]
    seen.words().fold([0; 2], |[even, odd], value| {
        [sxtab16(even, value), sxtab16_odd(odd, value)]
    })
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::mean_i8;

    proptest! {
        #[test]
        fn means_are_of_the_sums(
            channels in 4_usize..40,
            pixels in 1_usize..=255,
            seed in any::<u32>(),
            extreme in any::<bool>(),
        ) {
            let value = |at: usize| match extreme {
                true => i8::MIN,
                false => (seed.wrapping_mul(at as u32 | 1) >> 24) as i8,
            };
            let input: Vec<i8> = (0..channels * pixels).map(value).collect();
            let finish = |sum: i32| (sum / pixels as i32) as i8;
            let mut output = std::vec![0; channels];
            prop_assert!(mean_i8(&input, &mut output, finish));
            for (channel, output) in output.into_iter().enumerate() {
                let own = input[channel..].iter().step_by(channels);
                prop_assert_eq!(output, finish(own.map(|&value| i32::from(value)).sum()));
            }
        }
    }
}
