//! The layers of this directory against the portable definitions, over emulated instructions.

use super::super::cases::{Faster, Kind, Weighted, on_many};
use super::ways;
use std::vec;

use crate::ways::{EVERY_WAY, Way};
use crate::{
    AddQuantization, ConvGeometry, DenseGeometry, ImageWindow, OutputStage, WeightedQuantization,
};

type Conv = fn(
    &ConvGeometry,
    &WeightedQuantization<'_>,
    &[i8],
    &[i8],
    Option<&[i32]>,
    &mut [i8],
    &mut [i16],
) -> bool;
type Depthwise = fn(
    &ImageWindow,
    &WeightedQuantization<'_>,
    &[i8],
    &[i8],
    Option<&[i32]>,
    &mut [i8],
    &mut [i16],
) -> bool;

/// Ways as programs link them, and two without faint channels.
const NARROW: u32 = Way::Narrow.bit() | Way::Faint.bit();
const PATCHES: u32 = Way::Patches.bit() | Way::Faint.bit();
const POINTWISE: u32 = Way::Pointwise.bit() | Way::Faint.bit();
const PLAIN_PATCHES: u32 = Way::Patches.bit();
const LINE: u32 = Way::Line.bit() | Way::Faint.bit();
const TAPS: u32 = Way::Taps.bit() | Way::Faint.bit();
const THREE: u32 = Way::ThreeByThree.bit() | Way::Faint.bit();
const PLAIN_TAPS: u32 = Way::Taps.bit();

/// Computes a layer by programs that link fewer ways, and finds `output` by all that compute it.
fn same_by_fewer<L: Copy>(
    output: &[i8],
    scratch: &mut [i16],
    programs: &[(u32, L)],
    by: impl Fn(L, u32, &mut [i8], &mut [i16]) -> bool,
) {
    // Some ways take more scratch memory than the fastest.
    let mut scratch = vec![0; 64 * scratch.len() + (1 << 16)];
    for &(linked, layer) in programs {
        let mut alone = vec![0; output.len()];
        if by(layer, linked, &mut alone, &mut scratch) {
            assert_eq!(alone, output, "ways {linked:#b}");
        }
    }
}

struct Hooks;

impl Faster for Hooks {
    fn conv2d_i8(
        &self,
        geometry: &ConvGeometry,
        w: &Weighted<'_>,
        output: &mut [i8],
        scratch: &mut [i16],
    ) -> bool {
        let q = &w.quantization;
        let by = |layer: Conv, linked: u32, output: &mut [i8], scratch: &mut [i16]| {
            let scratch = &mut scratch[..super::conv2d_i8_scratch_len(geometry, linked)];
            let computed = layer(geometry, q, w.input, w.filter, w.bias, output, scratch);
            let way = ways::of_conv(geometry, q, w.bias, linked);
            assert_eq!(computed, way != Way::Definition && way.is_in(linked));
            computed
        };
        let computed = by(super::conv2d_i8_by::<EVERY_WAY>, EVERY_WAY, output, scratch);
        // What programs compute that link fewer ways.
        let fewer: [(u32, Conv); 4] = [
            (NARROW, super::conv2d_i8_by::<NARROW>),
            (PATCHES, super::conv2d_i8_by::<PATCHES>),
            (POINTWISE, super::conv2d_i8_by::<POINTWISE>),
            (PLAIN_PATCHES, super::conv2d_i8_by::<PLAIN_PATCHES>),
        ];
        same_by_fewer(output, scratch, &fewer, by);
        computed
    }

    fn depthwise_conv2d_i8(
        &self,
        window: &ImageWindow,
        w: &Weighted<'_>,
        output: &mut [i8],
        scratch: &mut [i16],
    ) -> bool {
        let q = &w.quantization;
        let by = |layer: Depthwise, linked: u32, output: &mut [i8], scratch: &mut [i16]| {
            let scratch = &mut scratch[..super::depthwise_conv2d_i8_scratch_len(window, linked)];
            let computed = layer(window, q, w.input, w.filter, w.bias, output, scratch);
            let way = ways::of_depthwise(window, q, w.bias, linked);
            assert_eq!(computed, way != Way::Definition && way.is_in(linked));
            computed
        };
        let layer = super::depthwise_conv2d_i8_by::<EVERY_WAY>;
        let computed = by(layer, EVERY_WAY, output, scratch);
        let fewer: [(u32, Depthwise); 5] = [
            (NARROW, super::depthwise_conv2d_i8_by::<NARROW>),
            (LINE, super::depthwise_conv2d_i8_by::<LINE>),
            (TAPS, super::depthwise_conv2d_i8_by::<TAPS>),
            (THREE, super::depthwise_conv2d_i8_by::<THREE>),
            (PLAIN_TAPS, super::depthwise_conv2d_i8_by::<PLAIN_TAPS>),
        ];
        same_by_fewer(output, scratch, &fewer, by);
        computed
    }

    fn fully_connected_i8(
        &self,
        geometry: &DenseGeometry,
        w: &Weighted<'_>,
        output: &mut [i8],
        scratch: &mut [i16],
    ) -> bool {
        let scratch = &mut scratch[..super::fully_connected_i8_scratch_len(geometry)];
        let q = &w.quantization;
        super::fully_connected_i8(geometry, q, w.input, w.filter, w.bias, output, scratch)
    }

    fn add_i8(
        &self,
        quantization: &AddQuantization,
        a: &[i8],
        b: &[i8],
        output: &mut [i8],
    ) -> bool {
        let computed = super::add_i8(quantization, a, b, output);
        assert_eq!(ways::of_add(quantization) == Way::OneShape, computed);
        computed
    }

    fn average_pool_i8(
        &self,
        window: &ImageWindow,
        stage: &OutputStage,
        input: &[i8],
        output: &mut [i8],
    ) -> bool {
        let computed = super::average_pool_i8(window, stage, input, output);
        assert_eq!(ways::of_pool(window, true) == Way::FourChannels, computed);
        computed
    }

    fn max_pool_i8(
        &self,
        window: &ImageWindow,
        stage: &OutputStage,
        input: &[i8],
        output: &mut [i8],
    ) -> bool {
        let computed = super::max_pool_i8(window, stage, input, output);
        assert_eq!(ways::of_pool(window, false) == Way::FourChannels, computed);
        computed
    }
}

#[test]
fn convolutions() {
    on_many(Kind::Conv, &Hooks);
}

#[test]
fn depthwise_convolutions() {
    on_many(Kind::Depthwise, &Hooks);
}

#[test]
fn dense_layers() {
    on_many(Kind::Dense, &Hooks);
}

#[test]
fn sums() {
    on_many(Kind::Add, &Hooks);
}

#[test]
fn average_pools() {
    on_many(Kind::AveragePool, &Hooks);
}

#[test]
fn max_pools() {
    on_many(Kind::MaxPool, &Hooks);
}
