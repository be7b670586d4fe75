//! The layers of this directory against the portable definitions, over emulated instructions.

use super::super::cases::{Faster, Kind, Weighted, on_many};
use super::ways;
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
        let (q, mut alone) = (&w.quantization, output.to_vec());
        let way = ways::of_conv(geometry, q, w.bias);
        let mut by = |layer: Conv, output: &mut [i8]| {
            layer(geometry, q, w.input, w.filter, w.bias, output, scratch)
        };
        let computed = by(super::conv2d_i8_by::<EVERY_WAY>, output);
        // What a program computes that links no other way.
        let by_its_way = match way {
            Way::Narrow => by(super::conv2d_i8_by::<{ Way::Narrow.bit() }>, &mut alone),
            Way::Patches => by(super::conv2d_i8_by::<{ Way::Patches.bit() }>, &mut alone),
            Way::Pointwise => by(super::conv2d_i8_by::<{ Way::Pointwise.bit() }>, &mut alone),
            _ => by(super::conv2d_i8_by::<0>, &mut alone),
        };
        assert_eq!((computed, by_its_way), (way != Way::Definition, computed));
        assert!(!computed || alone == output);
        computed
    }

    fn depthwise_conv2d_i8(
        &self,
        window: &ImageWindow,
        w: &Weighted<'_>,
        output: &mut [i8],
        scratch: &mut [i16],
    ) -> bool {
        let scratch = &mut scratch[..super::depthwise_conv2d_i8_scratch_len(window)];
        let (q, mut alone) = (&w.quantization, output.to_vec());
        let way = ways::of_depthwise(window, q, w.bias);
        let mut by = |layer: Depthwise, output: &mut [i8]| {
            layer(window, q, w.input, w.filter, w.bias, output, scratch)
        };
        let computed = by(super::depthwise_conv2d_i8_by::<EVERY_WAY>, output);
        let by_its_way = match way {
            Way::Narrow => by(
                super::depthwise_conv2d_i8_by::<{ Way::Narrow.bit() }>,
                &mut alone,
            ),
            Way::Line => by(
                super::depthwise_conv2d_i8_by::<{ Way::Line.bit() }>,
                &mut alone,
            ),
            Way::Taps => by(
                super::depthwise_conv2d_i8_by::<{ Way::Taps.bit() }>,
                &mut alone,
            ),
            Way::ThreeByThree => by(
                super::depthwise_conv2d_i8_by::<{ Way::ThreeByThree.bit() }>,
                &mut alone,
            ),
            _ => by(super::depthwise_conv2d_i8_by::<0>, &mut alone),
        };
        assert_eq!((computed, by_its_way), (way != Way::Definition, computed));
        assert!(!computed || alone == output);
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
