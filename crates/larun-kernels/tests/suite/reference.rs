//! What the kernels must compute, written as plainly as can be: every tap is tested for whether it lies in the input.

use larun_ops::Padding;
use larun_quant::fixed_point::FixedMultiplier;

/// Numbers that look random and are the same for the same seed.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn int8(&mut self) -> i8 {
        match self.next() % 16 {
            0 => i8::MIN,
            1 => i8::MAX,
            _ => (self.next() >> 13) as i8,
        }
    }

    pub(crate) fn int8s(&mut self, len: usize) -> Vec<i8> {
        (0..len).map(|_| self.int8()).collect()
    }

    /// In -4..4.
    pub(crate) fn floats(&mut self, len: usize) -> Vec<f32> {
        let float = |bits: u64| (bits >> 40) as f32 / (1u64 << 21) as f32 - 4.0;
        (0..len).map(|_| float(self.next())).collect()
    }

    /// In 0.005..0.1.
    pub(crate) fn scale(&mut self) -> f32 {
        0.005 + 0.095 * (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }
}

/// An axis of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    pub(crate) input: usize,
    pub(crate) filter: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) padding: Padding,
}

impl Axis {
    fn extent(&self) -> usize {
        (self.filter - 1) * self.dilation + 1
    }

    pub(crate) fn fits(&self) -> bool {
        self.padding == Padding::Same || self.extent() <= self.input
    }

    pub(crate) fn output(&self) -> usize {
        match self.padding {
            Padding::Same => self.input.div_ceil(self.stride),
            Padding::Valid => (self.input - self.extent()) / self.stride + 1,
        }
    }

    /// The input element at a tap, where there is one.
    pub(crate) fn tap(&self, position: usize, tap: usize) -> Option<usize> {
        let covered = (self.output() - 1) * self.stride + self.extent();
        let before = covered.saturating_sub(self.input) / 2;
        (position * self.stride + tap * self.dilation)
            .checked_sub(before)
            .filter(|&at| at < self.input)
    }
}

/// Calls `body` with `(n, y, x)` for each pixel of the output.
pub(crate) fn pixels(batch: usize, [rows, columns]: [Axis; 2]) -> Vec<(usize, usize, usize)> {
    let columns = columns.output();
    (0..batch * rows.output() * columns)
        .map(|i| {
            (
                i / columns / rows.output(),
                i / columns % rows.output(),
                i % columns,
            )
        })
        .collect()
}

/// The taps in the input with the pixels that they meet: `(tap_y, tap_x, pixel)`.
pub(crate) fn taps(
    [rows, columns]: [Axis; 2],
    (n, y, x): (usize, usize, usize),
) -> Vec<(usize, usize, usize)> {
    let mut met = Vec::new();
    for tap_y in 0..rows.filter {
        for tap_x in 0..columns.filter {
            if let (Some(in_y), Some(in_x)) = (rows.tap(y, tap_y), columns.tap(x, tap_x)) {
                met.push((tap_y, tap_x, (n * rows.input + in_y) * columns.input + in_x));
            }
        }
    }
    met
}

/// The output of an INT8 accumulator.
pub(crate) fn requantize(sum: i64, real: f64, zero_point: i64, min: i32, max: i32) -> i8 {
    let scaled = FixedMultiplier::from_real(real).apply(sum as i32);
    (scaled + zero_point as i32).clamp(min, max) as i8
}
