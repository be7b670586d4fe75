//! The layers of this directory against the portable definitions, with AVX2, where there is any.

use super::super::cases::{Layer, ROOM};
use crate::{portable, *};

/// Runs `check` on many layers; it says whether the faster version computed. So often that it is no accident.
fn on_many(mut check: impl FnMut(&mut Layer) -> bool) {
    let mut computed = 0;
    for seed in 0..3_000 {
        computed += usize::from(check(&mut Layer::new(seed)));
    }
    assert!(computed > 800, "only {computed} layers were computed");
}

#[test]
fn convolutions() {
    let mut scratch = [0i16; 2 * ROOM];
    on_many(|layer| {
        let Some((geometry, w)) = layer.conv() else {
            return false;
        };
        let (mut expected, mut found) = ([0; ROOM], [0; ROOM]);
        let (expected, found) = (&mut expected[..w.outputs], &mut found[..w.outputs]);
        let (q, (input, filter, bias)) = (&w.quantization, (w.input, w.filter, w.bias));
        portable::conv2d_i8(&geometry, q, input, filter, bias, expected, &mut scratch).unwrap();
        let scratch = &mut scratch[1..][..super::conv2d_i8_scratch_len(&geometry)];
        let computed = super::conv2d_i8(&geometry, q, input, filter, bias, found, scratch);
        assert!(
            !computed || expected == found,
            "{geometry:?} {q:?} {bias:?}"
        );
        computed
    });
}

#[test]
fn depthwise_convolutions() {
    let mut scratch = [0i16; 2 * ROOM];
    on_many(|layer| {
        let Some((window, w)) = layer.depthwise() else {
            return false;
        };
        let (mut expected, mut found) = ([0; ROOM], [0; ROOM]);
        let (expected, found) = (&mut expected[..w.outputs], &mut found[..w.outputs]);
        let (q, (input, filter, bias)) = (&w.quantization, (w.input, w.filter, w.bias));
        portable::depthwise_conv2d_i8(&window, q, input, filter, bias, expected).unwrap();
        let scratch = &mut scratch[1..][..super::depthwise_conv2d_i8_scratch_len(&window)];
        let computed = super::depthwise_conv2d_i8(&window, q, input, filter, bias, found, scratch);
        assert!(!computed || expected == found, "{window:?} {q:?} {bias:?}");
        computed
    });
}

#[test]
fn dense_layers() {
    let mut scratch = [0i16; ROOM];
    on_many(|layer| {
        let Some((geometry, w)) = layer.dense() else {
            return false;
        };
        let (mut expected, mut found) = ([0; ROOM], [0; ROOM]);
        let (expected, found) = (&mut expected[..w.outputs], &mut found[..w.outputs]);
        let (q, (input, weights, bias)) = (&w.quantization, (w.input, w.filter, w.bias));
        portable::fully_connected_i8(&geometry, q, input, weights, bias, expected).unwrap();
        let scratch = &mut scratch[1..][..super::fully_connected_i8_scratch_len(&geometry)];
        let computed =
            super::fully_connected_i8(&geometry, q, input, weights, bias, found, scratch);
        assert!(
            !computed || expected == found,
            "{geometry:?} {q:?} {bias:?}"
        );
        computed
    });
}

#[test]
fn sums() {
    on_many(|layer| {
        let (quantization, a, b) = layer.add();
        let shape = larun_ops::Shape::new(&[a.len()]).unwrap();
        let broadcast = Broadcast::new(&shape, &shape).unwrap();
        let (mut expected, mut found) = ([0; ROOM], [0; ROOM]);
        let (expected, found) = (&mut expected[..a.len()], &mut found[..a.len()]);
        portable::add_i8(&broadcast, &quantization, a, b, expected).unwrap();
        let computed = super::add_i8(&quantization, a, b, found);
        assert!(
            !computed || expected == found,
            "{quantization:?} {a:?} {b:?}"
        );
        computed
    });
}
