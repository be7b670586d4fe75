//! How layers are packed.

use std::vec;
use std::vec::Vec;

use larun_ops::OpKind;

use super::{NarrowLayer, PackedDepthwise, PackedLayer};
use crate::arch::armv7em::channels::{self, Channel};
use crate::arch::armv7em::depthwise;
use crate::arch::armv7em::narrow::Steps;
use crate::arch::armv7em::packed::{LAST, SIDE, UNITS, fixed, with_place};
use crate::plan::Record;
use crate::ways::EVERY_WAY;
use crate::weighted::Scheme;
use crate::{
    ConvGeometry, DenseGeometry, ImageWindow, PlanReader, WeightedQuantization, WindowAxis,
};

/// A layer as it was packed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packable {
    /// A convolution or a dense layer.
    Layer(PackedLayer),
    /// A convolution over few channels.
    Narrow(NarrowLayer),
    /// A depthwise convolution.
    Depthwise(PackedDepthwise),
}

/// The constants of a packed layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedConstants {
    /// Sizes.
    pub layer: Packable,
    /// Words of scratch memory that the layer needs.
    pub scratch_words: usize,
    /// Weights.
    pub weights: Vec<u32>,
    /// Bias and scale of each channel; none where they are part of the weights.
    pub channels: Vec<[i32; 4]>,
}

/// Packs an INT8 CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED for Armv7E-M; `None` for what the packed kernels do not
/// compute exactly.
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
    match kind {
        OpKind::Conv2D => {
            let geometry = ConvGeometry::read(&mut plan).ok()?;
            let quantization = WeightedQuantization::read(&mut plan).ok()?;
            pack_conv(&geometry, &quantization, weights, bias)
        }
        OpKind::DepthwiseConv2D => {
            let window = ImageWindow::read(&mut plan).ok()?;
            let quantization = WeightedQuantization::read(&mut plan).ok()?;
            pack_depthwise(&window, &quantization, weights, bias)
        }
        OpKind::FullyConnected => {
            let layer = of_dense(&DenseGeometry::read(&mut plan).ok()?)?;
            let quantization = WeightedQuantization::read(&mut plan).ok()?;
            pack_layer(layer, &quantization, weights, bias)
        }
        _ => None,
    }
}

/// Packs a convolution.
fn pack_conv(
    geometry: &ConvGeometry,
    quantization: &WeightedQuantization<'_>,
    weights: &[i8],
    bias: Option<&[i32]>,
) -> Option<PackedConstants> {
    let wide = || pack_layer(of_conv(geometry)?, quantization, weights, bias);
    let Some(layer) = narrow_of_conv(geometry) else {
        return wide();
    };
    let steps = Steps {
        filter: geometry.patch_len(),
        weight: 1,
    };
    let better = is_better_wide(geometry).then(wide).flatten();
    better.or_else(|| pack_narrow(layer, quantization, (weights, steps), bias))
}

/// Packs a convolution over few channels.
pub(super) fn pack_narrow(
    layer: NarrowLayer,
    quantization: &WeightedQuantization<'_>,
    weights: (&[i8], Steps),
    bias: Option<&[i32]>,
) -> Option<PackedConstants> {
    let mut stream = vec![0; layer.stream_words()];
    let mut scratch = vec![0; layer.scratch_words()];
    let layer = layer.with_stream(
        (quantization, true),
        weights,
        bias,
        &mut stream,
        &mut scratch,
    )?;
    Some(PackedConstants {
        scratch_words: layer.scratch_words(),
        layer: Packable::Narrow(layer),
        weights: stream,
        channels: Vec::new(),
    })
}

/// Packs a depthwise convolution of one channel, or of as many channels in as out.
pub(super) fn pack_depthwise(
    window: &ImageWindow,
    quantization: &WeightedQuantization<'_>,
    weights: &[i8],
    bias: Option<&[i32]>,
) -> Option<PackedConstants> {
    if window.input_channels() == 1 {
        let steps = Steps {
            filter: 1,
            weight: window.output_channels(),
        };
        return pack_narrow(
            NarrowLayer::of(window)?,
            quantization,
            (weights, steps),
            bias,
        );
    }
    if !depthwise::is_supported(window) {
        return None;
    }
    let (rows, columns) = (window.rows(), window.columns());
    let products = rows.filter() * columns.filter();
    let mut channels = vec![[0; 4]; window.output_channels()];
    channels::prepare(&mut channels, 0, quantization, bias, products, true).then_some(())?;
    let axis = |axis: &WindowAxis| {
        [
            axis.input(),
            axis.output(),
            axis.filter(),
            axis.stride(),
            axis.dilation(),
            axis.pad(),
        ]
    };
    let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (axis(rows), axis(columns));
    let (inputs, outputs) = (window.input_channels(), window.output_channels());
    let sizes = [
        window.images().0,
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        i,
        j,
        k,
        l,
        inputs,
        outputs,
    ];
    let stage = quantization.output;
    let (mut words, mut fixed) = (words_of(weights), false);
    if depthwise::is_three_by_three(window) {
        words.clear();
        let push = |stream: &[u32]| words.extend(stream);
        fixed = depthwise::streams(window, &stage, (weights, &channels), push);
        channels.clear();
    }
    Some(PackedConstants {
        layer: Packable::Depthwise(PackedDepthwise {
            window: sizes.map(|size| size as u32),
            zero_point: i8::try_from(quantization.input_zero_point).ok()?,
            stage: [stage.zero_point, stage.min, stage.max],
            fixed,
        }),
        scratch_words: depthwise::scratch_words(window, EVERY_WAY),
        weights: words,
        channels,
    })
}

/// Bytes as words, zeros behind the last.
fn words_of(bytes: &[i8]) -> Vec<u32> {
    let word = |four: &[i8]| {
        let mut word = [0; 4];
        for (to, &from) in word.iter_mut().zip(four) {
            *to = from as u8;
        }
        u32::from_le_bytes(word)
    };
    bytes.chunks(4).map(word).collect()
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
    channels::prepare(&mut table, 0, quantization, bias, len, true).then_some(())?;
    let mut sums = vec![[0; 2]; layer.channels];
    let filters = weights.chunks_exact(len);
    for ((channel, sums), filter) in table.iter_mut().zip(&mut sums).zip(filters) {
        (channel[0], *sums) = packed_bias(*channel, filter, quantization.input_zero_point)?;
    }
    let filters = weights.chunks_exact(len);
    let filters: Vec<_> = filters.map(|filter| lanes(filter, layer.words)).collect();
    let (layer, weights, channels) = match layer.dense {
        true => alternate(layer, filters, table),
        false => {
            let (layer, stream) = stream(layer, &filters, &table, &sums);
            (layer, stream, Vec::new())
        }
    };
    Some(PackedConstants {
        scratch_words: layer.scratch_words(),
        layer: Packable::Layer(layer),
        weights,
        channels,
    })
}

/// The filters of a dense layer in blocks of [`UNITS`], word by word.
fn alternate(
    layer: PackedLayer,
    mut filters: Vec<Vec<u32>>,
    mut table: Vec<Channel>,
) -> (PackedLayer, Vec<u32>, Vec<Channel>) {
    let padded = layer.channels.next_multiple_of(UNITS);
    table.resize(padded, NO_CHANNEL);
    filters.resize(padded, vec![0; layer.words]);
    let blocks = filters.chunks_exact(UNITS);
    let alternate = |block: &[Vec<u32>]| -> Vec<u32> {
        (0..layer.words)
            .flat_map(|word| block.iter().map(move |filter| filter[word]))
            .collect()
    };
    (layer, blocks.flat_map(alternate).collect(), table)
}

/// What is read behind the last channel, but not used.
const NO_CHANNEL: Channel = [0, 0, 0, 1];

/// The stream of the filters of a convolution whose outputs depend on the input, and the outputs of the others behind them.
fn stream(
    layer: PackedLayer,
    filters: &[Vec<u32>],
    table: &[Channel],
    sums: &[[i64; 2]],
) -> (PackedLayer, Vec<u32>) {
    let live: Vec<usize> = (0..table.len()).filter(|&at| table[at][1] != 0).collect();
    let rectified = layer.stage == [-128, -128, 127];
    let own = live.iter().filter(|_| rectified);
    let fixed: Vec<Channel> = own.filter_map(|&at| fixed(table[at], sums[at])).collect();
    let is_fixed = rectified && fixed.len() == live.len();
    let channels = match is_fixed {
        true => fixed,
        false => live.iter().map(|&at| table[at]).collect(),
    };
    let first = live.first().copied().unwrap_or(0);
    let mut stream = Vec::new();
    for (channel, &at) in channels.into_iter().zip(&live) {
        let [start, scale @ ..] = with_place(channel, at - first);
        stream.push(start as u32);
        stream.extend(&filters[at]);
        stream.extend(scale.map(|word| word as u32));
    }
    stream.push(LAST as u32);
    if live.len() < layer.channels {
        stream.extend(words_of(&constants(layer, table)));
    }
    let layer = PackedLayer {
        live: live.len(),
        first,
        fixed: is_fixed,
        ..layer
    };
    (layer, stream)
}

/// The outputs of a pixel that do not depend on the input; 0 for the others.
fn constants(layer: PackedLayer, table: &[Channel]) -> Vec<i8> {
    let outputs = table.iter().map(|&[_, multiplier, rounding, shift]| {
        let output = (rounding >> shift).max(layer.stage[1]).min(layer.stage[2]);
        if multiplier == 0 { output as i8 } else { 0 }
    });
    outputs.collect()
}

/// The bias of sums that are 256 times as large, and the least and the most that sums can be; `None` where such a sum may not
/// fit.
fn packed_bias(
    [bias, multiplier, ..]: [i32; 4],
    filter: &[i8],
    zero_point: i32,
) -> Option<(i32, [i64; 2])> {
    let sum = |weights: &mut dyn Iterator<Item = &i8>| weights.map(|&w| i64::from(w)).sum::<i64>();
    let all = sum(&mut filter.iter());
    let even = sum(&mut filter.iter().step_by(2));
    let centred = i64::from(bias) - i64::from(zero_point) * all;
    let spread: i64 = filter.iter().map(|&w| 128 * i64::from(w).abs()).sum();
    // A multiplier of 0 takes no notice of the sum.
    let fits = multiplier == 0 || centred.abs() + spread < 1 << 23;
    let bias = (256 * centred - 127 * even) as i32;
    fits.then_some((bias, [centred - spread, centred + spread]))
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

/// Whether a convolution over few channels is better packed as those over many: where rows of windows are whole words, so that they are
/// widened from where they lie. A filter then takes four instructions less a pixel; what a window sees is gathered in some 60 and
/// 15 a row more.
const fn is_better_wide(geometry: &ConvGeometry) -> bool {
    let window = geometry.window();
    let (rows, columns) = (window.rows().filter(), window.columns().filter());
    let whole = (columns * geometry.filter_depth()).is_multiple_of(4);
    whole && 4 * window.output_channels() > 60 + 15 * rows
}

/// The layer as one over few channels, whose weights take twice the memory of others.
pub(crate) const fn narrow_of_conv(geometry: &ConvGeometry) -> Option<NarrowLayer> {
    let (depth, window) = (geometry.filter_depth(), geometry.window());
    match depth < 4 && depth == window.input_channels() {
        true => NarrowLayer::of(window),
        false => None,
    }
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
        live: window.output_channels(),
        first: 0,
        fixed: false,
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
        live: geometry.units,
        first: 0,
        fixed: false,
        zero_point: 0,
        stage: [0; 3],
    })
}
