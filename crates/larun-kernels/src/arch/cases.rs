//! Random layers, extremes included, for tests that hold faster versions against the definitions. Without `std` or an
//! allocator, so that tests on a board can include this file; the names are those at the root of `larun-kernels`.

use crate::{
    AddQuantization, Broadcast, ConvGeometry, DenseGeometry, ImageWindow, Multipliers, OutputStage,
    WeightedQuantization, WindowAxis, portable,
};
use larun_ops::{Padding, Shape};
use larun_quant::fixed_point::{FixedMultiplier, Rounding};

/// Room for the values of a tensor.
const ROOM: usize = 6000;
/// Room for the values of each channel.
const CHANNELS: usize = 140;

/// Pseudo-random numbers: a linear congruential generator, of whose states the upper bits are used.
#[derive(Clone, Copy, Debug)]
struct Noise(u64);

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
struct Layer {
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
    outputs: usize,
}

impl Layer {
    const fn new(seed: u64) -> Self {
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

    fn conv(&mut self) -> Option<(ConvGeometry, Weighted<'_>)> {
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

    fn depthwise(&mut self) -> Option<(ImageWindow, Weighted<'_>)> {
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

    fn dense(&mut self) -> Option<(DenseGeometry, Weighted<'_>)> {
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

    /// Two operands of one shape.
    fn add(&mut self) -> (AddQuantization, &[i8], &[i8]) {
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

/// Another way to compute layers than the definitions. Each method says whether it computed the layer; scratch memory is
/// longer than it needs to be, at an odd place.
pub(crate) trait Faster {
    fn conv2d_i8(
        &self,
        geometry: &ConvGeometry,
        layer: &Weighted<'_>,
        output: &mut [i8],
        scratch: &mut [i16],
    ) -> bool;

    fn depthwise_conv2d_i8(
        &self,
        window: &ImageWindow,
        layer: &Weighted<'_>,
        output: &mut [i8],
        scratch: &mut [i16],
    ) -> bool;

    fn fully_connected_i8(
        &self,
        geometry: &DenseGeometry,
        layer: &Weighted<'_>,
        output: &mut [i8],
        scratch: &mut [i16],
    ) -> bool;

    /// Operands of one shape.
    fn add_i8(&self, quantization: &AddQuantization, a: &[i8], b: &[i8], output: &mut [i8])
    -> bool;
}

/// The layers of which there are faster versions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Conv,
    Depthwise,
    Dense,
    Add,
}

/// What both ways write, and what they work in.
pub(crate) struct Memory {
    scratch: [i16; 2 * ROOM],
    expected: [i8; ROOM],
    found: [i8; ROOM],
}

impl Memory {
    pub(crate) const NEW: Self = Self {
        scratch: [0; 2 * ROOM],
        expected: [0; ROOM],
        found: [0; ROOM],
    };

    /// Whether both ways give the same bytes for a random layer; `None` where the seed gives none, or the faster way leaves
    /// it to the definition.
    pub(crate) fn agrees(&mut self, kind: Kind, seed: u64, faster: &impl Faster) -> Option<bool> {
        let layer = &mut Layer::new(seed);
        match kind {
            Kind::Conv => self.conv(layer, faster),
            Kind::Depthwise => self.depthwise(layer, faster),
            Kind::Dense => self.dense(layer, faster),
            Kind::Add => self.add(layer, faster),
        }
    }

    /// Memory for so many outputs both ways, and scratch memory.
    fn lend(&mut self, outputs: usize) -> Option<(&mut [i8], &mut [i8], &mut [i16])> {
        Some((
            self.expected.get_mut(..outputs)?,
            self.found.get_mut(..outputs)?,
            self.scratch.get_mut(1..)?,
        ))
    }

    fn conv(&mut self, layer: &mut Layer, faster: &impl Faster) -> Option<bool> {
        let (geometry, w) = layer.conv()?;
        let (expected, found, scratch) = self.lend(w.outputs)?;
        let (q, input, filter) = (&w.quantization, w.input, w.filter);
        let done = portable::conv2d_i8(&geometry, q, input, filter, w.bias, expected, scratch);
        let computed = faster.conv2d_i8(&geometry, &w, found, scratch);
        computed.then_some(done.is_ok() && expected == found)
    }

    fn depthwise(&mut self, layer: &mut Layer, faster: &impl Faster) -> Option<bool> {
        let (window, w) = layer.depthwise()?;
        let (expected, found, scratch) = self.lend(w.outputs)?;
        let (q, input, filter) = (&w.quantization, w.input, w.filter);
        let done = portable::depthwise_conv2d_i8(&window, q, input, filter, w.bias, expected);
        let computed = faster.depthwise_conv2d_i8(&window, &w, found, scratch);
        computed.then_some(done.is_ok() && expected == found)
    }

    fn dense(&mut self, layer: &mut Layer, faster: &impl Faster) -> Option<bool> {
        let (geometry, w) = layer.dense()?;
        let (expected, found, scratch) = self.lend(w.outputs)?;
        let (q, input, weights) = (&w.quantization, w.input, w.filter);
        let done = portable::fully_connected_i8(&geometry, q, input, weights, w.bias, expected);
        let computed = faster.fully_connected_i8(&geometry, &w, found, scratch);
        computed.then_some(done.is_ok() && expected == found)
    }

    fn add(&mut self, layer: &mut Layer, faster: &impl Faster) -> Option<bool> {
        let (quantization, a, b) = layer.add();
        let shape = Shape::new(&[a.len()])?;
        let broadcast = Broadcast::new(&shape, &shape)?;
        let (expected, found, _) = self.lend(a.len())?;
        let done = portable::add_i8(&broadcast, &quantization, a, b, expected);
        let computed = faster.add_i8(&quantization, a, b, found);
        computed.then_some(done.is_ok() && expected == found)
    }
}

/// Compares both ways on many layers, of which the faster one must compute so many that it is no accident.
#[cfg(test)]
pub(crate) fn on_many(kind: Kind, faster: &impl Faster) {
    let (mut memory, mut computed) = (Memory::NEW, 0);
    for seed in 0..3_000 {
        let agrees = memory.agrees(kind, seed, faster);
        assert_ne!(agrees, Some(false), "{kind:?} of seed {seed}");
        computed += usize::from(agrees.is_some());
    }
    assert!(computed > 800, "only {computed} layers were computed");
}
