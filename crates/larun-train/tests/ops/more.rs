//! The operators that are no layers: functions of elements, rows, axes and sequences, against central differences.

use std::sync::Arc;

use larun_ops::Padding;
use larun_train::ops::{
    AddN, Arithmetic, BatchMatmul, BinaryCrossEntropy, Comparison, CumSum, Differentiable,
    Embedding, L2Normalization, L2Pool2d, LogSoftmax, Lstm, MeanSquaredError, Moves, Reduce,
    Reduction, ResizeBilinear, Select, SoftmaxCrossEntropy, Svdf, TransposeConv, Unary, Window2d,
};
use proptest::prelude::*;

use crate::common::{Array, run};
use crate::gradient::{LINEAR, SMOOTH, check, check_inputs, placed_window};

/// Every function, each with a stretch on which it is smooth: `low + width * x` for `x` between 0 and 1.
const FUNCTIONS: &[(Unary, f32, f32)] = &[
    (Unary::Abs, 0.1, 2.0),
    (Unary::Abs, -2.1, 2.0),
    (Unary::Cos, -3.0, 6.0),
    (Unary::Elu, -3.0, 2.9),
    (Unary::Elu, 0.1, 2.0),
    (Unary::Exp, -2.0, 4.0),
    (Unary::Gelu { approximate: true }, -3.0, 6.0),
    (Unary::Gelu { approximate: false }, -3.0, 6.0),
    (Unary::HardSwish, -2.9, 5.8),
    (Unary::HardSwish, 3.1, 2.0),
    (Unary::HardSwish, -5.0, 1.9),
    (Unary::LeakyRelu { alpha: 0.3 }, -2.0, 1.9),
    (Unary::LeakyRelu { alpha: 0.3 }, 0.1, 2.0),
    (Unary::Log, 0.5, 3.0),
    (Unary::Neg, -2.0, 4.0),
    (Unary::Rsqrt, 0.5, 3.0),
    (Unary::Sin, -3.0, 6.0),
    (Unary::Sqrt, 0.5, 3.0),
    (Unary::Square, -2.0, 4.0),
    (Unary::Tanh, -2.0, 4.0),
    (Unary::ZerosLike, -2.0, 4.0),
    // Steps, between which they are flat.
    (Unary::Floor, 0.1, 0.8),
    (Unary::Ceil, 0.1, 0.8),
    (Unary::Round, 0.6, 0.8),
];

/// Values between `low` and `low + width`.
fn stretched(shape: &[usize], seed: u64, low: f32, width: f32) -> Array {
    let mut array = Array::distinct(shape, seed);
    for x in &mut array.data {
        *x = low + width * (*x + 1.0) / 2.0;
    }
    array
}

#[test]
fn functions() {
    for (index, &(function, low, width)) in FUNCTIONS.iter().enumerate() {
        check(
            &function,
            &[stretched(&[3, 5], index as u64, low, width)],
            2e-3,
        );
    }
}

/// A pair of shapes that broadcast, and a shape that they give.
fn broadcast_pair() -> impl Strategy<Value = [Vec<usize>; 2]> {
    (
        prop::collection::vec(1..=4usize, 1..=4),
        0..=2usize,
        any::<[u8; 2]>(),
    )
        .prop_map(|(shape, drop, ones)| {
            let side = |drop: usize, ones: u8| {
                let sizes = shape.iter().enumerate().skip(drop.min(shape.len() - 1));
                sizes
                    .map(|(axis, &size)| if ones >> axis & 1 == 1 { 1 } else { size })
                    .collect::<Vec<_>>()
            };
            [side(0, ones[0]), side(drop, ones[1])]
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn arithmetic([a, b] in broadcast_pair()) {
        let (low, high) = (Array::distinct(&a, 1), stretched(&b, 2, 1.3, 1.0));
        for operator in [Arithmetic::Sub, Arithmetic::Div, Arithmetic::SquaredDifference] {
            check(&operator, &[low.clone(), high.clone()], SMOOTH);
        }
        // Between 1.3 and 2.3 the quotient of -1 to 1 jumps at 0 alone.
        let positive = stretched(&a, 1, 0.1, 0.9);
        for operator in [Arithmetic::FloorDiv, Arithmetic::FloorMod] {
            check(&operator, &[positive.clone(), high.clone()], SMOOTH);
        }
        // One is greater by far, or lies on a grid between the other's: no order changes.
        for operator in [Arithmetic::Maximum, Arithmetic::Minimum] {
            check(&operator, &[low.clone(), high.clone()], SMOOTH);
            check(&operator, &[high.clone(), low.clone()], SMOOTH);
        }
        // Each stretch of PRELU.
        check(&Arithmetic::Prelu, &[positive, high.clone()], SMOOTH);
        check(&Arithmetic::Prelu, &[stretched(&a, 3, -1.0, 0.9), high], SMOOTH);
    }

    #[test]
    fn selection([a, b] in broadcast_pair()) {
        let condition = Array {
            shape: a.clone(),
            data: (0..a.iter().product::<usize>()).map(|i| f32::from(u8::from(i % 3 == 0))).collect(),
        };
        let inputs = [condition, Array::distinct(&b, 1), Array::distinct(&a, 2)];
        check_inputs(&Select, &inputs, LINEAR, &[1, 2]);
    }

    #[test]
    fn sums_of_many(shape in prop::collection::vec(1..=4usize, 1..=3), count in 1..=4u64) {
        let inputs: Vec<_> = (0..count).map(|seed| Array::distinct(&shape, seed)).collect();
        check(&AddN, &inputs, LINEAR);
    }

    #[test]
    fn reductions(shape in prop::collection::vec(1..=4usize, 1..=4), axes in any::<u8>(), keep_dims in any::<bool>()) {
        let axes: Vec<usize> = (0..shape.len()).filter(|axis| axes >> axis & 1 == 1).collect();
        let x = Array::distinct(&shape, 1);
        let sum = Reduce { reduction: Reduction::Sum, axes: axes.clone(), keep_dims };
        check(&sum, core::slice::from_ref(&x), LINEAR);
        // Less than half of the distance between two elements: no extreme changes.
        let step = 0.8 / x.data.len() as f32;
        for reduction in [Reduction::Max, Reduction::Min] {
            let operator = Reduce { reduction, axes: axes.clone(), keep_dims };
            check(&operator, core::slice::from_ref(&x), step);
        }
    }

    #[test]
    fn rows_and_running_sums(
        shape in prop::collection::vec(1..=4usize, 1..=3),
        axis in 0..3usize,
        exclusive in any::<bool>(),
        reverse in any::<bool>(),
    ) {
        let x = Array::distinct(&shape, 1);
        check(&LogSoftmax, core::slice::from_ref(&x), SMOOTH);
        check(&CumSum { axis: axis % shape.len(), exclusive, reverse }, core::slice::from_ref(&x), LINEAR);
        check(&L2Normalization, &[stretched(&shape, 2, 0.5, 1.0)], 2e-3);
    }

    #[test]
    fn root_mean_square_pool((window, shape) in placed_window()) {
        check(&L2Pool2d { window: window.dilation([1, 1]) }, &[stretched(&shape, 1, 0.5, 1.0)], 5e-3);
    }

    #[test]
    fn transposed_convolution(
        size in [1..=3usize, 1..=3],
        stride in [1..=3usize, 1..=3],
        input in [1..=4usize, 1..=4],
        channels in [1..=3usize, 1..=9],
        same in any::<bool>(),
        batch in 1..=2usize,
    ) {
        let padding = if same { Padding::Same } else { Padding::Valid };
        let window = Window2d { size, stride, dilation: [1, 1], padding };
        let output = [0, 1].map(|axis| match padding {
            Padding::Same => input[axis] * stride[axis],
            Padding::Valid => (input[axis] - 1) * stride[axis] + size[axis],
        });
        check(&TransposeConv { window, output }, &[
            Array::distinct(&[channels[1], size[0], size[1], channels[0]], 1),
            Array::distinct(&[batch, input[0], input[1], channels[0]], 2),
            Array::distinct(&[channels[1]], 3),
        ], LINEAR);
    }

    #[test]
    fn products_of_matrices(
        [lead_a, lead_b] in broadcast_pair(),
        m in 1..=5usize,
        k in 1..=5usize,
        n in 1..=9usize,
        transpose in any::<[bool; 2]>(),
    ) {
        let side = |lead: &[usize], rows: usize, columns: usize, turned: bool| {
            let last = if turned { [columns, rows] } else { [rows, columns] };
            [lead, &last].concat()
        };
        let (a, b) = (side(&lead_a, m, k, transpose[0]), side(&lead_b, k, n, transpose[1]));
        check(&BatchMatmul { transpose }, &[Array::distinct(&a, 1), Array::distinct(&b, 2)], LINEAR);
    }

    #[test]
    fn bilinear_resize(
        shape in [1..=2usize, 1..=4, 1..=4, 1..=3],
        size in [1..=6usize, 1..=6],
        corners in any::<bool>(),
        centers in any::<bool>(),
    ) {
        let resize = ResizeBilinear { size, align_corners: corners, half_pixel_centers: centers && !corners };
        check(&resize, &[Array::distinct(&shape, 1)], LINEAR);
    }

    #[test]
    fn svdf(rows in 1..=3usize, depth in 1..=4usize, units in 1..=3usize, rank in 1..=2usize, memory in 1..=3usize) {
        check(&Svdf { rank }, &[
            Array::distinct(&[rows, depth], 1),
            Array::distinct(&[units * rank, depth], 2),
            Array::distinct(&[units * rank, memory], 3),
            Array::distinct(&[units], 4),
        ], LINEAR);
    }

    #[test]
    fn lstm(
        samples in 1..=3usize,
        sequences in 1..=2usize,
        steps in 1..=4usize,
        depth in 1..=3usize,
        units in 1..=3usize,
        time_major in any::<bool>(),
        clip in any::<bool>(),
    ) {
        let outer = if time_major { [samples * steps, sequences] } else { [samples * sequences, steps] };
        let mut inputs = vec![Array::distinct(&[outer[0], outer[1], depth], 1)];
        inputs.extend((0..4).map(|gate| Array::distinct(&[units, depth], 2 + gate)));
        inputs.extend((0..4).map(|gate| Array::distinct(&[units, units], 6 + gate)));
        inputs.extend((0..4).map(|gate| Array::distinct(&[units], 10 + gate)));
        // A bound that states stay below by far, so that no difference crosses it.
        let cell_clip = if clip { 50.0 } else { 0.0 };
        check(&Lstm { cell_clip, sequences, steps, time_major }, &inputs, SMOOTH);
    }

    #[test]
    fn rows_of_a_table(count in 1..=5usize, rows in 1..=4usize, width in 1..=3usize) {
        let numbers = Array {
            shape: vec![count],
            data: (0..count).map(|i| (i * 7 % rows) as f32).collect(),
        };
        check_inputs(&Embedding, &[numbers, Array::distinct(&[rows, width], 1)], LINEAR, &[1]);
    }

    #[test]
    fn moved_elements(samples in 1..=3usize, lengths in [1..=4usize, 1..=4], seed in any::<u64>()) {
        let total = (lengths[0] + lengths[1]) as u64;
        let from: Vec<u32> = (0..7u64)
            .map(|i| match seed.rotate_left(7 * i as u32) % (total + 1) {
                nothing if nothing == total => Moves::NOTHING,
                element => element as u32,
            })
            .collect();
        let moves = Moves { name: "PACK", inputs: lengths.to_vec(), shape: vec![1, 7], from: Arc::from(from) };
        let own = Array::distinct(&[samples, lengths[0]], 1);
        check(&moves, &[own.clone(), Array::distinct(&[samples, lengths[1]], 2)], LINEAR);
        // The second input is the same for all samples.
        check(&moves, &[own, Array::distinct(&[lengths[1]], 3)], LINEAR);
    }

    #[test]
    fn losses(rows in 1..=5usize, classes in 2..=5usize, smoothing in 0.0f32..0.9) {
        let labels: Vec<u32> = (0..rows as u32).map(|row| row * 5 % classes as u32).collect();
        let logits = Array::distinct(&[rows, classes], 1);
        let class_weights = (0..classes).map(|class| 0.5 + class as f32).collect();
        let whole = SoftmaxCrossEntropy { labels, smoothing, class_weights, shares: Vec::new() };
        check(&whole, core::slice::from_ref(&logits), SMOOTH);
        let row = |row: usize| (0..classes).map(move |class| if class == row % classes { 0.75 } else { 0.25 / (classes - 1) as f32 });
        let shared = SoftmaxCrossEntropy { shares: (0..rows).flat_map(row).collect(), ..whole };
        check(&shared, core::slice::from_ref(&logits), SMOOTH);
        let targets: Vec<f32> = (0..rows * classes).map(|i| (i % 3) as f32 / 2.0).collect();
        let weights: Vec<f32> = (0..rows * classes).map(|i| 0.5 + (i % 4) as f32).collect();
        check(&BinaryCrossEntropy { targets: targets.clone(), weights }, core::slice::from_ref(&logits), SMOOTH);
        check(&BinaryCrossEntropy { targets: targets.clone(), weights: Vec::new() }, core::slice::from_ref(&logits), SMOOTH);
        check(&MeanSquaredError { targets }, &[logits], SMOOTH);
    }
}

/// What has no gradient says so with noughts.
#[test]
fn comparisons() {
    let (a, b) = (Array::distinct(&[4], 1), Array::distinct(&[4], 2));
    for (comparison, expected) in [
        (Comparison::Less, |a: f32, b: f32| a < b),
        (Comparison::LessEqual, |a, b| a <= b),
        (Comparison::Greater, |a, b| a > b),
        (Comparison::GreaterEqual, |a, b| a >= b),
        (Comparison::Equal, |a, b| a == b),
        (Comparison::NotEqual, |a, b| a != b),
        (Comparison::And, |a, b| a != 0.0 && b != 0.0),
        (Comparison::Or, |a, b| a != 0.0 || b != 0.0),
    ] as [(Comparison, fn(f32, f32) -> bool); 8]
    {
        let found = run(&comparison, &[a.clone(), b.clone()], &[1.0; 4]);
        let pairs = a.data.iter().zip(&b.data);
        let wanted: Vec<f32> = pairs
            .map(|(&a, &b)| f32::from(u8::from(expected(a, b))))
            .collect();
        assert_eq!(found.output, wanted, "{}", comparison.name());
        assert!(found.gradients.iter().flatten().all(|&g| g == 0.0));
    }
}

/// With smoothing all classes pull; without it and with even weights the loss is the plain one.
#[test]
fn smoothed_labels() {
    let logits = Array::distinct(&[2, 3], 1);
    let loss = |smoothing: f32, class_weights: Vec<f32>| {
        let labels = vec![0, 2];
        let loss = SoftmaxCrossEntropy {
            labels,
            smoothing,
            class_weights,
            shares: Vec::new(),
        };
        run(&loss, core::slice::from_ref(&logits), &[1.0]).output[0]
    };
    let plain = loss(0.0, Vec::new());
    assert_eq!(plain, loss(0.0, vec![1.0; 3]));
    assert!((loss(0.0, vec![2.0; 3]) - 2.0 * plain).abs() < 1e-6);
    assert_ne!(plain, loss(0.2, Vec::new()));
}

/// Shares that are all the label's give the loss of the label; even ones that of labels smoothed all the way.
#[test]
fn shared_labels() {
    let logits = Array::distinct(&[2, 3], 1);
    let loss = |smoothing: f32, shares: Vec<f32>| {
        let labels = vec![0, 2];
        let loss = SoftmaxCrossEntropy {
            labels,
            smoothing,
            shares,
            ..SoftmaxCrossEntropy::default()
        };
        run(&loss, core::slice::from_ref(&logits), &[1.0])
    };
    let whole = vec![1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
    assert_eq!(
        loss(0.1, Vec::new()).output,
        loss(0.1, whole.clone()).output
    );
    assert_eq!(loss(0.1, Vec::new()).gradients, loss(0.1, whole).gradients);
    let even = loss(0.0, vec![1.0 / 3.0; 6]).output[0];
    assert!((even - loss(1.0, Vec::new()).output[0]).abs() < 1e-6);
}
