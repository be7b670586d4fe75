//! Rounding on a layer's Gram matrix: the matrix itself, GPTQ as published, the descent's promises, AdaRound.

#![cfg(feature = "alloc")]

use larun_quant::rounding::{
    AdaRound, Descent, Gptq, Gram, Hessian, Layer, Rounded, RoundingMethod, ScaleRefinement,
    compensated_weights,
};
use larun_quant::weights::block_scale;
use larun_quant::{IntegerRange, QuantError};
use proptest::prelude::*;

const INT4: IntegerRange = IntegerRange::INT4_NARROW;

/// Rows of correlated inputs: sums of neighbours of independent ones.
fn rows(size: usize, count: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(-1.0_f32..1.0, (size + 2) * count).prop_map(move |sources| {
        let row = |row: &[f32]| -> Vec<f32> {
            row.windows(3).map(|w| w[0] + w[1] + 0.5 * w[2]).collect()
        };
        sources.chunks(size + 2).flat_map(row).collect()
    })
}

fn weights(len: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(prop_oneof![9 => -1.0_f32..1.0, 1 => Just(0.0)], len)
}

fn hessian(rows: &[f32], size: usize) -> Hessian {
    let mut gram = Gram::new(size).expect("a size");
    gram.add_rows(rows).expect("finite rows");
    gram.second_moment().expect("rows")
}

fn round(layer: &Layer<'_>, method: &RoundingMethod) -> Rounded<i8> {
    layer.round(method).expect("a good layer")
}

fn exact(descent: Descent) -> RoundingMethod {
    RoundingMethod::Descent(Descent {
        damping: 0.0,
        ..descent
    })
}

/// `d^T H d` in plain loops.
fn error(weights: &[f32], integers: &[i8], scale: f64, hessian: &Hessian) -> f64 {
    let size = hessian.size();
    let d: Vec<f64> = weights
        .iter()
        .zip(integers)
        .map(|(&w, &q)| f64::from(w) - scale * f64::from(q))
        .collect();
    (0..size * size)
        .map(|at| d[at / size] * hessian.values()[at] * d[at % size])
        .sum()
}

/// GPTQ as in the paper: through the inverse, and with the error taken off the columns that follow.
fn gptq_of_the_paper(weights: &[f32], scale: f64, hessian: &Hessian, order: &[usize]) -> Vec<i8> {
    let size = hessian.size();
    let mean = hessian.diagonal().sum::<f64>() / size as f64;
    let entry = |row: usize, column: usize| {
        let ridge = if row == column { 0.01 * mean } else { 0.0 };
        hessian.values()[order[row] * size + order[column]] + ridge
    };
    let matrix = (0..size)
        .map(|row| (0..size).map(|column| entry(row, column)).collect())
        .collect();
    let upper = upper_cholesky(&inverse(matrix));
    let mut rest: Vec<f64> = order
        .iter()
        .map(|&column| f64::from(weights[column]))
        .collect();
    let mut integers = vec![0; size];
    for i in 0..size {
        let integer = (rest[i] / scale).round().clamp(-7.0, 7.0);
        integers[order[i]] = integer as i8;
        let error = (rest[i] - scale * integer) / upper[i][i];
        for j in i..size {
            rest[j] -= error * upper[i][j];
        }
    }
    integers
}

fn inverse(mut matrix: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let size = matrix.len();
    for (index, row) in matrix.iter_mut().enumerate() {
        row.extend((0..size).map(|column| f64::from(u8::from(column == index))));
    }
    for pivot in 0..size {
        let factor = matrix[pivot][pivot];
        matrix[pivot].iter_mut().for_each(|x| *x /= factor);
        let of_pivot = matrix[pivot].clone();
        for (index, row) in matrix.iter_mut().enumerate() {
            let factor = row[pivot];
            if index != pivot {
                row.iter_mut()
                    .zip(&of_pivot)
                    .for_each(|(x, p)| *x -= factor * p);
            }
        }
    }
    matrix.into_iter().map(|row| row[size..].to_vec()).collect()
}

/// `U` with `matrix = U^T U`.
fn upper_cholesky(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let size = matrix.len();
    let mut upper = vec![vec![0.0; size]; size];
    for i in 0..size {
        for j in i..size {
            let sum: f64 = (0..i).map(|k| upper[k][i] * upper[k][j]).sum();
            let rest = matrix[i][j] - sum;
            upper[i][j] = if i == j {
                rest.sqrt()
            } else {
                rest / upper[i][i]
            };
        }
    }
    upper
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn gram_is_the_sum_of_products_however_it_is_cut(
        (size, rows) in (1_usize..20).prop_flat_map(|size| (Just(size), rows(size, 300))),
        cut in 0_usize..300,
        offset in prop::sample::select(&[0.0_f64, 1.0, 1000.0][..]),
    ) {
        // Far from 0, rounded to float32 before anything is summed.
        let rows: Vec<f32> = rows.iter().map(|&x| (f64::from(x) + offset) as f32).collect();
        let mut whole = Gram::new(size).expect("a size");
        whole.add_rows(&rows).expect("finite");
        let mut pieces = Gram::new(size).expect("a size");
        let (first, rest) = rows.split_at(cut * size);
        pieces.add_rows(first).expect("finite");
        rest.chunks(size).for_each(|row| pieces.add_rows(row).expect("finite"));
        prop_assert_eq!(pieces.second_moment(), whole.second_moment());

        let mut merged = Gram::new(size).expect("a size");
        merged.add_rows(first).expect("finite");
        let mut other = Gram::new(size).expect("a size");
        other.add_rows(rest).expect("finite");
        merged.merge(other).expect("the same size");
        prop_assert_eq!(merged.rows(), 300);

        let mean = whole.mean().expect("rows");
        let (second, covariance) = (whole.second_moment().expect("rows"), whole.covariance().expect("rows"));
        let (merged_second, merged) = (merged.second_moment().expect("rows"), merged.covariance().expect("rows"));
        for at in 0..size * size {
            let (i, j) = (at / size, at % size);
            let products = |a: f64, b: f64| {
                let pairs = rows.chunks(size).map(move |row| (f64::from(row[i]) - a, f64::from(row[j]) - b));
                pairs.map(|(a, b)| a * b).collect::<Vec<_>>()
            };
            let deviations = products(mean[i], mean[j]);
            let expected = deviations.iter().sum::<f64>() / 300.0;
            // The mean of the first rows is not that of all, so that deviations are somewhat larger.
            let bound = 4e-6 * (0.05 + deviations.iter().map(|x| x.abs()).sum::<f64>() / 300.0);
            let of_second = products(0.0, 0.0).iter().sum::<f64>() / 300.0;
            let tiny = 1e-13 * (offset * offset).max(1.0);
            for found in [&covariance, &merged] {
                let error = (found.values()[at] - expected).abs();
                prop_assert!(error <= bound + tiny, "{error:e} > {bound:e}");
            }
            for found in [&second, &merged_second] {
                prop_assert!((found.values()[at] - of_second).abs() <= bound + tiny);
            }
        }
    }

    #[test]
    fn gptq_gives_the_integers_of_the_paper(
        (size, rows, weights) in (1_usize..24).prop_flat_map(|size| (Just(size), rows(size, 60), weights(size))),
    ) {
        let hessian = hessian(&rows, size);
        let scale = 0.11_f32;
        let layer = Layer { weights: &weights, hessians: (&hessian).into(), scales: &[scale], integers: INT4 };
        for act_order in [false, true] {
            let mut order: Vec<usize> = (0..size).collect();
            if act_order {
                let diagonal: Vec<f64> = hessian.diagonal().collect();
                order.sort_by(|&a, &b| diagonal[b].total_cmp(&diagonal[a]));
            }
            let gptq = round(&layer, &RoundingMethod::Gptq(Gptq { act_order, ..Gptq::default() }));
            prop_assert_eq!(gptq.values, gptq_of_the_paper(&weights, f64::from(scale), &hessian, &order));
        }
    }

    #[test]
    fn descent_is_never_worse_and_no_pair_is_left_that_helps(
        (size, rows, weights) in (2_usize..10).prop_flat_map(|size| (Just(size), rows(size, 40), weights(size))),
    ) {
        let hessian = hessian(&rows, size);
        let layer = Layer { weights: &weights, hessians: (&hessian).into(), scales: &[0.15], integers: INT4 };
        let many = Descent { pair_sweeps: 1_000, ..Descent::default() };
        let found = round(&layer, &exact(many));
        let scale = f64::from(0.15_f32);
        prop_assert!((found.errors[0] - error(&weights, &found.values, scale, &hessian)).abs() <= 1e-9);
        let mut others = vec![RoundingMethod::Nearest];
        others.extend([true, false].map(|act_order| RoundingMethod::Gptq(Gptq { act_order, damping: 0.0 })));
        for other in others {
            prop_assert!(found.errors[0] <= round(&layer, &other).errors[0] + 1e-9);
        }
        for (i, j) in (0..size).flat_map(|i| (0..size).map(move |j| (i, j))) {
            for (a, b) in [(1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)] {
                let mut changed = found.values.clone();
                changed[i] += a;
                changed[j] += b;
                if i != j && changed.iter().all(|q| (-7..=7).contains(q)) {
                    prop_assert!(error(&weights, &changed, scale, &hessian) >= found.errors[0] - 1e-9);
                }
            }
        }
    }

    #[test]
    fn refined_scales_are_better_and_stored_as_asked(
        rows in rows(8, 40),
        weights in weights(16),
        per_block in any::<bool>(),
    ) {
        let hessian = hessian(&rows, 8);
        let scales: &[f32] = if per_block { &[0.13; 4] } else { &[0.13; 2] };
        let layer = Layer { weights: &weights, hessians: (&hessian).into(), scales, integers: INT4 };
        let fixed = round(&layer, &exact(Descent::default()));
        prop_assert_eq!(&fixed.scales, scales);
        for storage in [ScaleRefinement::Float32, ScaleRefinement::Block] {
            let refined = round(&layer, &exact(Descent { scales: storage, ..Descent::default() }));
            // Better from where each began: the start of least error need not end lowest.
            let nearest = round(&layer, &RoundingMethod::Nearest);
            for channel in 0..2 {
                prop_assert!(refined.errors[channel] <= nearest.errors[channel] + 1e-9);
            }
            prop_assert!(refined.scales.iter().all(|scale| scale.is_normal() && *scale > 0.0));
            if storage == ScaleRefinement::Block {
                let changed = refined.scales.iter().filter(|scale| **scale != 0.13);
                prop_assert!(changed.clone().all(|&scale| block_scale(scale) == scale));
            }
        }
    }

    #[test]
    fn uncorrelated_inputs_are_rounded_to_nearest(weights in weights(12), mean_squares in prop::collection::vec(0.01_f64..9.0, 12)) {
        let hessian = Hessian::uncorrelated(&mean_squares).expect("positive");
        let layer = Layer { weights: &weights, hessians: (&hessian).into(), scales: &[0.15], integers: INT4 };
        let nearest = round(&layer, &RoundingMethod::Nearest);
        for method in [RoundingMethod::Gptq(Gptq::default()), RoundingMethod::default()] {
            prop_assert_eq!(&round(&layer, &method), &nearest);
        }
        let expected: f64 = weights.iter().zip(&nearest.values).zip(&mean_squares)
            .map(|((&w, &q), m)| m * (f64::from(w) - f64::from(0.15_f32) * f64::from(q)).powi(2)).sum();
        prop_assert!((nearest.errors[0] - expected).abs() < 1e-9);
    }

    #[test]
    fn compensated_weights_are_a_regression(
        rows in rows(5, 60),
        noise in prop::collection::vec(-0.3_f32..0.3, 5 * 60),
        weights in weights(15),
    ) {
        // The quantised network reads other inputs; its three outputs fall short of the float ones.
        let read: Vec<f32> = rows.iter().zip(&noise).map(|(x, e)| x + e).collect();
        let outputs = |weights: &[f32], row: &[f32]| -> Vec<f32> {
            weights.chunks(5).map(|w| w.iter().zip(row).map(|(w, x)| w * x).sum()).collect()
        };
        let shortfall = |weights_now: &[f32]| {
            let mut gram = Gram::new(8).expect("a size");
            for (row, read) in rows.chunks(5).zip(read.chunks(5)) {
                let (wanted, found) = (outputs(&weights, row), outputs(weights_now, read));
                let short = wanted.iter().zip(&found).map(|(w, f)| w - f);
                let all: Vec<f32> = read.iter().copied().chain(short).collect();
                gram.add_rows(&all).expect("finite");
            }
            gram.covariance().expect("rows")
        };
        let before = shortfall(&weights);
        let (hessian, covariances) = before.split(5).expect("five inputs");
        let compensated = compensated_weights(&weights, &hessian, &covariances, 0.0).expect("good");
        let after = shortfall(&compensated);
        // What is left has nothing to do with the inputs any more, and there is less of it.
        let (_, left) = after.split(5).expect("five inputs");
        prop_assert!(left.iter().all(|covariance| covariance.abs() < 1e-4), "{left:?}");
        for (before, after) in before.diagonal().zip(after.diagonal()).skip(5) {
            prop_assert!(after <= before + 1e-6);
        }
        let held = compensated_weights(&weights, &hessian, &covariances, 1e9).expect("good");
        prop_assert!(held.iter().zip(&weights).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn the_shift_of_the_bias_keeps_the_mean(rows in rows(6, 30), weights in weights(12)) {
        let mut gram = Gram::new(6).expect("a size");
        gram.add_rows(&rows).expect("finite");
        let hessian = gram.covariance().expect("rows");
        let layer = Layer { weights: &weights, hessians: (&hessian).into(), scales: &[0.2, 0.3], integers: INT4 };
        let rounded = round(&layer, &RoundingMethod::default());
        let shifts = rounded.bias_shift(&weights, &gram.mean().expect("rows")).expect("the same weights");
        for (channel, shift) in shifts.iter().enumerate() {
            let scale = f64::from(rounded.scales[channel]);
            let mean_error: f64 = rows.chunks(6).map(|row| {
                (0..6).map(|i| {
                    let at = channel * 6 + i;
                    f64::from(row[i]) * (f64::from(weights[at]) - scale * f64::from(rounded.values[at]))
                }).sum::<f64>()
            }).sum::<f64>() / 30.0;
            prop_assert!((mean_error - shift).abs() < 1e-9);
        }
    }
}

/// Inputs of which neighbours are nearly equal.
fn correlated(size: usize) -> Hessian {
    let entry = |at: usize| 0.9_f64.powi((at / size).abs_diff(at % size) as i32);
    Hessian::new(size, (0..size * size).map(entry).collect()).expect("positive")
}

fn spread_weights(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| ((i * 7_919) % 1_009) as f32 / 505.0 - 1.0)
        .collect()
}

#[test]
fn adaround_rounds_up_or_down_and_better_than_nearest() {
    let (hessian, weights) = (correlated(16), spread_weights(16 * 4));
    let layer = Layer {
        weights: &weights,
        hessians: (&hessian).into(),
        scales: &[0.15; 4],
        integers: INT4,
    };
    let adaround = AdaRound {
        iterations: 2_000,
        ..AdaRound::default()
    };
    let rounded = round(&layer, &RoundingMethod::AdaRound(adaround));
    for (&weight, &integer) in weights.iter().zip(&rounded.values) {
        let in_steps = weight / 0.15;
        assert!((in_steps - f32::from(integer)).abs() <= 1.0 || integer.abs() == 7);
    }
    let nearest = round(&layer, &RoundingMethod::Nearest);
    let descent = round(&layer, &RoundingMethod::default());
    let sum = |rounded: &Rounded| rounded.errors.iter().sum::<f64>();
    assert!(
        sum(&rounded) < 0.7 * sum(&nearest),
        "{} {}",
        sum(&rounded),
        sum(&nearest)
    );
    assert!(sum(&descent) <= sum(&rounded));
}

#[test]
fn every_channel_with_its_own_matrix_is_a_layer_of_its_own() {
    let hessians = [
        correlated(9),
        Hessian::uncorrelated(&[1.0; 9]).expect("positive"),
    ];
    let weights = spread_weights(18);
    let both = Layer {
        weights: &weights,
        hessians: hessians[..].into(),
        scales: &[0.15, 0.2],
        integers: INT4,
    };
    let both = round(&both, &RoundingMethod::default());
    for (channel, hessian) in hessians.iter().enumerate() {
        let alone = Layer {
            weights: &weights[channel * 9..][..9],
            hessians: hessian.into(),
            scales: &[[0.15, 0.2][channel]],
            integers: INT4,
        };
        let alone = round(&alone, &RoundingMethod::default());
        assert_eq!(both.values[channel * 9..][..9], alone.values);
        assert_eq!(both.errors[channel], alone.errors[0]);
    }
}

#[test]
fn inputs_that_say_nothing() {
    let weights = spread_weights(8);
    let rows_of = |rows: &[f32]| hessian(rows, 8);
    // Always 0; a constant, whose matrix has rank 1; one row.
    for rows in [vec![0.0; 16], vec![0.5; 80], spread_weights(8)] {
        let hessian = rows_of(&rows);
        for damping in [0.0, 0.01] {
            let layer = Layer {
                weights: &weights,
                hessians: (&hessian).into(),
                scales: &[0.15],
                integers: INT4,
            };
            let nearest = round(&layer, &RoundingMethod::Nearest);
            let gptq = round(
                &layer,
                &RoundingMethod::Gptq(Gptq {
                    damping,
                    act_order: true,
                }),
            );
            let descent = Descent {
                damping,
                scales: ScaleRefinement::Float32,
                ..Descent::default()
            };
            let descent = round(&layer, &RoundingMethod::Descent(descent));
            let adaround = AdaRound {
                iterations: 50,
                ..AdaRound::default()
            };
            let adaround = round(&layer, &RoundingMethod::AdaRound(adaround));
            for rounded in [&gptq, &descent, &adaround] {
                assert!(rounded.errors[0].is_finite() && rounded.scales[0] > 0.0);
                assert!(rounded.values.iter().all(|q| (-7..=7).contains(q)));
            }
            assert!(descent.errors[0] <= nearest.errors[0] + 1e-9);
            if rows.iter().all(|&x| x == 0.0) {
                assert_eq!(gptq, nearest);
            }
        }
    }
}

#[test]
fn extreme_weights_and_scales() {
    let hessian = correlated(4);
    let weights = [f32::MAX, f32::MIN, 1e-45, 0.0];
    for scale in [f32::MIN_POSITIVE, 1.0, f32::MAX] {
        let layer = Layer {
            weights: &weights,
            hessians: (&hessian).into(),
            scales: &[scale],
            integers: INT4,
        };
        for scales in [
            ScaleRefinement::Fixed,
            ScaleRefinement::Float32,
            ScaleRefinement::Block,
        ] {
            let rounded = round(
                &layer,
                &RoundingMethod::Descent(Descent {
                    scales,
                    ..Descent::default()
                }),
            );
            assert!(rounded.values.iter().all(|q| (-7..=7).contains(q)));
            assert!(rounded.scales[0].is_normal());
        }
        let adaround = AdaRound {
            iterations: 5,
            ..AdaRound::default()
        };
        assert_eq!(
            round(&layer, &RoundingMethod::AdaRound(adaround)).values[3],
            0
        );
    }
}

#[test]
fn what_is_refused() {
    let hessian = correlated(4);
    let weights = [0.1; 8];
    let good = Layer {
        weights: &weights,
        hessians: (&hessian).into(),
        scales: &[0.1; 2],
        integers: INT4,
    };
    let refused = |layer: Layer<'_>| {
        layer
            .round::<i8>(&RoundingMethod::Nearest)
            .expect_err("refused")
    };
    assert!(matches!(
        refused(Layer {
            weights: &[0.1; 7],
            ..good
        }),
        QuantError::NotWholeChannels { .. }
    ));
    assert!(matches!(
        refused(Layer {
            weights: &[f32::NAN; 8],
            ..good
        }),
        QuantError::NotFinite { index: 0, .. }
    ));
    assert!(matches!(
        refused(Layer {
            scales: &[0.1],
            ..good
        }),
        QuantError::LengthMismatch { .. }
    ));
    assert!(matches!(
        refused(Layer {
            scales: &[],
            ..good
        }),
        QuantError::LengthMismatch { .. }
    ));
    assert!(matches!(
        refused(Layer {
            scales: &[0.1; 3],
            ..good
        }),
        QuantError::LengthMismatch { .. }
    ));
    assert!(matches!(
        refused(Layer {
            scales: &[0.1; 6],
            ..good
        }),
        QuantError::NotWholeBlocks { .. }
    ));
    assert!(matches!(
        refused(Layer {
            scales: &[0.1, 0.0],
            ..good
        }),
        QuantError::BadScale { index: 1, .. }
    ));
    assert!(matches!(
        refused(Layer {
            integers: IntegerRange::INT16,
            ..good
        }),
        QuantError::OutOfRange { .. }
    ));
    let reversed = IntegerRange { min: 7, max: -7 };
    assert!(matches!(
        refused(Layer {
            integers: reversed,
            ..good
        }),
        QuantError::BadParameter { .. }
    ));
    let one = [hessian.clone()];
    assert!(matches!(
        refused(Layer {
            hessians: one[..].into(),
            ..good
        }),
        QuantError::LengthMismatch { .. }
    ));
    let sizes = [hessian.clone(), correlated(3)];
    assert!(matches!(
        refused(Layer {
            hessians: sizes[..].into(),
            ..good
        }),
        QuantError::LengthMismatch { .. }
    ));
    let none: [Hessian; 0] = [];
    assert!(matches!(
        refused(Layer {
            hessians: none[..].into(),
            ..good
        }),
        QuantError::LengthMismatch { .. }
    ));
    let nothing = Layer {
        weights: &[],
        hessians: none[..].into(),
        scales: &[],
        integers: INT4,
    };
    assert!(
        round(&nothing, &RoundingMethod::default())
            .values
            .is_empty()
    );
    for method in [
        RoundingMethod::Gptq(Gptq {
            damping: -1.0,
            act_order: false,
        }),
        RoundingMethod::Descent(Descent {
            damping: f64::NAN,
            ..Descent::default()
        }),
        RoundingMethod::AdaRound(AdaRound {
            learning_rate: f64::INFINITY,
            ..AdaRound::default()
        }),
    ] {
        assert!(matches!(
            good.round::<i8>(&method),
            Err(QuantError::BadParameter { .. })
        ));
    }
    let rounded = round(&good, &RoundingMethod::Nearest);
    assert!(rounded.bias_shift(&weights, &[0.0; 3]).is_err());
    assert!(rounded.bias_shift(&weights[1..], &[0.0; 4]).is_err());
}

#[test]
fn matrices_that_are_refused() {
    assert!(matches!(Gram::new(0), Err(QuantError::BadParameter { .. })));
    assert!(Gram::new(usize::MAX).is_err());
    let mut gram = Gram::new(2).expect("a size");
    assert_eq!(gram.second_moment(), Err(QuantError::NothingObserved));
    assert_eq!(gram.mean(), Err(QuantError::NothingObserved));
    assert!(matches!(
        gram.add_rows(&[1.0; 3]),
        Err(QuantError::NotWholeChannels { .. })
    ));
    assert!(matches!(
        gram.add_rows(&[1.0, f32::NAN]),
        Err(QuantError::NotFinite { index: 1, .. })
    ));
    assert_eq!(gram.rows(), 0);
    assert!(gram.merge(Gram::new(3).expect("a size")).is_err());
    gram.add_rows(&[f32::MAX, 0.0, f32::MIN, 0.0])
        .expect("finite");
    assert!(matches!(
        gram.second_moment(),
        Err(QuantError::NotFinite { .. })
    ));
    assert!(Hessian::new(0, vec![]).is_err());
    assert!(Hessian::new(2, vec![1.0; 3]).is_err());
    assert!(Hessian::new(1, vec![f64::NAN]).is_err());
    assert!(Hessian::new(1, vec![-1.0]).is_err());
    assert!(Hessian::uncorrelated(&[]).is_err());
    assert!(correlated(2).error(&[1.0]).is_err());
    assert!(correlated(2).split(0).is_err() && correlated(2).split(3).is_err());
    let two = correlated(2);
    assert!(compensated_weights(&[1.0; 3], &two, &[0.0; 3], 0.0).is_err());
    assert!(compensated_weights(&[1.0; 2], &two, &[0.0; 3], 0.0).is_err());
    assert!(compensated_weights(&[1.0; 2], &two, &[0.0; 2], -1.0).is_err());
    assert!(compensated_weights(&[f32::NAN; 2], &two, &[0.0; 2], 0.0).is_err());
    let lost = compensated_weights(&[1.0; 2], &two, &[f64::NAN; 2], 0.0);
    assert!(matches!(lost, Err(QuantError::NotFinite { .. })));
    // No Gram matrix at all, but no reason for a loop without end.
    let indefinite = Hessian::new(2, vec![0.0, 1.0, 1.0, 0.0]).expect("symmetric");
    let layer = Layer {
        weights: &[0.3, 0.4],
        hessians: (&indefinite).into(),
        scales: &[0.1],
        integers: INT4,
    };
    for method in [
        RoundingMethod::default(),
        exact(Descent::default()),
        RoundingMethod::Gptq(Gptq::default()),
    ] {
        assert!(
            round(&layer, &method)
                .values
                .iter()
                .all(|q| (-7..=7).contains(q))
        );
    }
}

#[cfg(feature = "rayon")]
#[test]
fn the_number_of_threads_changes_nothing() {
    let weights = spread_weights(40 * 30);
    let samples = spread_weights(40 * 500);
    let scales = [0.15; 30];
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool");
        pool.install(|| {
            let hessian = hessian(&samples, 40);
            let layer = Layer {
                weights: &weights,
                hessians: (&hessian).into(),
                scales: &scales,
                integers: INT4,
            };
            let method = Descent {
                scales: ScaleRefinement::Float32,
                ..Descent::default()
            };
            (round(&layer, &RoundingMethod::Descent(method)), hessian)
        })
    };
    let one = with(1);
    assert!(with(2) == one && with(5) == one);
}
