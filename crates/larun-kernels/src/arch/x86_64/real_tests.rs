//! Layers of real numbers against the portable definitions, bit for bit.

use std::vec::Vec;

use larun_ops::Padding;
use proptest::prelude::*;

use super::detect::Level;
use crate::{Clamp, ConvGeometry, DenseGeometry, ImageWindow, WindowAxis, portable};

/// Pseudo-random numbers of many magnitudes, now and then infinite, NaN or a zero of either sign.
fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005);
        state = state.wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    };
    let wild = next() % 8 == 0;
    let number = |bits: u32| match bits % 64 {
        0 if wild => f32::INFINITY,
        1 if wild => f32::NAN,
        2 => -0.0,
        3 => 0.0,
        _ => f32::from_bits(bits & 0x807f_ffff | (110 + bits % 30) << 23),
    };
    (0..len).map(|_| number(next())).collect()
}

/// Which bits a number has; all NaN are one.
fn bits(values: &[f32]) -> Vec<u32> {
    let bits = |x: &f32| if x.is_nan() { u32::MAX } else { x.to_bits() };
    values.iter().map(bits).collect()
}

fn is_there() -> bool {
    Level::Avx2.is_there("layers of real numbers")
}

fn axes() -> impl Strategy<Value = (WindowAxis, usize)> {
    let sizes = (1usize..14, 1usize..6, 1usize..4, 1usize..4, any::<bool>());
    sizes.prop_filter_map(
        "a window that fits",
        |(input, filter, stride, dilation, same)| {
            let padding = if same { Padding::Same } else { Padding::Valid };
            Some((
                WindowAxis::new(input, filter, stride, dilation, padding)?,
                input,
            ))
        },
    )
}

fn clamps() -> impl Strategy<Value = Clamp> {
    prop_oneof![
        Just(Clamp {
            min: f32::NEG_INFINITY,
            max: f32::INFINITY
        }),
        Just(Clamp {
            min: 0.0,
            max: f32::INFINITY
        }),
        Just(Clamp { min: 0.0, max: 6.0 }),
        Just(Clamp {
            min: f32::MIN,
            max: f32::MAX
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn convolutions(seed: u64, (rows, height) in axes(), (columns, width) in axes(), groups in 1usize..4,
                    depth in 1usize..40, in_group in 1usize..40, batch in 1usize..3, biased: bool, clamp in clamps()) {
        let (inputs, outputs) = (groups * depth, groups * in_group);
        let window = ImageWindow::new(batch, rows, columns, inputs, outputs).unwrap();
        let geometry = ConvGeometry::new(window, depth).unwrap();
        let input = numbers(seed, batch * height * width * inputs);
        let filter = numbers(!seed, geometry.patch_len() * outputs);
        let bias = numbers(seed ^ 1, outputs);
        let bias = biased.then_some(&bias[..]);
        let len = batch * window.images().2;
        let (mut expected, mut found) = (std::vec![0.0; len], std::vec![0.0; len]);
        portable::conv2d_f32(&geometry, &clamp, &input, &filter, bias, &mut expected).unwrap();
        // SAFETY: the level is there.
        if is_there() && unsafe { Level::Avx2.conv2d_f32(&geometry, &clamp, &input, &filter, bias, &mut found) } {
            prop_assert_eq!(bits(&expected), bits(&found));
        }
    }

    #[test]
    fn patches_that_are_packed_in_parts(seed: u64, depth in 300usize..700, outputs in 1usize..20, size in 3usize..7) {
        let axis = WindowAxis::new(size, 3, 1, 1, Padding::Same).unwrap();
        let window = ImageWindow::new(1, axis, axis, depth, outputs).unwrap();
        let geometry = ConvGeometry::new(window, depth).unwrap();
        let clamp = Clamp { min: 0.0, max: f32::INFINITY };
        let input = numbers(seed, size * size * depth);
        let filter = numbers(!seed, 9 * depth * outputs);
        let bias = numbers(seed ^ 1, outputs);
        let (mut expected, mut found) = (std::vec![0.0; size * size * outputs], std::vec![0.0; size * size * outputs]);
        portable::conv2d_f32(&geometry, &clamp, &input, &filter, Some(&bias), &mut expected).unwrap();
        // SAFETY: the level is there.
        if is_there() && unsafe { Level::Avx2.conv2d_f32(&geometry, &clamp, &input, &filter, Some(&bias), &mut found) } {
            prop_assert_eq!(bits(&expected), bits(&found));
        }
    }

    #[test]
    fn depthwise_convolutions(seed: u64, (rows, height) in axes(), (columns, width) in axes(), channels in 8usize..80,
                              batch in 1usize..3, biased: bool, clamp in clamps()) {
        let window = ImageWindow::new(batch, rows, columns, channels, channels).unwrap();
        let input = numbers(seed, batch * height * width * channels);
        let filter = numbers(!seed, rows.filter() * columns.filter() * channels);
        let bias = numbers(seed ^ 1, channels);
        let bias = biased.then_some(&bias[..]);
        let len = batch * window.images().2;
        let (mut expected, mut found) = (std::vec![0.0; len], std::vec![0.0; len]);
        portable::depthwise_conv2d_f32(&window, &clamp, &input, &filter, bias, &mut expected).unwrap();
        if is_there() {
            // SAFETY: the level is there.
            let computed = unsafe { Level::Avx2.depthwise_conv2d_f32(&window, &clamp, &input, &filter, bias, &mut found) };
            prop_assert!(computed);
            prop_assert_eq!(bits(&expected), bits(&found));
        }
    }

    #[test]
    fn pools(seed: u64, (rows, height) in axes(), (columns, width) in axes(), channels in 8usize..80,
             batch in 1usize..3, clamp in clamps()) {
        let window = ImageWindow::new(batch, rows, columns, channels, channels).unwrap();
        let input = numbers(seed, batch * height * width * channels);
        let len = batch * window.images().2;
        let (mut expected, mut found) = (std::vec![0.0; len], std::vec![0.0; len]);
        if is_there() {
            portable::average_pool_f32(&window, &clamp, &input, &mut expected).unwrap();
            // SAFETY: the level is there.
            let computed = unsafe { Level::Avx2.average_pool_f32(&window, &clamp, &input, &mut found) };
            prop_assert!(computed);
            prop_assert_eq!(bits(&expected), bits(&found), "average");
            portable::max_pool_f32(&window, &clamp, &input, &mut expected).unwrap();
            // SAFETY: the level is there.
            let computed = unsafe { Level::Avx2.max_pool_f32(&window, &clamp, &input, &mut found) };
            prop_assert!(computed);
            prop_assert_eq!(bits(&expected), bits(&found), "largest");
        }
    }

    #[test]
    fn dense_layers(seed: u64, batch in 1usize..9, inputs in 1usize..300, units in 1usize..90, biased: bool, clamp in clamps()) {
        let geometry = DenseGeometry { batch, inputs, units };
        let (input, weights) = (numbers(seed, batch * inputs), numbers(!seed, units * inputs));
        let bias = numbers(seed ^ 1, units);
        let bias = biased.then_some(&bias[..]);
        let (mut expected, mut found) = (std::vec![0.0; batch * units], std::vec![0.0; batch * units]);
        portable::fully_connected_f32(&geometry, &clamp, &input, &weights, bias, &mut expected).unwrap();
        if is_there() {
            // SAFETY: the level is there.
            let computed = unsafe { Level::Avx2.fully_connected_f32(&geometry, &clamp, &input, &weights, bias, &mut found) };
            prop_assert!(computed);
            prop_assert_eq!(bits(&expected), bits(&found));
        }
    }
}

#[test]
fn the_portable_level_computes_nothing_itself() {
    let geometry = DenseGeometry {
        batch: 1,
        inputs: 1,
        units: 1,
    };
    let clamp = Clamp { min: 0.0, max: 1.0 };
    // SAFETY: the level needs no instructions.
    assert!(!unsafe {
        Level::Portable.fully_connected_f32(&geometry, &clamp, &[1.0], &[1.0], None, &mut [0.0])
    });
}
