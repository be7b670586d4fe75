//! Layers with more channels than the small ones have: several passes, filters that fill the larger memories.

use std::vec::Vec;

use larun_ops::Padding;
use larun_quant::fixed_point::Rounding;
use proptest::prelude::*;

use super::detect::Level;
use crate::{
    ConvGeometry, DenseGeometry, ImageWindow, Multipliers, OutputStage, WeightedQuantization,
    WindowAxis, portable,
};

/// Pseudo-random numbers, as many as are asked for.
fn numbers<T>(seed: u64, len: usize, convert: impl Fn(u32) -> T) -> Vec<T> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005);
        state = state.wrapping_add(1_442_695_040_888_963_407);
        convert((state >> 32) as u32)
    };
    (0..len).map(|_| next()).collect()
}

/// What a layer of so many channels is given beside its geometry.
struct Numbers {
    multipliers: Vec<i32>,
    shifts: Vec<i8>,
    bias: Vec<i32>,
    input: Vec<i8>,
    weights: Vec<i8>,
    zero_point: i32,
}

impl Numbers {
    fn new(seed: u64, channels: usize, inputs: usize, weights: usize) -> Self {
        Self {
            multipliers: numbers(seed, channels, |n| (1 << 30) + (n >> 2) as i32),
            shifts: numbers(!seed, channels, |n| -((n % 10) as i8) - 3),
            bias: numbers(seed ^ 1, channels, |n| n as i32 >> 12),
            input: numbers(seed ^ 2, inputs, |n| n as i8),
            weights: numbers(seed ^ 3, weights, |n| n as i8),
            zero_point: i32::from(seed as i8),
        }
    }

    fn quantization(&self) -> WeightedQuantization<'_> {
        WeightedQuantization {
            input_zero_point: self.zero_point,
            rounding: Rounding::TflmDouble,
            multipliers: Multipliers::new(&self.multipliers, &self.shifts),
            output: OutputStage {
                zero_point: -3,
                min: -120,
                max: 127,
            },
        }
    }
}

fn window(size: usize, taps: usize, stride: usize, channels: [usize; 2]) -> Option<ImageWindow> {
    let axis = WindowAxis::new(size, taps, stride, 1, Padding::Same)?;
    ImageWindow::new(1, axis, axis, channels[0], channels[1])
}

const LEVELS: [Level; 2] = [Level::Avx2, Level::Vnni];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn convolutions(seed: u64, depth in 1usize..400, outputs in 1usize..300, size in 1usize..7,
                    taps in 1usize..4, stride in 1usize..3) {
        let window = window(size, taps, stride, [depth, outputs]).unwrap();
        let geometry = ConvGeometry::new(window, depth).unwrap();
        let weights = geometry.patch_len() * outputs;
        let n = Numbers::new(seed, outputs, size * size * depth, weights);
        let (_, _, len) = window.images();
        let (mut expected, mut found) = (std::vec![0; len], std::vec![0; len]);
        let mut scratch = std::vec![0; 2 * geometry.patch_len()];
        let (q, bias) = (n.quantization(), Some(&n.bias[..]));
        portable::conv2d_i8(&geometry, &q, &n.input, &n.weights, bias, &mut expected, &mut scratch)
            .unwrap();
        for level in LEVELS.into_iter().filter(|level| level.is_there("large convolutions")) {
            // SAFETY: the level is there.
            if unsafe { level.conv2d_i8(&geometry, &q, &n.input, &n.weights, bias, &mut found) } {
                prop_assert_eq!(&expected, &found, "{:?}", level);
            }
        }
    }

    #[test]
    fn depthwise_convolutions(seed: u64, channels in 8usize..400, size in 1usize..7, taps in 1usize..6,
                              stride in 1usize..3) {
        let window = window(size, taps, stride, [channels; 2]).unwrap();
        let n = Numbers::new(seed, channels, size * size * channels, taps * taps * channels);
        let (_, _, len) = window.images();
        let (mut expected, mut found) = (std::vec![0; len], std::vec![0; len]);
        let (q, bias) = (n.quantization(), Some(&n.bias[..]));
        portable::depthwise_conv2d_i8(&window, &q, &n.input, &n.weights, bias, &mut expected).unwrap();
        for level in LEVELS.into_iter().filter(|level| level.is_there("large depthwise convolutions")) {
            // SAFETY: the level is there.
            if unsafe { level.depthwise_conv2d_i8(&window, &q, &n.input, &n.weights, bias, &mut found) } {
                prop_assert_eq!(&expected, &found, "{:?}", level);
            }
        }
    }

    #[test]
    fn dense_layers(seed: u64, batch in 1usize..9, inputs in 1usize..2500, units in 1usize..70) {
        let geometry = DenseGeometry { batch, inputs, units };
        let n = Numbers::new(seed, units, batch * inputs, units * inputs);
        let (mut expected, mut found) = (std::vec![0; batch * units], std::vec![0; batch * units]);
        let (q, bias) = (n.quantization(), Some(&n.bias[..]));
        portable::fully_connected_i8(&geometry, &q, &n.input, &n.weights, bias, &mut expected).unwrap();
        for level in LEVELS.into_iter().filter(|level| level.is_there("large dense layers")) {
            // SAFETY: the level is there.
            if unsafe { level.fully_connected_i8(&geometry, &q, &n.input, &n.weights, bias, &mut found) } {
                prop_assert_eq!(&expected, &found, "{:?}", level);
            }
        }
    }
}
