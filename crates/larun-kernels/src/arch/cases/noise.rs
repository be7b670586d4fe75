//! Random numbers for layers, extremes often.

use larun_quant::fixed_point::FixedMultiplier;

use crate::OutputStage;

/// Pseudo-random numbers: a linear congruential generator, of whose states the upper bits are used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise(pub(super) u64);

impl Noise {
    pub(super) fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.next() as usize % bound.max(1)
    }

    pub(super) fn within(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most + 1 - least)
    }

    pub(super) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn int8(&mut self) -> i8 {
        self.next() as i8
    }

    /// An INT8, often an extreme one.
    pub(super) fn edgy(&mut self) -> i8 {
        match self.below(4) {
            0 => -128,
            1 => 127,
            _ => self.int8(),
        }
    }

    pub(super) fn fill(&mut self, values: &mut [i8]) {
        let extreme = self.one_in(6).then(|| self.edgy());
        for value in values {
            *value = extreme.unwrap_or(self.int8());
        }
    }

    pub(super) fn stage(&mut self) -> OutputStage {
        let zero_point = i32::from(match self.below(2) {
            0 => -128,
            _ => self.edgy(),
        });
        let (min, max) = match self.below(5) {
            0 => (zero_point, 127),
            1 => (
                zero_point,
                zero_point.saturating_add(self.below(200) as i32).min(127),
            ),
            _ => (-128, 127),
        };
        OutputStage {
            zero_point,
            min,
            max,
        }
    }

    /// A multiplier; a usual one, or any.
    pub(super) fn multiplier(&mut self, usual: bool) -> FixedMultiplier {
        let multiplier = (1 << 30) + (self.next() >> 2) as i32;
        if usual {
            let shift = -(self.within(5, 11) as i32);
            return FixedMultiplier { multiplier, shift };
        }
        let (multiplier, shift) = match self.below(40) {
            0 => (0, 0),
            1 => (multiplier, self.below(6) as i32 - 1),
            2 | 3 => (multiplier, -(self.within(18, 31) as i32)),
            _ => (multiplier, -(self.within(4, 13) as i32)),
        };
        FixedMultiplier { multiplier, shift }
    }

    pub(super) fn bias(&mut self) -> i32 {
        match self.below(60) {
            0 => self.next() as i32,
            1..=3 => (1 << 30) + i32::from(self.int8()),
            4..=6 => -(1 << 30) + i32::from(self.int8()),
            _ => self.next() as i32 >> self.within(12, 24),
        }
    }
}
