//! The layers of this directory against the portable definitions, over emulated instructions.

use super::super::cases::{Faster, Kind, Weighted, on_many};
use crate::{AddQuantization, ConvGeometry, DenseGeometry, ImageWindow, OutputStage};

struct Hooks;

impl Faster for Hooks {
    fn conv2d_i8(
        &self,
        geometry: &ConvGeometry,
        w: &Weighted<'_>,
        output: &mut [i8],
        scratch: &mut [i16],
    ) -> bool {
        let scratch = &mut scratch[..super::conv2d_i8_scratch_len(geometry)];
        let q = &w.quantization;
        super::conv2d_i8(geometry, q, w.input, w.filter, w.bias, output, scratch)
    }

    fn depthwise_conv2d_i8(
        &self,
        window: &ImageWindow,
        w: &Weighted<'_>,
        output: &mut [i8],
        scratch: &mut [i16],
    ) -> bool {
        let scratch = &mut scratch[..super::depthwise_conv2d_i8_scratch_len(window)];
        let q = &w.quantization;
        super::depthwise_conv2d_i8(window, q, w.input, w.filter, w.bias, output, scratch)
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
        super::add_i8(quantization, a, b, output)
    }

    fn average_pool_i8(
        &self,
        window: &ImageWindow,
        stage: &OutputStage,
        input: &[i8],
        output: &mut [i8],
    ) -> bool {
        super::average_pool_i8(window, stage, input, output)
    }

    fn max_pool_i8(
        &self,
        window: &ImageWindow,
        stage: &OutputStage,
        input: &[i8],
        output: &mut [i8],
    ) -> bool {
        super::max_pool_i8(window, stage, input, output)
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
