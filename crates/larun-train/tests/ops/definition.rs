//! Forward passes against their definitions, written without regard to speed.

use larun_ops::{Padding, Window};
use larun_train::ops::{
    AveragePool2d, BatchNorm, Conv2d, DepthwiseConv2d, Differentiable, MaxPool2d,
    SoftmaxCrossEntropy, Statistics, Window2d,
};
use proptest::prelude::*;

use crate::common::{Array, forward};

fn window() -> impl Strategy<Value = Window2d> {
    let pair = |range: core::ops::RangeInclusive<usize>| [range.clone(), range];
    let padding = prop_oneof![Just(Padding::Same), Just(Padding::Valid)];
    (pair(1..=4), pair(1..=3), pair(1..=3), padding).prop_map(
        |(size, stride, dilation, padding)| Window2d {
            size,
            stride,
            dilation,
            padding,
        },
    )
}

/// Input coordinates under every tap of a position.
fn taps(window: Window2d, input: &[usize], at: [usize; 2]) -> Vec<([usize; 2], [isize; 2])> {
    let before = [0, 1].map(|axis| {
        let size = window.size[axis];
        let (stride, dilation) = (window.stride[axis], window.dilation[axis]);
        Window::new(input[axis + 1], size, stride, dilation, window.padding)
            .unwrap()
            .pad_before
    });
    let mut taps = Vec::new();
    for row in 0..window.size[0] {
        for column in 0..window.size[1] {
            let tap = [row, column];
            let source = [0, 1].map(|axis| {
                (at[axis] * window.stride[axis] + tap[axis] * window.dilation[axis]) as isize
                    - before[axis] as isize
            });
            taps.push((tap, source));
        }
    }
    taps
}

/// Calls `f` with every coordinate of the output and compares.
fn compare(operator: &dyn Differentiable, inputs: &[Array], f: impl Fn([usize; 4]) -> f64) {
    let (output, _) = forward(operator, inputs);
    let [batch, height, width, channels] = output.shape.as_slice().try_into().unwrap();
    for (index, &found) in output.data.iter().enumerate() {
        let at = [
            index / (height * width * channels) % batch,
            index / (width * channels) % height,
            index / channels % width,
            index % channels,
        ];
        let expected = f(at);
        assert!(
            (f64::from(found) - expected).abs() < 1e-4,
            "{operator:?} {at:?}: {found}, {expected}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn windows(window in window(), size in [10..=14usize, 10..=14usize], channels in 1..=4usize, filters in 1..=10usize) {
        let x = Array::distinct(&[2, size[0], size[1], channels], 1);
        let shape = x.shape.clone();
        let element = |n: usize, [y, x_]: [isize; 2], c: usize| x.at([n as isize, y, x_, c as isize]);

        let w = Array::distinct(&[filters, window.size[0], window.size[1], channels], 2);
        let b = Array::distinct(&[filters], 3);
        compare(&Conv2d { window }, &[x.clone(), w.clone(), b.clone()], |[n, oy, ox, o]| {
            let mut sum = f64::from(b.data[o]);
            for ([r, s], source) in taps(window, &shape, [oy, ox]) {
                for c in 0..channels {
                    let weight = w.at([o as isize, r as isize, s as isize, c as isize]).unwrap();
                    sum += element(n, source, c).unwrap_or(0.0) * weight;
                }
            }
            sum
        });

        let w = Array::distinct(&[1, window.size[0], window.size[1], channels * 2], 2);
        let b = Array::distinct(&[channels * 2], 3);
        compare(&DepthwiseConv2d { window }, &[x.clone(), w.clone(), b.clone()], |[n, oy, ox, o]| {
            let mut sum = f64::from(b.data[o]);
            for ([r, s], source) in taps(window, &shape, [oy, ox]) {
                let weight = w.at([0, r as isize, s as isize, o as isize]).unwrap();
                sum += element(n, source, o / 2).unwrap_or(0.0) * weight;
            }
            sum
        });

        let window = window.dilation([1, 1]);
        let inside = |n, oy, ox, c| -> Vec<f64> {
            taps(window, &shape, [oy, ox]).into_iter().filter_map(|(_, at)| element(n, at, c)).collect()
        };
        compare(&AveragePool2d { window }, core::slice::from_ref(&x), |[n, oy, ox, c]| {
            let values = inside(n, oy, ox, c);
            values.iter().sum::<f64>() / values.len() as f64
        });
        compare(&MaxPool2d { window }, core::slice::from_ref(&x), |[n, oy, ox, c]| {
            inside(n, oy, ox, c).into_iter().fold(f64::NEG_INFINITY, f64::max)
        });
    }

    #[test]
    fn batch_norm(rows in 1..=3000usize, channels in 1..=17usize, offset in -50.0f32..50.0) {
        let mut x = Array::distinct(&[rows, 1, 1, channels], 1);
        x.data.iter_mut().for_each(|x| *x += offset);
        let gamma = Array::distinct(&[channels], 2);
        let beta = Array::distinct(&[channels], 3);
        let column = |c: usize| x.data.iter().skip(c).step_by(channels).map(|&x| f64::from(x));
        let mean = |c: usize| column(c).sum::<f64>() / rows as f64;
        let variance = |c: usize| column(c).map(|x| (x - mean(c)).powi(2)).sum::<f64>() / rows as f64;
        let moments: Vec<_> = (0..channels).map(|c| (mean(c), variance(c))).collect();
        let operator = BatchNorm { epsilon: 1e-3, statistics: Statistics::Batch, activation: None };
        let inputs = [x.clone(), gamma.clone(), beta.clone()];
        compare(&operator, &inputs, |[n, _, _, c]| {
            let (mean, variance) = moments[c];
            let x = x.at([n as isize, 0, 0, c as isize]).unwrap();
            f64::from(gamma.data[c]) * (x - mean) / (variance + 1e-3).sqrt() + f64::from(beta.data[c])
        });
        let (_, saved) = forward(&operator, &inputs);
        let (means, variances) = BatchNorm::batch_moments(&saved);
        for (c, (mean, variance)) in moments.into_iter().enumerate() {
            prop_assert!((f64::from(means[c]) - mean).abs() < 1e-5 * (1.0 + mean.abs()));
            prop_assert!((f64::from(variances[c]) - variance).abs() < 1e-4);
        }
    }
}

/// A sure and right answer has no loss, a sure and wrong one a finite loss.
#[test]
fn cross_entropy_of_extremes() {
    let logits = Array {
        shape: vec![1, 2],
        data: vec![300.0, -300.0],
    };
    let loss = |label| {
        forward(
            &SoftmaxCrossEntropy {
                labels: vec![label],
                ..Default::default()
            },
            core::slice::from_ref(&logits),
        )
        .0
        .data
    };
    assert_eq!(loss(0), [0.0]);
    assert_eq!(loss(1), [600.0]);
}

/// What does not fit is refused, with the operator's name.
#[test]
fn refusals() {
    let conv = Conv2d {
        window: Window2d::same([3, 3]),
    };
    let refused = |shapes: &[&[usize]]| conv.output_shape(shapes).unwrap_err().to_string();
    assert!(refused(&[&[1, 4, 4, 2]]).starts_with("CONV_2D: takes 3 inputs"));
    assert!(refused(&[&[4, 4, 2], &[1, 3, 3, 2], &[1]]).contains("rank 4"));
    assert!(refused(&[&[1, 4, 4, 2], &[1, 3, 3, 3], &[1]]).contains("3 input channels"));
    assert!(refused(&[&[1, 4, 4, 2], &[1, 5, 3, 2], &[1]]).contains("do not match the window"));
    assert!(refused(&[&[1, 4, 4, 2], &[5, 3, 3, 2], &[4]]).contains("bias"));
    assert!(refused(&[&[1, 0, 4, 2], &[5, 3, 3, 2], &[5]]).contains("no elements"));
    let pool = MaxPool2d {
        window: Window2d::same([3, 3]).stride([0, 1]),
    };
    assert!(
        pool.output_shape(&[&[1, 4, 4, 2]])
            .unwrap_err()
            .to_string()
            .contains("does not fit")
    );
    let loss = SoftmaxCrossEntropy {
        labels: vec![3],
        ..Default::default()
    };
    assert!(
        loss.output_shape(&[&[1, 3]])
            .unwrap_err()
            .to_string()
            .contains("label 3 with 3 classes")
    );
}
