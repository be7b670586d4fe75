//! Every gradient against central differences.

use larun_ops::Padding;
use larun_train::ops::{
    Add, AveragePool2d, BatchNorm, Clamp, Concatenation, Conv2d, DepthwiseConv2d, Differentiable,
    FullyConnected, Identity, Logistic, MaxPool2d, Mean, Mul, Pad, Reshape, Softmax,
    SoftmaxCrossEntropy, Statistics, Window2d,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::{Array, forward, run};

/// Elements of an input that are moved; of larger inputs a random choice.
const SAMPLES: usize = 40;

/// The step for an operator that is linear in each input: the difference is exact but for rounding.
pub(crate) const LINEAR: f32 = 0.5;

/// The step for a smooth operator.
pub(crate) const SMOOTH: f32 = 1e-2;

/// Compares all gradients of `sum(output * random)` with central differences.
pub(crate) fn check(operator: &dyn Differentiable, inputs: &[Array], step: f32) {
    let all: Vec<usize> = (0..inputs.len()).collect();
    check_inputs(operator, inputs, step, &all);
}

/// As [`check`], for some of the inputs.
pub(crate) fn check_inputs(
    operator: &dyn Differentiable,
    inputs: &[Array],
    step: f32,
    checked: &[usize],
) {
    let (output, _) = forward(operator, inputs);
    // Of a single output, too, the weight must not be 0: the comparison would be one of zeros.
    let weights = match output.data.len() {
        1 => vec![0.7],
        length => Array::distinct(&[length], 99).data,
    };
    let loss = |inputs: &[Array]| -> f64 {
        let (output, _) = forward(operator, inputs);
        output
            .data
            .iter()
            .zip(&weights)
            .map(|(&y, &w)| f64::from(y) * f64::from(w))
            .sum()
    };
    let gradients = run(operator, inputs, &weights).gradients;
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (index, gradient) in gradients.iter().enumerate() {
        if !checked.contains(&index) {
            continue;
        }
        let scale = gradient
            .iter()
            .fold(1.0, |max: f64, &g| max.max(f64::from(g).abs()));
        let length = gradient.len();
        let elements: Vec<usize> = if length <= SAMPLES {
            (0..length).collect()
        } else {
            (0..SAMPLES).map(|_| rng.random_range(0..length)).collect()
        };
        for element in elements {
            let mut moved = inputs.to_vec();
            let before = moved[index].data[element];
            moved[index].data[element] = before + step;
            let above = loss(&moved);
            moved[index].data[element] = before - step;
            let width = f64::from(before + step) - f64::from(before - step);
            let numeric = (above - loss(&moved)) / width;
            let analytic = f64::from(gradient[element]);
            assert!(
                (analytic - numeric).abs() <= 1e-3 * scale,
                "{operator:?}, input {index} {:?}, element {element}: gradient {analytic}, difference {numeric}",
                inputs[index].shape
            );
        }
    }
}

fn padding() -> impl Strategy<Value = Padding> {
    prop_oneof![Just(Padding::Same), Just(Padding::Valid)]
}

/// A window and an image that it fits, `[N, H, W, C]`.
pub(crate) fn placed_window() -> impl Strategy<Value = (Window2d, [usize; 4])> {
    let pair = |range: core::ops::RangeInclusive<usize>| [range.clone(), range];
    (
        pair(1..=4),
        pair(1..=3),
        pair(1..=3),
        padding(),
        pair(0..=6),
        1..=3usize,
        1..=5usize,
    )
        .prop_map(
            |(size, stride, dilation, padding, extra, batch, channels)| {
                let extent = |axis: usize| match padding {
                    Padding::Same => 1,
                    Padding::Valid => (size[axis] - 1) * dilation[axis] + 1,
                };
                let window = Window2d {
                    size,
                    stride,
                    dilation,
                    padding,
                };
                (
                    window,
                    [batch, extent(0) + extra[0], extent(1) + extra[1], channels],
                )
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn conv2d((window, shape) in placed_window(), filters in 1..=10usize) {
        let [height, width] = window.size;
        check(&Conv2d { window }, &[
            Array::distinct(&shape, 1),
            Array::distinct(&[filters, height, width, shape[3]], 2),
            Array::distinct(&[filters], 3),
        ], LINEAR);
    }

    #[test]
    fn depthwise_conv2d((window, shape) in placed_window(), multiplier in 1..=3usize) {
        let [height, width] = window.size;
        let filters = shape[3] * multiplier;
        check(&DepthwiseConv2d { window }, &[
            Array::distinct(&shape, 1),
            Array::distinct(&[1, height, width, filters], 2),
            Array::distinct(&[filters], 3),
        ], LINEAR);
    }

    #[test]
    fn average_pool((window, shape) in placed_window()) {
        check(&AveragePool2d { window: window.dilation([1, 1]) }, &[Array::distinct(&shape, 1)], LINEAR);
    }

    #[test]
    fn max_pool((window, shape) in placed_window()) {
        let window = window.dilation([1, 1]);
        let x = Array::distinct(&shape, 1);
        // Less than half of the distance between two elements: no maximum changes.
        let step = 0.8 / x.data.len() as f32;
        check(&MaxPool2d { window }, &[x], step);
    }

    #[test]
    fn fully_connected(rows in 1..=9usize, depth in 1..=12usize, outputs in 1..=17usize) {
        let (w, b) = (Array::distinct(&[outputs, depth], 2), Array::distinct(&[outputs], 3));
        let flat = [Array::distinct(&[rows, depth], 1), w.clone(), b.clone()];
        check(&FullyConnected { keep_dims: false }, &flat, LINEAR);
        let deep = [Array::distinct(&[2, rows, depth], 1), w, b];
        check(&FullyConnected { keep_dims: true }, &deep, LINEAR);
    }

    #[test]
    fn add_and_mul(
        shape in prop::collection::vec(1..=4usize, 1..=4),
        drop in 0..=2usize,
        ones in any::<[u8; 2]>(),
    ) {
        let broadcast = |drop: usize, ones: u8| {
            let sizes = shape.iter().enumerate().skip(drop.min(shape.len() - 1));
            sizes.map(|(axis, &size)| if ones >> axis & 1 == 1 { 1 } else { size }).collect::<Vec<_>>()
        };
        let a = Array::distinct(&broadcast(0, ones[0]), 1);
        let b = Array::distinct(&broadcast(drop, ones[1]), 2);
        for inputs in [[a.clone(), b.clone()], [b, a]] {
            check(&Add, &inputs, LINEAR);
            check(&Mul, &inputs, LINEAR);
        }
    }

    #[test]
    fn mean(shape in prop::collection::vec(1..=5usize, 1..=4), axes in any::<u8>(), keep_dims in any::<bool>()) {
        let axes = (0..shape.len()).filter(|axis| axes >> axis & 1 == 1).collect();
        check(&Mean { axes, keep_dims }, &[Array::distinct(&shape, 1)], LINEAR);
    }

    #[test]
    fn pad(shape in prop::collection::vec((1..=4usize, [0..=2usize, 0..=2usize]), 1..=4)) {
        let (shape, padding): (Vec<_>, Vec<_>) = shape.into_iter().unzip();
        check(&Pad { padding }, &[Array::distinct(&shape, 1)], LINEAR);
    }

    #[test]
    fn concatenation(
        shape in prop::collection::vec(1..=4usize, 1..=4),
        axis in 0..4usize,
        sizes in prop::collection::vec(1..=4usize, 1..=4),
    ) {
        let axis = axis % shape.len();
        let inputs: Vec<_> = sizes.iter().map(|&size| {
            let mut shape = shape.clone();
            shape[axis] = size;
            Array::distinct(&shape, size as u64)
        }).collect();
        check(&Concatenation { axis }, &inputs, LINEAR);
    }

    #[test]
    fn softmax(rows in 1..=4usize, classes in 1..=7usize, beta in 0.5f32..2.0) {
        check(&Softmax { beta }, &[Array::distinct(&[rows, classes], 1)], SMOOTH);
    }

    #[test]
    fn softmax_cross_entropy(rows in 1..=6usize, classes in 1..=7usize) {
        let labels = (0..rows as u32).map(|row| row * 5 % classes as u32).collect();
        check(&SoftmaxCrossEntropy { labels, ..Default::default() }, &[Array::distinct(&[rows, classes], 1)], SMOOTH);
    }

    #[test]
    fn batch_norm(rows in 8..=40usize, channels in 1..=9usize, fixed in any::<bool>()) {
        let statistics = if fixed {
            Statistics::Fixed {
                mean: Array::distinct(&[channels], 7).data,
                variance: Array::distinct(&[channels], 8).data.iter().map(|v| v + 1.5).collect(),
            }
        } else {
            Statistics::Batch
        };
        let inputs = [
            Array::distinct(&[2, rows, channels], 1),
            Array::distinct(&[channels], 2),
            Array::distinct(&[channels], 3),
        ];
        let norm = BatchNorm { epsilon: 1e-3, statistics, activation: None };
        check(&norm, &inputs, SMOOTH);
        // Fused, it is the two operators one after the other.
        for clamp in [Clamp::RELU, Clamp::RELU6] {
            let weights = Array::distinct(&[inputs[0].data.len()], 99).data;
            let fused = run(&BatchNorm { activation: Some(clamp), ..norm.clone() }, &inputs, &weights);
            let (normalised, _) = forward(&norm, &inputs);
            let clamped = run(&clamp, &[normalised], &weights);
            let apart = run(&norm, &inputs, &clamped.gradients[0]);
            prop_assert_eq!(fused.output, clamped.output);
            prop_assert_eq!(fused.gradients, apart.gradients);
        }
    }

    #[test]
    fn elementwise(shape in prop::collection::vec(1..=4usize, 0..=4)) {
        let x = Array::distinct(&shape, 1);
        let length = x.data.len();
        check(&Logistic, core::slice::from_ref(&x), SMOOTH);
        check(&Identity, core::slice::from_ref(&x), LINEAR);
        check(&Reshape { shape: vec![length] }, core::slice::from_ref(&x), LINEAR);
        // Stretched so that all three stretches of RELU6 occur, and moved so that none lies on a bend.
        let wide = Array { data: x.data.iter().map(|x| 8.0 * x + 0.031).collect(), ..x };
        let off_bends = wide.data.iter().all(|x| [-1.0, 0.0, 1.0, 6.0].iter().all(|b| (x - b).abs() > 2e-2));
        prop_assume!(off_bends);
        for clamp in [Clamp::RELU, Clamp::RELU6, Clamp::RELU_N1_TO_1] {
            check(&clamp, core::slice::from_ref(&wide), SMOOTH);
        }
    }
}

/// Large enough that work is cut into several tasks and sums into several parts.
#[test]
fn large_tensors() {
    let image = Array::distinct(&[37, 12, 20, 8], 1);
    let window = Window2d::same([3, 3]).stride([1, 2]);
    let bias = |n: usize| Array::distinct(&[n], 3);
    let kernel = Array::distinct(&[11, 3, 3, 8], 2);
    check(
        &Conv2d { window },
        &[image.clone(), kernel, bias(11)],
        LINEAR,
    );
    let pointwise = Array::distinct(&[16, 1, 1, 8], 2);
    let unit = Window2d::same([1, 1]);
    check(
        &Conv2d { window: unit },
        &[image.clone(), pointwise, bias(16)],
        LINEAR,
    );
    let kernel = Array::distinct(&[1, 3, 3, 8], 2);
    check(
        &DepthwiseConv2d { window },
        &[image.clone(), kernel, bias(8)],
        LINEAR,
    );
    check(
        &AveragePool2d { window },
        core::slice::from_ref(&image),
        LINEAR,
    );
    check(
        &Mean {
            axes: vec![1, 2],
            keep_dims: false,
        },
        core::slice::from_ref(&image),
        LINEAR,
    );
    check(&Mul, &[image.clone(), Array::distinct(&[8], 4)], LINEAR);
    check(
        &Mul,
        &[image.clone(), Array::distinct(&[37, 1, 1, 8], 4)],
        LINEAR,
    );
    let norm = BatchNorm {
        epsilon: 1e-3,
        statistics: Statistics::Batch,
        activation: None,
    };
    check(&norm, &[image, bias(8), bias(8)], SMOOTH);
    let rows = Array::distinct(&[700, 50], 1);
    check(
        &FullyConnected { keep_dims: false },
        &[rows, Array::distinct(&[30, 50], 2), bias(30)],
        LINEAR,
    );
}

/// A tie gives the gradient once, to the first of the greatest.
#[test]
fn max_pool_ties() {
    let x = Array {
        shape: vec![1, 1, 4, 1],
        data: vec![1.0, 3.0, 3.0, 3.0],
    };
    let window = Window2d::same([1, 2]).padding(Padding::Valid);
    let run = run(&MaxPool2d { window }, &[x], &[1.0, 10.0, 100.0]);
    assert_eq!(run.output, [3.0, 3.0, 3.0]);
    assert_eq!(run.gradients[0], [0.0, 11.0, 100.0, 0.0]);
}

/// The operators on candle's tape, with one, two and three inputs.
#[test]
fn on_candle_tape() -> candle_core::Result<()> {
    use candle_core::{Device, Tensor, Var};
    use larun_train::ops::candle::apply;

    let var = |array: &Array| {
        let tensor = Tensor::from_slice(&array.data, array.shape.as_slice(), &Device::Cpu)?;
        Var::from_tensor(&tensor)
    };
    let flat = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
    let arrays = [
        Array::distinct(&[2, 4, 5, 3], 1),
        Array::distinct(&[4, 3, 3, 3], 2),
        Array::distinct(&[4], 3),
    ];
    let [x, w, b] = [var(&arrays[0])?, var(&arrays[1])?, var(&arrays[2])?];
    let window = Window2d::same([3, 3]).stride([2, 1]);
    let convolved = apply(Conv2d { window }, &[&x, &w, &b])?;
    let clamped = apply(Clamp::RELU6, &[&convolved])?;
    let loss = apply(Mul, &[&clamped, &b])?.sum_all()?;
    let gradients = loss.backward()?;

    let forward = |arrays: &[Array]| {
        let (convolved, _) = forward(&Conv2d { window }, arrays);
        let (clamped, _) = forward(&Clamp::RELU6, &[convolved]);
        let product = forward(&Mul, &[clamped, arrays[2].clone()]).0;
        product.data.iter().map(|&y| f64::from(y)).sum::<f64>()
    };
    assert!((forward(&arrays) - f64::from(loss.to_scalar::<f32>()?)).abs() < 1e-4);
    for (index, var) in [&x, &w, &b].into_iter().enumerate() {
        let analytic = flat(gradients.get(var).expect("every input has a gradient"))?;
        for (element, &gradient) in analytic.iter().enumerate() {
            let mut moved = arrays.clone();
            moved[index].data[element] += 1e-3;
            let above = forward(&moved);
            moved[index].data[element] -= 2e-3;
            let numeric = (above - forward(&moved)) / 2e-3;
            assert!(
                (f64::from(gradient) - numeric).abs() < 2e-2,
                "{index} {element}"
            );
        }
    }
    Ok(())
}
