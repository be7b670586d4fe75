//! Random layers, extremes included, for tests that hold faster versions against the definitions. Without `std` or an
//! allocator, so that tests on a board can include this file; the names are those at the root of `larun-kernels`.

use crate::{
    AddQuantization, ConvGeometry, DenseGeometry, ImageWindow, Multipliers, OutputStage,
    WeightedQuantization, WindowAxis,
};
use larun_ops::Padding;
use larun_quant::fixed_point::{FixedMultiplier, Rounding};

/// Room for the values of a tensor.
pub(crate) const ROOM: usize = 6000;
/// Room for the values of each channel.
const CHANNELS: usize = 140;

/// Pseudo-random numbers: a linear congruential generator, of whose states the upper bits are used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() as usize % bound.max(1)
    }

    fn within(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most + 1 - least)
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn int8(&mut self) -> i8 {
        self.next() as i8
    }

    /// An INT8, often an extreme one.
    fn edgy(&mut self) -> i8 {
        match self.below(4) {
            0 => -128,
            1 => 127,
            _ => self.int8(),
        }
    }

    fn fill(&mut self, values: &mut [i8]) {
        let extreme = self.one_in(6).then(|| self.edgy());
        for value in values {
            *value = extreme.unwrap_or(self.int8());
        }
    }

    fn stage(&mut self) -> OutputStage {
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

    fn multiplier(&mut self) -> FixedMultiplier {
        let multiplier = (1 << 30) + (self.next() >> 2) as i32;
        let (multiplier, shift) = match self.below(40) {
            0 => (0, 0),
            1 => (multiplier, self.below(6) as i32 - 1),
            2 | 3 => (multiplier, -(self.within(18, 31) as i32)),
            _ => (multiplier, -(self.within(4, 13) as i32)),
        };
        FixedMultiplier { multiplier, shift }
    }

    fn bias(&mut self) -> i32 {
        match self.below(60) {
            0 => self.next() as i32,
            1..=3 => (1 << 30) + i32::from(self.int8()),
            4..=6 => -(1 << 30) + i32::from(self.int8()),
            _ => self.next() as i32 >> self.within(12, 24),
        }
    }
}

/// The memory of a layer.
#[derive(Debug)]
pub(crate) struct Layer {
    noise: Noise,
    input: [i8; ROOM],
    filter: [i8; ROOM],
    bias: [i32; CHANNELS],
    multipliers: [i32; CHANNELS],
    shifts: [i8; CHANNELS],
}

/// What a kernel with weights is given beside its geometry.
pub(crate) struct Weighted<'a> {
    pub(crate) quantization: WeightedQuantization<'a>,
    pub(crate) input: &'a [i8],
    pub(crate) filter: &'a [i8],
    pub(crate) bias: Option<&'a [i32]>,
    /// Elements of the output.
    pub(crate) outputs: usize,
}

impl Layer {
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            noise: Noise(seed),
            input: [0; ROOM],
            filter: [0; ROOM],
            bias: [0; CHANNELS],
            multipliers: [0; CHANNELS],
            shifts: [0; CHANNELS],
        }
    }

    fn axis(&mut self, taps: usize, dilated: bool) -> Option<WindowAxis> {
        let noise = &mut self.noise;
        let padding = match noise.below(2) {
            0 => Padding::Same,
            _ => Padding::Valid,
        };
        let filter = if noise.one_in(2) {
            3
        } else {
            noise.within(1, taps)
        };
        let dilation = if dilated && noise.one_in(4) {
            noise.within(1, 3)
        } else {
            1
        };
        WindowAxis::new(
            noise.within(1, 9),
            filter,
            noise.within(1, 3),
            dilation,
            padding,
        )
    }

    /// Numbers for a layer of these sizes; `None` where there is no room.
    fn weighted(
        &mut self,
        channels: usize,
        [inputs, filters, outputs]: [usize; 3],
    ) -> Option<Weighted<'_>> {
        let noise = &mut self.noise;
        // At any address.
        let (skip_input, skip_filter) = (noise.below(3), noise.below(6));
        let input = self.input.get_mut(skip_input..)?.get_mut(..inputs)?;
        let filter = self.filter.get_mut(skip_filter..)?.get_mut(..filters)?;
        if outputs > ROOM || channels > CHANNELS {
            return None;
        }
        noise.fill(input);
        noise.fill(filter);
        let count = if noise.one_in(3) { 1 } else { channels };
        let common = noise.one_in(2).then(|| noise.bias() >> 12);
        for i in 0..channels {
            let FixedMultiplier { multiplier, shift } = noise.multiplier();
            self.multipliers[i] = multiplier;
            self.shifts[i] = shift as i8;
            self.bias[i] = common.unwrap_or(noise.bias());
        }
        let stage = noise.stage();
        Some(Weighted {
            quantization: WeightedQuantization {
                input_zero_point: i32::from(noise.edgy()),
                rounding: Rounding::TflmDouble,
                multipliers: Multipliers::new(&self.multipliers[..count], &self.shifts[..count]),
                output: stage,
            },
            input,
            filter,
            bias: (!noise.one_in(4)).then_some(&self.bias[..channels]),
            outputs,
        })
    }

    fn sizes(window: &ImageWindow) -> (usize, usize) {
        let of = |axis: [usize; 2]| axis[0] * axis[1];
        let (rows, columns) = (window.rows(), window.columns());
        (
            of([rows.input(), columns.input()]) * window.input_channels(),
            of([rows.output(), columns.output()]) * window.output_channels(),
        )
    }

    pub(crate) fn conv(&mut self) -> Option<(ConvGeometry, Weighted<'_>)> {
        let (rows, columns) = (self.axis(4, true)?, self.axis(4, true)?);
        let noise = &mut self.noise;
        let groups = if noise.one_in(4) {
            noise.within(1, 3)
        } else {
            1
        };
        let depth = match noise.below(3) {
            0 => noise.within(1, 7),
            _ => 4 * noise.within(1, 6),
        };
        let in_group = noise.within(1, 17);
        let batch = noise.within(1, 2);
        let (inputs, outputs) = (groups * depth, groups * in_group);
        let window = ImageWindow::new(batch, rows, columns, inputs, outputs)?;
        let geometry = ConvGeometry::new(window, depth)?;
        let filters = rows.filter() * columns.filter() * depth * outputs;
        let (input, output) = Self::sizes(&window);
        let weighted = self.weighted(outputs, [batch * input, filters, batch * output])?;
        Some((geometry, weighted))
    }

    pub(crate) fn depthwise(&mut self) -> Option<(ImageWindow, Weighted<'_>)> {
        let (rows, columns) = (self.axis(5, true)?, self.axis(5, true)?);
        let noise = &mut self.noise;
        let channels = noise.within(1, 30);
        let multiplier = if noise.one_in(5) {
            noise.within(1, 3)
        } else {
            1
        };
        let (batch, outputs) = (noise.within(1, 2), channels * multiplier);
        let window = ImageWindow::new(batch, rows, columns, channels, outputs)?;
        let filters = rows.filter() * columns.filter() * outputs;
        let (input, output) = Self::sizes(&window);
        let weighted = self.weighted(outputs, [batch * input, filters, batch * output])?;
        Some((window, weighted))
    }

    pub(crate) fn dense(&mut self) -> Option<(DenseGeometry, Weighted<'_>)> {
        let noise = &mut self.noise;
        let inputs = match noise.below(3) {
            0 => noise.within(1, 40),
            1 => 4 * noise.within(1, 80),
            _ => noise.within(120, 300),
        };
        let geometry = DenseGeometry {
            batch: noise.within(1, 3),
            inputs,
            units: noise.within(1, (ROOM - 8) / inputs).min(CHANNELS),
        };
        let DenseGeometry { batch, units, .. } = geometry;
        let weighted = self.weighted(units, [batch * inputs, units * inputs, batch * units])?;
        Some((geometry, weighted))
    }

    /// Two operands of one shape, and where the output begins in its memory.
    pub(crate) fn add(&mut self) -> (AddQuantization, &[i8], &[i8]) {
        let noise = &mut self.noise;
        let len = noise.within(1, 50);
        let (a, b) = (noise.below(4), noise.below(4));
        let half = FixedMultiplier {
            multiplier: 1 << 30,
            shift: 0,
        };
        let smaller = FixedMultiplier {
            multiplier: (1 << 30) + (noise.next() >> 2) as i32,
            shift: -(noise.within(1, 8) as i32),
        };
        let mut inputs = match noise.below(4) {
            0 => [half, half],
            _ => [half, smaller],
        };
        if noise.one_in(2) {
            inputs.reverse();
        }
        let quantization = AddQuantization {
            zero_points: [i32::from(noise.edgy()), i32::from(noise.edgy())],
            inputs,
            output: FixedMultiplier {
                multiplier: (1 << 30) + (noise.next() >> 2) as i32,
                shift: -(noise.within(14, 22) as i32),
            },
            stage: noise.stage(),
        };
        noise.fill(&mut self.input);
        noise.fill(&mut self.filter);
        (
            quantization,
            &self.input[a..a + len],
            &self.filter[b..b + len],
        )
    }
}
