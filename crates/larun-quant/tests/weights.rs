//! Weights of any integer range: scales per tensor, channel and block, by size and by error; packed storage.

#![cfg(feature = "alloc")]

mod support;

use larun_quant::packing::Packing;
use larun_quant::weights::{QuantizedWeights, ScaleMethod, block_scale, quantize, scales};
use larun_quant::{Affine, ChannelAxis, IntegerRange, QuantError, binary16, channels, octav};
use proptest::prelude::*;
use support::{integers as numbers, vectors};

const RANGES: [IntegerRange; 6] = [
    IntegerRange::INT8_NARROW,
    IntegerRange::INT4_NARROW,
    IntegerRange::INT4,
    IntegerRange::INT2_NARROW,
    IntegerRange::INT2,
    IntegerRange::INT16_NARROW,
];

const METHODS: [ScaleMethod; 4] = [
    ScaleMethod::Max,
    ScaleMethod::LeastSquares,
    ScaleMethod::Grid { thresholds: 50 },
    ScaleMethod::Octav,
];

fn ranges() -> impl Strategy<Value = IntegerRange> {
    prop::sample::select(&RANGES[..])
}

/// Bell-shaped weights, sometimes with an outlier, sometimes 0.
fn weights(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<f32>> {
    let bell = prop::array::uniform3(-1.0_f32..1.0).prop_map(|parts| parts.iter().sum::<f32>());
    prop::collection::vec(
        prop_oneof![8 => bell, 1 => -9.0_f32..9.0, 1 => Just(0.0)],
        len,
    )
}

fn squared_error(weights: &[f32], scale: f32, integers: IntegerRange) -> f64 {
    let mut quantized = vec![0_i32; weights.len()];
    let whole = ChannelAxis::whole(weights.len());
    quantize(weights, whole, &[scale], integers, &mut quantized).expect("finite");
    let error = |(&w, &q): (&f32, &i32)| (f64::from(w) - f64::from(scale) * f64::from(q)).powi(2);
    weights.iter().zip(&quantized).map(error).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn rounding_leaves_half_a_scale_and_clipping_the_rest(
        weights in weights(1..60),
        integers in ranges(),
        method in prop::sample::select(&METHODS[..]),
    ) {
        let axis = ChannelAxis::whole(weights.len());
        let quantized = QuantizedWeights::<i16>::quantize(&weights, axis, integers, method)
            .expect("finite");
        let scale = quantized.scales[0];
        let back = quantized.dequantize(axis).expect("same axis");
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by(|&a, &b| weights[a].total_cmp(&weights[b]));
        for ((&weight, &real), &integer) in weights.iter().zip(&back).zip(&quantized.values) {
            let clip = scale * integers.max as f32;
            let beyond = (weight.abs() - clip).max(0.0);
            // The reciprocal, its product with the weight and the way back are each rounded to 24 bits.
            let half = 0.5 + integers.max as f32 * 3e-7;
            prop_assert!((weight - real).abs() <= scale * half + beyond * 1.0001);
            prop_assert!((integers.min..=integers.max).contains(&i32::from(integer)));
            prop_assert!(weight != 0.0 || integer == 0);
        }
        prop_assert!(order.windows(2).all(|pair| quantized.values[pair[0]] <= quantized.values[pair[1]]));
    }

    #[test]
    fn no_scale_is_better_than_that_of_least_squares(weights in weights(1..40), integers in ranges()) {
        prop_assume!(integers.max < 1_000 && weights.iter().any(|&w| w != 0.0));
        let scale_of = |method: ScaleMethod| method.scale(&weights, integers).expect("finite").expect("not 0");
        let best = squared_error(&weights, scale_of(ScaleMethod::LeastSquares), integers);
        let energy: f64 = weights.iter().map(|&w| f64::from(w).powi(2)).sum();
        // The scale is rounded to float32, after which integers at a tie may go the other way.
        let slack = 1e-6 * energy.max(best);
        for method in METHODS {
            prop_assert!(best <= squared_error(&weights, scale_of(method), integers) + slack);
        }
        let largest = scale_of(ScaleMethod::Max);
        for step in 1..2_000_u16 {
            let scale = largest * (f32::from(step) / 800.0);
            let error = squared_error(&weights, scale, integers);
            prop_assert!(best <= error + slack, "{best} > {error} at {scale}");
        }
    }

    #[test]
    fn least_squares_finds_the_best_integers_of_all(weights in weights(3), max in 1..=3_i32, below in 0..=1_i32) {
        let integers = IntegerRange { min: -max - below, max };
        let Some(scale) = ScaleMethod::LeastSquares.scale(&weights, integers).expect("finite") else {
            return Ok(());
        };
        let found = squared_error(&weights, scale, integers);
        let energy: f64 = weights.iter().map(|&w| f64::from(w).powi(2)).sum();
        let all = || integers.min..=integers.max;
        for (a, b, c) in all().flat_map(|a| all().flat_map(move |b| all().map(move |c| (a, b, c)))) {
            let q = [a, b, c].map(f64::from);
            let product: f64 = weights.iter().zip(q).map(|(&w, q)| f64::from(w) * q).sum();
            let square: f64 = q.iter().map(|q| q * q).sum();
            if square > 0.0 && product > 0.0 {
                prop_assert!(found <= energy - product * product / square + 1e-6 * energy);
            }
        }
    }

    #[test]
    fn importance_is_repetition(weights in weights(12), counts in prop::collection::vec(0_u8..4, 12)) {
        let repeated: Vec<f32> = weights.iter().zip(&counts)
            .flat_map(|(&w, &n)| core::iter::repeat_n(w, usize::from(n))).collect();
        let importance: Vec<f32> = counts.iter().map(|&n| f32::from(n)).collect();
        prop_assume!(repeated.iter().any(|&w| w != 0.0));
        let integers = IntegerRange::INT4_NARROW;
        let found = ScaleMethod::LeastSquares.weighted_scale(&weights, &importance, integers)
            .expect("finite").expect("not 0");
        let expected = ScaleMethod::LeastSquares.scale(&repeated, integers).expect("finite").expect("not 0");
        let (found, expected) = (
            squared_error(&repeated, found, integers),
            squared_error(&repeated, expected, integers),
        );
        prop_assert!((found - expected).abs() <= 1e-5 * (1.0 + expected), "{found} {expected}");
    }

    #[test]
    fn octav_is_where_newton_stands_still(weights in weights(200), levels in prop::sample::select(&[1_u32, 7, 127][..])) {
        let threshold = f64::from(octav::threshold(&weights, levels).expect("finite"));
        let magnitudes = || weights.iter().map(|w| f64::from(w.abs()));
        let error = |t: f64| -> f64 {
            magnitudes().filter(|&m| m > 0.0).map(|m| if m > t { (m - t).powi(2) } else {
                t * t / 12.0 / f64::from(levels).powi(2)
            }).sum()
        };
        let step = |t: f64| {
            let beyond = magnitudes().filter(|&m| m > t);
            let within = magnitudes().filter(|&m| m > 0.0 && m <= t).count() as f64;
            let noise = within / 12.0 / f64::from(levels).powi(2);
            beyond.clone().sum::<f64>() / (noise + beyond.count() as f64)
        };
        // A further step moves nothing, or to nothing better.
        let next = step(threshold);
        let settled = (next - threshold).abs() <= 1e-5 * threshold;
        prop_assert!(settled || error(next) >= error(threshold) * (1.0 - 1e-6), "{threshold} {next}");
        let largest = magnitudes().fold(0.0, f64::max);
        prop_assert!(error(threshold) <= error(largest) * (1.0 + 1e-6));
    }

    #[test]
    fn blocks_are_rows(weights in weights(3 * 8), integers in ranges(), method in prop::sample::select(&METHODS[..])) {
        let blocks = ChannelAxis::blocks(&[3, 8], 4).expect("4 divides 8");
        let quantized = QuantizedWeights::<i16>::quantize(&weights, blocks, integers, method).expect("finite");
        prop_assert_eq!(quantized.scales.len(), 6);
        for (index, block) in weights.chunks(4).enumerate() {
            if let Some(scale) = method.scale(block, integers).expect("finite") {
                prop_assert_eq!(quantized.scales[index], scale);
            }
        }
    }

    #[test]
    fn affine_channels_keep_half_a_scale(values in weights(24), integers in ranges(), axis in 0_usize..4) {
        let axis = match axis {
            3 => ChannelAxis::blocks(&[3, 8], 4).expect("4 divides 8"),
            axis => ChannelAxis::new(&[2, 3, 4], axis).expect("an axis"),
        };
        let affines = channels::asymmetric(&values, axis, integers).expect("finite");
        let mut quantized = vec![0_i16; values.len()];
        channels::quantize(&values, axis, &affines, integers, &mut quantized).expect("good");
        let mut reals = vec![0.0; values.len()];
        channels::dequantize(&quantized, axis, &affines, &mut reals).expect("good");
        for (index, (&value, &real)) in values.iter().zip(&reals).enumerate() {
            let affine = affines[index / axis.inner() % axis.channels()];
            let half = 0.5 + (integers.max - integers.min) as f32 * 3e-7;
            prop_assert!((value - real).abs() <= affine.scale * half, "{value} {real}");
            prop_assert!(value != 0.0 || real == 0.0);
            prop_assert_eq!(i32::from(quantized[index]), affine.quantize(value, integers));
        }
    }

    #[test]
    fn gathered_and_scattered(values in prop::collection::vec(any::<i16>(), 2 * 3 * 4), axis in 0_usize..3) {
        let shape = [2, 3, 4];
        let axis = ChannelAxis::new(&shape, axis).expect("an axis");
        let gathered = axis.gather(&values).expect("whole channels");
        let of_one = values.len() / axis.channels();
        for (index, &value) in values.iter().enumerate() {
            let channel = index / axis.inner() % axis.channels();
            prop_assert!(gathered[channel * of_one..][..of_one].contains(&value));
        }
        let mut scattered = vec![0; values.len()];
        axis.scatter(&gathered, &mut scattered).expect("as many");
        prop_assert_eq!(scattered, values);
    }

    #[test]
    fn packed_and_unpacked_are_equal(
        packing in prop::sample::select(&[Packing::Int4, Packing::Int2, Packing::Ternary, Packing::Binary][..]),
        seeds in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let IntegerRange { min, max } = packing.range();
        let values: Vec<i8> = seeds.iter().map(|&seed| {
            if packing == Packing::Binary { return if seed < 128 { -1 } else { 1 }; }
            (min + i32::from(seed) % (max - min + 1)) as i8
        }).collect();
        let packed = packing.pack_to_vec(&values).expect("in range");
        prop_assert_eq!(packed.len(), packing.packed_len(values.len()));
        prop_assert_eq!(packing.unpack_to_vec(&packed, values.len()), Ok(values));
    }

    #[test]
    fn any_bytes_unpack_to_the_range(bytes in prop::collection::vec(any::<u8>(), 8)) {
        for packing in [Packing::Int4, Packing::Int2, Packing::Ternary, Packing::Binary] {
            let len = bytes.len() * packing.per_byte();
            match packing.unpack_to_vec(&bytes, len) {
                Ok(values) => prop_assert_eq!(packing.pack_to_vec(&values), Ok(bytes.clone())),
                Err(_) => prop_assert!(packing == Packing::Ternary && bytes.iter().any(|&b| b > 242)),
            }
        }
    }
}

#[test]
fn int4_is_packed_as_tensorflow_lite_does() {
    let Some(file) = vectors("INT4 packing", "int4_packing.json") else {
        return;
    };
    let cases = file["cases"].as_array().expect("cases");
    assert!(!cases.is_empty());
    for case in cases {
        let values: Vec<i8> = numbers(&case["values"]).iter().map(|&x| x as i8).collect();
        let packed: Vec<u8> = numbers(&case["packed"]).iter().map(|&x| x as u8).collect();
        assert_eq!(Packing::Int4.pack_to_vec(&values).expect("nibbles"), packed);
        assert_eq!(
            Packing::Int4.unpack_to_vec(&packed, values.len()),
            Ok(values)
        );
    }
}

#[test]
fn small_packings_by_hand() {
    assert_eq!(
        Packing::Int2.pack_to_vec(&[1, -2, -1, 0, 1]),
        Ok(vec![0b0011_1001, 1])
    );
    // 2 + 0 * 3 + 1 * 9 + 1 * 27 + 1 * 81; and -1 with four digits of 0.
    assert_eq!(
        Packing::Ternary.pack_to_vec(&[1, -1, 0, 0, 0, -1]),
        Ok(vec![119, 120])
    );
    assert_eq!(
        Packing::Binary.pack_to_vec(&[-1, 1, 1, -1, 1, 1, 1, 1, -1]),
        Ok(vec![9, 1])
    );
}

#[test]
fn what_cannot_be_packed() {
    let refused =
        |packing: Packing, values: &[i8]| packing.pack_to_vec(values).expect_err("refused");
    for (packing, value) in [
        (Packing::Int4, 8),
        (Packing::Int2, 2),
        (Packing::Ternary, -2),
        (Packing::Binary, 0),
    ] {
        let error = refused(packing, &[1, value]);
        assert!(
            matches!(error, QuantError::OutOfRange { index: 1, value: v, .. } if v == i32::from(value))
        );
    }
    assert!(Packing::Int4.pack(&[0; 3], &mut [0; 1]).is_err());
    assert!(Packing::Int4.unpack(&[0; 1], &mut [0; 3]).is_err());
    assert!(Packing::Int4.unpack_to_vec(&[], usize::MAX).is_err());
    assert!(Packing::Ternary.unpack_to_vec(&[243], 5).is_err());
}

#[test]
fn bad_weights_are_refused_by_name() {
    let axis = ChannelAxis::whole(2);
    let bad = |weights: &[f32], integers, method| {
        QuantizedWeights::<i8>::quantize(weights, axis, integers, method).expect_err("refused")
    };
    for method in METHODS {
        let refused = bad(&[1.0, f32::NAN], IntegerRange::INT8_NARROW, method);
        assert!(matches!(refused, QuantError::NotFinite { index: 1, .. }));
        let zeros =
            QuantizedWeights::<i8>::quantize(&[0.0; 2], axis, IntegerRange::INT4_NARROW, method);
        assert_eq!(zeros.expect("zeros").scales, [1.0]);
        let none = QuantizedWeights::<i8>::quantize(
            &[],
            ChannelAxis::whole(0),
            IntegerRange::INT4,
            method,
        );
        assert_eq!(none.expect("nothing").scales, [1.0]);
        // The extremes of float32.
        for weights in [[f32::MAX, f32::MIN], [1e-45, -1e-45], [f32::MAX, 1e-45]] {
            let found =
                QuantizedWeights::<i8>::quantize(&weights, axis, IntegerRange::INT8_NARROW, method);
            assert!(
                found.expect("finite").scales[0].is_normal(),
                "{weights:?} {method:?}"
            );
        }
    }
    let wide = bad(&[1.0; 2], IntegerRange::INT16, ScaleMethod::Max);
    assert!(matches!(wide, QuantError::OutOfRange { value: -32768, .. }));
    let grid = ScaleMethod::Grid { thresholds: 0 };
    assert!(matches!(
        bad(&[1.0; 2], IntegerRange::INT4, grid),
        QuantError::BadParameter { .. }
    ));
    let no_positive = IntegerRange { min: -3, max: 0 };
    assert!(scales(&[1.0; 2], axis, no_positive, ScaleMethod::LeastSquares).is_err());
    assert_eq!(
        ChannelAxis::blocks(&[3, 8], 3),
        Err(QuantError::NotWholeBlocks { len: 8, block: 3 })
    );
    assert!(ChannelAxis::blocks(&[3, 8], 0).is_err());
    assert!(ChannelAxis::blocks(&[], 4).is_err());
    assert!(ChannelAxis::blocks(&[usize::MAX, 8], 4).is_err());
    assert!(octav::threshold(&[1.0], 0).is_err());
}

#[test]
fn a_channel_of_zeros_takes_the_scale_of_the_tensor() {
    let axis = ChannelAxis::new(&[2, 2], 0).expect("an axis");
    for method in METHODS {
        let found = scales(
            &[0.0, 0.0, 7.0, -3.0],
            axis,
            IntegerRange::INT4_NARROW,
            method,
        );
        assert_eq!(found.expect("finite")[0], 1.0);
    }
}

#[test]
fn block_scales_are_bfloat16_and_binary16() {
    for scale in [
        1e-9,
        1e-7,
        6.1e-5,
        0.001_234_5,
        0.1,
        1.0,
        3.3,
        60_000.0,
        1e9,
        f32::MAX,
    ] {
        let stored = block_scale(scale);
        assert_eq!(binary16::to_f32(binary16::from_f32(stored)), stored);
        assert_eq!(stored.to_bits() & 0xFFFF, 0);
        let in_range = (6.2e-5..65_000.0).contains(&scale);
        assert!(!in_range || (stored / scale - 1.0).abs() <= 1.0 / 256.0);
        assert!(stored > 0.0 && stored.is_finite());
    }
    assert!(block_scale(f32::NAN).is_nan());
}

#[test]
fn slices_of_any_integer_type() {
    let affine = Affine::new(0.5, -3);
    let mut integers = [0_i16; 3];
    affine
        .quantize_slice(&[1.0, -1.0, 9.0], IntegerRange::INT4, &mut integers)
        .expect("fits");
    assert_eq!(integers, [-1, -5, 7]);
    let mut reals = [0.0; 3];
    affine
        .dequantize_slice(&integers, &mut reals)
        .expect("as many");
    assert_eq!(reals, [1.0, -1.0, 5.0]);
    let wide = affine.quantize_slice(&[1.0], IntegerRange::INT16, &mut [0_i8]);
    assert!(matches!(wide, Err(QuantError::OutOfRange { .. })));
}

#[test]
fn bad_parameters_of_channels() {
    let pair = ChannelAxis::new(&[2, 1], 0).expect("an axis");
    let good = [Affine::new(1.0, 0); 2];
    let int4 = IntegerRange::INT4;
    let mut places = [0_i8; 2];
    assert!(channels::quantize(&[1.0; 2], pair, &good[..1], int4, &mut places).is_err());
    assert!(channels::quantize(&[1.0; 3], pair, &good, int4, &mut [0_i8; 3]).is_err());
    assert!(channels::quantize(&[1.0; 2], pair, &good, IntegerRange::INT16, &mut places).is_err());
    let bad = [good[0], Affine::new(0.0, 0)];
    let refused = channels::quantize(&[1.0; 2], pair, &bad, int4, &mut places);
    assert_eq!(
        refused,
        Err(QuantError::BadScale {
            index: 1,
            scale: 0.0
        })
    );
    assert!(channels::dequantize(&places, pair, &bad, &mut [0.0; 2]).is_err());
    assert!(channels::dequantize(&places, pair, &good, &mut [0.0; 1]).is_err());
    assert!(channels::asymmetric(&[f32::NAN, 1.0], pair, int4).is_err());
    let refused = channels::quantize(&[1.0, f32::NAN], pair, &good, int4, &mut places);
    assert!(matches!(
        refused,
        Err(QuantError::NotFinite { index: 1, .. })
    ));
}

#[cfg(feature = "rayon")]
#[test]
fn the_number_of_threads_changes_nothing() {
    let weights: Vec<f32> = (0..64 * 50)
        .map(|i| ((i * 7_919) % 1_009) as f32 / 500.0 - 1.0)
        .collect();
    let axis = ChannelAxis::new(&[64, 50], 0).expect("an axis");
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool");
        pool.install(|| {
            QuantizedWeights::<i8>::quantize(
                &weights,
                axis,
                IntegerRange::INT4_NARROW,
                ScaleMethod::LeastSquares,
            )
        })
    };
    let one = with(1).expect("finite");
    assert_eq!(with(2), Ok(one.clone()));
    assert_eq!(with(5), Ok(one));
}
