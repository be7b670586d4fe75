//! Packed layers against the portable definitions, over emulated instructions.

use super::host::{PackedConstants, pack_depthwise, pack_layer, pack_narrow};
use super::{Packable, PackedKernel, PackedLayer, narrow_of_conv, of_conv, of_dense};
use crate::arch::armv7em::narrow::Steps;
use crate::arch::cases::{Faster, Kind, Weighted, on_many_at_least};
use crate::{AddQuantization, ConvGeometry, DenseGeometry, ImageWindow};
use std::vec;

/// Narrow layers apart, or as any others.
struct Hooks {
    narrow: bool,
}

const ALL: Hooks = Hooks { narrow: false };

fn pack(layer: Option<PackedLayer>, w: &Weighted<'_>) -> Option<PackedConstants> {
    pack_layer(layer?, &w.quantization, w.filter, w.bias)
}

fn run(packed: Option<PackedConstants>, w: &Weighted<'_>, output: &mut [i8]) -> bool {
    let Some(packed) = packed else { return false };
    let mut scratch = vec![0xA5A5_A5A5_u32; packed.scratch_words];
    let layer: &dyn PackedKernel = match &packed.layer {
        Packable::Layer(layer) => layer,
        Packable::Narrow(layer) => layer,
        Packable::Depthwise(layer) => layer,
    };
    layer.run(
        &packed.weights,
        &packed.channels,
        w.input,
        output,
        &mut scratch,
    );
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
        if self.narrow {
            let steps = Steps {
                filter: geometry.patch_len(),
                weight: 1,
            };
            let layer = narrow_of_conv(geometry);
            let packed = layer
                .and_then(|layer| pack_narrow(layer, &w.quantization, (w.filter, steps), w.bias));
            return run(packed, w, output);
        }
        run(pack(of_conv(geometry), w), w, output)
    }

    fn fully_connected_i8(
        &self,
        geometry: &DenseGeometry,
        w: &Weighted<'_>,
        output: &mut [i8],
        _: &mut [i16],
    ) -> bool {
        run(pack(of_dense(geometry), w), w, output)
    }

    fn depthwise_conv2d_i8(
        &self,
        window: &ImageWindow,
        w: &Weighted<'_>,
        output: &mut [i8],
        _: &mut [i16],
    ) -> bool {
        let packed = pack_depthwise(window, &w.quantization, w.filter, w.bias);
        run(packed, w, output)
    }

    fn add_i8(&self, _: &AddQuantization, _: &[i8], _: &[i8], _: &mut [i8]) -> bool {
        false
    }
}

#[test]
fn packed_convolutions_are_the_definition() {
    // Many layers have a weight of -128 or sums that do not fit when they are packed.
    on_many_at_least(Kind::Conv, &ALL, 250);
}

#[test]
fn packed_dense_layers_are_the_definition() {
    on_many_at_least(Kind::Dense, &ALL, 250);
}

#[test]
fn packed_convolutions_over_few_channels_are_the_definition() {
    on_many_at_least(Kind::Conv, &Hooks { narrow: true }, 120);
}

#[test]
fn packed_depthwise_convolutions_are_the_definition() {
    on_many_at_least(Kind::Depthwise, &ALL, 800);
}
