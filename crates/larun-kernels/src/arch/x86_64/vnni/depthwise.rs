//! INT8 depthwise convolutions, 32 channels and four taps at a time, or some pixels side by side where there are few
//! channels.
//!
//! Vectors of 32 channels are enough: with 64 most layers would fill less of them, and a processor that computes in halves
//! gains nothing.

use core::arch::x86_64::*;

use super::finish::{Channels, LANES, PerChannel, Stage};
use super::strip::View;
use super::vector::{load_half, store_half};
use crate::window::nonzero;
use crate::{ImageWindow, WeightedQuantization};

/// Channels of a unit.
const UNIT: usize = 32;
/// Units at a time, at most.
const UNITS: usize = 4;
/// Taps of a window, at most.
const TAPS: usize = 64;
/// Room for quads of taps of units.
const ROOM: usize = UNITS * TAPS / 4;

/// The lanes of a unit: vector `j` has the channels `4 j` to `4 j + 3` and those sixteen further, since that is where bytes
/// of four taps meet, and where the steps from 32 bits to 8 put them back in order.
type Lanes = [__m256i; 4];

/// Whether the layer is computed: not where its windows are very large.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
pub(in super::super) fn depthwise_conv2d_i8(
    window: &ImageWindow,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    filter: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
) -> bool {
    let channels = window.output_channels();
    let taps = window.rows().filter() * window.columns().filter();
    if channels != window.input_channels() || taps > TAPS {
        return false;
    }
    let Some(stage) = Stage::new(&quantization.output) else {
        return false;
    };
    let layer = Layer {
        window,
        filter,
        per_channel: PerChannel {
            quantization,
            bias,
            products: taps,
        },
        stage,
        quads: nonzero(taps.div_ceil(4)),
    };
    for first in (0..channels).step_by(UNITS * UNIT) {
        let count = (channels - first).min(UNITS * UNIT);
        let zero_point = quantization.input_zero_point;
        // The first block of channels is the largest: where it fits, all do.
        let Some(view) = View::new(window, zero_point, first, count) else {
            return false;
        };
        layer.run(&view, first, count, input, output);
    }
    true
}

struct Layer<'a> {
    window: &'a ImageWindow,
    filter: &'a [i8],
    per_channel: PerChannel<'a>,
    stage: Stage,
    /// Quads of taps of a channel.
    quads: usize,
}

impl Layer<'_> {
    /// Computes `count` channels from `first` on.
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
    fn run(&self, view: &View<'_>, first: usize, count: usize, input: &[i8], output: &mut [i8]) {
        let zero = [_mm256_setzero_si256(); 4];
        let (mut packed, mut units) = ([zero; ROOM], [[Channels::none(); 2]; UNITS]);
        let own = packed.chunks_exact_mut(self.quads).zip(&mut units);
        for (start, (packed, unit)) in (0..count).step_by(UNIT).zip(own) {
            let sums = self.pack(first + start, packed);
            *unit = self.unit(first + start, sums);
        }
        let pass = Pass {
            layer: self,
            packed: &packed,
            units: &units,
            first,
            count,
            places: Places::new(self.window, view),
            position: view.position(),
        };
        view.for_each_strip(input, output, |strip, outputs| {
            pass.pixels(strip, outputs);
        });
    }

    /// Whether a unit is some pixels side by side with all their channels.
    fn repeats(&self) -> bool {
        let channels = self.window.output_channels();
        UNIT.is_multiple_of(channels) && self.window.columns().stride() == 1
    }

    /// The channel of a lane of the unit from `first` on.
    fn channel(&self, first: usize, lane: usize) -> usize {
        match self.repeats() {
            true => lane % nonzero(self.window.output_channels()),
            false => first + lane,
        }
    }

    /// Packs the weights of a unit, four taps side by side, and gives their sums.
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
    fn pack(&self, first: usize, packed: &mut [Lanes]) -> Lanes {
        let channels = self.window.output_channels();
        let ones = _mm256_set1_epi8(1);
        let mut sums = [_mm256_setzero_si256(); 4];
        for (quad, place) in packed.iter_mut().enumerate() {
            let taps = [0, 1, 2, 3].map(|tap| {
                let tap = self.filter.get((4 * quad + tap) * channels..);
                let tap = tap.unwrap_or_default();
                let tap = tap.get(..tap.len().min(channels)).unwrap_or_default();
                if !self.repeats() {
                    return load_half(tap.get(first..).unwrap_or_default());
                }
                let mut all = [0; UNIT];
                for (place, &weight) in all.iter_mut().zip(tap.iter().cycle()) {
                    *place = weight;
                }
                load_half(&all)
            });
            *place = interleave(taps);
            for (sum, weights) in sums.iter_mut().zip(*place) {
                *sum = _mm256_dpbusd_epi32(*sum, ones, weights);
            }
        }
        sums
    }

    /// Bias and multipliers of the unit from `first` on, the sums of whose weights are given.
    #[target_feature(enable = "avx512f")]
    fn unit(&self, first: usize, sums: Lanes) -> Unit {
        let mut unit = [Channels::none(); 2];
        for ((half, place), sums) in unit.iter_mut().enumerate().zip(joined(sums)) {
            let lane = |lane: usize| 8 * half + lane % 4 + lane / 4 % 2 * LANES + lane / 8 * 4;
            let channels = core::array::from_fn(|at| self.channel(first, lane(at)));
            *place = self.per_channel.scattered(channels, sums);
        }
        unit
    }
}

/// The channels of the lanes of a unit, two vectors at a time.
type Unit = [Channels; 2];

/// Two vectors as one.
#[inline]
#[target_feature(enable = "avx512f")]
fn joined([a, b, c, d]: Lanes) -> [__m512i; 2] {
    [[a, b], [c, d]].map(|[a, b]| _mm512_inserti64x4::<1>(_mm512_castsi256_si512(a), b))
}

/// Where in a strip each tap is, relative to the first. A tap without weights is where the first one is.
struct Places {
    places: [usize; TAPS],
    /// The largest.
    farthest: usize,
}

impl Places {
    fn new(window: &ImageWindow, view: &View<'_>) -> Self {
        let filter_w = nonzero(window.columns().filter());
        let taps = window.rows().filter() * filter_w;
        let mut places = [0; TAPS];
        for (tap, place) in places.iter_mut().enumerate().take(taps) {
            *place = tap / filter_w * view.row() + tap % filter_w * view.tap();
        }
        let farthest = places.iter().copied().max().unwrap_or_default();
        Self { places, farthest }
    }
}

/// Some channels with their packed weights.
struct Pass<'a> {
    layer: &'a Layer<'a>,
    packed: &'a [Lanes],
    units: &'a [Unit],
    first: usize,
    count: usize,
    places: Places,
    /// Bytes of a strip from one pixel to the next.
    position: usize,
}

impl Pass<'_> {
    /// Computes the channels of the pixels of a strip.
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
    fn pixels(&self, strip: &[i8], output: &mut [i8]) {
        let quads = self.layer.quads;
        let units = self.packed.chunks_exact(quads).zip(self.units);
        if self.layer.repeats() {
            for (packed, unit) in units.take(1) {
                for (index, outputs) in output.chunks_mut(UNIT).enumerate() {
                    self.unit(packed, unit, strip, index * UNIT, outputs);
                }
            }
            return;
        }
        let channels = nonzero(self.layer.window.output_channels());
        for ((packed, unit), start) in units.zip((0..self.count).step_by(UNIT)) {
            let count = (self.count - start).min(UNIT);
            for (pixel, outputs) in output.chunks_exact_mut(channels).enumerate() {
                let outputs = outputs.get_mut(self.first + start..);
                let outputs = outputs.and_then(|outputs| outputs.get_mut(..count));
                let at = pixel * self.position + start;
                self.unit(packed, unit, strip, at, outputs.unwrap_or_default());
            }
        }
    }

    /// Computes a unit, the first tap of which is at a place of the strip.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
    fn unit(&self, packed: &[Lanes], unit: &Unit, strip: &[i8], at: usize, output: &mut [i8]) {
        if at + self.places.farthest + UNIT > strip.len() {
            return;
        }
        let mut sums = [_mm256_setzero_si256(); 4];
        for (weights, places) in packed.iter().zip(self.places.places.as_chunks::<4>().0) {
            // SAFETY: a unit fits into the strip even at the farthest place.
            let taps = places.map(|place| unsafe { load(strip, at + place) });
            for ((sum, values), weights) in sums.iter_mut().zip(interleave(taps)).zip(weights) {
                *sum = _mm256_dpbusd_epi32(*sum, values, *weights);
            }
        }
        let mut scaled = joined(sums);
        for (sums, channels) in scaled.iter_mut().zip(unit) {
            *sums = channels.scaled(_mm512_add_epi32(*sums, channels.bias));
        }
        store_half(output, self.layer.stage.finish_interleaved(scaled));
    }
}

/// Four bytes of each channel, one a tap.
#[inline]
#[target_feature(enable = "avx2")]
fn interleave([a, b, c, d]: [__m256i; 4]) -> Lanes {
    let (ab, cd) = (_mm256_unpacklo_epi8(a, b), _mm256_unpacklo_epi8(c, d));
    let (ab_high, cd_high) = (_mm256_unpackhi_epi8(a, b), _mm256_unpackhi_epi8(c, d));
    [
        _mm256_unpacklo_epi16(ab, cd),
        _mm256_unpackhi_epi16(ab, cd),
        _mm256_unpacklo_epi16(ab_high, cd_high),
        _mm256_unpackhi_epi16(ab_high, cd_high),
    ]
}

/// The values of a unit.
///
/// # Safety
/// They are there.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load(strip: &[i8], at: usize) -> __m256i {
    // SAFETY: the caller says so.
    unsafe { _mm256_loadu_si256(strip.as_ptr().add(at).cast()) }
}
