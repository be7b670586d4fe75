//! Layers whose weights were packed for a processor on a host: what generated code runs in their place.
//!
//! [`PackedLayer`] holds sizes and how sums become outputs; weights and channels are slices beside it. `pack` makes them
//! from a node's plan and constants, on a host.

use crate::OutputStage;
use crate::arch::armv7em::packed::{self, Packed, SIDE};

/// The sizes of a packed CONV_2D, or of a packed FULLY_CONNECTED as a convolution of one pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedLayer {
    /// Images, or rows of a dense layer.
    pub batch: usize,
    /// Height and width of the input.
    pub input: [usize; 2],
    /// Height and width of the output.
    pub output: [usize; 2],
    /// Height and width of a filter.
    pub filter: [usize; 2],
    /// Steps between windows.
    pub stride: [usize; 2],
    /// Elements missing before the first one.
    pub pad: [usize; 2],
    /// Channels of the input.
    pub depth: usize,
    /// Channels of the output.
    pub channels: usize,
    /// Words of a packed filter.
    pub words: usize,
    /// Whether filters alternate word by word in blocks of four.
    pub dense: bool,
    /// Zero point of the input.
    pub zero_point: i8,
    /// Zero point of the output, least and largest output.
    pub stage: [i32; 3],
}

impl PackedLayer {
    /// Words of scratch memory that [`run`](Self::run) needs.
    #[must_use]
    pub const fn scratch_words(&self) -> usize {
        match self.dense {
            true => 2 * self.words,
            // The patches side by side, and one as bytes.
            false => (2 * SIDE + 1) * self.words,
        }
    }

    /// Whether each output pixel comes from the input pixel at its place alone, in whole words.
    const fn is_pointwise(&self) -> bool {
        let [rows, columns] = self.filter;
        let [down, across] = self.stride;
        rows * columns * down * across == 1 && self.depth.is_multiple_of(4)
    }

    const fn pixels(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Runs the layer. What does not have the sizes that the layer says is left alone.
    pub fn run(
        &self,
        weights: &[u32],
        channels: &[[i32; 4]],
        input: &[i8],
        output: &mut [i8],
        scratch: &mut [u8],
    ) {
        let [zero_point, min, max] = self.stage;
        let packed = Packed {
            weights,
            words: self.words,
            channels,
            stage: OutputStage {
                zero_point,
                min,
                max,
            },
        };
        let scratch = bytemuck::try_cast_slice_mut(scratch).unwrap_or_default();
        let Some(scratch) = scratch.get_mut(..self.scratch_words()) else {
            return;
        };
        let image = self.input[0] * self.input[1] * self.depth;
        let outputs = self.pixels() * self.channels;
        for number in 0..self.batch {
            let image = input
                .get(number * image..)
                .and_then(|rest| rest.get(..image));
            let place = output.get_mut(number * outputs..);
            let place = place.and_then(|rest| rest.get_mut(..outputs));
            if let (Some(image), Some(place)) = (image, place) {
                match self.dense {
                    true => self.row(&packed, image, place, scratch),
                    false => self.image(&packed, image, place, scratch),
                }
            }
        }
    }

    /// A row of a dense layer.
    fn row(&self, packed: &Packed<'_>, input: &[i8], output: &mut [i8], values: &mut [u32]) {
        let whole = input.len() / 4 * 4;
        let (words, rest) = input.split_at(whole);
        packed::widen::<1>(words, values);
        // Whatever else meets weights that are 0.
        let mut last = [0; 4];
        for (to, &from) in last.iter_mut().zip(rest) {
            *to = from;
        }
        if !rest.is_empty() {
            packed::widen::<1>(&last, values.get_mut(whole / 2..).unwrap_or_default());
        }
        packed::units(packed, values, output);
    }

    /// An image of a convolution: five pixels at a time, the last five perhaps once more in part.
    fn image(&self, packed: &Packed<'_>, image: &[i8], output: &mut [i8], scratch: &mut [u32]) {
        let (patch, bytes) = scratch.split_at_mut(2 * SIDE * self.words);
        let bytes: &mut [i8] = bytemuck::cast_slice_mut(bytes);
        let (pixels, width) = (self.pixels(), self.output[1]);
        let (mut next, mut y, mut x) = (0, 0, 0);
        while next < pixels {
            if next + SIDE > pixels {
                next = pixels.saturating_sub(SIDE);
                (y, x) = (next / width.max(1), next % width.max(1));
            }
            if self.is_pointwise() {
                // Pixels of the input and of the output go together.
                let mut at = next * self.depth;
                for slot in 0..SIDE {
                    let pixel = image.get(at..).and_then(|rest| rest.get(..self.depth));
                    let own = patch.get_mut(slot..).unwrap_or_default();
                    packed::widen::<SIDE>(pixel.unwrap_or_default(), own);
                    at += self.depth;
                }
            } else {
                for slot in 0..SIDE {
                    let own = patch.get_mut(slot..).unwrap_or_default();
                    self.gather(image, [y, x], own, bytes);
                    x += 1;
                    if x == width {
                        (y, x) = (y + 1, 0);
                    }
                }
            }
            let place = output.get_mut(next * self.channels..).unwrap_or_default();
            packed::side_by_side(packed, patch, place, self.channels);
            next += SIDE;
        }
    }

    /// What the window of a pixel sees, as one of the patches side by side.
    fn gather(&self, image: &[i8], [y, x]: [usize; 2], patch: &mut [u32], bytes: &mut [i8]) {
        let [height, width] = self.input;
        let [rows, columns] = self.filter;
        let run = columns * self.depth;
        let (top, left) = (y * self.stride[0], x * self.stride[1]);
        let inside = top >= self.pad[0]
            && left >= self.pad[1]
            && top - self.pad[0] + rows <= height
            && left - self.pad[1] + columns <= width;
        let from = |row: usize, column: usize| (row * width + column) * self.depth;
        if inside {
            let mut at = from(top - self.pad[0], left - self.pad[1]);
            let step = width * self.depth;
            if run.is_multiple_of(4) {
                let values = image.get(at..).unwrap_or_default();
                packed::widen_rows::<SIDE>(values, step, [rows, run], patch);
                return;
            }
            let mut place = &mut *bytes;
            for _ in 0..rows {
                let values = image.get(at..).and_then(|rest| rest.get(..run));
                packed::copy(values.unwrap_or_default(), place);
                place = place.get_mut(run..).unwrap_or_default();
                at += step;
            }
        } else {
            bytes.fill(self.zero_point);
            let first = self.pad[1].saturating_sub(left);
            let end = columns.min((width + self.pad[1]).saturating_sub(left));
            for row in 0..rows {
                let Some(at) = (top + row)
                    .checked_sub(self.pad[0])
                    .filter(|&at| at < height)
                else {
                    continue;
                };
                let start = from(at, left + first - self.pad[1]);
                let values = image
                    .get(start..)
                    .and_then(|rest| rest.get(..end.saturating_sub(first) * self.depth));
                let place = bytes.get_mut(row * run + first * self.depth..);
                packed::copy(values.unwrap_or_default(), place.unwrap_or_default());
            }
        }
        packed::widen::<SIDE>(bytes, patch);
    }
}

/// A packed layer with its constants, and where its operands lie in the activations: start and end of each.
#[derive(Clone, Copy, Debug)]
pub struct PackedNode {
    /// Sizes.
    pub layer: PackedLayer,
    /// Packed weights.
    pub weights: &'static [u32],
    /// Bias and scale of each channel.
    pub channels: &'static [[i32; 4]],
    /// The input.
    pub input: [usize; 2],
    /// The output.
    pub output: [usize; 2],
    /// Scratch memory.
    pub scratch: [usize; 2],
}

impl PackedNode {
    /// Runs the node. Places that overlap or are outside the activations are left alone.
    pub fn run(&self, activations: &mut [u8]) {
        let ranges = [self.input, self.output, self.scratch].map(|[start, end]| start..end);
        if let Ok([input, output, scratch]) = activations.get_disjoint_mut(ranges) {
            let (input, output) = (
                bytemuck::cast_slice(input),
                bytemuck::cast_slice_mut(output),
            );
            self.layer
                .run(self.weights, self.channels, input, output, scratch);
        }
    }
}

#[cfg(feature = "processors")]
pub use host::{PackedConstants, pack};
#[cfg(any(test, feature = "processors"))]
pub(crate) use host::{of_conv, of_dense};

/// How layers are packed.
#[cfg(any(test, feature = "processors"))]
mod host {
    use std::vec;
    use std::vec::Vec;

    use larun_ops::OpKind;

    use super::PackedLayer;
    use crate::arch::armv7em::channels;
    use crate::arch::armv7em::packed::{SIDE, UNITS};
    use crate::plan::Record;
    use crate::weighted::Scheme;
    use crate::{ConvGeometry, DenseGeometry, PlanReader, WeightedQuantization, WindowAxis};

    /// The constants of a packed layer.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PackedConstants {
        /// Sizes.
        pub layer: PackedLayer,
        /// Weights.
        pub weights: Vec<u32>,
        /// Bias and scale of each channel, and one entry more.
        pub channels: Vec<[i32; 4]>,
    }

    /// Packs an INT8 CONV_2D or FULLY_CONNECTED for Armv7E-M; `None` for what the packed kernels do not compute exactly.
    ///
    /// `plan` is the node's, as its kernel's `prepare` wrote it.
    #[must_use]
    pub fn pack(
        kind: OpKind,
        plan: &[u32],
        weights: &[i8],
        bias: Option<&[i32]>,
    ) -> Option<PackedConstants> {
        let mut plan = PlanReader::new(plan);
        if Scheme::read(&mut plan).ok()? != Scheme::Int8 {
            return None;
        }
        let layer = match kind {
            OpKind::Conv2D => of_conv(&ConvGeometry::read(&mut plan).ok()?)?,
            OpKind::FullyConnected => of_dense(&DenseGeometry::read(&mut plan).ok()?)?,
            _ => return None,
        };
        let quantization = WeightedQuantization::read(&mut plan).ok()?;
        pack_layer(layer, &quantization, weights, bias)
    }

    /// Packs a layer of these sizes.
    pub(crate) fn pack_layer(
        layer: PackedLayer,
        quantization: &WeightedQuantization<'_>,
        weights: &[i8],
        bias: Option<&[i32]>,
    ) -> Option<PackedConstants> {
        let stage = quantization.output;
        let layer = PackedLayer {
            zero_point: i8::try_from(quantization.input_zero_point).ok()?,
            stage: [stage.zero_point, stage.min, stage.max],
            ..layer
        };
        let len = layer.filter[0] * layer.filter[1] * layer.depth;
        if weights.len() != len * layer.channels || weights.contains(&i8::MIN) {
            return None;
        }
        let mut table = vec![[0; 4]; layer.channels];
        channels::prepare(&mut table, 0, quantization, bias, len).then_some(())?;
        for (channel, filter) in table.iter_mut().zip(weights.chunks_exact(len)) {
            channel[0] = packed_bias(*channel, filter, quantization.input_zero_point)?;
        }
        let padded = match layer.dense {
            true => layer.channels.next_multiple_of(UNITS),
            false => layer.channels + 1,
        };
        table.resize(padded, [0, 0, 0, 1]);
        let mut filters: Vec<_> = weights
            .chunks_exact(len)
            .map(|filter| lanes(filter, layer.words))
            .collect();
        let weights = match layer.dense {
            true => {
                filters.resize(padded, vec![0; layer.words]);
                let blocks = filters.chunks_exact(UNITS);
                let alternate = |block: &[Vec<u32>]| -> Vec<u32> {
                    (0..layer.words)
                        .flat_map(|word| block.iter().map(move |filter| filter[word]))
                        .collect()
                };
                blocks.flat_map(alternate).collect()
            }
            false => filters.concat(),
        };
        Some(PackedConstants {
            layer,
            weights,
            channels: table,
        })
    }

    /// The bias of sums that are 256 times as large; `None` where such a sum may not fit.
    fn packed_bias(
        [bias, multiplier, ..]: [i32; 4],
        filter: &[i8],
        zero_point: i32,
    ) -> Option<i32> {
        let sum =
            |weights: &mut dyn Iterator<Item = &i8>| weights.map(|&w| i64::from(w)).sum::<i64>();
        let all = sum(&mut filter.iter());
        let even = sum(&mut filter.iter().step_by(2));
        let centred = i64::from(bias) - i64::from(zero_point) * all;
        let spread: i64 = filter.iter().map(|&w| 128 * i64::from(w).abs()).sum();
        // A multiplier of 0 takes no notice of the sum.
        let fits = multiplier == 0 || centred.abs() + spread < 1 << 23;
        fits.then(|| (256 * centred - 127 * even) as i32)
    }

    /// Weights as lanes `256 odd + even`.
    fn lanes(filter: &[i8], words: usize) -> Vec<u32> {
        let at = |index: usize| i32::from(filter.get(index).copied().unwrap_or(0));
        let lane = |first: usize| u32::from((256 * at(first + 1) + at(first)) as u16);
        (0..words)
            .map(|word| lane(4 * word) | lane(4 * word + 2) << 16)
            .collect()
    }

    const fn even_words(len: usize) -> usize {
        len.div_ceil(4).next_multiple_of(2)
    }

    pub(crate) fn of_conv(geometry: &ConvGeometry) -> Option<PackedLayer> {
        let window = geometry.window();
        let (rows, columns) = (window.rows(), window.columns());
        let pair = |get: fn(&WindowAxis) -> usize| [get(rows), get(columns)];
        let (batch, ..) = window.images();
        let plain = rows.dilation() == 1
            && columns.dilation() == 1
            && geometry.filter_depth() == window.input_channels();
        let layer = PackedLayer {
            batch,
            input: pair(WindowAxis::input),
            output: pair(WindowAxis::output),
            filter: pair(WindowAxis::filter),
            stride: pair(WindowAxis::stride),
            pad: pair(WindowAxis::pad),
            depth: geometry.filter_depth(),
            channels: window.output_channels(),
            words: even_words(geometry.patch_len()),
            dense: false,
            zero_point: 0,
            stage: [0; 3],
        };
        (plain && layer.pixels() >= SIDE).then_some(layer)
    }

    pub(crate) fn of_dense(geometry: &DenseGeometry) -> Option<PackedLayer> {
        Some(PackedLayer {
            batch: geometry.batch,
            input: [1, 1],
            output: [1, 1],
            filter: [1, 1],
            stride: [1, 1],
            pad: [0, 0],
            depth: geometry.inputs,
            channels: geometry.units,
            words: even_words(geometry.inputs),
            dense: true,
            zero_point: 0,
            stage: [0; 3],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::host::pack_layer;
    use super::{PackedLayer, of_conv, of_dense};
    use crate::arch::cases::{Faster, Kind, Weighted, on_many_at_least};
    use crate::{AddQuantization, ConvGeometry, DenseGeometry, ImageWindow};
    use std::vec;

    struct Hooks;

    fn run(layer: Option<PackedLayer>, w: &Weighted<'_>, output: &mut [i8]) -> bool {
        let packed = layer.and_then(|layer| {
            let stage = w.quantization.output;
            let layer = PackedLayer {
                zero_point: w.quantization.input_zero_point as i8,
                stage: [stage.zero_point, stage.min, stage.max],
                ..layer
            };
            pack_layer(layer, &w.quantization, w.filter, w.bias)
        });
        let Some(packed) = packed else { return false };
        let mut scratch = vec![0xA5A5_A5A5_u32; packed.layer.scratch_words()];
        let scratch = bytemuck::cast_slice_mut(&mut scratch);
        packed
            .layer
            .run(&packed.weights, &packed.channels, w.input, output, scratch);
        true
    }

    impl Faster for Hooks {
        fn conv2d_i8(
            &self,
            geometry: &ConvGeometry,
            w: &Weighted<'_>,
            output: &mut [i8],
            _: &mut [i16],
        ) -> bool {
            run(of_conv(geometry), w, output)
        }

        fn fully_connected_i8(
            &self,
            geometry: &DenseGeometry,
            w: &Weighted<'_>,
            output: &mut [i8],
            _: &mut [i16],
        ) -> bool {
            run(of_dense(geometry), w, output)
        }

        fn depthwise_conv2d_i8(
            &self,
            _: &ImageWindow,
            _: &Weighted<'_>,
            _: &mut [i8],
            _: &mut [i16],
        ) -> bool {
            false
        }

        fn add_i8(&self, _: &AddQuantization, _: &[i8], _: &[i8], _: &mut [i8]) -> bool {
            false
        }
    }

    #[test]
    fn packed_convolutions_are_the_definition() {
        // Many layers have a weight of -128 or sums that do not fit when they are packed.
        on_many_at_least(Kind::Conv, &Hooks, 250);
    }

    #[test]
    fn packed_dense_layers_are_the_definition() {
        on_many_at_least(Kind::Dense, &Hooks, 250);
    }
}
