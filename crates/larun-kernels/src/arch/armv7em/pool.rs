//! INT8 pools, four channels at a time.
#![cfg_attr(
    target_arch = "arm",
    allow(
        unsafe_code,
        reason = "loops in assembly, over memory that is checked here"
    )
)]

use super::depthwise::LANES;
use super::dsp::word;
#[cfg(not(target_arch = "arm"))]
use super::dsp::{sxtab16, sxtab16_odd};
use crate::divide::RoundedDivision;
use crate::ways::Way;
use crate::window::Taps;
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

pub(crate) fn max_pool_i8(
    window: &ImageWindow,
    stage: &OutputStage,
    input: &[i8],
    output: &mut [i8],
) -> bool {
    // The window begins with the least output, so that nothing less is the largest value.
    let (least, most) = (word([stage.min as i8; LANES]), stage.max as i8);
    for_each_group(window, input, output, |seen, outputs| {
        let largest = largest(seen, least).to_le_bytes();
        *outputs = largest.map(|value| (value as i8).min(most));
    })
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
        let [even, odd] = sums(seen);
        let lane = |pair: u32| [pair as i16, (pair >> 16) as i16];
        let ([a, c], [b, d]) = (lane(even), lane(odd));
        *outputs = [a, b, c, d].map(|sum| {
            let mean = division.1.divide(i32::from(sum));
            mean.max(stage.min).min(stage.max) as i8
        });
    })
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

/// The largest of each byte of all taps and of `start`.
#[inline]
fn largest(seen: Seen<'_>, start: u32) -> u32 {
    if !seen.is_whole() {
        return start;
    }
    #[cfg(target_arch = "arm")]
    {
        let mut largest = start;
        // SAFETY: a word is read at each of `columns` taps in each of `rows` rows, of which there is one, and the last of
        // which ends within the values.
        unsafe {
            core::arch::asm!(
                "2:",
                "mov {left}, {columns}",
                "3:",
                "ldr {value}, [{from}]",
                "add {from}, {from}, {step}",
                "ssub8 {least}, {value}, {largest}",
                "sel {largest}, {value}, {largest}",
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
                least = out(reg) _,
                largest = inout(reg) largest,
                options(nostack, readonly),
            );
        }
        largest
    }
    #[cfg(not(target_arch = "arm"))]
    seen.words().fold(start, |largest, value| {
        let (a, b) = (largest.to_le_bytes(), value.to_le_bytes());
        u32::from_le_bytes(core::array::from_fn(|lane| {
            (a[lane] as i8).max(b[lane] as i8) as u8
        }))
    })
}

/// The sums of bytes 0 and 2 of all taps, and those of bytes 1 and 3, as lanes.
#[inline]
fn sums(seen: Seen<'_>) -> [u32; 2] {
    if !seen.is_whole() {
        return [0; 2];
    }
    #[cfg(target_arch = "arm")]
    {
        let (mut even, mut odd) = (0, 0);
        // SAFETY: as for the largest values.
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
