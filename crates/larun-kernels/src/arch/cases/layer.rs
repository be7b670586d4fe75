//! Random layers: geometry, quantisation and operands.

use larun_ops::Padding;
use larun_quant::fixed_point::{FixedMultiplier, Rounding};

use super::noise::Noise;
use crate::{
    AddQuantization, ConvGeometry, DenseGeometry, ImageWindow, Multipliers, OutputStage,
    WeightedQuantization, WindowAxis,
};

/// Room for the values of a tensor.
pub(super) const ROOM: usize = 6000;
/// Room for the values of each channel.
const CHANNELS: usize = 140;

/// The memory of a layer.
#[derive(Debug)]
pub(super) struct Layer {
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
    pub(super) outputs: usize,
}

impl Layer {
    pub(super) const fn new(seed: u64) -> Self {
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
        let usual = noise.one_in(2);
        for i in 0..channels {
            let any = !usual || noise.one_in(9);
            let FixedMultiplier { multiplier, shift } = match any && noise.one_in(3) {
                // Of any input, nothing is left.
                true => FixedMultiplier {
                    multiplier: 1 << 30,
                    shift: -30,
                },
                false => noise.multiplier(usual),
            };
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

    /// Elements of input and output of one image.
    pub(super) fn sizes(window: &ImageWindow) -> (usize, usize) {
        let of = |axis: [usize; 2]| axis[0] * axis[1];
        let (rows, columns) = (window.rows(), window.columns());
        (
            of([rows.input(), columns.input()]) * window.input_channels(),
            of([rows.output(), columns.output()]) * window.output_channels(),
        )
    }

    /// A long axis and a trivial one, either way round.
    fn line(&mut self) -> Option<[WindowAxis; 2]> {
        let noise = &mut self.noise;
        let padding = match noise.below(2) {
            0 => Padding::Same,
            _ => Padding::Valid,
        };
        let (len, taps, stride) = match noise.one_in(3) {
            // Windows that come in several stretches.
            true => (noise.within(100, 300), noise.within(1, 12), 1),
            false => (noise.within(8, 60), noise.within(1, 12), noise.within(1, 4)),
        };
        let line = WindowAxis::new(len, taps, stride, 1, padding)?;
        let point = WindowAxis::new(1, 1, 1, 1, padding)?;
        Some(match noise.one_in(4) {
            true => [line, point],
            false => [point, line],
        })
    }

    fn axes(&mut self, taps: usize) -> Option<[WindowAxis; 2]> {
        match self.noise.one_in(6) {
            true => self.line(),
            false => Some([self.axis(taps, true)?, self.axis(taps, true)?]),
        }
    }

    pub(super) fn conv(&mut self) -> Option<(ConvGeometry, Weighted<'_>)> {
        let [rows, columns] = self.axes(4)?;
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

    pub(super) fn depthwise(&mut self) -> Option<(ImageWindow, Weighted<'_>)> {
        let [rows, columns] = self.axes(5)?;
        let noise = &mut self.noise;
        let (channels, multiplier) = match noise.below(10) {
            0 => (1, noise.within(1, 9)),
            1 => (noise.within(2, 30), noise.within(2, 3)),
            _ => (noise.within(1, 30), 1),
        };
        let (batch, outputs) = (noise.within(1, 2), channels * multiplier);
        let window = ImageWindow::new(batch, rows, columns, channels, outputs)?;
        let filters = rows.filter() * columns.filter() * outputs;
        let (input, output) = Self::sizes(&window);
        let weighted = self.weighted(outputs, [batch * input, filters, batch * output])?;
        Some((window, weighted))
    }

    pub(super) fn dense(&mut self) -> Option<(DenseGeometry, Weighted<'_>)> {
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

    /// Windows of a pool on one image.
    pub(super) fn pool(&mut self) -> Option<(ImageWindow, OutputStage, &[i8])> {
        let (rows, columns) = (self.axis(5, false)?, self.axis(5, false)?);
        let noise = &mut self.noise;
        let channels = noise.within(1, 30);
        let window = ImageWindow::new(1, rows, columns, channels, channels)?;
        let stage = noise.stage();
        let skip = noise.below(3);
        let input = self.input.get_mut(skip..)?;
        let input = input.get_mut(..Self::sizes(&window).0)?;
        noise.fill(input);
        Some((window, stage, input))
    }

    /// Two operands of one shape.
    pub(super) fn add(&mut self) -> (AddQuantization, &[i8], &[i8]) {
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
